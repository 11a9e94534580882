"""Sessions of scarce pieces at the same moment: nothing is promised twice, and nothing stays held for nobody."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.money import attempt, fold
from tests.provider import MockProvider
from tests.purchases import ask, counts, fill_cart, opened, replayed
from tests.stock.holding import assert_stock_adds_up, counter_of, holds_of

ROUNDS = 5


def held_by_sessions_alone(sql: Sql) -> bool:
    return not sql("SELECT FROM holds WHERE payment_id NOT IN (SELECT payment_id FROM checkout_sessions)")


def kinds(answers: list[TestResponse]) -> list[str]:
    return sorted("201" if answer.status_code == 201 else answer.json["type"].split("/")[-1] for answer in answers)


def test_many_customers_want_the_last_pieces(
    make_shopper: Callable[[], Customer], make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    for _ in range(ROUNDS):
        listing, other = make_listing(stock=3), make_listing(stock=100)
        customers = [make_shopper() for _ in range(10)]
        # In both orders, so that counters would be locked in both if they were not in order.
        carts = [
            fill_cart(customer, *([(listing, 1), (other, 2)] if number % 2 else [(other, 2), (listing, 1)]))
            for number, customer in enumerate(customers)
        ]
        mock_provider.behave(seconds=0.02)

        answers = at_once([partial(ask, *each) for each in zip(customers, carts, strict=True)])

        assert kinds(answers) == ["201"] * 3 + ["out-of-stock"] * 7
        assert counter_of(sql, listing) == (3, 3)
        assert counter_of(sql, other) == (100, 6)
        assert held_by_sessions_alone(sql)
        assert_stock_adds_up(sql)


@pytest.mark.parametrize(
    "behaviour",
    [
        {},
        {"seconds": 0.05},
        {"seconds": 0.05, "in_progress": "retry"},
        {"before": "error", "times": 1},
        {"before": "refuse", "times": 2},
        {"after": "drop", "times": 2},
    ],
    ids=str,
)
def test_retries_of_one_key_share_the_last_piece(
    shopper: Customer,
    provider_app: Flask,
    make_listing: MakeListing,
    mock_provider: MockProvider,
    sql: Sql,
    behaviour: dict[str, Any],
) -> None:
    listing = make_listing(stock=1)
    cart_id = fill_cart(shopper, (listing, 1))
    devices = [replace(shopper, client=provider_app.test_client()) for _ in range(4)]
    for number in range(ROUNDS):
        mock_provider.behave(**behaviour)

        answers = at_once([partial(ask, device, cart_id, f"round-{number}") for device in devices])

        assert {answer.status_code for answer in answers} <= {201, 502, 503}, [answer.text for answer in answers]
        given = [answer for answer in answers if answer.status_code == 201]
        if not {"before", "after"} & set(behaviour):
            assert len(given) == 4
        assert sum(not replayed(answer) for answer in given) == (1 if given else 0)
        mock_provider.behave()
        assert ask(shopper, cart_id, f"round-{number}").status_code == 201
        assert counts(sql) == (number + 1, number + 1)
        assert counter_of(sql, listing) == (1, 1)
        assert held_by_sessions_alone(sql)
        assert_stock_adds_up(sql)


def test_two_tabs_with_two_keys_on_the_last_piece(
    shopper: Customer, provider_app: Flask, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    """One has it, or the later one took it over from the earlier, which is then to be canceled."""
    tabs = [replace(shopper, client=provider_app.test_client()) for _ in range(2)]
    for number in range(2 * ROUNDS):
        listing = make_listing(stock=1)
        shopper.delete("/api/cart")
        cart_id = fill_cart(shopper, (listing, 1))
        mock_provider.behave(seconds=0.01)
        before = counts(sql)[0]

        answers = at_once([partial(ask, tab, cart_id, f"{number}-{place}") for place, tab in enumerate(tabs)])

        assert set(kinds(answers)) <= {"201", "out-of-stock"}
        given = [answer.json["payment_id"] for answer in answers if answer.status_code == 201]
        assert given
        assert counts(sql)[0] == before + len(given)
        holders = [payment_id for payment_id in given if holds_of(sql, UUID(payment_id))]
        assert len(holders) == 1
        assert counter_of(sql, listing) == (1, 1)
        canceled = {str(row.payment_id) for row in sql("SELECT payment_id FROM cancel_requests")}
        assert set(given) - set(holders) <= canceled
        assert held_by_sessions_alone(sql)
        assert_stock_adds_up(sql)
        sql("UPDATE payments SET status = 'canceled'")  # so that they count among the open ones no longer
        sql("SELECT hold_release(payment_id) FROM holds")


def test_a_session_beside_a_payment_that_ends_the_filling(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql, provider_app: Flask
) -> None:
    """Either it comes before, and its payment is canceled, or it is refused and its pieces go back."""
    outcomes = set()
    for number in range(2 * ROUNDS):
        listing = make_listing(stock=2)
        shopper.delete("/api/cart")
        cart_id = fill_cart(shopper, (listing, 1))
        first = opened(shopper, cart_id, f"{number}-first")["payment_id"]
        mock_provider.behave(seconds=0.01 * (number % 3))
        attempt(sql, first, "started", presumed="40.00")
        late = replace(shopper, client=provider_app.test_client())

        _, answer = at_once(
            [partial(_pay, sql, cart_id, first), partial(ask, late, cart_id, f"{number}-second", expected_total="40")]
        )

        outcomes.add(answer.status_code)
        assert answer.status_code == 201 or answer.json["type"].split("/")[-1] in {"cart-changed", "empty-cart"}
        assert sql("SELECT status::text FROM payments WHERE id = :id", id=first)[0].status == "paid"
        assert held_by_sessions_alone(sql) or not sql("SELECT FROM holds WHERE state = 'held'")
        held = sql("SELECT coalesce(sum(reserved), 0) AS n FROM holds WHERE state = 'held'")[0].n
        assert held == (1 if answer.status_code == 201 else 0)
        assert_stock_adds_up(sql)
        if answer.status_code == 201:
            second = answer.json["payment_id"]
            assert sql("SELECT FROM cancel_requests WHERE payment_id = :id", id=second)
            fold(sql, second)
            sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], ARRAY['canceled']::payment_status[])", id=second)
    assert outcomes


def test_a_payment_that_goes_under_way_while_a_newer_session_takes_over(
    shopper: Customer,
    make_listing: MakeListing,
    mock_provider: MockProvider,
    superuser: Engine,
    sql: Sql,
    provider_app: Flask,
) -> None:
    """The newer one waits for the older one's row, and then finds that the last piece is not to be had."""
    listing = make_listing(stock=1)
    cart_id = fill_cart(shopper, (listing, 1))
    first = opened(shopper, cart_id, "first")["payment_id"]
    late = replace(shopper, client=provider_app.test_client())
    attempt(sql, first, "under_way", ref="at")

    with superuser.connect() as worker, ThreadPoolExecutor(1) as pool:
        worker.exec_driver_sql("BEGIN")
        worker.execute(text("SELECT FROM payments WHERE id = :id FOR NO KEY UPDATE"), {"id": first})
        waiting = pool.submit(ask, late, cart_id, "second")
        _until_waits(sql)
        worker.execute(text("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])"), {"id": first})
        worker.exec_driver_sql("COMMIT")
        answer = waiting.result()

    assert kinds([answer]) == ["out-of-stock"]
    assert answer.json["lines"] == [{"listing": str(listing["id"]), "wanted": 1, "available": 0}]
    assert holds_of(sql, UUID(first)) == {listing["id"]: (1, 1)}
    assert counts(sql) == (1, 1)
    assert sql("SELECT FROM cancel_requests") == []
    assert held_by_sessions_alone(sql)
    assert_stock_adds_up(sql)


