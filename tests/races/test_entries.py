"""Entries under many hands: real commits, and one payment, one filling of a cart or one name between them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from flask import Flask

from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.providers.base import ProviderEvent
from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, state_of
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.scripted import ScriptedProvider, event
from tests.worker.transitions.entered import attempt, capture, folded, news, reasons
from worker.transitions.outcomes import Outcome, received_now
from worker.transitions.recording import record
from worker.webhooks.task import process

__all__ = ["make_worker"]  # fixtures


def entering(app: Flask, *events: ProviderEvent) -> Callable[[], list[Outcome]]:
    """A set in a transaction and a connection of its own; once more where a name or a row was another's for now."""

    def job() -> list[Outcome]:
        with app.app_context():
            for _ in range(10):
                try:
                    with transaction() as connection:
                        return [effect.outcome for effect in record(connection, received_now(events)).effects]
                except DatabaseLockedError:
                    continue
        raise AssertionError("held for ever")

    return job


def test_two_captures_of_one_payment_at_once_both_count(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(2)]
    for _ in range(15):
        reference, tried = insert_payment(sql), uuid4().hex

        at_once([entering(app, news(reference, capture(uuid4().hex, "240.00", attempt_ref=tried))) for app in workers])

        now = folded(sql, reference)
        assert (now.status, now.captured, now.reasons) == ("paid", "480", "overpaid")


def test_parts_of_one_capture_at_once_end_as_the_greatest(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(3)]
    for _ in range(10):
        reference, ref = insert_payment(sql), uuid4().hex

        at_once(
            [
                entering(app, news(reference, capture(ref, amount)))
                for app, amount in zip(workers, ("100.00", "240.00", "140.00"), strict=True)
            ]
        )

        assert (folded(sql, reference).status, folded(sql, reference).captured) == ("paid", "240")


def test_two_payments_of_one_filling_paid_at_once_are_both_flagged(sql: Sql, make_worker: MakeWorker) -> None:
    """The second waits at the cart, so that it sees the first."""
    workers = [make_worker() for _ in range(2)]
    for _ in range(15):
        cart = insert_cart(sql)
        pair = [insert_promise(sql, cart=cart) for _ in workers]

        at_once([entering(app, event(reference, "paid")) for app, reference in zip(workers, pair, strict=True)])

        assert reasons(sql, pair) == ["paid_twice"] * 2
        assert sql("SELECT generation FROM carts WHERE id = :cart", cart=cart)[0].generation == 1


def test_one_name_for_two_payments_at_once_counts_for_one_and_flags_both(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(2)]
    for number in range(20):
        pair, name = [insert_payment(sql) for _ in workers], uuid4().hex
        entry = capture(name, "240.00") if number % 2 else attempt(name, "authorized")

        outcomes = at_once(
            [entering(app, news(reference, entry)) for app, reference in zip(workers, pair, strict=True)]
        )

        assert sorted(each for (each,) in outcomes) == [Outcome.APPLIED, Outcome.MISMATCH]
        assert reasons(sql, pair) == ["name_of_another"] * 2
        assert sorted(folded(sql, reference).status for reference in pair) == sorted(
            ["pending", "paid" if number % 2 else "authorized"]
        )


def test_a_raced_name_fails_no_webhook(sql: Sql, make_worker: MakeWorker) -> None:
    workers, provider = [make_worker() for _ in range(2)], ScriptedProvider()
    for app in workers:
        app.extensions["providers"] = {provider.name: provider}
    for number in range(10):
        pair, name = [insert_payment(sql) for _ in workers], uuid4().hex
        deliveries = []
        for which, reference in enumerate(pair):
            body = f"{number} {which}".encode()
            provider.webhooks[body] = [news(reference, capture(name, "240.00"))]
            deliveries.append(insert_webhook(sql, body, attempts=1, next_attempt_at="now()"))

        def processing(app: Flask, delivery: object) -> Callable[[], None]:
            def job() -> None:
                with app.app_context():
                    process(str(delivery))

            return job

        at_once([processing(app, delivery) for app, delivery in zip(workers, deliveries, strict=True)])

        assert [state_of(sql, delivery) for delivery in deliveries] == ["applied"] * 2
        assert reasons(sql, pair) == ["name_of_another"] * 2


def test_many_names_entered_crosswise_end_in_no_deadlock(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(2)]
    for _ in range(10):
        references = [insert_payment(sql) for _ in range(6)]
        each_way = [
            [news(reference, attempt(uuid4().hex), capture(uuid4().hex, "240.00")) for reference in turned]
            for turned in (references, references[::-1])
        ]

        at_once([entering(app, *events) for app, events in zip(workers, each_way, strict=True)])

        assert {folded(sql, reference).captured for reference in references} == {"480"}
