"""Orders under many hands: the last piece is handed over once, canceling or fulfilling wins, nobody deadlocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from threading import Barrier, Thread
from time import sleep
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from checkout_service.database.engine import transaction
from checkout_service.payments.status import DisputeStage, DisputeStatus, RefundStatus
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import DisputeEntry
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.order_requests import (
    Ordered,
    ask_cancellation,
    ask_fulfilment,
    handed_over,
    ordered,
    ordered_by_captures,
    pieces,
    reasons_of,
    set_stock,
    short_order,
    status_of,
    stock_of,
)
from tests.refunding import ask_refund, make_due, staff_of, sums
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.scripted import ScriptedProvider
from worker.refunds.task import refund
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

__all__ = ["make_app", "make_worker"]  # fixtures


def insisting(ask: Callable[[], Any]) -> Any:
    """The answer; 503 asks to be sent again."""
    while (answer := ask()).status_code == 503:
        pass
    return answer


def enter(app: Flask, event: ProviderEvent | ProviderRefundEvent) -> Callable[[], None]:
    def run() -> None:
        with app.app_context(), transaction() as connection:
            record(connection, received_now([event]))

    return run


def chargeback(reference: str, amount: str) -> ProviderEvent:
    entry = DisputeEntry(
        ref=f"dp_{uuid4().hex}",
        stage=DisputeStage.CHARGEBACK,
        status=DisputeStatus.NEEDS_RESPONSE,
        blocks_refund=True,
        amount=Decimal(amount),
        currency="USD",
    )
    return ProviderEvent(
        provider="mock", provider_ref=reference, event_id=f"evt_{uuid4().hex}", status=None, entries=[entry]
    )


def refunded(reference: str, amount: str, **values: Any) -> ProviderRefundEvent:
    given: dict[str, Any] = {"refund_ref": f"re_{uuid4().hex}", "status": RefundStatus.SUCCEEDED} | values
    return ProviderRefundEvent(
        provider="mock",
        provider_ref=reference,
        event_id=f"evt_{uuid4().hex}",
        amount=Decimal(amount),
        currency="USD",
        **given,
    )


@pytest.fixture
def staffs(make_app: MakeApp, customer: Customer) -> list[Customer]:
    """Eight of the staff, at two machines."""
    apps = [make_app(web_threads=8) for _ in range(2)]
    return [replace(staff_of(customer), client=apps[number % 2].test_client()) for number in range(8)]


def test_the_last_pieces_are_handed_over_once(
    staffs: list[Customer], sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=5)
    order = ordered(sql, customer, (listing, 5))

    answers = at_once(
        [
            lambda staff=staff: insisting(lambda: ask_fulfilment(staff, order.id, lines=[pieces(order.lines[0], 2)]))
            for staff in staffs
        ]
    )

    assert Counter(answer.status_code for answer in answers) == {201: 2, 409: 6}
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(4, 0)], (1, 1))


def test_orders_that_are_short_share_the_pieces_that_came(
    staffs: list[Customer], sql: Sql, make_customer: Callable[[], Customer], make_listing: MakeListing
) -> None:
    """Two fulfilments of the last piece: one gets it, the other is told."""
    listing = make_listing(stock=4)
    orders = [short_order(sql, make_customer(), (listing, 1), left=0) for _ in staffs if not set_stock(sql, listing, 1)]
    set_stock(sql, listing, 3)

    answers = at_once(
        [
            lambda staff=staff, order=order: insisting(lambda: ask_fulfilment(staff, order.id))
            for staff, order in zip(staffs, orders, strict=True)
        ]
    )

    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 5}
    refused = [answer.json for answer in answers if answer.status_code == 409]
    assert {(each["type"], each["lines"][0]["available"]) for each in refused} == {("/problems/out-of-stock", 0)}
    assert stock_of(sql, listing) == (0, 0)


def test_retries_of_one_fulfilment_are_one(
    staffs: list[Customer], sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    listing = make_listing(stock=5)
    order = ordered(sql, customer, (listing, 5))
    one = staffs[0]

    answers = at_once(
        [
            lambda staff=staff: insisting(
                lambda: ask_fulfilment(
                    replace(one, client=staff.client), order.id, lines=[pieces(order.lines[0], 2)], capture=True
                )
            )
            for staff in staffs
        ]
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(2, 0)], (3, 3))


def test_canceling_against_fulfilling(
    staffs: list[Customer], sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    for turn in range(8):
        listing = make_listing(stock=2)
        order = ordered(sql, customer, (listing, 2))
        jobs = [
            lambda: ("fulfilled", insisting(lambda: ask_fulfilment(staffs[0], order.id, f"f{turn}"))),  # noqa: B023 (runs at once)
            lambda: ("canceled", insisting(lambda: ask_cancellation(staffs[1], order.id, f"c{turn}"))),  # noqa: B023 (runs at once)
        ]

        answers = at_once(jobs if turn % 2 else jobs[::-1])

        (won,) = [kind for kind, answer in answers if answer.status_code < 300]
        assert status_of(sql, order) == won
        assert stock_of(sql, listing) == ((0, 0) if won == "fulfilled" else (2, 0))
        assert sums(sql, order.payment_id)[1] == ("0.00" if won == "fulfilled" else "80.00")


def test_retries_of_one_cancellation_are_one(
    staffs: list[Customer], sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    order = ordered_by_captures(sql, customer, (make_listing(), 2), amounts=["50.00", "30.00"])
    one = staffs[0]

    answers = at_once(
        [
            lambda staff=staff: insisting(lambda: ask_cancellation(replace(one, client=staff.client), order.id))
            for staff in staffs
        ]
    )

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert sql("SELECT count(*) FROM refunds")[0].count == 2


def test_canceling_against_a_chargeback_and_a_dashboard(
    staffs: list[Customer], make_worker: MakeWorker, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    """What is asked for never exceeds what is here at that moment; what came later keeps it from being sent."""
    workers = [make_worker() for _ in range(2)]
    provider = ScriptedProvider()
    workers[0].extensions["providers"] = {"mock": provider}
    for turn in range(6):
        listing = make_listing(stock=2)
        order = ordered(sql, customer, (listing, 2))
        event = (refunded if turn % 2 else chargeback)(order.reference, "30.00")

        answer, _ = at_once(
            [
                lambda: insisting(lambda: ask_cancellation(staffs[0], order.id, f"{turn}")),  # noqa: B023 (runs at once)
                enter(workers[1], event),
            ]
        )

        assert answer.status_code == 202
        assert (status_of(sql, order), stock_of(sql, listing)) == ("canceled", (2, 0))
        (row,) = sql("SELECT id, amount FROM refunds WHERE id = :id", id=answer.json["refunds"][0])
        assert row.amount in {80, 50}
        with workers[0].app_context():
            refund(str(row.id))
        assert (row.id in {sent for sent, _ in provider.refunded}) == (row.amount == 50)


def test_pieces_of_a_line_are_given_back_once(
    staffs: list[Customer], sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    order = ordered(sql, customer, (make_listing(unit_price="33.33"), 3), (make_listing(), 5))

    answers = at_once(
        [
            lambda staff=staff: insisting(
                lambda: ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1)])
            )
            for staff in staffs
        ]
    )

    assert Counter(answer.status_code for answer in answers) == {202: 3, 409: 5}
    assert sums(sql, order.payment_id) == ("0.00", "99.99")


def test_a_refund_of_a_cancellation_that_failed_leaves_a_reason_until_the_money_went_back(
    staffs: list[Customer], make_worker: MakeWorker, sql: Sql, customer: Customer, make_listing: MakeListing
) -> None:
    worker, provider = make_worker(), ScriptedProvider()
    worker.extensions["providers"] = {"mock": provider}
    order = ordered(sql, customer, (make_listing(), 2))
    (refund_id,) = ask_cancellation(staffs[0], order.id).json["refunds"]
    assert reasons_of(sql, order) is None
    (row,) = sql("SELECT id FROM refunds WHERE id = :id", id=refund_id)
    provider.refunds[row.id] = [
        refunded(order.reference, "80.00", status=RefundStatus.FAILED, refund_id=row.id, refund_ref="re_failed")
    ]
    with worker.app_context():
        refund(refund_id)

    assert reasons_of(sql, order) == "cancellation_unpaid"
    assert status_of(sql, order) == "canceled"

    again = ask_refund(staffs[0], order.payment_id, "by-hand")
    assert again.json["amount"] == "80.00"
    assert reasons_of(sql, order) is None, "it is on its way"
    (row,) = sql("SELECT id FROM refunds WHERE id = :id", id=again.json["id"])
    provider.refunds[row.id] = [refunded(order.reference, "80.00", refund_id=row.id, refund_ref="re_made")]
    make_due(sql)
    with worker.app_context():
        refund(again.json["id"])
    assert (reasons_of(sql, order), sums(sql, order.payment_id)) == (None, ("80.00", "0.00"))


def blocked(connection: Connection, sql: Sql) -> None:
    """Wait until somebody waits for what this connection holds."""
    (pid,) = connection.execute(text("SELECT pg_backend_pid()")).one()
    while not sql("SELECT FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))", pid=pid):
        sleep(0.01)


ASK = {
    "fulfil": lambda staff, order: ask_fulfilment(staff, order.id),
    "cancel": lambda staff, order: ask_cancellation(staff, order.id),
    "give back": lambda staff, order: ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1)]),
}


@pytest.mark.parametrize("ask", ASK.values(), ids=ASK.keys())
def test_a_request_locks_the_payment_before_its_order(
    staffs: list[Customer],
    sql: Sql,
    superuser: Engine,
    customer: Customer,
    make_listing: MakeListing,
    ask: Callable[[Customer, Ordered], Any],
) -> None:
    """While it waits for the payment, which a worker's set has, the set gets the order, the holds and the counters."""
    listing = make_listing()
    order = ordered(sql, customer, (listing, 2))
    answers: list[Any] = []
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as worker:
        worker.execute(text("SELECT FROM payments WHERE id = :id FOR NO KEY UPDATE"), {"id": order.payment_id})
        waiting = Thread(target=lambda: answers.append(ask(staffs[0], order)))
        waiting.start()
        blocked(worker, sql)
        for table, column, value in (
            ("orders", "id", order.id),
            ("holds", "payment_id", order.payment_id),
            ("listings", "id", listing["id"]),
            ("stock_counters", "listing_id", listing["id"]),
        ):
            worker.execute(text(f"SELECT FROM {table} WHERE {column} = :id FOR UPDATE NOWAIT"), {"id": value})
        worker.commit()
        waiting.join()
    assert [answer.status_code < 300 for answer in answers] == [True]


