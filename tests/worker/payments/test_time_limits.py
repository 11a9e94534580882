"""Attempts that are past their time, and authorisations that end: what is known before it comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from checkout_service.database.errors import DatabaseLockedError
from checkout_service.payments.status import AttemptStatus
from checkout_service.providers.base import ProviderEvent, ProviderUnavailableError
from checkout_service.providers.entries import AttemptEntry, NoneUnderWayEntry
from checkout_service.telemetry.metrics import payments_total
from tests.capturing import authorized_payment
from tests.conftest import Sql
from tests.money import fold
from tests.worker.promises import insert_promise
from tests.worker.scripted import ScriptedProvider
from worker.payments import attempts
from worker.payments.look_ups import expire, look_up
from worker.transitions.outcomes import Recorded
from worker.transitions.recording import record

PAST = "now() - interval '1 minute'"


def under_way(sql: Sql, *, times_out_at: str = PAST, ref: str = "debit_1") -> tuple[UUID, str]:
    """A payment whose session is over, with a bank debit under way that is past its time; its id and reference."""
    reference = insert_promise(sql, ends="now() - interval '1 second'")
    payment = sql("SELECT id FROM payments WHERE provider_ref = :ref", ref=reference)[0].id
    sql(
        f"""INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, times_out_at)
        VALUES (:id, 'mock', :ref, 'under_way', now() - interval '9 days', {times_out_at})""",
        id=payment,
        ref=ref,
    )
    fold(sql, payment)
    return payment, reference


def row_of(sql: Sql, payment: UUID) -> Any:
    return sql(
        """SELECT payment.status::text AS now, payment.under_way, payment.review_reason, attempt.given_up_at
        FROM payments AS payment JOIN payment_attempts AS attempt ON attempt.payment_id = payment.id
        WHERE payment.id = :id""",
        id=payment,
    )[0]


def reported(reference: str, *entries: Any) -> ProviderEvent:
    return ProviderEvent(
        provider="mock", provider_ref=reference, event_id=f"lookup:{uuid4().hex}", status=None, entries=entries
    )


def test_an_attempt_past_its_time_is_looked_up_and_given_up_with_a_reason(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = under_way(sql)
    assert row_of(sql, payment).now == "processing"
    counted = payments_total.labels("mock", "pending")._value.get()

    expire()

    assert payments_total.labels("mock", "pending")._value.get() == counted + 1
    row = row_of(sql, payment)
    assert (row.now, row.under_way, row.review_reason) == ("pending", False, "attempt_timed_out")
    assert (scripted.looked_up, scripted.canceled) == ([reference], []), "a person's to decide"
    expire()
    assert (scripted.looked_up, scripted.canceled) == ([reference], [])


def test_what_still_tells_of_it_takes_no_reason_off(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = under_way(sql)
    scripted.truths[reference] = [
        reported(reference, AttemptEntry(ref="debit_1", status=AttemptStatus.UNDER_WAY, at=datetime.now(UTC)))
    ]
    expire()
    sql("UPDATE payments SET next_look_up_at = now()")
    look_up()

    assert row_of(sql, payment).review_reason == "attempt_timed_out"
    assert row_of(sql, payment).under_way is False


def test_a_look_up_that_sees_it_again_puts_its_time_limit_no_further_off(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = under_way(sql, times_out_at="NULL")
    for days in (9, 12):
        now = datetime.now(UTC)
        entry = AttemptEntry(
            ref="debit_1", status=AttemptStatus.UNDER_WAY, at=now, times_out_at=now + timedelta(days=days)
        )
        scripted.truths[reference] = [replace(reported(reference, entry), event_id="lookup:debit_1:under_way")]
        sql("UPDATE payments SET next_look_up_at = now()")
        look_up()

    (limit,) = sql("SELECT times_out_at FROM payment_attempts WHERE payment_id = :id", id=payment)
    assert limit.times_out_at < datetime.now(UTC) + timedelta(days=10)
    assert row_of(sql, payment).now == "processing"


@pytest.mark.parametrize("status", ["failed", "presumed"])
def test_news_of_it_counts_all_the_same(sql: Sql, scripted: ScriptedProvider, status: str) -> None:
    payment, _ = under_way(sql)
    expire()
    if status == "failed":
        sql("UPDATE payment_attempts SET status = 'failed'")
    else:
        sql("UPDATE payment_attempts SET amount_presumed = 240, currency = 'USD'")
    fold(sql, payment)

    assert row_of(sql, payment).review_reason is None
    assert row_of(sql, payment).now == ("failed" if status == "failed" else "paid")


def test_a_look_up_that_names_none_under_way_ends_it_without_a_reason(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = under_way(sql)
    scripted.truths[reference] = [reported(reference, NoneUnderWayEntry(at=datetime.now(UTC)))]

    expire()

    row = row_of(sql, payment)
    assert (row.now, row.under_way, row.review_reason, row.given_up_at) == ("pending", False, None, None)
    expire()
    assert scripted.canceled == [reference], "then its session is over like any other's"


def test_a_provider_that_is_away_gives_nothing_up(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = under_way(sql)
    scripted.truths[reference] = ProviderUnavailableError("away")

    expire()

    assert row_of(sql, payment).given_up_at is None
    assert row_of(sql, payment).now == "processing"


def test_an_answer_that_could_not_be_recorded_at_once_counts_before_it_is_given_up(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment, reference = under_way(sql)
    scripted.truths[reference] = [reported(reference, NoneUnderWayEntry(at=datetime.now(UTC)))]
    held = [DatabaseLockedError("held by another")]

    def record_later(*values: Any) -> Recorded:
        if held:
            raise held.pop()
        return record(*values)

    monkeypatch.setattr("worker.payments.status_queries.record", record_later)
    expire()

    row = row_of(sql, payment)
    assert (row.now, row.review_reason, row.given_up_at) == ("pending", None, None)


def test_an_attempt_within_its_time_is_waited_for(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, _ = under_way(sql, times_out_at="now() + interval '1 minute'")

    expire()

    assert (scripted.looked_up, scripted.canceled) == ([], [])
    assert row_of(sql, payment).now == "processing"


@pytest.mark.parametrize(
    ("ends", "event", "looked_up"),
    [
        ("now() + interval '23 hours'", "authorization_ends_soon", False),
        ("now() - interval '1 minute'", "authorization_ended", True),
        ("now() + interval '25 hours'", None, False),
    ],
)
def test_the_end_of_an_authorisation_is_logged_once_before_it_comes(
    sql: Sql, scripted: ScriptedProvider, capsys: pytest.CaptureFixture[str], ends: str, event: str, looked_up: bool
) -> None:
    payment, reference = authorized_payment(sql, refs=("at_1",))
    sql(f"UPDATE payment_attempts SET expires_at = {ends}")

    expire()
    expire()

    written = "".join(capsys.readouterr())
    assert written.count("authorization_end") == (0 if event is None else 1)
    if event is not None:
        assert event in written
        assert str(payment) in written
    assert scripted.looked_up == ([reference] if looked_up else [])
    assert attempts.AHEAD.days == 1


def test_the_end_of_an_authorisation_in_whose_place_another_stands_is_nobodys_business(
    sql: Sql, scripted: ScriptedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    payment, _ = authorized_payment(sql, refs=("at_1", "at_2"))
    sql("UPDATE payment_attempts SET expires_at = now() + interval '1 hour' WHERE attempt_ref = 'at_1'")
    sql("UPDATE payment_attempts SET replaces = 'at_1' WHERE attempt_ref = 'at_2'")
    fold(sql, payment)

    expire()

    assert "authorization_end" not in "".join(capsys.readouterr())
    assert scripted.looked_up == []


@pytest.mark.parametrize("ended_by", ["a look-up", "money"])
def test_attempts_that_are_over_stand_before_no_other(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    """They stay under way in their own rows, and past their time, for ever."""
    monkeypatch.setattr(attempts, "_overdue", text(str(attempts._overdue).replace("LIMIT 200", "LIMIT 2")))
    for _ in range(3):
        over, _ = under_way(sql, times_out_at="now() - interval '1 day'", ref=uuid4().hex)
        if ended_by == "money":
            sql("UPDATE payment_attempts SET amount_presumed = 240 WHERE payment_id = :id", id=over)
            fold(sql, over)
        else:
            sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)], NULL, ARRAY[now()])", id=over)
    payment, _ = under_way(sql)

    expire()

    assert row_of(sql, payment).review_reason == "attempt_timed_out"


def test_authorisations_that_ended_stand_before_no_other(
    sql: Sql, scripted: ScriptedProvider, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PAGE", 2)
    monkeypatch.setattr(attempts, "_ending", text(str(attempts._ending).replace("LIMIT 200", "LIMIT 2")))
    for _ in range(4):
        authorized_payment(sql)
    sql("UPDATE payment_attempts SET expires_at = now() - interval '1 day'")
    payment, _ = authorized_payment(sql)
    sql("UPDATE payment_attempts SET expires_at = now() + interval '1 hour' WHERE payment_id = :id", id=payment)

    expire()

    written = "".join(capsys.readouterr())
    assert written.count("authorization_ended") == 4
    assert written.count("authorization_ends_soon") == 1
