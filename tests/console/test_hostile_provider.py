"""A provider that answers what it should not, does not answer, or is another one: nobody is signed in by it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from checkout_service.app import create_app
from checkout_service.identity import oidc_discovery
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.console.conftest import console_settings
from tests.console.hostile import app, client, hostile, patience
from tests.console.openid import (
    CALLBACK,
    CLIENT,
    WITH_PAGE,
    HostileProvider,
    begin,
    come_back,
    oidc_settings,
    refused,
)

__all__ = ["app", "client", "hostile", "patience"]  # fixtures


def test_what_is_right_signs_in(client: FlaskClient, hostile: HostileProvider) -> None:
    answer = come_back(client, hostile)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/audit")
    assert "oidc:mira (Mira)" in client.get("/ops/audit", headers=WITH_PAGE).text
    (token,) = [call for call in hostile.calls if call[0] == "/token"]
    joined = base64.b64decode(token[1]["Authorization"].removeprefix("Basic ")).decode()
    assert joined == "the-console:a-client-secret%3Awith%2B%2F%25and%3D"
    assert CLIENT[1] not in str(token[2])
    assert len(token[2]["code_verifier"]) == 64


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({"nonce": "another"}, "another attempt"),
        ({"nonce": None}, "lacks a claim"),
        ({"nonce": ["x"]}, "another attempt"),
        ({"aud": "another"}, "for another client"),
        ({"aud": ["another"]}, "for another client"),
        ({"aud": [CLIENT[0], "another"]}, "for another client"),
        ({"aud": [CLIENT[0], "another"], "azp": "another"}, "for another client"),
        ({"azp": "another"}, "for another client"),
        ({"aud": None}, "lacks a claim"),
        ({"iss": "https://accounts.example"}, "of another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"exp": NOW - 120}, "has expired"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": "soon"}, "does not count"),
        ({"iat": NOW + 36_000}, "of the future"),
        ({"iat": NOW - 3600, "exp": NOW + 36_000}, "too old"),
        ({"iat": None}, "lacks a claim"),
        ({"nbf": NOW + 36_000}, "of the future"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 5}, "does not count"),
        ({"sub": "a\nb"}, "names nobody"),
        ({"sub": "x" * 256}, "names nobody"),
    ],
)
def test_an_id_token_with_one_wrong_claim_signs_nobody_in(
    client: FlaskClient, hostile: HostileProvider, claims: dict[str, Any], word: str
) -> None:
    hostile.claims = claims
    refused(come_back(client, hostile), 403, word)


@pytest.mark.parametrize(
    "claims",
    [{"aud": [CLIENT[0]]}, {"aud": [CLIENT[0], "other"], "azp": CLIENT[0]}, {"azp": CLIENT[0]}, {"exp": NOW - 5}],
)
def test_what_is_only_unusual_signs_in(client: FlaskClient, hostile: HostileProvider, claims: dict[str, Any]) -> None:
    hostile.claims = claims
    if "exp" in claims:  # within the seconds by which clocks may differ
        hostile.claims = {"exp": int(time.time()) - 5}
    assert come_back(client, hostile).status_code == 303


def right_claims(hostile: HostileProvider, nonce: str) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": hostile.issuer, "aud": CLIENT[0], "sub": "x", "nonce": nonce, "iat": now, "exp": now + 60}


def test_a_token_that_is_not_signed_by_the_provider_signs_nobody_in(
    client: FlaskClient, hostile: HostileProvider
) -> None:
    pem = hostile.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    other = generate_private_key(SECP256R1())
    kid = {"kid": "one"}
    for sign in (
        lambda claims: jwt.encode(claims, None, "none", headers=kid),
        lambda claims: jwt.encode(claims, CLIENT[1] * 2, "HS256", headers=kid),
        # The public key taken for a secret, by hand: PyJWT refuses to sign so.
        lambda claims: _hmac_signed(claims, pem),
        lambda claims: jwt.encode(claims, other, "ES256", headers=kid),
        lambda claims: jwt.encode(claims, other, "ES256"),
        lambda claims: jwt.encode(claims, hostile.key, "ES256", headers={"kid": "two"}),
        lambda claims: jwt.encode(claims, hostile.key, "ES256", headers=kid)[:-3],
        lambda claims: "a.b.c",
        lambda claims: "x" * 40_000,
    ):
        taken = begin(client)
        hostile.token = sign(right_claims(hostile, taken["nonce"]))
        answer = client.get(CALLBACK, query_string={"code": "c", "state": taken["state"]}, headers=WITH_PAGE)
        refused(answer, 403)


def _hmac_signed(claims: dict[str, Any], secret: str) -> str:
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "one"}, claims)
    )
    signature = hmac.new(secret.encode(), head + b"." + body, hashlib.sha256).digest()
    return (head + b"." + body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://accounts.example"},
        {"issuer": None},
        {"token_endpoint": "http://issuer.example/token"},
        {"token_endpoint": "//127.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://a:b@issuer.example/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://issuer.example/\r\nSet-Cookie: a=b"},
        {"authorization_endpoint": ["https://issuer.example"]},
        {"token_endpoint_auth_methods_supported": ["private_key_jwt"]},
        {"token_endpoint_auth_methods_supported": "client_secret_basic"},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_gone_to(
    client: FlaskClient, hostile: HostileProvider, changed: dict[str, Any]
) -> None:
    hostile.discovery = changed
    answer = client.get("/ops/sign-in/begin", headers=WITH_PAGE)
    refused(answer, 503, "cannot be reached, or is not set up", "Sign in with a user and a password")


WELL_KNOWN = oidc_discovery.WELL_KNOWN


@pytest.mark.parametrize(
    "given",
    [
        (302, b"", {"Location": "http://127.0.0.1:1/"}),
        (404, b"{}", {}),
        (500, b"{}", {}),
        (200, b"", {}),
        (200, b"[]", {}),
        (200, b"<html>", {}),
        (200, b"{" * 100_000, {}),
        (200, b" " * (oidc_discovery.LARGEST + 1), {}),
        (200, b"{}", {"Content-Encoding": "gzip"}),
    ],
)
def test_whatever_else_it_answers_is_a_page_with_a_word(
    client: FlaskClient, hostile: HostileProvider, given: tuple[int, bytes, dict[str, str]]
) -> None:
    hostile.answers[WELL_KNOWN] = given
    refused(client.get("/ops/sign-in/begin", headers=WITH_PAGE), 503)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ((400, b'{"error": "invalid_grant"}', {}), 403),
        ((400, b'{"error": {"a": "b"}}', {}), 403),
        ((401, b'{"error": "invalid_client"}', {}), 503),
        ((500, b"{}", {}), 503),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), 403),
        ((200, b"{}", {}), 403),
        ((200, b'{"id_token": 5}', {}), 403),
        ((200, b"x" * (oidc_discovery.LARGEST + 1), {}), 503),
    ],
)
def test_whatever_it_says_of_a_code_signs_nobody_in(
    client: FlaskClient, hostile: HostileProvider, given: tuple[int, bytes, dict[str, str]], status: int
) -> None:
    hostile.answers["/token"] = given
    refused(come_back(client, hostile), status)


def test_a_provider_that_dribbles_is_given_up_and_then_left_alone(
    client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_discovery, "WITHIN", 0.5)
    monkeypatch.setattr(client.application.extensions["openid_provider"]._discovery._breaker, "_pause", 600.0)
    hostile.pause = 0.3
    refused(client.get("/ops/sign-in/begin", headers=WITH_PAGE), 503)
    calls = len(hostile.calls)
    refused(client.get("/ops/sign-in/begin", headers=WITH_PAGE), 503)
    assert len(hostile.calls) == calls, "within the pause nobody calls"


def test_keys_beyond_the_bound_are_none(client: FlaskClient, hostile: HostileProvider) -> None:
    hostile.answers["/jwks"] = (200, b" " * (2**20 + 1), {})
    refused(come_back(client, hostile), 503)


@pytest.mark.parametrize("sent", ["https://accounts.example", ""])
def test_an_answer_that_names_another_provider_is_refused(
    client: FlaskClient, hostile: HostileProvider, sent: str
) -> None:
    refused(come_back(client, hostile, iss=sent), 403, "of another provider")
    assert "/token" not in [path for path, *_ in hostile.calls], "the code is not shown to anybody"


def test_an_answer_names_its_provider_where_it_says_that_it_does(client: FlaskClient, hostile: HostileProvider) -> None:
    hostile.discovery = {"authorization_response_iss_parameter_supported": True}
    refused(come_back(client, hostile), 403, "does not say which provider")
    hostile.nonce = ""  # of the next attempt
    assert come_back(client, hostile, iss=hostile.issuer).status_code == 303


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("access_denied", "You, or the provider, refused it."),
        ("interaction_required", "It says interaction_required."),
        ("<script>alert(1)</script>", ""),
        ("Your account is closed, call 555", ""),
        ("x" * 4000, ""),
        ("\u202eevil", ""),
    ],
)
def test_what_the_provider_says_went_wrong_is_hostile_text(
    client: FlaskClient, hostile: HostileProvider, sent: str, shown: str
) -> None:
    answer = come_back(client, hostile, error=sent, error_description="call 555-0100 <b>now</b>")
    refused(answer, 403, "did not sign you in", shown)
    assert "call 555" not in answer.text
    assert (sent in answer.text) == ("It says" in shown)
    assert "/token" not in [path for path, *_ in hostile.calls]


def test_a_state_that_is_not_ours_costs_the_provider_nothing(client: FlaskClient, hostile: HostileProvider) -> None:
    taken = begin(client)
    for state in ("", "x", taken["state"][:-1], taken["state"] + "x", "x" * 5000, "\u00e4", taken["state"].upper()):
        answer = client.get(CALLBACK, query_string={"code": "c", "state": state}, headers=WITH_PAGE)
        refused(answer, 400, "did not begin that sign-in")
    refused(client.get(CALLBACK, headers=WITH_PAGE), 400)
    assert {path for path, *_ in hostile.calls} <= {WELL_KNOWN, "/jwks"}, "what it took to begin"


def test_a_state_ends_after_ten_minutes(
    client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = begin(client)
    hostile.nonce = taken["nonce"]
    now = time.time()
    monkeypatch.setattr("checkout_service.console.sessions.time", lambda: now + 601)
    refused(client.get(CALLBACK, query_string={"code": "c", "state": taken["state"]}, headers=WITH_PAGE), 400)


@pytest.mark.parametrize(
    "sent",
    [
        "https://evil.example/",
        "//evil.example/ops",
        "/\\evil.example",
        "/ops//evil.example",
        "/ops\\evil",
        "/opsevil",
        "/cart",
        "/ops/\r\nSet-Cookie: a=b",
        "/ops/" + "x" * 600,
        "/ops/ä",
        "javascript:alert(1)",
        "",
    ],
)
def test_nobody_is_led_elsewhere_after_the_sign_in(client: FlaskClient, hostile: HostileProvider, sent: str) -> None:
    left = client.get("/ops/sign-in/begin", query_string={"next": sent}, headers=WITH_PAGE)
    taken = parse_qs(urlsplit(left.headers["Location"]).query)
    hostile.nonce = taken["nonce"][0]
    answer = client.get(CALLBACK, query_string={"code": "c", "state": taken["state"][0]}, headers=WITH_PAGE)
    assert answer.headers["Location"] == "/ops"


def test_the_host_of_a_request_is_believed_in_nothing(client: FlaskClient, hostile: HostileProvider) -> None:
    headers = {**WITH_PAGE, "Host": "evil.example", "X-Forwarded-Host": "e.example"}
    left = client.get("/ops/sign-in/begin", headers=headers)
    assert "redirect_uri=http%3A%2F%2F127.0.0.1%3A8000%2Fops%2Fsign-in%2Fcallback" in left.headers["Location"]


def test_a_provider_takes_the_client_by_the_other_way_too(client: FlaskClient, hostile: HostileProvider) -> None:
    """Some name both ways, and take a client by the one that it was set up with alone."""
    hostile.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}
    hostile.answers["/token"] = (401, b'{"error": "invalid_client"}', {})
    refused(come_back(client, hostile), 503)
    basic, post = [call for call in hostile.calls if call[0] == "/token"]
    assert "client_secret" not in basic[2]
    assert "Authorization" not in post[1]
    assert (post[2]["client_id"], post[2]["client_secret"]) == CLIENT


def test_from_one_address_only_so_many_try(settings: WebSettings, hostile: HostileProvider) -> None:
    known = console_settings(settings, console_oidc=oidc_settings(hostile.issuer), trusted_proxies=())
    own = create_app(known)
    try:
        here, elsewhere = ({"environ_overrides": {"REMOTE_ADDR": f"192.0.2.{number}"}} for number in (77, 78))
        client = own.test_client()
        seen = [client.get("/ops/sign-in/begin", headers=WITH_PAGE, **here).status_code for _ in range(31)]
        assert seen == [303] * 30 + [429]
        assert client.get("/ops/sign-in/begin", headers=WITH_PAGE, **elsewhere).status_code == 303
    finally:
        close_app(own)


def test_a_very_long_subject_is_one_of_a_bounded_name(client: FlaskClient, hostile: HostileProvider) -> None:
    hostile.claims = {"sub": "s (Ana) \u00e4" * 20, "name": "n" * 300}
    assert come_back(client, hostile).status_code == 303
    page = client.get("/ops/audit", headers=WITH_PAGE)
    assert "oidc:sha256:" in page.text
    cookie = client.get_cookie("__Host-console")
    assert cookie
    assert len(cookie.value) < 2000


def test_a_provider_that_was_there_counts_while_it_is_away(
    client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(client)
    monkeypatch.setattr(oidc_discovery, "FRESH_FOR", 0.0)
    hostile.answers[WELL_KNOWN] = (500, b"", {})
    assert begin(client)
    monkeypatch.setattr(oidc_discovery, "KEPT_FOR", 0.0)
    refused(client.get("/ops/sign-in/begin", headers=WITH_PAGE), 503)
