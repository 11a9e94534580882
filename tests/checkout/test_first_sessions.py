"""A session that was the first of its cart's filling when the cart was read: whatever came since, nothing is missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from tests.apps import MakeApp
from tests.beginning import after_beginning
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.purchases import NOTHING, ONE_OF_EACH, ask, counts, fill_cart, opened
from tests.stock.holding import assert_stock_adds_up


@pytest.fixture
def cart_id(customer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(customer, (make_listing(stock=9), 1))


def test_the_first_and_the_next_take_two_statements_each(
    customer: Customer, cart_id: str, statements: Statements, sql: Sql
) -> None:
    for key in ("first", "second"):
        with statements() as seen:
            opened(customer, cart_id, key)
        assert len(seen) == 2, key
    assert len(sql("SELECT FROM cancel_requests")) == 1


@pytest.mark.parametrize("stock", [9, None], ids=["tracked", "not tracked"])
def test_one_of_another_key_that_came_meanwhile_is_canceled(
    customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch, stock: int | None
) -> None:
    cart_id = fill_cart(customer, (make_listing(stock=stock), 1))
    faster: list[str] = []
    after_beginning(monkeypatch, lambda: faster.append(opened(customer, cart_id, "faster")["payment_id"]))

    opened(customer, cart_id, "slower")

    assert [str(row.payment_id) for row in sql("SELECT payment_id FROM cancel_requests")] == faster
    assert_stock_adds_up(sql)


def test_one_that_is_under_way_by_then_is_named(
    customer: Customer, cart_id: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster: list[str] = []

    def open_and_pay() -> None:
        faster.append(opened(customer, cart_id, "faster")["payment_id"])
        sql("UPDATE payments SET under_way = true")

    after_beginning(monkeypatch, open_and_pay)

    assert opened(customer, cart_id, "slower")["also_under_way"] == faster
    assert sql("SELECT FROM cancel_requests") == []


def test_of_a_cart_whose_filling_ended_meanwhile_there_is_none(
    customer: Customer, cart_id: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_beginning(monkeypatch, lambda: sql("UPDATE carts SET generation = generation + 1"))

    assert ask(customer, cart_id).json["type"] == "/problems/cart-changed"
    assert counts(sql) == NOTHING
    assert sql("SELECT FROM holds") == []


def test_who_has_as_many_open_by_then_as_one_may_opens_no_other(
    make_app: MakeApp, customer: Customer, cart_id: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer = replace(customer, client=make_app(open_sessions_per_customer=1).test_client())

    def open_for_another_filling() -> None:
        opened(buyer, cart_id, "faster")
        sql("UPDATE checkout_sessions SET generation = 7")

    after_beginning(monkeypatch, open_for_another_filling)

    assert ask(buyer, cart_id, "slower").status_code == 429
    assert counts(sql) == ONE_OF_EACH


def test_an_address_that_has_as_many_open_by_then_as_one_may_opens_no_other(
    make_app: MakeApp, make_customer: Any, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trusted_proxies=(ip_network("127.0.0.0/8"),), open_sessions_per_address=1)
    listing = make_listing(stock=9)

    def caller() -> Customer:
        made: Customer = make_customer()
        return replace(made, client=app.test_client(), headers={**made.headers, "X-Forwarded-For": "192.0.2.1"})

    faster, slower = caller(), caller()
    theirs, ours = (fill_cart(each, (listing, 1)) for each in (faster, slower))
    after_beginning(monkeypatch, lambda: opened(faster, theirs))

    assert ask(slower, ours).status_code == 429
    assert counts(sql) == ONE_OF_EACH
    (kept,) = sql("SELECT ends_at - now() AS stays FROM session_addresses")
    assert timedelta(hours=23) < kept.stays <= timedelta(days=1)


def test_any_number_may_be_open_where_there_is_no_bound(
    make_app: MakeApp, customer: Customer, cart_id: str, statements: Statements, sql: Sql
) -> None:
    buyer = replace(customer, client=make_app(open_sessions_per_customer=0).test_client())
    buyer.get("/api/cart")  # connects
    for number in range(3):
        with statements() as seen:
            opened(buyer, cart_id, f"purchase-{number}")
        assert len(seen) == 2
        sql("UPDATE carts SET generation = generation + 1")
        sql("DELETE FROM holds")
        sql("UPDATE stock_counters SET reserved = 0")

    assert counts(sql) == (3, 3)
