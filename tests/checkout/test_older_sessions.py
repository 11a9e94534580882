"""A newer session of the same cart has older ones canceled, and names those that somebody has begun to pay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.checkout.inserting import _insert
from checkout_service.database.engine import execute
from checkout_service.tasks import TaskName
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.money import attempt, bring_to, fold
from tests.provider import MockProvider
from tests.purchases import ask, counts, fill_cart, opened, remembered, replayed
from tests.stock.holding import assert_stock_adds_up, counter_of, holds_of


@pytest.fixture
def sent(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[tuple[TaskName, str]]:
    """The tasks that are handed to the background publisher."""
    tasks: list[tuple[TaskName, str]] = []

    def send(task: TaskName, argument: str, request_id: str | None = None) -> None:
        assert request_id
        tasks.append((task, argument))

    monkeypatch.setattr(app.extensions["background_publisher"], "send", send)
    return tasks


def canceled(sql: Sql) -> set[str]:
    """Payments for which a request to cancel is entered, each by its customer."""
    rows = sql("""SELECT payment_id, requested_by = user_id AS by_customer, next_attempt_at IS NOT NULL AS due
        FROM cancel_requests JOIN payments ON payments.id = payment_id""")
    assert all(row.by_customer and row.due for row in rows)
    return {str(row.payment_id) for row in rows}


def begin_to_pay(sql: Sql, payment_id: str) -> None:
    attempt(sql, payment_id, "under_way", ref=f"at_{payment_id}")
    fold(sql, payment_id)


def test_the_first_session_of_a_cart_cancels_nothing(
    customer: Customer, make_listing: MakeListing, sql: Sql, sent: list[Any]
) -> None:
    assert opened(customer, fill_cart(customer, (make_listing(), 1)))["also_under_way"] == []

    assert canceled(sql) == set()
    assert sent == []


def test_a_newer_session_has_the_open_one_canceled_and_takes_its_pieces(
    customer: Customer, make_listing: MakeListing, sql: Sql, sent: list[Any]
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    first = opened(customer, cart_id, "first")

    second = opened(customer, cart_id, "second")

    assert second["also_under_way"] == []
    assert canceled(sql) == {first["payment_id"]}
    assert sent == [(TaskName.CANCEL_PAYMENT, first["payment_id"])]
    assert holds_of(sql, UUID(first["payment_id"])) == {}
    assert holds_of(sql, UUID(second["payment_id"])) == {listing["id"]: (1, 1)}
    assert_stock_adds_up(sql)


def test_one_that_failed_is_canceled_too_and_what_is_decided_is_left_alone(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    states = {}
    for status in ("failed", "canceled", "expired"):
        states[status] = opened(customer, cart_id, status)["payment_id"]
        sql("DELETE FROM cancel_requests")
        bring_to(sql, states[status], status)
    failed = states["failed"]

    assert opened(customer, cart_id, "newest")["also_under_way"] == []

    assert canceled(sql) == {failed}


def test_one_that_was_to_be_canceled_already_is_not_sent_again(
    customer: Customer, make_listing: MakeListing, sql: Sql, sent: list[Any]
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    first = opened(customer, cart_id, "first")["payment_id"]
    assert customer.post(f"/api/payments/{first}/cancel").status_code == 202
    sent.clear()

    opened(customer, cart_id, "second")

    assert canceled(sql) == {first}
    assert sent == []


@pytest.mark.parametrize("entry", ["under_way", "authorized"])
def test_one_that_somebody_has_begun_to_pay_keeps_its_pieces_and_is_named(
    customer: Customer, make_listing: MakeListing, sql: Sql, sent: list[Any], entry: str, servers: Servers
) -> None:
    listing = make_listing(stock=4, unit_price="40.00")
    cart_id = fill_cart(customer, (listing, 2))
    first = opened(customer, cart_id, "first")["payment_id"]
    # Authorized in part: all of it would make the order, and end the filling.
    attempt(sql, first, entry, ref="at", authorized="1.00" if entry == "authorized" else None)
    fold(sql, first)
    open_one = opened(customer, cart_id, "second")
    assert open_one["also_under_way"] == [first]

    third = opened(customer, cart_id, "third")

    assert third["also_under_way"] == [first]
    assert canceled(sql) == {open_one["payment_id"]}
    assert sent == [(TaskName.CANCEL_PAYMENT, open_one["payment_id"])]
    assert holds_of(sql, UUID(first)) == holds_of(sql, UUID(third["payment_id"])) == {listing["id"]: (2, 2)}
    assert counter_of(sql, listing) == (4, 4)
    assert_stock_adds_up(sql)


def test_a_replay_names_what_was_under_way_when_the_session_was_opened(
    customer: Customer, make_listing: MakeListing, sql: Sql, servers: Servers, app: Flask
) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    first = opened(customer, cart_id, "first")["payment_id"]
    begin_to_pay(sql, first)
    second = opened(customer, cart_id, "second")
    assert second["also_under_way"] == [first]
    bring_to(sql, first, "canceled")

    remembered(servers.redis_url)
    from_cache = ask(customer, cart_id, "second")
    sql("UPDATE checkout_sessions SET idempotency_key = 'third' WHERE payment_id = :id", id=second["payment_id"])
    from_database = ask(customer, cart_id, "third")

    assert replayed(from_cache)
    assert replayed(from_database)
    assert from_cache.json == from_database.json == second
    assert customer.get(f"/api/checkout/session/{second['payment_id']}").json["also_under_way"] == [first]


def test_another_filling_of_the_cart_and_other_customers_are_left_alone(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    theirs = opened(other_customer, fill_cart(other_customer, (listing, 1)))
    cart_id = fill_cart(customer, (listing, 1))
    paid = opened(customer, cart_id, "march")["payment_id"]
    bring_to(sql, paid, "paid")
    fill_cart(customer, (listing, 1))

    assert opened(customer, cart_id, "june")["also_under_way"] == []

    assert canceled(sql) == set()
    assert holds_of(sql, UUID(theirs["payment_id"])) == {listing["id"]: (1, 1)}


def test_a_session_that_is_refused_cancels_nothing(
    customer: Customer, make_listing: MakeListing, sql: Sql, mock_provider: MockProvider, shopper: Customer
) -> None:
    buyer = replace(customer, client=shopper.client)
    cart_id = fill_cart(buyer, (make_listing(), 1))
    first = opened(buyer, cart_id, "first")["payment_id"]
    mock_provider.behave(before="refuse")

    assert ask(buyer, cart_id, "second").status_code == 502

    assert canceled(sql) == set()
    assert len(holds_of(sql, UUID(first))) == 1
    assert counts(sql) == (1, 1)


def test_the_statement_runs_twice_without_harm(
    customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is lost after the commit has it run once more: it is refused whole, and the answer is read."""
    listing = make_listing(stock=1)
    cart_id = fill_cart(customer, (listing, 1))
    first = opened(customer, cart_id, "first")["payment_id"]
    lost: list[bool] = []

    def run_twice(statement: Any, parameters: Any) -> Any:
        if statement is _insert and not lost:
            lost.append(True)
            execute(statement, parameters)
        return execute(statement, parameters)

    monkeypatch.setattr("checkout_service.checkout.inserting.execute", run_twice)
    answer = ask(customer, cart_id, "second")

    assert answer.status_code == 201
    assert lost
    assert canceled(sql) == {first}
    assert counts(sql) == (2, 2)
    assert holds_of(sql, UUID(answer.json["payment_id"])) == {listing["id"]: (1, 1)}
    assert_stock_adds_up(sql)
