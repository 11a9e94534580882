"""Tokens signed by an identity provider: its published keys count, and nothing that a token says of keys."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jwt
import pytest
from flask import Flask

from tests.identity.issuer import Issuer
from tests.own_apps import MakeApp, bearer, claims, handmade, payload


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.go_away()


@pytest.fixture
def issued_app(make_app: MakeApp, issuer: Issuer) -> Flask:
    """An app whose callers' tokens come from the issuer."""
    return make_app(jwt_secret=None, jwt_jwks_url=issuer.url, jwt_algorithms=("RS256", "ES256", "EdDSA"))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_published_key_proves_a_caller(issued_app: Flask, issuer: Issuer, algorithm: str) -> None:
    issuer.add_key("one", algorithm)
    client = issued_app.test_client()
    for _ in range(3):
        assert client.get("/test/private", headers=bearer(issuer.sign(claims(), "one"))).status_code == 200
    assert issuer.requests == 1


def test_a_public_key_is_never_taken_for_a_secret(issued_app: Flask, issuer: Issuer) -> None:
    pem = issuer.add_key("one")
    unverified = handmade({"alg": "HS256", "kid": "one"}, payload(), secret=pem)
    client = issued_app.test_client()
    assert client.get("/test/private", headers=bearer(unverified)).status_code == 401
    assert issuer.requests == 0
    for header in ({"alg": "RS256", "kid": "one"}, {"alg": "none", "kid": "one"}, {"alg": "ES256", "kid": "one"}):
        assert client.get("/test/private", headers=bearer(handmade(header, payload(), secret=pem))).status_code == 401


def test_a_token_may_not_bring_its_own_key(issued_app: Flask, issuer: Issuer) -> None:
    issuer.add_key("one")
    stranger = Issuer()
    try:
        stranger.add_key("one")
        key, algorithm = stranger._private["one"]
        headers = {"kid": "one", "jwk": stranger.keys[0], "jku": stranger.url, "x5u": stranger.url}
        unverified = jwt.encode(claims(), key, algorithm, headers=headers)
        assert issued_app.test_client().get("/test/private", headers=bearer(unverified)).status_code == 401
        assert stranger.requests == 0
    finally:
        stranger.go_away()


def test_a_token_without_a_key_id_is_refused(issued_app: Flask, issuer: Issuer) -> None:
    issuer.add_key("one")
    key, algorithm = issuer._private["one"]
    answer = issued_app.test_client().get("/test/private", headers=bearer(jwt.encode(claims(), key, algorithm)))
    assert answer.status_code == 401


def test_with_the_issuer_away_the_answer_is_503_at_once_and_not_401(issued_app: Flask, issuer: Issuer) -> None:
    issuer.add_key("one")
    token = issuer.sign(claims(), "one")
    issuer.status = 500
    for _ in range(2):
        started = time.monotonic()
        answer = issued_app.test_client().get("/test/private", headers=bearer(token))
        assert answer.status_code == 503
        assert answer.json["type"] == "/problems/jwks-unavailable"
        assert int(answer.headers["Retry-After"]) >= 1
        assert time.monotonic() - started < 20
    assert issuer.requests == 1