def test_in_the_other_order_it_would_deadlock(
    sql: Sql, servers: Servers, customer: Customer, make_listing: MakeListing
) -> None:
    """Order first against payment first, by hand: what the triggers must not do."""
    order = ordered(sql, customer, (make_listing(), 2))
    engine = create_engine(servers.superuser_url)
    lock = {
        "orders": text("SELECT FROM orders WHERE id = :id FOR NO KEY UPDATE"),
        "payments": text("SELECT FROM payments WHERE id = :id FOR NO KEY UPDATE"),
    }
    ids = {"orders": {"id": order.id}, "payments": {"id": order.payment_id}}

    both_hold_one = Barrier(2)

    def take(connection: Connection, first: str, second: str) -> str:
        connection.execute(lock[first], ids[first])
        both_hold_one.wait(20)
        try:
            connection.execute(lock[second], ids[second])
        except OperationalError as error:
            connection.rollback()
            return str(error.orig)
        connection.rollback()
        return "done"

    with engine.connect() as one, engine.connect() as other:
        results = at_once([lambda: take(one, "orders", "payments"), lambda: take(other, "payments", "orders")])
    engine.dispose()
    assert [result for result in results if "deadlock" in result]


def test_a_fulfilment_locks_listings_in_the_order_of_their_ids(
    staffs: list[Customer], sql: Sql, make_customer: Callable[[], Customer], make_listing: MakeListing
) -> None:
    """Orders with the same lines in two orders, canceled and fulfilled at once, beside people's counts."""
    listings = [make_listing(stock=1000) for _ in range(6)]
    orders = [
        ordered(sql, make_customer(), *[(listing, 2) for listing in listings[:: 1 if number % 2 else -1]])
        for number in range(16)
    ]

    def counts() -> list[int]:
        for listing in listings[::-1]:
            sql("UPDATE listings SET stock = stock + 1 WHERE id = :id", id=listing["id"])
        return [200]

    def work(number: int) -> list[int]:
        codes = []
        for order in orders[number::8]:
            ask = ask_cancellation if number % 4 == 3 else ask_fulfilment
            codes.append(
                insisting(lambda ask=ask, order=order: ask(staffs[number], order.id, f"{order.id}")).status_code
            )
        return codes

    answers = at_once([*[lambda number=number: work(number) for number in range(8)], counts, counts])

    assert {code for codes in answers for code in codes} <= {200, 201, 202}
    fulfilled = sum(status_of(sql, order) == "fulfilled" for order in orders)
    assert fulfilled == 12
    assert {stock_of(sql, listing) for listing in listings} == {(1002 - 2 * fulfilled, 0)}


