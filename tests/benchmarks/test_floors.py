"""The web floor answers what the service answers: it sends the service's own statements, which change."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.conftest import JWT_SECRET, Customer, MakeListing, Servers, Sql
from tests.purchases import ask, fill_cart
from tests.webhook_bodies import webhook

NAME = "benchmarks.floors.web"


@pytest.fixture
def at_floor(customer: Customer, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Customer]:
    """The customer, as a client of the floor."""
    for name, value in {
        "DATABASE_URL": servers.web_url,
        "JWT_SECRET": JWT_SECRET,
        "PAYMENT_NAMESPACE": str(uuid4()),
        "REDIS_URL": servers.redis_url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, NAME, raising=False)  # it reads them when it is imported
    floor = importlib.import_module(NAME)
    try:
        yield replace(customer, client=floor.app.test_client())
    finally:
        del sys.modules[NAME], sys.modules["benchmarks.floors"].web
        floor._redis.close()
        floor._connection().close()


def test_a_cart_is_shown_as_the_service_shows_it(
    customer: Customer, at_floor: Customer, make_listing: MakeListing
) -> None:
    fill_cart(customer, *[(make_listing(), number) for number in range(1, 4)])

    answer = at_floor.get("/api/cart")

    assert answer.status_code == 200
    assert answer.json == customer.get("/api/cart").json


def test_an_item_is_put_as_the_service_puts_it(
    customer: Customer, at_floor: Customer, make_listing: MakeListing
) -> None:
    body = {"listing": str(make_listing()["id"]), "qty": 2}
    answers = [each.post("/api/cart/items", json=body) for each in (at_floor, customer)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json == answers[1].json


def test_sessions_are_opened_one_after_the_other(
    customer: Customer, at_floor: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 2))
    shown = set(ask(customer, cart_id, "of-the-service").json)
    for number in range(2):
        sql("UPDATE payments SET status = 'paid' WHERE status = 'pending'")
        answer = ask(at_floor, cart_id, f"of-the-floor-{number}")
        assert answer.status_code == 201, answer.text
        assert set(answer.json) < shown
        assert (answer.json["status"], answer.json["currency"]) == ("pending", "USD")


def test_a_webhook_is_stored(at_floor: Customer, sql: Sql) -> None:
    answer = at_floor.client.post("/api/payments/webhook", data=webhook("mock_pi_1"))

    assert answer.status_code == 202
    assert [str(row.id) for row in sql("SELECT id FROM webhook_deliveries")] == [answer.json["delivery_id"]]
