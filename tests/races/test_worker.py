"""The worker under many hands: threads with contexts and connections of their own, real commits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from checkout_service.database.engine import transaction
from checkout_service.providers.base import ProviderEvent
from tests.conftest import Servers, Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.scripted import event
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record
from worker.webhooks.task import process

__all__ = ["make_worker"]  # fixtures


def processing(app: Flask, *deliveries: UUID) -> Callable[[], None]:
    def job() -> None:
        with app.app_context():
            for delivery in deliveries:
                process(str(delivery))

    return job


def entering(app: Flask, *sets: Sequence[ProviderEvent]) -> Callable[[], list[Outcome]]:
    def job() -> list[Outcome]:
        outcomes: list[Outcome] = []
        with app.app_context():
            for entry in sets:
                with transaction() as connection:
                    outcomes += [effect.outcome for effect in record(connection, received_now(entry)).effects]
        return outcomes

    return job


def states(sql: Sql) -> Counter[str]:
    return Counter(row.state for row in sql("SELECT state FROM webhook_deliveries"))


def test_fifty_threads_delivering_one_event_have_one_effect(sql: Sql, app: Flask, make_worker: MakeWorker) -> None:
    """While three workers are at the webhooks already."""
    reference = insert_payment(sql)
    workers = [make_worker() for _ in range(3)]

    def deliver(number: int) -> None:
        body, client = webhook(reference, event_id="evt_1", delivered=number), app.test_client()
        while client.post("/api/payments/webhook", data=body, content_type="application/json").status_code == 503:
            sleep(0.05)  # as providers do

    at_once(
        [lambda number=number: deliver(number) for number in range(50)]
        + [processing(each, *[UUID(int=1)] * 20) for each in workers]
    )
    processing(workers[0], UUID(int=1))()

    assert states(sql) == {"applied": 1, "duplicate": 49}
    assert [row.outcome for row in sql("SELECT outcome FROM payment_events")] == ["applied"]
    assert status_of(sql, reference) == "paid"


def test_tasks_at_once_process_each_webhook_once(sql: Sql, make_worker: MakeWorker) -> None:
    references = [insert_payment(sql) for _ in range(20)]
    deliveries = [insert_webhook(sql, webhook(reference, number=n)) for reference in references for n in range(10)]
    workers = [make_worker() for _ in range(5)]

    at_once([processing(each, *random.sample(deliveries, 40)) for each in workers])

    assert states(sql) == {"applied": 200}
    assert {row.attempts for row in sql("SELECT attempts FROM webhook_deliveries")} == {1}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 200


def test_one_webhook_under_many_tasks_is_processed_once(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(6)]
    for state in ("received", "failed", "rejected", "parked"):
        for attempts in (0, 3):
            reference = insert_payment(sql)
            delivery = insert_webhook(
                sql, webhook(reference), state=f"'{state}'", attempts=attempts, next_attempt_at="now()"
            )

            at_once([processing(each, delivery) for each in workers])

            (row,) = sql("SELECT state, attempts FROM webhook_deliveries WHERE id = :id", id=delivery)
            assert tuple(row) == ("applied", attempts + 1)
            assert status_of(sql, reference) == "paid"


def test_workers_that_record_overlapping_sets_in_opposite_order_do_not_deadlock(
    sql: Sql, make_worker: MakeWorker
) -> None:
    cart = insert_cart(sql)
    references = [insert_promise(sql, cart=cart) if n % 2 else insert_payment(sql) for n in range(12)]
    workers = [make_worker() for _ in range(4)]
    for turn in range(15):
        events = [
            event(reference, status, event_id=f"evt_{turn}_{number}_{status}")
            for number, reference in enumerate(references)
            for status in ("failed", "paid" if turn > 10 else "processing")
        ]
        orders = [events, events[::-1], random.sample(events, len(events)), random.sample(events, 9)]

        outcomes = at_once([entering(each, order) for each, order in zip(workers, orders, strict=True)])

        counted = Counter(outcome for entry in outcomes for outcome in entry)
        assert counted[Outcome.APPLIED] + counted[Outcome.STALE] == len(events), "each event once, whoever was first"
    assert {status_of(sql, reference) for reference in references} == {"paid"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 15 * 24


def test_two_workers_on_one_payment_leave_the_furthest_status(sql: Sql, make_worker: MakeWorker) -> None:
    first, second = make_worker(), make_worker()
    for turn in range(20):
        reference = insert_payment(sql)
        events = [event(reference, "paid"), event(reference, "failed")]

        at_once(
            [entering(app, [each]) for app, each in zip((first, second), events[:: 1 if turn % 2 else -1], strict=True)]
        )

        assert status_of(sql, reference) == "paid"
        assert sql("SELECT count(*) FROM payment_events")[0].count == (turn + 1) * 2


@pytest.mark.parametrize("other", ["expired", "canceled"])
def test_money_and_closing_at_the_same_moment_is_flagged(sql: Sql, make_worker: MakeWorker, other: str) -> None:
    workers = [make_worker() for _ in range(2)]
    for _ in range(10):
        reference = insert_payment(sql)

        at_once([entering(app, [event(reference, each)]) for app, each in zip(workers, ("paid", other), strict=True)])

    assert {tuple(row) for row in sql("SELECT status::text, review_reason FROM payments")} == {
        ("paid", "paid_after_close")
    }


def test_duplicates_paid_at_the_same_moment_are_flagged(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(3)]
    for _ in range(15):
        cart = insert_cart(sql)
        duplicates = [insert_promise(sql, cart=cart) for _ in workers]

        at_once([entering(app, [event(duplicate, "paid")]) for app, duplicate in zip(workers, duplicates, strict=True)])

    assert {tuple(row) for row in sql("SELECT status::text, review_reason FROM payments")} == {("paid", "paid_twice")}


def test_a_payment_under_the_transitions_lock_still_takes_events_and_sessions(
    sql: Sql, make_worker: MakeWorker, superuser: Engine
) -> None:
    """FOR NO KEY UPDATE: a foreign key's KEY SHARE does not wait for it."""
    reference = insert_payment(sql)
    cart = insert_cart(sql)
    insert: dict[str, Any] = {"cart": cart, "reference": reference}
    with make_worker().app_context(), transaction() as transitions, superuser.connect() as web:
        record(transitions, received_now([event(reference, "paid")]))
        web.execute(text("SET lock_timeout = '2s'"))

        web.execute(
            text("""INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id,
                payment_token, amount, currency, lines, expires_at)
                SELECT user_id, :cart, 'key', '', id, 'token', 1, 'USD', '[]', now()
                FROM payments WHERE provider_ref = :reference"""),
            insert,
        )

    assert sql("SELECT count(*) FROM checkout_sessions")[0].count == 1


