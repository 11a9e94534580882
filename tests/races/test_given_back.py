"""Pieces that are given back while somebody sends them, or others buy them: each is in one place, and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.database.engine import transaction
from checkout_service.oversight.order_statements import SHORT_WITHOUT_HOLD, SOLD
from checkout_service.oversight.promises import BEGINNING
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import ProviderRefundEvent
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.money import bring_to
from tests.order_requests import Ordered, ask_cancellation, ask_fulfilment, ordered, pieces, status_of, stock_of
from tests.purchases import ask, fill_cart
from tests.refunding import ask_refund, staff_of
from tests.stock.holding import assert_stock_adds_up
from tests.worker.conftest import MakeWorker, make_worker
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

__all__ = ["make_app", "make_worker"]  # fixtures


@pytest.fixture
def staffs(make_app: MakeApp, customer: Customer) -> list[Customer]:
    """Four of the staff, at two machines."""
    apps = [make_app(web_threads=8) for _ in range(2)]
    return [replace(staff_of(customer), client=apps[number % 2].test_client()) for number in range(4)]


def insisting(ask: Callable[[], Any]) -> Any:
    """The answer; 503 asks to be sent again."""
    while (answer := ask()).status_code == 503:
        pass
    return answer


def refund_of(staff: Customer, order: Ordered, qty: int, key: str = "refund-1") -> UUID:
    """Ask for the price of pieces of the first line; the refund."""
    answer = insisting(lambda: ask_refund(staff, order.payment_id, key, lines=[pieces(order.lines[0], qty)]))
    assert answer.status_code == 202, answer.text
    return UUID(answer.json["id"])


def reported(order: Ordered, refund_id: UUID, qty: int, status: RefundStatus) -> ProviderRefundEvent:
    """The provider's word about it, of pieces that cost 40.00."""
    return ProviderRefundEvent(
        provider="mock",
        provider_ref=order.reference,
        event_id=f"evt_{uuid4().hex}",
        refund_id=refund_id,
        refund_ref=f"re_{refund_id}",
        status=status,
        amount=Decimal(40 * qty),
        currency="USD",
    )


def enter(app: Flask, *events: ProviderRefundEvent) -> Callable[[], None]:
    def run() -> None:
        with app.app_context(), transaction() as connection:
            record(connection, received_now(list(events)))

    return run


def adds_up(sql: Sql) -> None:
    assert_stock_adds_up(sql)
    assert not [row for row in sql(SOLD.text, **BEGINNING) if row.wrong]
    assert not sql(SHORT_WITHOUT_HOLD.text, limit=None)


def line_of(sql: Sql, order: Ordered) -> Any:
    return sql("SELECT * FROM order_lines WHERE order_id = :id", id=order.id)[0]


