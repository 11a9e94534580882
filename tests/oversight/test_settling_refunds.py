"""``checkout payments settle-refund``: what a person saw of a refund that is in doubt, and what becomes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy.exc import DBAPIError

from checkout_service.database.engine import transaction
from checkout_service.oversight import settling
from checkout_service.telemetry.metrics import refunds_total
from tests.conftest import Sql
from tests.oversight.conftest import InWorker
from tests.refunding import insert_refund, paid_payment, refund_event, refund_row, sums
from tests.webhook_bodies import insert_webhook, state_of, webhook
from tests.worker.scripted import ScriptedProvider
from worker.commands import run_commands
from worker.outstanding import InDoubtError
from worker.refunds.task import refund as refund_now
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record
from worker.webhooks.task import process


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are left to the worker at once."""
    monkeypatch.setattr(settling, "PATIENCE", 0.0)


def _run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["payments", "settle-refund", *arguments])


def _doubtful(sql: Sql, **columns: str) -> tuple[UUID, str, UUID]:
    """A payment of 100.00, its reference, and its refund of 40.00, which was sent a day ago and is in doubt."""
    payment, reference = paid_payment(sql)
    refund_id = insert_refund(sql, payment)
    sent = {
        "attempts": "9",
        "sent_at": "now() - interval '25 hours'",
        "next_attempt_at": "now() + interval '50 minutes'",
        "in_doubt": "true",
    }
    written = ", ".join(f"{name} = {value}" for name, value in (sent | columns).items())
    sql(f"UPDATE refunds SET {written} WHERE id = :id", id=refund_id)
    assert sums(sql, payment) == ("0.00", "40.00")
    return payment, reference, refund_id


def _runs(sql: Sql) -> list[Any]:
    return [tuple(row) for row in sql("SELECT state, message FROM command_runs ORDER BY id")]


def _report(in_worker: InWorker, *events: Any) -> None:
    def recording() -> None:
        with transaction() as connection:
            record(connection, received_now(events))

    in_worker(recording)


