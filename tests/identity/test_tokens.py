"""Who is calling: only a token that is signed, current and meant for us says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from checkout_service.api.callers import CALLER_KEY, Caller, caller, is_public
from checkout_service.identity.tokens import KEPT_TOKENS, Tokens
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from tests.conftest import Customer, MakeListing, Sql
from tests.own_apps import SECRET, Headers, MakeApp, bearer, claims, handmade, payload, signed

PUBLIC_PATHS = {
    "/livez",
    "/readyz",
    "/metrics",
    "/problems/<slug>",
    "/api/openapi.json",
    "/api/docs",
    "/api/docs/start.js",
    "/api/docs/page.css",
    "/api/docs/<name>",
    "/api/carts",
    "/api/listings",
    "/api/listings/<uuid:listing_id>",
    "/api/payments/webhook",
    "/api/payments/webhook/<provider>",
}


def test_a_caller_is_who_the_token_says(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/test/whoami")
    def whoami() -> Response:
        nonlocal seen_by_server
        seen_by_server = request.environ[CALLER_KEY]
        return Response(str(caller().user_id))

    seen_by_server = None
    user = uuid4()
    for _ in range(2):  # the second time out of memory
        answer = app.test_client().get("/test/whoami", headers=signed(sub=str(user)))
        assert UUID(answer.text) == user
        assert seen_by_server == Caller(user)


def test_without_a_token_the_answer_is_401_with_a_plain_challenge(client: FlaskClient) -> None:
    answer = client.get("/api/cart")
    assert answer.status_code == 401
    assert answer.json["type"] == "/problems/unauthorized"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="checkout"'


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer", "Token abc", "abc.def.ghi"]
)
def test_another_scheme_is_as_good_as_no_token(client: FlaskClient, header: str) -> None:
    answer = client.get("/api/cart", headers={"Authorization": header})
    assert answer.status_code == 401
    assert "invalid_token" not in answer.headers["WWW-Authenticate"]


def test_the_scheme_may_be_written_in_any_case(client: FlaskClient) -> None:
    token = signed()["Authorization"].split()[1]
    assert client.get("/api/cart", headers={"Authorization": f"BEARER {token}"}).status_code == 200


SUBJECT = str(uuid4())

REFUSED: dict[str, Headers] = {
    "expired": signed(exp=datetime.now(UTC) - timedelta(seconds=1)),
    "without exp": signed(exp=None),
    "without sub": signed(sub=None),
    "not yet valid": signed(nbf=datetime.now(UTC) + timedelta(hours=1)),
    "signed with another secret": signed(secret="a secret that is known to nobody here at all"),
    "signed with an algorithm that is not configured": signed(secret=SECRET * 2, algorithm="HS512"),
    "not signed": bearer(jwt.encode(claims(), None, "none")),
    "not signed, in capitals": bearer(handmade({"alg": "NONE"}, payload())),
    "signature cut off": bearer(signed()["Authorization"].removeprefix("Bearer ").rsplit(".", 1)[0] + "."),
    "a subject that is null": bearer(handmade({"alg": "HS256"}, payload(sub=None))),
    "an expiry that is a text": bearer(handmade({"alg": "HS256"}, payload(exp="tomorrow"))),
    "an expiry beyond numbers": bearer(handmade({"alg": "HS256"}, b'{"sub":"%s","exp":1e999}' % SUBJECT.encode())),
    "an expiry that is no number": bearer(handmade({"alg": "HS256"}, b'{"sub":"%s","exp":NaN}' % SUBJECT.encode())),
    "an expiry that is a list": bearer(handmade({"alg": "HS256"}, payload(exp=[1]))),
    "a payload that is a list": bearer(handmade({"alg": "HS256"}, [1])),
    "a payload that is no JSON": bearer(handmade({"alg": "HS256"}, b"\xff\xfe")),
    "a payload nested deeply": bearer(handmade({"alg": "HS256"}, b"[" * 5000)),
    "a payload with a huge number": bearer(handmade({"alg": "HS256"}, b'{"exp":' + b"9" * 5000 + b"}")),
    "a header nested deeply": bearer(handmade(b'{"alg":' * 1000, {})),
    "a header that is a list": bearer(handmade([1], payload())),
    "a header without alg": bearer(handmade({}, payload())),
    "an algorithm that is a list": bearer(handmade({"alg": ["HS256"]}, payload())),
    "an algorithm that is a number": bearer(handmade({"alg": 1}, payload())),
    "a key id that is an object": bearer(handmade({"alg": "HS256", "kid": {}}, payload())),
    "a critical extension": bearer(handmade({"alg": "HS256", "crit": ["x"], "x": 1}, payload())),
    "dots": bearer("."),
    "many dots": bearer("." * 5000),
    "no token at all": bearer("nonsense"),
    "two tokens": bearer("a.b.c, Bearer d.e.f"),
    "a token with a space": bearer("a.b c.d"),
    "not ASCII": {"Authorization": "Bearer \xff\xfe.\xe9.\xfc"},
    "NUL": {"Authorization": "Bearer a\x00b.c.d"},
    "100 KB": bearer("a" * 100_000),
    "100 KB, well formed": signed(note="x" * 100_000),
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
def test_a_token_that_does_not_count_is_401_and_nothing_happens(
    app: Flask, sql: Sql, make_listing: MakeListing, headers: Headers
) -> None:
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    answer = app.test_client().post(
        "/api/cart/items", json=item, environ_overrides={"HTTP_AUTHORIZATION": headers["Authorization"]}
    )
    assert answer.status_code == 401
    assert answer.json["type"] == "/problems/invalid-token"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="checkout", error="invalid_token"'
    assert sql("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM carts) AS n")[0].n == 0


def test_a_token_that_was_good_ends_to_the_second(client: FlaskClient) -> None:
    expiry = int(time.time()) + 4
    headers = signed(exp=expiry)
    assert client.get("/api/cart", headers=headers).status_code == 200
    assert client.get("/api/cart", headers=headers).status_code == 200
    time.sleep(max(0.0, expiry - time.time()))
    answer = client.get("/api/cart", headers=headers)
    assert answer.status_code == 401
    assert "expired" in answer.json["detail"]


def test_a_token_may_be_issued_by_a_clock_that_is_a_little_ahead(client: FlaskClient) -> None:
    assert client.get("/api/cart", headers=signed(iat=datetime.now(UTC) + timedelta(seconds=5))).status_code == 200


def test_an_audience_that_nobody_configured_is_no_obstacle(client: FlaskClient) -> None:
    assert client.get("/api/cart", headers=signed(aud="another", iss="someone")).status_code == 200


def test_audience_and_issuer_count_when_they_are_configured(make_app: MakeApp) -> None:
    client = make_app(jwt_audience="checkout", jwt_issuer="https://login.example.test").test_client()
    right = {"aud": "checkout", "iss": "https://login.example.test"}
    assert client.get("/test/private", headers=signed(**right)).status_code == 200
    assert client.get("/test/private", headers=signed(**right | {"aud": ["other", "checkout"]})).status_code == 200
    for wrong in ({"aud": "other"}, {"aud": None}, {"iss": "https://evil.example.test"}, {"iss": None}, {"aud": 7}):
        answer = client.get("/test/private", headers=signed(**right | wrong))
        assert answer.status_code == 401


def test_thousands_of_tokens_do_not_grow_without_end(make_app: MakeApp) -> None:
    client = make_app().test_client()
    first = signed()
    assert client.get("/test/private", headers=first).status_code == 200
    for _ in range(2100):
        assert client.get("/test/private", headers=signed()).status_code == 200
    assert client.get("/test/private", headers=first).status_code == 200


def test_threads_that_make_room_for_a_token_do_not_trip_each_other(settings: WebSettings) -> None:
    tokens = Tokens(replace(settings, jwt_secret=Secret(SECRET)))

    class Slow(dict[str, Any]):
        """Lets another thread in between every two steps."""

        def __iter__(self) -> Iterator[str]:
            found = super().__iter__()
            time.sleep(0.005)
            return found

        def __setitem__(self, key: str, value: Any) -> None:
            time.sleep(0.005)
            super().__setitem__(key, value)

    tokens._passed = Slow((str(number), ()) for number in range(KEPT_TOKENS))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokens.caller, [signed()["Authorization"] for _ in range(40)]))

    assert len(found) == 40
    assert len(tokens._passed) == KEPT_TOKENS


def test_every_route_but_the_listed_ones_requires_a_caller(app: Flask, client: FlaskClient) -> None:
    rules = list(app.url_map.iter_rules())
    assert {rule.rule for rule in rules if is_public(app, rule.endpoint)} == PUBLIC_PATHS
    private = [rule for rule in rules if rule.rule not in PUBLIC_PATHS]
    assert len(private) >= 7
    for rule in private:
        path = app.url_map.bind("localhost").build(rule.endpoint, {name: uuid4() for name in rule.arguments})
        for method in rule.methods or ():
            assert client.open(path, method=method).status_code == 401, (method, path)


def test_a_route_that_says_nothing_of_callers_requires_one(own_client: FlaskClient) -> None:
    assert own_client.get("/test/private").status_code == 401
    assert own_client.get("/test/private", headers=signed()).status_code == 200
    assert own_client.get("/test/public").status_code == 200
    assert own_client.get("/test/public", headers=bearer("nonsense")).status_code == 200


def test_a_secret_is_required_and_never_printed(make_app: MakeApp) -> None:
    app = make_app(jwt_secret=Secret("a secret that nobody may ever read"))
    assert "nobody may ever read" not in repr(app.extensions["settings"])
    assert "nobody may ever read" not in repr(app.config)


def test_a_customer_of_the_fixtures_is_let_in(customer: Customer) -> None:
    assert customer.get("/api/cart").status_code == 200