@pytest.mark.usefixtures("usual_bounds")
def test_a_payment_that_somebody_holds_delays_its_own_webhooks_alone(
    sql: Sql, make_worker: MakeWorker, superuser: Engine
) -> None:
    """An operator's open transaction, for instance."""
    references = [insert_payment(sql) for _ in range(5)]
    deliveries = [insert_webhook(sql, webhook(reference)) for reference in references]
    app = make_worker()
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as operator:
        operator.execute(text("SELECT FROM payments WHERE provider_ref = :r FOR UPDATE"), {"r": references[2]})
        processing(app, deliveries[0])()

    assert [status_of(sql, reference) for reference in references] == ["paid", "paid", "pending", "paid", "paid"]
    assert states(sql) == {"applied": 4, "received": 1}


@pytest.mark.usefixtures("usual_bounds")
def test_a_cart_that_a_taken_web_tier_holds_delays_the_webhooks_of_its_payments_alone(
    sql: Sql, make_worker: MakeWorker, servers: Servers
) -> None:
    """The web role may hold the rows of carts, for as long as it likes: a session may set aside every limit of time."""
    references = [insert_promise(sql) for _ in range(4)]
    deliveries = [insert_webhook(sql, webhook(reference)) for reference in references]
    app = make_worker()
    web = create_engine(servers.web_url)
    with web.connect() as taken:
        taken.execute(text("SET idle_in_transaction_session_timeout = 0"))
        taken.execute(
            text("""SELECT FROM carts WHERE id = (
                SELECT cart_id FROM checkout_sessions JOIN payments ON payments.id = payment_id WHERE provider_ref = :r
            ) FOR UPDATE"""),
            {"r": references[1]},
        )
        processing(app, deliveries[0])()
        moved = [status_of(sql, reference) for reference in references]
    web.dispose()

    assert moved == ["paid", "pending", "paid", "paid"]
    assert states(sql) == {"applied": 3, "received": 1}
