"""Refunds under many hands: never more than was paid, one refund at the provider for each here, no deadlock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from checkout_service.database.engine import transaction
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.order_requests import Ordered, ordered, pieces
from tests.provider import MockProvider
from tests.refunding import ask_refund, insert_refund, make_due, paid_payment, refund_event, staff_of, sums
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.scripted import ScriptedProvider, event
from worker.refunds.task import refund
from worker.transitions.outcomes import ReceivedEvent
from worker.transitions.recording import record
from worker.webhooks.task import process

__all__ = ["make_app", "make_worker"]  # fixtures


def in_app(app: Flask, job: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    def run() -> Any:
        with app.app_context():
            return job(*arguments)

    return run


def total(sql: Sql) -> Decimal:
    return sql("SELECT coalesce(sum(amount), 0) AS total FROM refunds WHERE status <> 'failed'")[0].total


def test_many_ask_for_more_than_there_is_at_two_machines(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    """20 × 9.00 of 100.00: eleven fit, whoever they are, and those who do not are told what is left."""
    payment, _ = paid_payment(sql)
    apps = [make_app(web_threads=12) for _ in range(2)]

    def ask(number: int) -> Any:
        staff = replace(staff_of(customer), client=apps[number % 2].test_client())
        return ask_refund(staff, payment, f"refund-{number}", amount="9.00")

    answers = at_once([lambda number=number: ask(number) for number in range(20)])

    assert Counter(answer.status_code for answer in answers) == {202: 11, 409: 9}
    assert {answer.json["amount_left"] for answer in answers if answer.status_code == 409} == {"1.00"}
    assert total(sql) == Decimal("99.00")
    assert sums(sql, payment) == ("0.00", "99.00")


def test_pieces_are_requested_while_their_first_refund_turns_out_to_be_made(
    sql: Sql, make_app: MakeApp, make_worker: MakeWorker, customer: Customer, make_listing: MakeListing
) -> None:
    """A person had called it not made. Whoever is first: its pieces are given back once, though more money is there."""
    app, worker = make_app(), make_worker()
    staff = replace(staff_of(customer), client=app.test_client())
    listings = [make_listing(unit_price="40.00", stock=None) for _ in range(2)]
    seen = Counter[int]()
    for turn in range(12):
        order = ordered(sql, customer, (listings[0], 1), (listings[1], 3))
        lines = [pieces(order.lines[0], 1)]
        ours = ask_refund(staff, order.payment_id, f"first-{turn}", lines=lines).json["id"]
        sql(
            """UPDATE refunds SET status = 'failed', in_doubt = true, sent_at = now(), next_attempt_at = NULL
            WHERE id = :id""",
            id=ours,
        )
        made = refund_event(order.reference, "succeeded", refund_ref=f"re_made_{turn}", refund_id=UUID(ours))

        def ask(order: Ordered = order, lines: Any = lines, turn: int = turn) -> Any:
            return ask_refund(staff, order.payment_id, f"again-{turn}", lines=lines)

        def report(made: Any = made) -> None:
            with transaction() as connection:
                record(connection, [ReceivedEvent(made, datetime.now(UTC))])

        if turn == 0:  # the request comes first, once
            answer, _ = ask(), in_app(worker, report)()
        elif turn == 1:  # and the news once
            _, answer = in_app(worker, report)(), ask()
        else:
            answer, _ = at_once([ask, in_app(worker, report)])

        seen[answer.status_code] += 1
        if answer.status_code == 202:
            assert in_app(worker, refund, answer.json["id"])() == "refused: not_in_this_state"
        else:
            assert (answer.status_code, answer.json["type"].rpartition("/")[2]) == (409, "refund-lines-too-large")
        assert sums(sql, order.payment_id) == ("40.00", "0.00")
        (back,) = sql("SELECT * FROM order_line_refunds(:line)", line=order.lines[0])
        assert (back.refunded, back.refunding) == (1, 0)
    assert set(seen) == {202, 409}


def test_all_that_is_left_is_taken_once(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    payment, _ = paid_payment(sql)
    app = make_app(web_threads=12)

    def ask(number: int) -> int:
        staff = replace(staff_of(customer), client=app.test_client())
        amount = {"amount": "30.00"} if number % 2 else {}
        return ask_refund(staff, payment, f"refund-{number}", **amount).status_code

    codes = Counter(at_once([lambda number=number: ask(number) for number in range(10)]))

    assert total(sql) <= Decimal("100.00")
    assert sql("SELECT count(*) FROM refunds")[0].count == codes[202]
    assert set(codes) == {202, 409}


def test_retries_with_one_key_get_one_refund(sql: Sql, make_app: MakeApp, customer: Customer) -> None:
    payment, _ = paid_payment(sql)
    staff = staff_of(customer)
    apps = [make_app(web_threads=8) for _ in range(2)]

    def ask(number: int) -> Any:
        retry = replace(staff, client=apps[number % 2].test_client())
        return ask_refund(retry, payment, amount="100.00")

    answers = at_once([lambda number=number: ask(number) for number in range(12)])

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert sql("SELECT count(*) FROM refunds")[0].count == 1


def test_a_refund_here_against_one_in_the_dashboard(sql: Sql, make_worker: MakeWorker) -> None:
    """What the provider made is entered in any case; what we ask for is refused, or never sent."""
    workers = [make_worker() for _ in range(2)]
    for turn in range(12):
        payment, reference = paid_payment(sql)
        delivery = insert_webhook(
            sql, webhook(reference, "succeeded", refund_ref=f"re_{turn}", amount="70.00", currency="USD")
        )

        def ask(payment: Any = payment) -> str:
            try:
                insert_refund(sql, payment, "70.00")
            except IntegrityError:
                return "refused"
            return "taken"

        request, _ = at_once([ask, in_app(workers[turn % 2], process, str(delivery))])

        (state,) = sql("SELECT state FROM webhook_deliveries WHERE id = :id", id=delivery)
        assert state.state == "applied"
        assert sums(sql, payment) == ("70.00", "70.00" if request == "taken" else "0.00")
        for row in sql("SELECT id FROM refunds WHERE payment_id = :id AND requested_by IS NOT NULL", id=payment):
            assert in_app(workers[turn % 2], refund, str(row.id))() == "refused: not_in_this_state"
        assert sums(sql, payment) == ("70.00", "0.00")


def test_one_task_many_times_at_once_asks_once(sql: Sql, make_worker: MakeWorker) -> None:
    provider = ScriptedProvider()
    workers = [make_worker() for _ in range(6)]
    for app in workers:
        app.extensions["providers"] = {"mock": provider}
    for _ in range(5):
        payment, reference = paid_payment(sql)
        refund_id = insert_refund(sql, payment)
        provider.refunds[refund_id] = [
            refund_event(reference, "succeeded", refund_id=refund_id, refund_ref=f"re_{refund_id}")
        ]

        at_once([in_app(app, refund, str(refund_id)) for app in workers])

        assert [id_ for id_, _ in provider.refunded].count(refund_id) == 1
        assert sums(sql, payment) == ("40.00", "0.00")


def test_a_worker_that_outlived_its_lease_and_its_successor_make_one_refund(
    sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider
) -> None:
    """Both ask, with one key; both write the same."""
    payment, reference = paid_payment(sql)
    mock_provider.put(reference, status="paid", amount="100.00", currency="USD")
    mock_provider.behave(seconds=6)  # the second comes well within them
    refund_id = insert_refund(sql, payment)
    workers = [make_worker(accounts={"mock": mock_provider.account}) for _ in range(2)]

    def after_its_lease() -> None:
        while not sql("SELECT FROM refunds WHERE sent_at IS NOT NULL"):
            sleep(0.01)
        until = monotonic() + 60
        while not mock_provider.calls.get("refund"):
            assert monotonic() < until, "the first never asked"
            sleep(0.01)
        mock_provider.behave()  # for the second, while the first still waits for its answer
        make_due(sql)
        in_app(workers[1], refund, str(refund_id))()

    at_once([in_app(workers[0], refund, str(refund_id)), after_its_lease])

    assert mock_provider.calls["refund"] == 2
    assert len(mock_provider.refunds) == 1
    assert sums(sql, payment) == ("40.00", "0.00")
    assert sql("SELECT count(*) FROM refund_events")[0].count == 1


@pytest.mark.parametrize("status", ["processing", "succeeded", "failed"])
@pytest.mark.parametrize("turn", range(3))
def test_a_webhook_that_is_faster_than_the_answer_makes_no_second_refund(
    sql: Sql, make_worker: MakeWorker, status: str, turn: int
) -> None:
    """The provider does not give our id back in its webhook: what comes first waits for the answer."""
    asking, opening = make_worker(), make_worker()
    provider = ScriptedProvider()
    asking.extensions["providers"] = {"mock": provider}
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    reported = webhook(reference, status, refund_ref="re_1", amount="40.00", currency="USD", turn=turn)
    delivery = insert_webhook(sql, reported)
    opened: list[Future[Any]] = []

    def answer() -> Any:
        # Turn 0: the webhook was processed before the answer is even given; else while it is written down.
        opened.append(pool.submit(in_app(opening, process, str(delivery))))
        if turn == 0:
            opened[0].result()
        return [refund_event(reference, "processing", refund_id=refund_id)]

    provider.refunds[refund_id] = answer
    with ThreadPoolExecutor(1) as pool:
        in_app(asking, refund, str(refund_id))()
        opened[0].result()
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 'received'")
    in_app(opening, process, str(delivery))()

    rows = sql("SELECT id, provider_ref, status::text FROM refunds")
    assert [tuple(row) for row in rows] == [(refund_id, "re_1", status)]
    assert sql("SELECT state FROM webhook_deliveries")[0].state == "applied"
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None


@pytest.mark.parametrize("seed", range(3))
def test_overlapping_sets_of_events_and_new_requests_do_not_deadlock(
    sql: Sql, make_worker: MakeWorker, seed: int
) -> None:
    chance = random.Random(seed)
    payments = [paid_payment(sql) for _ in range(6)] + [(None, insert_payment(sql, amount="100.00")) for _ in range(3)]
    workers = [make_worker() for _ in range(4)]
    reported: list[Any] = [event(reference, "paid") for _, reference in payments]
    reported += [
        refund_event(
            reference,
            chance.choice(["processing", "succeeded", "failed"]),
            refund_ref=f"{reference}_{number}",
            amount=Decimal("20.00"),
        )
        for _, reference in payments
        for number in range(3)
    ]
    chance.shuffle(reported)

    def enter(app: Flask, order: list[Any]) -> None:
        now = datetime.now(UTC)
        with app.app_context():
            for start in range(0, len(order), 9):
                part = order[start : start + 9]
                with transaction() as connection:
                    record(connection, [ReceivedEvent(each, now) for each in part])

    def ask() -> None:
        for payment, _ in payments[:6]:
            insert_refund(sql, payment, "5.00")

    orders = [reported, reported[::-1], chance.sample(reported, len(reported)), chance.sample(reported, len(reported))]
    at_once(
        [*[lambda app=app, order=order: enter(app, order) for app, order in zip(workers, orders, strict=True)], ask]
    )

    for payment, reference in payments:
        row = sql(
            "SELECT id, amount_refunded + amount_refunding AS counted FROM payments WHERE provider_ref = :reference",
            reference=reference,
        )[0]
        held = sql(
            "SELECT coalesce(sum(amount) FILTER (WHERE status <> 'failed'), 0) AS held, count(*) AS rows "
            "FROM refunds WHERE payment_id = :id",
            id=row.id,
        )[0]
        assert held.held == row.counted
        if payment is not None:
            assert held.rows == 4
