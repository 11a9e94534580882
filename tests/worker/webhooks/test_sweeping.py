"""The sweep sends wake-ups for what was left lying: bounded, and harmless twice at once."""

from __future__ import annotations

import pytest
import redis
from flask import Flask
from sqlalchemy import text

from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from worker.webhooks import sweeping
from worker.webhooks.sweeping import STEP, _Walk, sweep
from worker.webhooks.task import process

TOO_SLOW = text("DO $$ BEGIN RAISE SQLSTATE '57014'; END $$")
"""Ends as a statement does that takes too long."""


def insert_many(sql: Sql, many: int, **columns: str) -> None:
    names, values = ", ".join(columns), ", ".join(columns.values())
    sql(
        f"INSERT INTO webhook_deliveries (provider, body, {names}) SELECT 'mock', '{{}}', {values} "
        "FROM generate_series(1, :many) AS n",
        many=many,
    )


@pytest.mark.usefixtures("worker")
def test_the_sweep_rescues_a_webhook_whose_message_was_lost(sql: Sql, broker: redis.Redis, messages: Messages) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    sweep()
    assert messages() == [], "within its first seconds a webhook's own wake-up may still come"
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")

    sweep()

    ((notified,),) = messages()
    assert notified == str(delivery)
    process(notified)
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
    broker.delete("webhooks")
    sweep()
    assert messages() == []


@pytest.mark.usefixtures("worker")
def test_one_wake_up_is_enough_for_all_that_were_never_tried(sql: Sql, messages: Messages) -> None:
    insert_many(sql, 50, next_attempt_at="now() - n * interval '1 second'")

    sweep()

    assert len(messages()) == 1


@pytest.mark.usefixtures("worker")
def test_each_webhook_that_was_tried_has_a_message_of_its_own_the_oldest_first_up_to_500(
    sql: Sql, messages: Messages
) -> None:
    insert_many(sql, STEP + 50, attempts="1 + n % 5", next_attempt_at="now() - n * interval '1 second'")
    oldest = [str(row.id) for row in sql(f"SELECT id FROM webhook_deliveries ORDER BY next_attempt_at LIMIT {STEP}")]

    assert sweep() == f"woke workers for {STEP} webhooks"

    assert [notified for (notified,) in messages()] == oldest


@pytest.mark.usefixtures("worker")
def test_what_is_not_due_is_left_alone(sql: Sql, messages: Messages) -> None:
    soon = "now() + interval '2 seconds'"
    insert_webhook(sql, b"{}", attempts=3, next_attempt_at=soon)
    insert_webhook(sql, b"{}", state="'parked'", next_attempt_at=soon)
    for state in ("applied", "duplicate", "ignored", "failed"):
        insert_webhook(sql, b"{}", state=f"'{state}'", next_attempt_at="now() - interval '1 day'")
    for due in ("NULL", soon):
        insert_webhook(sql, b"{}", state="'rejected'", next_attempt_at=due)
    before = sql("SELECT * FROM webhook_deliveries ORDER BY id")

    sweep()

    assert messages() == []
    assert sql("SELECT * FROM webhook_deliveries ORDER BY id") == before


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("step", ["_bring_forward", "_walk"])
def test_a_step_that_fails_keeps_no_other_from_ringing(
    sql: Sql, messages: Messages, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    delivery = insert_webhook(sql, b"{}", attempts=1, next_attempt_at="now()")
    insert_webhook(sql, b"{}", state="'parked'", next_attempt_at="now() + interval '70 hours'")
    monkeypatch.setattr(sweeping, step, TOO_SLOW)

    words = sweep()

    assert messages() == [(str(delivery),)]
    assert words == "the database is unavailable"


@pytest.mark.usefixtures("worker", "messages")
@pytest.mark.parametrize("step", ["_bring_forward", "_bring_named_forward"])
def test_nobody_looks_through_new_payments_while_nothing_is_parked(
    sql: Sql, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    insert_webhook(sql, b"{}", state="'failed'", next_attempt_at="NULL")
    monkeypatch.setattr(sweeping, step, TOO_SLOW)

    assert sweep() == "woke workers for 0 webhooks"

    insert_webhook(sql, b"{}", state="'parked'", next_attempt_at="now() + interval '70 hours'")
    assert sweep() == "the database is unavailable"


def test_two_sweeps_at_once_send_one_message_a_webhook(sql: Sql, make_worker: MakeWorker, messages: Messages) -> None:
    insert_many(sql, 40, attempts="1", next_attempt_at="now()")
    sweepers = [make_worker() for _ in range(4)]

    at_once([lambda app=app: _sweep(app) for app in sweepers])

    notified = [notified for (notified,) in messages()]
    assert len(notified) == len(set(notified)) == 40


def test_sweeps_at_once_bring_parked_webhooks_forward_without_deadlock(
    sql: Sql, make_worker: MakeWorker, messages: Messages
) -> None:
    references = [insert_payment(sql) for _ in range(60)]
    deliveries = [
        insert_webhook(
            sql,
            webhook(reference),
            state="'parked'",
            provider_ref=f"'{reference}'",
            next_attempt_at="now() + interval '70 hours'",
        )
        for reference in references
    ]
    sweepers = [make_worker() for _ in range(4)]

    for _ in range(3):
        words = at_once([lambda app=app: _sweep(app) for app in sweepers])
        assert all(line.startswith("woke workers for") for line in words)

    assert {notified for (notified,) in messages()} == {str(delivery) for delivery in deliveries}
    assert all(webhook_row(sql, delivery).due_in < 1 for delivery in deliveries)


@pytest.mark.usefixtures("worker")
def test_parked_webhooks_are_brought_forward_in_bounded_steps(sql: Sql) -> None:
    reference = insert_payment(sql)
    insert_many(
        sql, STEP * 2, state="'parked'", provider_ref=f"'{reference}'", next_attempt_at="now() + interval '70 hours'"
    )
    insert_many(sql, 20, state="'parked'", provider_ref="'pi_' || n", next_attempt_at="now() + interval '70 hours'")
    sql("UPDATE payments SET created_at = now() - interval '1 day'")
    forward = "SELECT count(*) FROM webhook_deliveries WHERE state = 'parked' AND next_attempt_at <= now()"

    _Walk.provider = _Walk.reference = ""

    for brought in (STEP, STEP * 2, STEP * 2):
        sweep()
        assert sql(forward)[0].count == brought


def _sweep(app: Flask) -> str:
    with app.app_context():
        return sweep()
