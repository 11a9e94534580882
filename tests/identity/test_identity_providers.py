"""Tokens in the shapes of known identity providers, signed by an issuer of our own: who they let in, and as whom.

The claims are those of each provider's documentation, with what it adds of its own. docs/identity.md tells the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.settings.reader import DEVELOPMENT_NAMESPACE
from checkout_service.settings.secret import Secret
from tests.conftest import MakeListing, Sql
from tests.identity.issuer import Issuer
from tests.own_apps import MakeApp, bearer, signed

USER = "8c1fd9a4-0d5e-4f2b-9d6f-2f8f0a1c7b3e"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.go_away()


def hour() -> dict[str, int]:
    now = int(time.time())
    return {"iat": now, "exp": now + 3600}


def auth0(issuer: str, **changes: Any) -> dict[str, Any]:
    """An access token for an API, of somebody who signed in with a password."""
    return {
        "iss": issuer,
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.shop.example", "https://shop.eu.auth0.example/userinfo"],
        "azp": "my_client_id",
        "scope": "openid profile email offline_access",
        **hour(),
    } | changes


def keycloak(issuer: str, **changes: Any) -> dict[str, Any]:
    """An access token of a realm's user."""
    return {
        "jti": f"onrtac:{uuid4()}",
        "iss": issuer,
        "aud": "account",
        "sub": USER,
        "typ": "Bearer",
        "azp": "shop",
        "sid": str(uuid4()),
        "acr": "1",
        "allowed-origins": ["https://shop.example"],
        "realm_access": {"roles": ["default-roles-shop", "offline_access"]},
        "resource_access": {"account": {"roles": ["manage-account", "view-profile"]}},
        "scope": "openid email profile",
        "email_verified": True,
        "name": "Ada Lovelace",
        "preferred_username": "ada",
        "email": "ada@shop.example",
        **hour(),
    } | changes


def supabase(issuer: str, **changes: Any) -> dict[str, Any]:
    """An access token of Supabase Auth."""
    return {
        "iss": issuer,
        "sub": USER,
        "aud": "authenticated",
        "role": "authenticated",
        "email": "ada@shop.example",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email_verified": True},
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": int(time.time())}],
        "session_id": str(uuid4()),
        "is_anonymous": False,
        **hour(),
    } | changes


def buys(app: Flask, headers: dict[str, str], listing: dict[str, Any]) -> TestResponse:
    """The answer to a first write; waits for the issuer's keys, which a slow machine may take its time to fetch."""
    deadline = time.monotonic() + 60
    while True:
        item = {"listing": str(listing["id"]), "qty": 1}
        answer = app.test_client().post("/api/cart/items", json=item, headers=headers)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


def rows(sql: Sql) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in sql("SELECT id, issuer, subject FROM users")]


def test_as_auth0_signs_them(make_app: MakeApp, issuer: Issuer, sql: Sql, make_listing: MakeListing) -> None:
    named, listing = "https://shop.eu.auth0.example/", make_listing()
    issuer.add_key("one", "RS256")
    app = make_app(
        jwt_secret=None,
        jwt_jwks_url=issuer.url,
        jwt_algorithms=("RS256",),
        jwt_issuer=named,
        jwt_audience="https://api.shop.example",
    )

    assert buys(app, bearer(issuer.sign(auth0(named), "one")), listing).status_code == 201
    subject = "auth0|5f7c8ec7c33c6c004bbafe82"
    assert rows(sql) == [(uuid5(DEVELOPMENT_NAMESPACE, f"{named}\n{subject}"), named, subject)]

    refused = {
        "the issuer without its slash": auth0(named.rstrip("/")),
        "another API of the tenant": auth0(named, aud="https://another.example"),
        "an ID token, whose audience is the client": auth0(named, aud="my_client_id"),
    }
    for shape, claims in refused.items():
        assert buys(app, bearer(issuer.sign(claims, "one")), listing).status_code == 401, shape
    assert len(rows(sql)) == 1
    # One who signed in with another account of theirs is another user there, and so another customer here.
    google = auth0(named, sub="google-oauth2|113421298374650912345")
    assert buys(app, bearer(issuer.sign(google, "one")), listing).status_code == 201
    assert len(rows(sql)) == 2


def test_as_keycloak_signs_them(make_app: MakeApp, issuer: Issuer, sql: Sql, make_listing: MakeListing) -> None:
    named, listing = "https://sso.example/realms/shop", make_listing()
    issuer.add_key("one", "RS256")
    app = make_app(
        jwt_secret=None,
        jwt_jwks_url=issuer.url,
        jwt_algorithms=("RS256",),
        jwt_issuer=named,
        jwt_audience="account",
    )

    assert buys(app, bearer(issuer.sign(keycloak(named), "one")), listing).status_code == 201
    assert rows(sql) == [(UUID(USER), None, None)]
    # They may call themselves what they like, and stay who they are.
    renamed = keycloak(named, preferred_username="countess", email="countess@shop.example")
    assert buys(app, bearer(issuer.sign(renamed, "one")), listing).status_code == 200
    assert len(rows(sql)) == 1

    # A realm that reads users from a directory without importing them calls them so.
    federated = f"f:{uuid4()}:ada"
    assert buys(app, bearer(issuer.sign(keycloak(named, sub=federated), "one")), listing).status_code == 201
    assert (uuid5(DEVELOPMENT_NAMESPACE, f"{named}\n{federated}"), named, federated) in rows(sql)

    # Without the client scope "basic", or as a lightweight token, it names nobody.
    claims = keycloak(named)
    del claims["sub"]
    answer = buys(app, bearer(issuer.sign(claims, "one")), listing)
    assert answer.status_code == 401
    assert 'its claim "sub" is missing' in answer.json["detail"]
    assert buys(app, bearer(issuer.sign(keycloak(f"{named}2"), "one")), listing).status_code == 401
    assert len(rows(sql)) == 2


def test_as_supabase_signs_them_with_a_key_that_it_publishes(
    make_app: MakeApp, issuer: Issuer, sql: Sql, make_listing: MakeListing
) -> None:
    named, listing = "https://abcdefghijklmnopqrst.supabase.example/auth/v1", make_listing()
    issuer.add_key("one", "ES256")
    app = make_app(
        jwt_secret=None,
        jwt_jwks_url=issuer.url,
        jwt_algorithms=("ES256",),
        jwt_issuer=named,
        jwt_audience="authenticated",
    )

    assert buys(app, bearer(issuer.sign(supabase(named), "one")), listing).status_code == 201
    assert rows(sql) == [(UUID(USER), None, None)]
    anonymous = supabase(named, sub=str(uuid4()), is_anonymous=True)
    assert buys(app, bearer(issuer.sign(anonymous, "one")), listing).status_code == 201


def test_as_supabase_signs_them_with_the_secret_of_a_project(
    make_app: MakeApp, sql: Sql, make_listing: MakeListing
) -> None:
    named, secret = "https://abcdefghijklmnopqrst.supabase.example/auth/v1", "a secret of a project, forty characters."
    app = make_app(jwt_secret=Secret(secret), jwt_issuer=named, jwt_audience="authenticated")
    listing = make_listing()

    assert buys(app, signed(secret, **supabase(named)), listing).status_code == 201
    assert rows(sql) == [(UUID(USER), None, None)]
    # The keys "anon" and "service_role" of a project are tokens too, of the same secret, and of nobody.
    for role in ("anon", "service_role"):
        key = {"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": role, "sub": None}
        assert buys(app, signed(secret, **key), listing).status_code == 401, role
    assert len(rows(sql)) == 1
