"""What must always hold: checked of all rows by a command, counted among the most telling ones by the metrics."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.oversight.gauges import Violations
from tests.conftest import Sql
from tests.letters import insert_letter, insert_payment, letter
from tests.oversight.conftest import InWorker, add_session
from worker.webhooks import process

NAMES = ("status_without_fact", "stuck_open", "letter_owed", "session_without_payment")


def _check(app: Flask, *arguments: str) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["payments", "check", *arguments])
    return done.exit_code, done.output


def _counts(app: Flask) -> dict[str, float]:
    with app.app_context():
        (gauge,) = Violations().collect()
    return {sample.labels["invariant"]: sample.value for sample in gauge.samples}


def test_all_is_well_after_genuine_work(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    for status in ("paid", "failed", "processing", "canceled", "reversed"):
        in_worker(process, str(insert_letter(sql, letter(insert_payment(sql), status))))
    insert_payment(sql)
    insert_letter(sql, letter("mock_pi_not_here_yet"))

    status, said = _check(app)

    assert status == 0, said
    assert [line.split()[:2] for line in said.splitlines()] == [["ok", name] for name in NAMES]
    assert _counts(app) == dict.fromkeys(NAMES, 0)


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        ("status_without_fact", "UPDATE payments SET status = 'paid', next_look_up_at = NULL"),
        ("status_without_fact", "UPDATE payments SET status = 'reversed', next_look_up_at = NULL"),
        ("stuck_open", "UPDATE payments SET next_look_up_at = NULL"),
        ("stuck_open", "UPDATE payments SET next_look_up_at = now() - interval '31 minutes'"),
        ("stuck_open", "UPDATE checkout_sessions SET expires_at = now() - interval '61 minutes'"),
        ("letter_owed", "UPDATE webhook_deliveries SET received_at = now() - interval '16 minutes'"),
        ("session_without_payment", "UPDATE checkout_sessions SET amount = amount + 1"),
    ],
)
def test_a_broken_promise_is_named_and_counted(app: Flask, sql: Sql, name: str, breakage: str) -> None:
    insert_payment(sql)
    insert_letter(sql, letter("mock_pi_any"))
    ((payment_id,),) = sql("SELECT id FROM payments")
    add_session(sql, payment_id)
    sql(breakage)

    status, said = _check(app)

    assert status == 1
    assert [line.split()[1] for line in said.splitlines() if line.startswith("WRONG")] == [name]
    assert "What to do:" in said
    assert _counts(app) == {other: float(other == name) for other in NAMES}


def test_a_paid_fact_that_moved_nothing_is_noticed(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    reference = insert_payment(sql)
    in_worker(process, str(insert_letter(sql, letter(reference, "failed"))))
    sql("UPDATE payment_events SET status = 'paid'")
    status, said = _check(app)
    assert status == 1
    assert "is failed, its facts say paid" in said


def test_many_wrong_rows_are_counted_and_few_named(app: Flask, sql: Sql) -> None:
    for _ in range(5):
        insert_payment(sql, status="paid")
    status, said = _check(app, "--limit", "2")
    assert status == 1
    assert said.count("its facts say nothing") == 2
    assert "and 3 more" in said


def test_the_limits_can_be_set(app: Flask, sql: Sql) -> None:
    insert_letter(sql, letter("mock_pi_any"), received_at="now() - interval '16 minutes'")
    assert _check(app)[0] == 1
    assert _check(app, "--owed", "20m")[0] == 0


def test_the_metrics_show_it(client: FlaskClient, sql: Sql) -> None:
    text = client.get("/metrics").text
    assert all(f'checkout_invariant_violations{{invariant="{name}"}}' in text for name in NAMES)
