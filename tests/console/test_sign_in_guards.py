"""What strangers cannot do to the operators' sign-in, and what ends a session before its eight hours."""

from __future__ import annotations

import base64
import hashlib
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm

from checkout_service.app import create_app
from checkout_service.console import sign_in_pages
from checkout_service.identity import oidc_discovery
from checkout_service.settings.operators import Role, read_roles
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.console.conftest import basic, console_settings
from tests.console.hostile import app, client, hostile, patience
from tests.console.openid import CALLBACK, WITH_PAGE, HostileProvider, begin, come_back, oidc_settings, refused
from tests.console.test_sign_in import fields_of

__all__ = ["app", "client", "hostile", "patience"]  # fixtures


HASH = hashlib.sha256(b"x" * 200).hexdigest()


def status(client: FlaskClient) -> int:
    return client.get("/ops/audit", headers=WITH_PAGE).status_code


def leave(client: FlaskClient) -> None:
    form = fields_of(client.get("/ops/audit", headers=WITH_PAGE), "/ops/sign-out")
    headers = {**WITH_PAGE, "Origin": "http://127.0.0.1:8000"}
    assert client.post("/ops/sign-out", data=form, headers=headers).status_code == 200


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    return app.test_client()


def test_signing_out_ends_the_sessions_of_all_browsers_and_of_who_stole_one(
    app: Flask, client: FlaskClient, other: FlaskClient, hostile: HostileProvider
) -> None:
    come_back(client, hostile)
    hostile.nonce = ""
    come_back(other, hostile)
    hostile.claims, hostile.nonce = {"sub": "jon"}, ""
    somebody = app.test_client()
    come_back(somebody, hostile)
    cookie = client.get_cookie("__Host-console")
    assert cookie
    assert (status(client), status(other), status(somebody)) == (200, 200, 200)

    leave(client)

    client.set_cookie("__Host-console", cookie.value)
    assert (status(client), status(other), status(somebody)) == (303, 303, 200)
    hostile.claims, hostile.nonce = {}, ""
    come_back(client, hostile)
    assert (status(client), status(other)) == (200, 303), "and a new one counts at once"


def test_while_the_cache_is_away_sessions_go_on(hostile: HostileProvider, settings: WebSettings) -> None:
    away = {"redis_url": Secret("redis://127.0.0.1:1/0"), "console_oidc": oidc_settings(hostile.issuer)}
    app = create_app(console_settings(settings, **away))
    client = app.test_client()
    assert come_back(client, hostile).status_code == 303
    assert status(client) == 200
    close_app(app)


def test_none_takes_every_right_with_the_next_request(
    app: Flask, client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_back(client, hostile)
    assert status(client) == 200
    roles, faults = read_roles("oidc:mira=none,mira=none", {"mira"})
    assert faults == []

    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], console_roles=roles))

    answer = client.get("/ops/audit", headers=WITH_PAGE)
    assert (answer.status_code, "with no role" in answer.text) == (403, True)
    by_password = app.test_client().get("/ops/audit", headers={**WITH_PAGE, **basic()})
    assert (by_password.status_code, "with no role" in by_password.text) == (403, True)


@pytest.mark.parametrize(
    ("subject", "named", "role"),
    [
        ("a,b", "oidc:a%2Cb", Role.REFUNDER),
        ("a b", "oidc:a b", Role.REFUNDER),
        ("a b", "oidc:a%20b", Role.REFUNDER),
        ("auth0|5f", "oidc:auth0|5f", Role.REFUNDER),
        ("a%2Cb", "oidc:a%2Cb", Role.OPERATOR),
        ("a%2Cb", "oidc:a%252Cb", Role.REFUNDER),
        ("x" * 200, "oidc:" + "x" * 200, Role.REFUNDER),
        ("x" * 200, f"oidc:sha256:{HASH}", Role.REFUNDER),
        (
            f"sha256:{HASH}",
            f"oidc:sha256:{HASH}",
            Role.OPERATOR,
        ),
    ],
)
def test_a_person_can_be_named_as_the_audit_shows_them(
    hostile: HostileProvider, settings: WebSettings, subject: str, named: str, role: Role
) -> None:
    roles, faults = read_roles(f"{named}=refunder", ())
    assert faults == []
    app = create_app(console_settings(settings, console_oidc=oidc_settings(hostile.issuer), console_roles=roles))
    client = app.test_client()
    hostile.claims = {"sub": subject}
    assert come_back(client, hostile).status_code == 303
    assert f", {role}; what you have done" in client.get("/ops/audit", headers=WITH_PAGE).text
    close_app(app)


