"""``checkout payments accept``, ``review`` and ``refund``: the three ways out of a mismatch, by command line."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import Result
from flask import Flask

from checkout_service.oversight import settling
from checkout_service.telemetry.metrics import payments_total
from tests.capturing import authorized_payment, insert_capture_request, insert_void, request_row
from tests.conftest import Sql
from tests.money import capture, fold
from tests.oversight.conftest import InWorker
from tests.refunding import open_payment, paid_payment
from worker.commands import run_commands


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are left to the worker at once."""
    monkeypatch.setattr(settling, "PATIENCE", 0.0)


@pytest.fixture
def short(sql: Sql) -> UUID:
    """A payment of 240.00 of which 200.00 came."""
    payment, _ = open_payment(sql, amount="240.00")
    capture(sql, payment, "ch_1", "200")
    fold(sql, payment)
    return payment


def _run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["payments", *arguments])


def _now(sql: Sql, payment: UUID) -> Any:
    return sql(
        "SELECT status::text, review_reason, amount, amount_accepted, amount_refunding FROM payments WHERE id = :id",
        id=payment,
    )[0]


def _command(sql: Sql) -> Any:
    return sql("SELECT action, door, operator, subject, why, details FROM audit")[0]


def test_what_came_is_accepted(app: Flask, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    done = _run(app, "accept", str(short), "--amount", "200", "--why", "by telephone", "--operator", "ada")

    assert done.exit_code == 1
    assert "is kept, and is carried out as soon as workers run" in done.output
    row = _command(sql)
    assert (row.action, row.door, row.operator, row.subject, row.why) == (
        "accept",
        "cli",
        "ada",
        str(short),
        "by telephone",
    )
    counted = payments_total.labels("mock", "paid")._value.get()
    in_worker(run_commands)
    assert payments_total.labels("mock", "paid")._value.get() == counted + 1
    now = _now(sql, short)
    assert (now.status, now.review_reason) == ("paid", None)
    assert (now.amount, now.amount_accepted) == (240, 200)
    acceptance = sql("SELECT amount, operator, why FROM payment_acceptances")[0]
    assert tuple(acceptance) == (200, "ada", "by telephone")


def test_the_newest_acceptance_counts(app: Flask, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    for amount in ("200", "220"):
        _run(app, "accept", str(short), "--amount", amount, "--why", "by telephone")
        in_worker(run_commands)

    now = _now(sql, short)
    assert (now.status, now.review_reason, now.amount_accepted) == ("partially_paid", "mismatch", 220)


def test_what_was_seen_is_hidden_until_money_moves(app: Flask, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    _run(app, "review", str(short), "--why", "the customer will send the rest")
    assert _command(sql).details["reason"] == "mismatch"
    in_worker(run_commands)
    assert _now(sql, short).review_reason is None

    fold(sql, short)
    assert _now(sql, short).review_reason is None, "an echo raised it again"
    sql("UPDATE captures SET amount = 210")
    fold(sql, short)
    assert _now(sql, short).review_reason == "mismatch"


def test_money_that_comes_before_the_worker_is_not_hidden(
    app: Flask, in_worker: InWorker, sql: Sql, short: UUID
) -> None:
    _run(app, "review", str(short), "--why", "the customer will send the rest")
    capture(sql, short, "ch_2", "10")
    fold(sql, short)

    in_worker(run_commands)

    assert _now(sql, short).review_reason == "mismatch"
    assert sql("SELECT state FROM command_runs")[0].state == "refused"
    assert sql("SELECT FROM payment_reviews") == []


def test_nothing_to_look_at_is_no_command(app: Flask, sql: Sql) -> None:
    payment, _ = paid_payment(sql)

    done = _run(app, "review", str(payment), "--why", "nothing")

    assert (done.exit_code, sql("SELECT FROM audit")) == (0, [])
    assert "no reason to look" in done.output


def test_it_is_given_back(app: Flask, sql: Sql, short: UUID) -> None:
    done = _run(app, "refund", str(short), "--why", "came short", "--key", "k1", "--operator", "ada")

    assert done.exit_code == 0, done.output
    assert "200.00 USD is asked for, with the key k1" in done.output
    assert _now(sql, short).amount_refunding == 200
    again = _run(app, "refund", str(short), "--why", "came short", "--key", "k1", "--operator", "ada")
    assert "was asked for before" in again.output
    refund = sql("SELECT amount, reason, capture_ref, requested_by FROM refunds")
    assert [tuple(row)[:3] for row in refund] == [(200, "came short", "ch_1")]
    assert refund[0].requested_by.version == 5


def test_one_capture_is_given_back_by_itself(app: Flask, sql: Sql, short: UUID) -> None:
    capture(sql, short, "ch_2", "100")
    fold(sql, short)
    second = sql("SELECT id FROM captures WHERE capture_ref = 'ch_2'")[0].id

    done = _run(app, "refund", str(short), "--capture", str(second))

    assert done.exit_code == 0, done.output
    assert [tuple(row) for row in sql("SELECT amount, capture_ref FROM refunds")] == [(100, "ch_2")]


def test_more_than_is_left_is_refused_in_a_sentence(app: Flask, sql: Sql, short: UUID) -> None:
    done = _run(app, "refund", str(short), "--amount", "200.01")

    assert done.exit_code == 1
    assert "Only 200.00 USD can be given back now" in done.output
    assert sql("SELECT FROM refunds") == []


@pytest.mark.parametrize("command", ["accept", "refund"])
@pytest.mark.parametrize("amount", ["nonsense", "0", "-1", "1.234"])
def test_what_is_no_amount_is_refused(app: Flask, sql: Sql, short: UUID, command: str, amount: str) -> None:
    why = ["--why", "it"] if command == "accept" else []
    done = _run(app, command, str(short), f"--amount={amount}", *why)

    assert done.exit_code == 2, done.output
    assert sql("SELECT FROM audit") == []
    assert sql("SELECT FROM refunds") == []


@pytest.mark.parametrize("command", [["accept", "--amount", "1", "--why", "x"], ["review", "--why", "x"], ["refund"]])
def test_a_payment_that_is_not_there(app: Flask, sql: Sql, command: list[str]) -> None:
    name, *rest = command
    done = _run(app, name, str(uuid4()), *rest)

    assert done.exit_code == 1
    assert "There is no payment" in done.output
    assert sql("SELECT FROM audit") == []


def test_a_command_whose_answer_was_lost_is_done_once(app: Flask, in_worker: InWorker, sql: Sql, short: UUID) -> None:
    """The worker may die after the commit and before it writes down that the command is done."""
    _run(app, "review", str(short), "--why", "seen")
    _run(app, "accept", str(short), "--amount", "200", "--why", "by telephone")
    for _ in range(2):
        sql("UPDATE command_runs SET state = 'waiting', message = NULL, leased_until = now()")
        in_worker(run_commands)

    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["done", "done"]
    assert len(sql("SELECT FROM payment_acceptances")) == 1
    assert len(sql("SELECT FROM payment_reviews")) == 1
    assert _now(sql, short).status == "paid"


def _doubtful(sql: Sql, **columns: str) -> tuple[UUID, UUID]:
    payment, _ = authorized_payment(sql, refs=("at_1",))
    columns = {"status": "'processing'", "sent_at": "now() - interval '73 hours'", "in_doubt": "true"} | columns
    return payment, insert_capture_request(sql, payment, "200.00", **columns)


def test_a_capture_that_was_not_made_is_ended_and_a_void_may_go(app: Flask, in_worker: InWorker, sql: Sql) -> None:
    payment, request_id = _doubtful(sql)
    assert "capture_outstanding_too_long" in (checked := _run(app, "check").output)
    assert str(request_id) in checked

    for _ in range(2):
        _run(app, "settle-capture", str(request_id), "--failed", "--why", "not in the dashboard", "--operator", "ada")
        in_worker(run_commands)

    row = _command(sql)
    assert (row.action, row.operator, row.subject, row.why) == (
        "fail_capture",
        "ada",
        str(payment),
        "not in the dashboard",
    )
    assert row.details == {"capture_request": str(request_id)}
    assert [run.state for run in sql("SELECT state FROM command_runs")] == ["done", "done"]
    ended = request_row(sql, "capture_requests", request_id)
    assert (ended.now, ended.decline, ended.next_attempt_at) == ("failed", "not_in_this_state", None)
    insert_void(sql, payment)
    assert str(request_id) not in _run(app, "check").output


@pytest.mark.parametrize("status", ["'requested'", "'processing'"])
def test_a_capture_that_a_worker_may_be_asking_for_is_not_ended_yet(
    app: Flask, in_worker: InWorker, sql: Sql, status: str
) -> None:
    _, request_id = _doubtful(sql, status=status, attempts="3", next_attempt_at="now() + interval '80 seconds'")
    _run(app, "settle-capture", str(request_id), "--failed", "--why", "not in the dashboard")

    in_worker(run_commands)
    assert sql("SELECT state FROM command_runs")[0].state == "waiting"
    assert request_row(sql, "capture_requests", request_id).now == status.strip("'")

    sql("UPDATE capture_requests SET next_attempt_at = now() + interval '30 minutes'")
    sql("UPDATE command_runs SET leased_until = now()")
    in_worker(run_commands)
    assert sql("SELECT state FROM command_runs")[0].state == "done"
    assert request_row(sql, "capture_requests", request_id).now == "failed"


@pytest.mark.parametrize("columns", [{"in_doubt": "false"}, {"status": "'succeeded'", "in_doubt": "false"}])
def test_a_capture_that_is_not_in_doubt_is_left(
    app: Flask, in_worker: InWorker, sql: Sql, columns: dict[str, str]
) -> None:
    _, request_id = _doubtful(sql, **columns)
    before = request_row(sql, "capture_requests", request_id).now

    _run(app, "settle-capture", str(request_id), "--failed", "--why", "impatience")
    in_worker(run_commands)

    assert tuple(sql("SELECT state, message FROM command_runs")[0]) == (
        "refused",
        f"the capture is {before}, and not in doubt",
    )
    assert request_row(sql, "capture_requests", request_id).now == before


@pytest.mark.parametrize(("flags", "code"), [([], 2), (["--failed"], 1)])
def test_without_a_capture_or_without_its_end_nothing_is_done(
    app: Flask, sql: Sql, flags: list[str], code: int
) -> None:
    done = _run(app, "settle-capture", str(uuid4()), *flags, "--why", "x")

    assert done.exit_code == code, done.output
    assert sql("SELECT FROM audit") == []


@pytest.mark.parametrize("action", ["accept", "review", "fail_capture"])
def test_a_payment_that_is_gone_refuses_the_command(app: Flask, in_worker: InWorker, sql: Sql, action: str) -> None:
    sql(
        """WITH command AS (
            INSERT INTO audit (key, door, operator, action, subject, why, details)
            VALUES (uuidv7(), 'cli', 'ada', :action, CAST(uuidv7() AS text), '',
                '{"amount": "1", "reason": "mismatch", "capture_request": "019a0000-0000-7000-8000-000000000000"}')
            RETURNING id
        ) INSERT INTO command_runs (id) SELECT id FROM command""",
        action=action,
    )

    in_worker(run_commands)

    run = sql("SELECT state, message FROM command_runs")[0]
    assert tuple(run) == ("refused", "there is no such payment")
