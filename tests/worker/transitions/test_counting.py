"""Payments that come to another status are counted, by provider and status, once what moved them is committed."""

from __future__ import annotations

import pytest
from flask import Flask

from checkout_service.database.engine import transaction
from checkout_service.payments.status import PaymentStatus
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.telemetry import metrics
from tests.conftest import Sql, Statements
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import event
from tests.worker.transitions.entered import enter
from worker.transitions.outcomes import ReceivedEvent, received_now
from worker.transitions.recording import record
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


def counted() -> dict[str, float]:
    """By status, of the mock provider's; those that are 0 are left out."""
    values = {
        status.value: metrics.payments_total.labels("mock", status.value)._value.get() for status in PaymentStatus
    }
    return {status: value for status, value in values.items() if value}


def since(before: dict[str, float]) -> dict[str, float]:
    now = counted()
    return {status: now[status] - before.get(status, 0) for status in now if now[status] != before.get(status, 0)}


def test_each_move_is_counted_once_and_an_echo_not_at_all(sql: Sql) -> None:
    reference, before = insert_payment(sql), counted()
    for status, expected in (
        ("processing", {"processing": 1}),
        ("paid", {"processing": 1, "paid": 1}),
        ("processing", {"processing": 1, "paid": 1}),
        ("paid", {"processing": 1, "paid": 1}),
    ):
        process(str(insert_webhook(sql, webhook(reference, status))))
        assert since(before) == expected


def test_a_set_is_counted_whole_and_takes_no_statement_more(sql: Sql, statements: Statements) -> None:
    references, before = [insert_payment(sql) for _ in range(50)], counted()
    events: list[ReceivedEvent] = received_now([event(reference, "paid") for reference in references])
    enter(event("unknown", "paid"))  # connects

    with statements() as seen, transaction() as connection:
        recorded = record(connection, events)
    assert since(before) == {}, "nothing has happened before the commit"
    made = len(seen)
    recorded.follow_up()

    assert since(before) == {"paid": 50}
    assert len(seen) == made


def test_the_series_of_a_workers_providers_begin_at_0(make_worker: MakeWorker) -> None:
    """An alarm on a rate sees nothing of a series that begins with its first event."""
    fresh = {"mock": Account(secrets=[Secret("a secret of tests")])}
    worker: Flask = make_worker(accounts=fresh)
    assert worker
    page = metrics.expose().decode()
    for status in ("paid", "failed", "expired", "canceled", "reversed"):
        assert f'payments_total{{provider="mock",status="{status}"}} ' in page
    assert 'webhook_deliveries_total{provider="mock",state="rejected"} ' in page
    for reason in ("unknown_type", "not_ours", "nothing_to_record"):
        assert f'webhooks_ignored_total{{provider="mock",reason="{reason}"}} ' in page