def test_an_attempt_comes_back_once(client: FlaskClient, hostile: HostileProvider) -> None:
    taken = begin(client)
    for _ in range(3):
        client.get(CALLBACK, query_string={"code": "junk", "state": taken["state"]}, headers=WITH_PAGE)

    assert len([path for path, *_ in hostile.calls if path == "/token"]) == 1
    again = client.get(CALLBACK, query_string={"code": "c", "state": taken["state"]}, headers=WITH_PAGE)
    refused(again, 403, "too old, or was used")


def test_an_attempt_comes_back_again_where_the_provider_was_away(
    client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_discovery, "PAUSE", 0.0)
    taken = begin(client)
    hostile.nonce = taken["nonce"]
    hostile.answers["/token"] = (400, b'{"error": "invalid_client"}', {})
    path = {"code": "c", "state": taken["state"]}
    refused(client.get(CALLBACK, query_string=path, headers=WITH_PAGE), 503)
    del hostile.answers["/token"]

    assert client.get(CALLBACK, query_string=path, headers=WITH_PAGE).status_code == 303


def test_strangers_share_a_bound_that_leaves_operators_room(
    app: Flask, client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert come_back(client, hostile).status_code == 303
    client.delete_cookie("__Host-console", domain="localhost")
    monkeypatch.setattr(sign_in_pages, "ATTEMPTS_A_MINUTE", 3)
    hostile.token = "junk"
    answers = [come_back(app.test_client(), hostile).status_code for _ in range(5)]
    assert answers == [403, 403, 429, 429, 429], "the operator was one of them the first time"
    calls = len(hostile.calls)
    come_back(app.test_client(), hostile)
    assert len(hostile.calls) == calls, "and the provider is left alone"

    hostile.token, hostile.nonce = None, ""

    assert come_back(client, hostile).status_code == 303


def test_a_call_waits_for_a_moment_where_others_are_at_it(
    client: FlaskClient, hostile: HostileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_discovery, "WAIT", 30.0)
    taken = begin(client)
    hostile.nonce = taken["nonce"]
    provider = client.application.extensions["openid_provider"]
    calls = provider._discovery._calls
    for _ in range(oidc_discovery.MOST_CALLS):
        assert calls.acquire(blocking=False)
    timer = threading.Timer(0.5, calls.release)
    timer.start()

    answer = client.get(CALLBACK, query_string={"code": "c", "state": taken["state"]}, headers=WITH_PAGE)

    timer.join()
    assert answer.status_code == 303


def test_a_key_that_changed_under_its_id_is_fetched(
    app: Flask, client: FlaskClient, other: FlaskClient, hostile: HostileProvider
) -> None:
    assert come_back(client, hostile).status_code == 303
    hostile.key, hostile.nonce = generate_private_key(SECP256R1()), ""

    assert come_back(other, hostile).status_code == 303


def test_a_token_without_an_id_counts_where_one_key_fits(client: FlaskClient, hostile: HostileProvider) -> None:
    hostile.kid = None
    assert come_back(client, hostile).status_code == 303


def test_a_token_without_an_id_does_not_count_where_several_keys_fit(
    client: FlaskClient, hostile: HostileProvider
) -> None:
    hostile.kid = None
    another = ECAlgorithm.to_jwk(generate_private_key(SECP256R1()).public_key(), as_dict=True)
    hostile.more_keys = [{**another, "kid": "two", "use": "sig", "alg": "ES256"}]
    refused(come_back(client, hostile), 403, "not signed with a key")


def test_the_provider_does_not_read_where_somebody_goes(client: FlaskClient, hostile: HostileProvider) -> None:
    path = "/ops/customers?find=mira.secret%40shop.example"
    left = client.get("/ops/sign-in/begin", query_string={"next": path}, headers=WITH_PAGE)
    sent = {name: values[0] for name, values in parse_qs(urlsplit(left.headers["Location"]).query).items()}
    content, *_ = sent["state"].split(".")
    assert all("mira" not in each for each in readings(content)), "compressed or not"
    hostile.nonce = sent["nonce"]

    answer = client.get(CALLBACK, query_string={"code": "c", "state": sent["state"]}, headers=WITH_PAGE)

    assert answer.headers["Location"] == path


def readings(content: str) -> Iterator[str]:
    """What anybody reads in a part of what itsdangerous signed."""
    raw = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
    yield raw.decode("latin-1")
    try:
        yield zlib.decompress(raw).decode("latin-1")
    except zlib.error:
        return