def test_one_that_was_made_counts_as_if_the_provider_had_confirmed_it(
    app: Flask, in_worker: InWorker, sql: Sql
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    counted = refunds_total.labels("mock", "succeeded")._value.get()

    for _ in range(2):
        done = _run(app, str(refund_id), "--made", " re_9 ", "--why", "in the dashboard", "--operator", "ada")
        assert "is kept, and is carried out as soon as workers run" in done.output
        in_worker(run_commands)

    row = sql("SELECT action, door, operator, subject, why, details FROM audit LIMIT 1")[0]
    assert tuple(row)[:5] == ("settle_refund", "cli", "ada", str(payment), "in the dashboard")
    assert row.details == {"refund": str(refund_id), "made": True, "reference": "re_9"}
    assert _runs(sql) == [("done", "the refund was made, as re_9")] * 2
    ended = refund_row(sql, refund_id)
    assert (ended.now, ended.provider_ref, ended.next_attempt_at) == ("succeeded", "re_9", None)
    assert sums(sql, payment) == ("40.00", "0.00")
    assert refunds_total.labels("mock", "succeeded")._value.get() == counted + 1
    # What the provider tells later is the same once more.
    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_9"))
    assert sums(sql, payment) == ("40.00", "0.00")
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None
    # And that the bank sent it back still counts.
    _report(in_worker, refund_event(reference, "failed", refund_ref="re_9"))
    assert sums(sql, payment) == ("0.00", "0.00")


def test_one_that_was_not_made_holds_nothing_and_may_be_requested_again(
    app: Flask, in_worker: InWorker, sql: Sql
) -> None:
    payment, _, refund_id = _doubtful(sql)

    for _ in range(2):
        _run(app, str(refund_id), "--not-made", "--why", "not in the dashboard")
        in_worker(run_commands)

    assert [state for state, _ in _runs(sql)] == ["done", "done"]
    ended = refund_row(sql, refund_id)
    assert (ended.now, ended.decline, ended.detail) == (
        "failed",
        "not_in_this_state",
        "not made: an operator saw that",
    )
    assert sums(sql, payment) == ("0.00", "0.00")
    insert_refund(sql, payment, "100.00")
    assert sums(sql, payment) == ("0.00", "100.00")


def test_of_two_operators_the_first_is_right_and_the_second_is_refused(
    app: Flask, in_worker: InWorker, sql: Sql
) -> None:
    payment, _, refund_id = _doubtful(sql)

    _run(app, str(refund_id), "--made", "re_9", "--why", "there")
    _run(app, str(refund_id), "--not-made", "--why", "not there")
    _run(app, str(refund_id), "--made", "re_10", "--why", "there")
    in_worker(run_commands)

    assert _runs(sql) == [
        ("done", "the refund was made, as re_9"),
        ("refused", "the refund is succeeded, and not in doubt"),
        ("refused", "the refund is succeeded, and not in doubt"),
    ]
    assert sums(sql, payment) == ("40.00", "0.00")


@pytest.mark.parametrize(("status", "expected"), [("succeeded", "40.00"), ("failed", "0.00")])
@pytest.mark.parametrize("answer", [["--made", "re_9"], ["--not-made"]])
def test_a_webhook_that_was_faster_is_what_counts(
    app: Flask, in_worker: InWorker, sql: Sql, answer: list[str], status: str, expected: str
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    _run(app, str(refund_id), *answer, "--why", "seen")
    _report(in_worker, refund_event(reference, status, refund_ref="re_1", refund_id=refund_id))

    in_worker(run_commands)

    assert refund_row(sql, refund_id).now == status
    assert sums(sql, payment) == (expected, "0.00")
    state, message = _runs(sql)[0]
    if (answer, status) == (["--not-made"], "failed"):
        assert state == "done"
    else:
        assert (state, message) == ("refused", f"the refund is {status}, and not in doubt")


@pytest.mark.parametrize("amount", ["40.00", "39.00"])
def test_a_provider_that_made_it_all_the_same_is_what_counts(
    app: Flask, in_worker: InWorker, sql: Sql, amount: str
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    _run(app, str(refund_id), "--not-made", "--why", "not there")
    in_worker(run_commands)
    made = refund_event(reference, "succeeded", refund_ref="re_1", refund_id=refund_id, amount=Decimal(amount))

    for _ in range(2):
        _report(in_worker, made)

    assert "refund_mismatch" in sql("SELECT review_reason FROM payments")[0].review_reason
    assert refund_row(sql, refund_id).now == "failed"
    assert sums(sql, payment) == (amount, "0.00")
    with pytest.raises(DBAPIError, match="left to give back"):
        insert_refund(sql, payment, "100.00")
    # By whatever it is named, it is one refund; and that the bank sent it back counts.
    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_1", amount=Decimal(amount)))
    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_1", refund_id=refund_id, amount=None))
    assert sums(sql, payment) == (amount, "0.00")
    _report(in_worker, refund_event(reference, "failed", refund_ref="re_1", refund_id=refund_id, amount=None))
    assert sums(sql, payment) == ("0.00", "0.00")


@pytest.mark.parametrize("answer", [["--made", "re_9"], ["--not-made"]])
def test_one_that_a_worker_may_be_asking_for_is_not_ended_yet(
    app: Flask, in_worker: InWorker, sql: Sql, answer: list[str]
) -> None:
    payment, _, refund_id = _doubtful(sql, next_attempt_at="now() + interval '80 seconds'")
    _run(app, str(refund_id), *answer, "--why", "not there")

    in_worker(run_commands)
    assert _runs(sql)[0][0] == "waiting"
    assert refund_row(sql, refund_id).now == "requested"
    assert sums(sql, payment) == ("0.00", "40.00")

    sql("UPDATE refunds SET next_attempt_at = now() + interval '30 minutes'")
    sql("UPDATE command_runs SET leased_until = now()")
    in_worker(run_commands)
    assert _runs(sql)[0][0] == "done"
    assert refund_row(sql, refund_id).now == ("failed" if answer == ["--not-made"] else "succeeded")


@pytest.fixture
def scripted(worker_app: Flask, monkeypatch: pytest.MonkeyPatch) -> ScriptedProvider:
    """The provider, which says what the test tells it to."""
    provider = ScriptedProvider()
    monkeypatch.setitem(worker_app.extensions, "providers", {provider.name: provider})
    return provider


def test_a_refund_in_doubt_is_looked_for_and_not_sent_again(
    in_worker: InWorker, scripted: ScriptedProvider, sql: Sql
) -> None:
    _, _, refund_id = _doubtful(sql, sent_at="now() - interval '1 minute'", next_attempt_at="now()")

    with pytest.raises(InDoubtError):
        in_worker(refund_now, str(refund_id))

    assert (scripted.refunded, len(scripted.looked_up)) == ([], 1)


@pytest.mark.parametrize("answer", [["--made", "re_X1"], ["--not-made"]])
def test_what_the_provider_answers_goes_before_what_was_copied(
    app: Flask, in_worker: InWorker, scripted: ScriptedProvider, sql: Sql, answer: list[str]
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    scripted.truths[reference] = [refund_event(reference, "succeeded", refund_ref="re_X")]
    _run(app, str(refund_id), *answer, "--why", "seen")
    in_worker(run_commands)

    state, message = _runs(sql)[0]
    assert (state, "re_X" in message.removesuffix("re_X1")) == ("refused", True)
    assert refund_row(sql, refund_id).now == "requested"

    scripted.truths[reference] = [refund_event(reference, "succeeded", refund_ref="re_X", refund_id=refund_id)]
    _run(app, str(refund_id), *answer, "--why", "seen")
    in_worker(run_commands)
    assert _runs(sql)[1] == ("refused", "the refund is succeeded, and not in doubt")
    assert (refund_row(sql, refund_id).provider_ref, sums(sql, payment)) == ("re_X", ("40.00", "0.00"))


@pytest.mark.parametrize("answer", [["--made", "re_X1"], ["--not-made"]])
def test_a_verified_webhook_that_waits_goes_before_what_was_copied(
    app: Flask, in_worker: InWorker, scripted: ScriptedProvider, sql: Sql, answer: list[str]
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    body = webhook(reference)
    scripted.webhooks[body] = [refund_event(reference, "succeeded", refund_ref="re_X")]
    delivery = insert_webhook(sql, body)
    in_worker(process, str(delivery))
    assert state_of(sql, delivery) == "received"

    _run(app, str(refund_id), *answer, "--why", "seen")
    in_worker(run_commands)

    state, message = _runs(sql)[0]
    assert (state, "re_X" in message.removesuffix("re_X1")) == ("refused", True)
    assert sums(sql, payment) == ("0.00", "40.00")
    _run(app, str(refund_id), "--made", "re_X", "--why", "seen again")
    in_worker(run_commands)
    assert _runs(sql)[1][0] == "done"
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    in_worker(process, str(delivery))
    assert (state_of(sql, delivery), sums(sql, payment)) == ("applied", ("40.00", "0.00"))


@pytest.mark.parametrize("unnamed_first", [False, True])
def test_the_providers_name_replaces_one_that_was_mistyped(
    app: Flask, in_worker: InWorker, sql: Sql, unnamed_first: bool
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    _run(app, str(refund_id), "--made", "re_X1", "--why", "there")
    in_worker(run_commands)
    if unnamed_first:
        _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_X"))
        assert sums(sql, payment) == ("80.00", "0.00"), "what a provider reports is entered"
        assert "refund_mismatch" in sql("SELECT review_reason FROM payments")[0].review_reason

    for _ in range(2):
        _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_X", refund_id=refund_id))
        assert sums(sql, payment) == ("40.00", "0.00")

    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_X"))
    assert sums(sql, payment) == ("40.00", "0.00")
    named = [row.provider_ref for row in sql("SELECT provider_ref FROM refunds WHERE status = 'succeeded'")]
    assert named == ["re_X"]
    if not unnamed_first:
        assert sql("SELECT review_reason FROM payments")[0].review_reason is None
        # From here on the name is the provider's, and stays.
        _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_Y", refund_id=refund_id))
        assert refund_row(sql, refund_id).provider_ref == "re_X"
    # What the operator saw was another refund, of which the provider tells late.
    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_X1"))
    assert sums(sql, payment) == ("80.00", "0.00")


def test_a_name_that_an_operator_took_from_another_refund_is_given_back(
    app: Flask, in_worker: InWorker, sql: Sql
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    _run(app, str(refund_id), "--made", "re_Z", "--why", "there")
    in_worker(run_commands)
    assert sums(sql, payment) == ("40.00", "0.00")

    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_Z", amount=Decimal("7.00")))
    assert sums(sql, payment) == ("47.00", "0.00"), "what a provider reports is entered"
    assert "refund_mismatch" in sql("SELECT review_reason FROM payments")[0].review_reason
    _report(in_worker, refund_event(reference, "succeeded", refund_ref="re_own", refund_id=refund_id))
    assert sums(sql, payment) == ("47.00", "0.00")
    assert refund_row(sql, refund_id).provider_ref == "re_own"


def test_a_name_that_is_known_for_something_else_is_refused_and_flags_nothing(
    app: Flask, in_worker: InWorker, sql: Sql
) -> None:
    payment, reference, refund_id = _doubtful(sql)
    other_payment, _, other = _doubtful(sql)
    sql("UPDATE refunds SET status = 'succeeded', provider_ref = 're_9' WHERE id = :id", id=other)

    for named in ("re_9", reference):
        _run(app, str(refund_id), "--made", named, "--why", "there")
    in_worker(run_commands)

    assert _runs(sql) == [
        ("refused", f"re_9 is the name of something else, of payment {other_payment}"),
        ("refused", f"{reference} is the payment, and not the refund"),
    ]
    assert refund_row(sql, refund_id).now == "requested"
    assert sums(sql, payment) == ("0.00", "40.00")
    assert {row.review_reason for row in sql("SELECT review_reason FROM payments")} == {None}


@pytest.mark.parametrize("columns", [{"in_doubt": "false"}, {"status": "'processing'", "provider_ref": "'re_1'"}])
@pytest.mark.parametrize("answer", [["--made", "re_9"], ["--not-made"]])
def test_one_that_is_not_in_doubt_is_left(
    app: Flask, in_worker: InWorker, sql: Sql, columns: dict[str, str], answer: list[str]
) -> None:
    _, _, refund_id = _doubtful(sql, **columns)
    before = refund_row(sql, refund_id)

    _run(app, str(refund_id), *answer, "--why", "impatience")
    in_worker(run_commands)

    assert _runs(sql) == [("refused", f"the refund is {before.now}, and not in doubt")]
    assert refund_row(sql, refund_id).version == before.version


@pytest.mark.parametrize(
    "answer",
    [[], ["--made", "re_9", "--not-made"], ["--made", ""], ["--made", "a b"], ["--made", "x" * 256], ["--made", "é"]],
)
def test_what_is_no_answer_is_wrong_use(app: Flask, sql: Sql, answer: list[str]) -> None:
    _, _, refund_id = _doubtful(sql)

    assert _run(app, str(refund_id), *answer, "--why", "x").exit_code == 2
    assert sql("SELECT FROM audit") == []


def test_a_refund_that_is_not_there(app: Flask, sql: Sql) -> None:
    done = _run(app, str(uuid4()), "--not-made", "--why", "x")

    assert (done.exit_code, "There is no refund" in done.output) == (1, True)
    assert sql("SELECT FROM audit") == []