def test_what_others_take_after_the_cart_was_read_is_short_before_the_provider_hears_of_it(
    make_shopper: Callable[[], Customer],
    make_listing: MakeListing,
    mock_provider: MockProvider,
    superuser: Engine,
    sql: Sql,
) -> None:
    late, other = make_shopper(), make_shopper()
    listing, plenty = make_listing(stock=2), make_listing(stock=9)
    cart_id, theirs = fill_cart(late, (listing, 2), (plenty, 1)), fill_cart(other, (listing, 1))

    with superuser.connect() as somebody, ThreadPoolExecutor(1) as pool:
        somebody.exec_driver_sql("BEGIN")
        somebody.execute(text("SELECT FROM users WHERE id = :id FOR NO KEY UPDATE"), {"id": late.id})
        waiting = pool.submit(ask, late, cart_id)
        _until_waits(sql)
        opened(other, theirs)
        somebody.exec_driver_sql("COMMIT")
        answer = waiting.result()

    assert kinds([answer]) == ["out-of-stock"]
    assert answer.json["lines"] == [{"listing": str(listing["id"]), "wanted": 2, "available": 1}]
    assert mock_provider.calls["open"] == 1, "only the other's"
    assert (counter_of(sql, listing), counter_of(sql, plenty)) == ((2, 1), (9, 0))
    assert_stock_adds_up(sql)


def test_a_cart_is_emptied_beside_a_payment_of_it(
    shopper: Customer, make_listing: MakeListing, sql: Sql, provider_app: Flask, mock_provider: MockProvider
) -> None:
    """Both write all lines of the cart, and neither holds one that the other waits for."""
    other = replace(shopper, client=provider_app.test_client())
    for number in range(2 * ROUNDS):
        listings = [make_listing() for _ in range(8)]
        cart_id = fill_cart(shopper, *[(listing, 2) for listing in listings[:: 1 if number % 2 else -1]])
        payment_id = opened(shopper, cart_id, f"round-{number}")["payment_id"]
        attempt(sql, payment_id, "started", presumed="640.00")

        _, answer = at_once([partial(_pay, sql, cart_id, payment_id), partial(other.delete, "/api/cart")])

        assert answer.status_code == 204
        assert shopper.get("/api/cart").json["items"] == []


def _pay(sql: Sql, cart_id: str, payment_id: str) -> None:
    """As a worker does it: the cart's lock, the payment's, and the fold, in one transaction."""
    sql(
        """DO $$ BEGIN
            PERFORM FROM carts WHERE id = '{cart}' FOR NO KEY UPDATE;
            PERFORM FROM payments WHERE id = '{payment}' FOR NO KEY UPDATE;
            PERFORM payments_fold(ARRAY['{payment}'::uuid]);
        END $$""".replace("{cart}", cart_id).replace("{payment}", payment_id)
    )


def _until_waits(sql: Sql) -> None:
    """Until a statement of the web tier waits for a lock."""
    for _ in range(500):
        if sql("""SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'checkout_web'
            AND datname = current_database() AND pg_sleep(0.01) IS NOT NULL"""):
            return
        sql("SELECT pg_sleep(0.01)")
    raise AssertionError("nothing waits")
