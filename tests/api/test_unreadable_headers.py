"""A header that the server cannot read arrives empty: it is never taken for one that is missing."""

from __future__ import annotations

import base64

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.providers.registry import provider_specs
from tests.api.every_route import OPERATOR
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, counts, fill_cart

PAGE = {"Accept": "text/html"}


def with_header(name: str, value: str) -> dict[str, str]:
    """The header as the server hands it over; the test client would tidy it up."""
    named = name.upper().replace("-", "_")
    return {named if named == "CONTENT_TYPE" else f"HTTP_{named}": value}


@pytest.fixture
def browser(everything: Flask) -> FlaskClient:
    """A client that keeps no cookies: each test says what it sends."""
    return everything.test_client(use_cookies=False)


def guest_of(browser: FlaskClient) -> str:
    return browser.get("/cart").headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("cookie", ["", " ", ";", ";theme=dark", "theme=dark;", "a=1; ;b=2"])
def test_a_cookie_that_cannot_be_read_makes_no_new_guest(browser: FlaskClient, sql: Sql, cookie: str) -> None:
    for path in ("/", "/cart", "/payments"):
        answer = browser.get(path, headers=PAGE, environ_overrides=with_header("Cookie", cookie))
        assert answer.status_code == 400
        assert "A cookie of this site cannot be read" in answer.text
        assert "Delete" in answer.text
        assert "Set-Cookie" not in answer.headers
    answer = browser.post("/cart/items", data={}, environ_overrides=with_header("Cookie", cookie))
    assert answer.json["type"] == "/problems/unreadable-cookie"
    assert sql("SELECT count(*) AS n FROM users")[0].n == 0


@pytest.mark.parametrize("cookie", ["{};", ";{}", "theme=dark;{}", "{}; theme=dark"])
def test_a_guest_whose_own_cookie_can_be_read_is_known(browser: FlaskClient, cookie: str) -> None:
    ours = guest_of(browser)
    answer = browser.get("/cart", environ_overrides=with_header("Cookie", cookie.format(ours)))
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("cookie", ["theme=dark", "guests=1", "guest=nonsense", "guest="])
def test_a_guest_without_our_cookie_is_a_new_one(browser: FlaskClient, cookie: str) -> None:
    answer = browser.get("/cart", environ_overrides=with_header("Cookie", cookie))
    assert answer.status_code == 200
    assert answer.headers["Set-Cookie"].startswith("guest=")


def test_pages_without_guests_need_no_cookie(browser: FlaskClient) -> None:
    unreadable = with_header("Cookie", "")
    assert browser.get("/ops", auth=OPERATOR, environ_overrides=unreadable).status_code == 200
    assert browser.get("/api/docs", environ_overrides=unreadable).status_code == 200


def test_an_authorization_that_cannot_be_read_is_401_that_says_so(
    everything: Flask, browser: FlaskClient, customer: Customer
) -> None:
    for path, challenge in (("/api/cart", "Bearer"), ("/ops", "Basic")):
        unreadable = browser.get(path, environ_overrides=with_header("Authorization", ""))
        missing = browser.get(path)
        assert (unreadable.status_code, missing.status_code) == (401, 401)
        assert "could not be read" in unreadable.json["detail"]
        assert "could not be read" not in missing.json["detail"]
        assert unreadable.headers["WWW-Authenticate"].startswith(challenge)


def test_two_authorizations_are_none(browser: FlaskClient, customer: Customer) -> None:
    bearer = customer.headers["Authorization"]
    basic = "Basic " + base64.b64encode(":".join(OPERATOR).encode()).decode()
    for path, sent in (("/api/cart", f"{bearer},{bearer}"), ("/api/cart", f"{bearer},"), ("/ops", f"{basic},{basic}")):
        assert browser.get(path, environ_overrides=with_header("Authorization", sent)).status_code == 401


def test_an_idempotency_key_that_cannot_be_read_is_malformed_and_opens_nothing(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    answer = customer.post(
        "/api/checkout/session", json={"cart_id": cart_id}, environ_overrides=with_header("Idempotency-Key", "")
    )
    assert answer.status_code == 400
    assert answer.json["type"] == "/problems/malformed-idempotency-key"
    assert counts(sql) == NOTHING


def test_a_content_type_that_cannot_be_read_is_415(customer: Customer) -> None:
    answer = customer.post("/api/cart/items", data=b"{}", environ_overrides={"CONTENT_TYPE": ""})
    assert answer.status_code == 415


@pytest.mark.parametrize("name", ["If-None-Match", "Accept", "Accept-Language", "X-Request-Id", "Range", "Cookie"])
def test_others_do_no_harm_to_a_reader_of_the_api(customer: Customer, name: str) -> None:
    answer = customer.get("/api/payments", environ_overrides=with_header(name, ""))
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-Id"]) == 32


@pytest.mark.parametrize("provider", sorted(provider_specs()))
def test_a_webhook_is_taken_and_what_could_not_be_read_of_its_head_is_kept_as_empty(
    client: FlaskClient, sql: Sql, provider: str
) -> None:
    """The worker finds no signature in it, and rejects it; nobody signs with bytes beyond ASCII."""
    format_ = provider_specs()[provider].webhooks
    heads = {key: value for name in format_.headers for key, value in with_header(name, "").items()}
    body = b"a=1" if format_.body == "form" else b"{}"
    answer = client.post(f"/api/payments/webhook/{provider}", data=body, environ_overrides=heads)
    assert answer.status_code in {200, 202}
    (kept,) = sql("SELECT headers FROM webhook_deliveries")
    assert {name: kept.headers[name.lower()] for name in format_.headers} == dict.fromkeys(format_.headers, "")