def test_sending_against_giving_back(
    staffs: list[Customer], make_worker: MakeWorker, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    """Whoever is first: what was sent is not back in the stock, and what is back was not sent."""
    worker = make_worker()
    for turn in range(10):
        listing = make_listing(unit_price="40.00", stock=3)
        order = ordered(sql, customer, (listing, 3))
        refund_id = refund_of(staffs[0], order, 2, f"{turn}")
        named = [pieces(order.lines[0], 2)]
        jobs = [
            enter(worker, reported(order, refund_id, 2, RefundStatus.SUCCEEDED)),
            lambda: insisting(lambda: ask_fulfilment(staffs[1], order.id, f"{turn}", lines=named)),  # noqa: B023 (runs at once)
        ]

        at_once(jobs if turn % 2 else jobs[::-1])

        line = line_of(sql, order)
        # Of three, two are sent: one of them is among those that were given back.
        assert (line.qty_fulfilled, line.qty_canceled, line.qty_short) == (2, 1, 0)
        assert (status_of(sql, order), stock_of(sql, listing)) == ("fulfilled", (1, 0))
        adds_up(sql)


def test_sending_what_is_left_against_giving_back_and_failing(
    staffs: list[Customer], make_worker: MakeWorker, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    workers = [make_worker() for _ in range(2)]
    for turn in range(10):
        listing = make_listing(unit_price="40.00", stock=3)
        order = ordered(sql, customer, (listing, 3))
        first, second = (refund_of(staffs[0], order, 1, f"{turn}-{number}") for number in range(2))
        jobs = [
            enter(workers[0], reported(order, first, 1, RefundStatus.SUCCEEDED)),
            enter(workers[1], reported(order, second, 1, RefundStatus.FAILED)),
            lambda: insisting(lambda: ask_fulfilment(staffs[1], order.id, f"{turn}")),  # noqa: B023 (runs at once)
        ]

        at_once(jobs[turn % 3 :] + jobs[: turn % 3])

        line = line_of(sql, order)
        assert (line.qty_canceled, line.qty_short) == (1, 0)
        assert line.qty_fulfilled in {1, 2}, "the piece whose refund failed may have been left out"
        assert stock_of(sql, listing) == (3 - line.qty_fulfilled, 2 - line.qty_fulfilled)
        adds_up(sql)


def test_a_refund_that_succeeds_and_fails_while_others_buy(
    staffs: list[Customer],
    make_worker: MakeWorker,
    sql: Sql,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
) -> None:
    """The pieces have one owner at each moment; the order takes them again, or is short of them."""
    workers = [make_worker() for _ in range(2)]
    for turn in range(6):
        listing = make_listing(unit_price="40.00", stock=2)
        order = ordered(sql, make_customer(), (listing, 2))
        refund_id = refund_of(staffs[0], order, 2, f"{turn}")
        enter(workers[0], reported(order, refund_id, 2, RefundStatus.SUCCEEDED))()
        assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (2, 0))
        other = make_customer()

        _, bought = at_once(
            [
                enter(workers[1], reported(order, refund_id, 2, RefundStatus.FAILED)),
                lambda: _try_to_buy(sql, other, listing),  # noqa: B023 (runs at once)
            ]
        )

        line = line_of(sql, order)
        assert line.qty_short == (1 if bought else 0)
        assert (status_of(sql, order), stock_of(sql, listing)) == ("short" if bought else "placed", (2, 2))
        adds_up(sql)


def _try_to_buy(sql: Sql, customer: Customer, listing: dict[str, Any]) -> bool:
    answer = ask(customer, fill_cart(customer, (listing, 1)))
    if answer.status_code == 201:
        bring_to(sql, answer.json["payment_id"], "paid")
        return True
    assert answer.json["type"].endswith("/out-of-stock"), answer.text
    return False


def test_sets_of_refunds_beside_fulfilments_and_cancellations(
    staffs: list[Customer],
    make_worker: MakeWorker,
    sql: Sql,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
) -> None:
    """Orders of the same listings in two orders, in sets of several refunds: nobody deadlocks."""
    workers = [make_worker() for _ in range(2)]
    listings = [make_listing(unit_price="40.00", stock=1000) for _ in range(4)]
    orders = [
        ordered(sql, make_customer(), *[(listing, 2) for listing in listings[:: 1 if number % 2 else -1]])
        for number in range(16)
    ]
    refunds = [refund_of(staffs[0], order, 1, f"{order.id}") for order in orders]
    events = [reported(order, each, 1, RefundStatus.SUCCEEDED) for order, each in zip(orders, refunds, strict=True)]

    def work(staff: Customer, number: int) -> list[int]:
        answers = []
        for order in orders[number::2]:
            how = ask_cancellation if number else ask_fulfilment
            answers.append(insisting(lambda how=how, order=order: how(staff, order.id, f"{order.id}")).status_code)
        return answers

    answers = at_once(
        [
            enter(workers[0], *events[::2], *events[1::4]),
            enter(workers[1], *events[3::4][::-1]),
            lambda: work(staffs[0], 0),
            lambda: work(staffs[1], 1),
        ]
    )

    assert {code for codes in answers if codes for code in codes} <= {201, 202}
    assert {status_of(sql, order) for order in orders[::2]} == {"fulfilled"}
    assert {status_of(sql, order) for order in orders[1::2]} == {"canceled"}
    # Of each order that is sent one piece of the first line is back.
    reserved = {stock_of(sql, listing)[1] for listing in listings}
    assert reserved == {0}
    adds_up(sql)
