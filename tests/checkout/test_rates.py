"""How often a caller may ask for a session, and what failed attempts to pay do to that; what answers say of it."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
import redis
from flask import Flask
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from checkout_service.api.problem_documents import CONTENT_TYPE
from checkout_service.carts import routes as carts
from checkout_service.local.servers import free_port
from checkout_service.rates.counts import count_failed_attempts
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.guests import Guest
from tests.purchases import ask, counts, fill_cart, opened, remembered, replayed
from tests.refunding import staff_of

REFUSED = ("checkout_callers_refused_total", {"problem": "rate-limited"})
PROXIES = (ip_network("127.0.0.0/8"),)
POLICY = '"sessions";q=3;w=60, "failed-attempts";q=2;w=3600'


def refused(answer: TestResponse) -> bool:
    """Also checks what its caller needs to go on."""
    if answer.status_code != 429:
        return False
    assert answer.content_type == CONTENT_TYPE
    assert answer.json["type"] == "/problems/rate-limited"
    left = {int(seconds) for seconds in re.findall(r";r=0;t=(\d+)", answer.headers["RateLimit"])}
    assert int(answer.headers["Retry-After"]) == max(left) >= 1
    return True


@pytest.fixture
def buyer(make_app: MakeApp, customer: Customer) -> Customer:
    """One who may ask three times a minute, and fail twice an hour."""
    app = make_app(sessions_per_caller_per_minute=3, failed_attempts_per_caller_per_hour=2)
    return replace(customer, client=app.test_client())


@pytest.fixture
def cart_id(buyer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(buyer, (make_listing(), 1))


def fail(app: Any, *whose: str) -> None:
    with app.app_context():
        count_failed_attempts(whose)


def user_of(sql: Sql, payment_id: str) -> str:
    return str(sql("SELECT user_id FROM payments WHERE id = :id", id=payment_id)[0].user_id)


def test_answers_say_what_is_left(buyer: Customer, cart_id: str) -> None:
    answers = [ask(buyer, cart_id, f"purchase-{number}") for number in range(3)]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {POLICY}
    for left, answer in zip((2, 1, 0), answers, strict=True):
        assert re.fullmatch(rf'"sessions";r={left};t=(60|5\d), "failed-attempts";r=2', answer.headers["RateLimit"])
    assert "RateLimit" not in buyer.get("/api/cart").headers, "nothing bounds how often that is read"


def test_who_came_too_often_waits_until_the_minute_is_over(
    buyer: Customer, cart_id: str, sql: Sql, servers: Servers, other_customer: Customer, make_listing: MakeListing
) -> None:
    for number in range(3):
        opened(buyer, cart_id, f"purchase-{number}")
    before = REGISTRY.get_sample_value(*REFUSED) or 0

    assert refused(ask(buyer, cart_id, "one-more"))
    assert refused(ask(buyer, cart_id, "one-more"))

    assert REGISTRY.get_sample_value(*REFUSED) == before + 2
    assert counts(sql) == (3, 3)
    somebody = replace(other_customer, client=buyer.client)
    assert ask(somebody, fill_cart(somebody, (make_listing(), 1))).status_code == 201
    with redis.Redis.from_url(servers.redis_url) as cache:
        (name,) = cache.keys(f"*:sessions:{user_of(sql, opened(buyer, cart_id, 'purchase-0')['payment_id'])}")
        assert 0 < cache.ttl(name) <= 60, "it ends by itself"
        cache.delete(name)
    assert ask(buyer, cart_id, "one-more").status_code == 201


def test_a_key_is_replayed_all_the_same_and_uses_nothing(
    buyer: Customer, cart_id: str, sql: Sql, servers: Servers
) -> None:
    first = opened(buyer, cart_id)
    remembered(servers.redis_url)
    for _ in range(5):
        answer = ask(buyer, cart_id)
        assert (answer.status_code, answer.json) == (201, first)
        assert replayed(answer)
        assert "RateLimit" not in answer.headers
    for number in (2, 3):
        opened(buyer, cart_id, f"purchase-{number}")
    assert refused(ask(buyer, cart_id, "another"))

    sql("UPDATE checkout_sessions SET idempotency_key = 'not-in-the-cache' WHERE idempotency_key = 'purchase-1'")
    answer = ask(buyer, cart_id, "not-in-the-cache")

    assert (answer.status_code, answer.json) == (201, first)
    assert replayed(answer)
    assert ask(buyer, cart_id, "not-in-the-cache", expected_total="1.00").status_code == 422


def test_what_is_refused_for_another_reason_says_so_too(buyer: Customer, cart_id: str) -> None:
    answer = ask(buyer, cart_id, expected_total="1.00")
    assert answer.status_code == 409
    assert '"sessions";r=2' in answer.headers["RateLimit"]


def test_staff_may_ask_as_often_as_they_like(buyer: Customer, make_listing: MakeListing) -> None:
    staff = staff_of(buyer, scope="ops")
    cart_id = fill_cart(staff, (make_listing(), 1))
    answers = [ask(staff, cart_id, f"purchase-{number}") for number in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 5
    assert all("RateLimit" not in answer.headers for answer in answers)


def test_without_the_cache_nothing_is_refused_and_nothing_is_claimed(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing
) -> None:
    app = make_app(redis_url=Secret(f"redis://127.0.0.1:{free_port()}/0"), sessions_per_caller_per_minute=1)
    buyer = replace(customer, client=app.test_client())
    cart_id = fill_cart(buyer, (make_listing(), 1))
    for number in range(3):
        answer = ask(buyer, cart_id, f"purchase-{number}")
        assert answer.status_code == 201
        assert "RateLimit" not in answer.headers


def test_none_is_bounded_where_the_settings_are_0(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing
) -> None:
    app = make_app(sessions_per_caller_per_minute=0, failed_attempts_per_caller_per_hour=0)
    buyer = replace(customer, client=app.test_client())
    answer = ask(buyer, fill_cart(buyer, (make_listing(), 1)))
    assert answer.status_code == 201
    assert "RateLimit" not in answer.headers


def test_who_failed_to_pay_often_enough_opens_no_session(
    make_app: MakeApp, buyer: Customer, cart_id: str, sql: Sql
) -> None:
    first = opened(buyer, cart_id)
    whose = user_of(sql, first["payment_id"])
    fail(make_app(), whose)
    assert re.search(r'"failed-attempts";r=1;t=\d+$', ask(buyer, cart_id, "purchase-2").headers["RateLimit"])
    fail(make_app(), whose, "another customer")

    answer = ask(buyer, cart_id, "purchase-3")

    assert refused(answer)
    assert int(answer.headers["Retry-After"]) > 3500, "until the hour is over"
    assert '"sessions";r=1' in answer.headers["RateLimit"], "what is refused uses nothing else up"
    assert opened(buyer, cart_id) == first


def test_a_guest_is_bounded_by_what_failed_at_their_address_too(
    make_app: MakeApp, make_listing: MakeListing, customer: Customer, sql: Sql
) -> None:
    app = make_app(pages=True, trusted_proxies=PROXIES, failed_attempts_per_address_per_hour=2)
    listing = make_listing()

    def come(address: str) -> tuple[Guest, TestResponse]:
        client = app.test_client()
        client.environ_base["HTTP_X_FORWARDED_FOR"] = address
        guest = Guest(client)
        guest.put(listing)
        return guest, guest.check_out()

    assert come("192.0.2.1")[1].status_code == 303
    (address,) = sql("SELECT address FROM session_addresses")
    fail(app, bytes(address.address).hex(), bytes(address.address).hex())

    guest, answer = come("192.0.2.1")

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 3500
    assert "Too often" in answer.text
    assert '"failed-attempts-of-address";r=0' in answer.headers["RateLimit"]
    assert guest.get("/cart").status_code == 200
    assert come("192.0.2.2")[1].status_code == 303
    buyer = replace(customer, client=app.test_client(), headers={**customer.headers, "X-Forwarded-For": "192.0.2.1"})
    assert ask(buyer, fill_cart(buyer, (listing, 1))).status_code == 201, "a customer is known by their token"


def test_a_customer_takes_over_no_more_guests_than_some_in_a_day(
    app: Flask, customer: Customer, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carts, "MERGES_A_DAY", 2)
    for _ in range(2):
        body = {"cart_token": token_of(make_guest(app, sql)), "how": "sum"}
        assert customer.post("/api/cart/merge", json=body).status_code == 200
    left = make_guest(app, sql)
    assert refused(customer.post("/api/cart/merge", json={"cart_token": token_of(left), "how": "sum"}))
    assert left.get("/api/cart").status_code == 200, "it is a guest's still"


def test_an_address_makes_no_more_guests_carts_than_some_in_a_minute(make_app: MakeApp, sql: Sql) -> None:
    app = make_app(trusted_proxies=PROXIES, guest_carts_per_address_per_minute=2)

    def make(address: str) -> TestResponse:
        return app.test_client().post("/api/carts", headers={"X-Forwarded-For": address})

    answers = [make("192.0.2.1") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].headers["RateLimit-Policy"] == '"guest-carts";q=2;w=60'
    assert re.fullmatch(r'"guest-carts";r=0;t=\d+', answers[1].headers["RateLimit"])

    assert refused(make("198.51.100.7, 192.0.2.1")), "what a caller wrote themselves is not read"

    assert sql("SELECT count(*) FROM users")[0].count == 2
    assert make("192.0.2.2").status_code == 201
    unknown = make_app(guest_carts_per_address_per_minute=2).test_client()
    assert [unknown.post("/api/carts").status_code for _ in range(4)] == [201] * 4, "else the whole shop is one caller"