@pytest.mark.parametrize(
    "insert",
    [
        """INSERT INTO fulfilments (order_id, requested_by, idempotency_key, request_hash)
        VALUES (:order, uuidv7(), 'key', '')""",
        """INSERT INTO order_cancellations (order_id, requested_by, idempotency_key, request_hash)
        VALUES (:order, uuidv7(), 'key', '')""",
    ],
    ids=["fulfil", "cancel"],
)
def test_a_web_process_that_is_killed_leaves_all_or_nothing(
    sql: Sql, servers: Servers, customer: Customer, make_listing: MakeListing, insert: str
) -> None:
    """Its backend dies after the statement, before the commit: nothing was done."""
    listing = make_listing()
    order = ordered(sql, customer, (listing, 2))
    engine = create_engine(servers.web_url)
    with engine.connect() as connection:
        (pid,) = connection.execute(text("SELECT pg_backend_pid()")).one()
        connection.execute(text(insert), {"order": order.id})
        sql("SELECT pg_terminate_backend(:pid)", pid=pid)
        connection.invalidate()
    engine.dispose()

    assert (status_of(sql, order), handed_over(sql, order), stock_of(sql, listing)) == ("placed", [(0, 0)], (10, 2))
    (row,) = sql("""SELECT (SELECT count(*) FROM refunds) + (SELECT count(*) FROM fulfilments)
        + (SELECT count(*) FROM order_cancellations) AS total""")
    assert row.total == 0
