"""What must always hold: checked of all rows by a command, counted among the most telling ones by the metrics."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.oversight.gauges import Violations
from tests.conftest import Sql
from tests.oversight.conftest import InWorker, add_session
from tests.refunding import insert_refund, paid_payment
from tests.webhook_bodies import insert_payment, insert_webhook, webhook
from worker.webhooks.task import process

NAMES = (
    "status_without_event",
    "stuck_open",
    "webhook_pending_too_long",
    "session_without_payment",
    "refunds_add_up",
    "refund_outstanding_too_long",
)


def with_refund(sql: Sql) -> None:
    """A payment with an event behind it, and a refund that was asked for."""
    payment, _ = paid_payment(sql)
    insert_refund(sql, payment)
    sql(
        """INSERT INTO payment_events (provider, event_id, payment_id, status, outcome)
        VALUES ('mock', 'evt_of_refunded', :id, 'paid', 'applied')""",
        id=payment,
    )


def _check(app: Flask, *arguments: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["payments", "check", *arguments])
    return done.exit_code, done.output


def _counts(app: Flask) -> dict[str, float]:
    with app.app_context():
        (gauge,) = Violations().collect()
    return {sample.labels["invariant"]: sample.value for sample in gauge.samples}


def test_all_is_well_after_verified_work(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    for status in ("paid", "failed", "processing", "canceled", "reversed"):
        in_worker(process, str(insert_webhook(sql, webhook(insert_payment(sql), status))))
    for refund_ref, status in (("re_1", "succeeded"), ("re_2", "processing"), ("re_3", "failed")):
        reference = sql("SELECT provider_ref FROM payments WHERE status = 'paid'")[0].provider_ref
        body = webhook(reference, status, refund_ref=refund_ref, amount="9.00", currency="USD")
        in_worker(process, str(insert_webhook(sql, body)))
    insert_payment(sql)
    insert_webhook(sql, webhook("mock_pi_not_here_yet"))

    status, printed = _check(app)

    assert status == 0, printed
    assert [line.split()[:2] for line in printed.splitlines()] == [["ok", name] for name in NAMES]
    assert _counts(app) == dict.fromkeys(NAMES, 0)


OPEN = "WHERE status = 'pending'"


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        ("status_without_event", f"UPDATE payments SET status = 'paid', next_look_up_at = NULL {OPEN}"),
        ("status_without_event", f"UPDATE payments SET status = 'reversed', next_look_up_at = NULL {OPEN}"),
        ("stuck_open", f"UPDATE payments SET next_look_up_at = NULL {OPEN}"),
        ("stuck_open", f"UPDATE payments SET next_look_up_at = now() - interval '31 minutes' {OPEN}"),
        ("stuck_open", "UPDATE checkout_sessions SET expires_at = now() - interval '61 minutes'"),
        ("webhook_pending_too_long", "UPDATE webhook_deliveries SET received_at = now() - interval '16 minutes'"),
        ("session_without_payment", "UPDATE checkout_sessions SET amount = amount + 1"),
        ("refunds_add_up", "UPDATE payments SET amount_refunding = amount_refunding - 1 WHERE status = 'paid'"),
        ("refunds_add_up", "UPDATE payments SET amount_refunded = amount_refunded + 1 WHERE status = 'paid'"),
        ("refund_outstanding_too_long", "UPDATE refunds SET created_at = now() - interval '31 minutes'"),
        (
            "refund_outstanding_too_long",
            "UPDATE refunds SET status = 'processing', next_attempt_at = now() - interval '31 minutes'",
        ),
        ("refund_outstanding_too_long", "UPDATE cancel_requests SET next_attempt_at = now() - interval '31 minutes'"),
    ],
)
def test_a_broken_promise_is_named_and_counted(app: Flask, sql: Sql, name: str, breakage: str) -> None:
    insert_payment(sql)
    insert_webhook(sql, webhook("mock_pi_any"))
    ((payment_id,),) = sql("SELECT id FROM payments")
    add_session(sql, payment_id)
    sql("INSERT INTO cancel_requests (payment_id, requested_by) VALUES (:id, :id)", id=payment_id)
    with_refund(sql)
    sql(breakage)

    status, printed = _check(app)

    assert status == 1
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("WRONG")] == [name]
    assert "What to do:" in printed
    assert _counts(app) == {other: float(other == name) for other in NAMES}


def test_a_paid_event_that_moved_nothing_is_noticed(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    reference = insert_payment(sql)
    in_worker(process, str(insert_webhook(sql, webhook(reference, "failed"))))
    sql("UPDATE payment_events SET status = 'paid'")
    status, printed = _check(app)
    assert status == 1
    assert "is failed, its events say paid" in printed


def test_many_wrong_rows_are_counted_and_few_named(app: Flask, sql: Sql) -> None:
    for _ in range(5):
        insert_payment(sql, status="paid")
    status, printed = _check(app, "--limit", "2")
    assert status == 1
    assert printed.count("its events say nothing") == 2
    assert "and 3 more" in printed


def test_the_limits_can_be_set(app: Flask, sql: Sql) -> None:
    insert_webhook(sql, webhook("mock_pi_any"), received_at="now() - interval '16 minutes'")
    assert _check(app)[0] == 1
    assert _check(app, "--pending", "20m")[0] == 0


def test_the_metrics_show_it(client: FlaskClient, sql: Sql) -> None:
    text = client.get("/metrics").text
    assert all(f'checkout_invariant_violations{{invariant="{name}"}}' in text for name in NAMES)
