"""Payments that somebody asked to call off."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError, UnreadableError
from tests.conftest import Sql
from tests.crowd import at_once
from tests.money import attempt, fold
from tests.provider import MockProvider
from tests.refunding import make_due
from tests.webhook_bodies import insert_payment, status_of
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import ScriptedProvider, event
from worker.payments.cancelling import cancel


def ask(sql: Sql, status: str = "pending", **columns: str) -> tuple[UUID, str]:
    """An open payment that somebody asked to call off: its id and its reference."""
    reference = insert_payment(sql, status=status)
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    row = sql(
        f"""INSERT INTO cancel_requests (payment_id, requested_by{names}) SELECT id, user_id{values} FROM payments
        WHERE provider_ref = :reference RETURNING payment_id""",
        reference=reference,
    )[0]
    return row.payment_id, reference


def left(sql: Sql, payment: UUID) -> tuple[float | None, str | None, int]:
    """Seconds until the next attempt, the detail, and how many attempts there were."""
    row = sql(
        """SELECT extract(epoch FROM next_attempt_at - now())::float8 AS due_in, detail, attempts
        FROM cancel_requests WHERE payment_id = :id""",
        id=payment,
    )[0]
    return row.due_in, row.detail, row.attempts


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_an_open_payment_is_canceled_at_its_provider(sql: Sql, scripted: ScriptedProvider, status: str) -> None:
    payment, reference = ask(sql, status)

    assert cancel(str(payment)) == "the payment is canceled"

    assert scripted.canceled == [reference]
    assert status_of(sql, reference) == "canceled", "not expired: somebody asked for it"
    assert left(sql, payment) == (None, "the payment is canceled", 1)
    assert cancel(str(payment)) == "nothing is requested of it now"
    assert scripted.canceled == [reference]


@pytest.mark.parametrize("status", ["processing", "authorized"])
def test_while_money_is_under_way_or_promised_nothing_is_canceled(
    sql: Sql, scripted: ScriptedProvider, status: str
) -> None:
    """A bank debit may come for days; what is authorized staff void."""
    payment, reference = ask(sql, status)

    assert cancel(str(payment)) == f"the payment is still {status}"
    assert scripted.canceled == []
    due_in, _, _ = left(sql, payment)
    assert due_in is not None
    assert 4 < due_in < 7

    sql(
        """UPDATE payment_attempts
        SET status = CASE status WHEN 'under_way' THEN 'failed' ELSE 'canceled' END::attempt_status"""
    )
    fold(sql, payment)
    make_due(sql)
    assert cancel(str(payment)) == "the payment is canceled"
    assert status_of(sql, reference) == "canceled"


def test_another_method_under_way_beside_a_failure_is_waited_for(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, _ = ask(sql, "failed")
    attempt(sql, payment, "under_way", ref="at_2")
    fold(sql, payment)

    assert cancel(str(payment)) == "the payment is still processing"
    assert scripted.canceled == []


def test_money_that_came_meanwhile_counts(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = ask(sql)
    scripted.cancellations[reference] = [event(reference, "paid")]

    assert cancel(str(payment)) == "the payment is paid"

    assert status_of(sql, reference) == "paid"
    assert left(sql, payment)[0] is None


@pytest.mark.parametrize("error", [ProviderRefusedError("too late"), UnreadableError("garbage")])
def test_what_cannot_be_canceled_is_looked_up(sql: Sql, scripted: ScriptedProvider, error: Exception) -> None:
    payment, reference = ask(sql)
    scripted.cancellations[reference] = error
    scripted.truths[reference] = [event(reference, "paid")]

    assert cancel(str(payment)) == "the payment is paid"
    assert scripted.looked_up == [reference]


@pytest.mark.parametrize("error", [ProviderUnavailableError("away"), ProviderRefusedError("not now"), KeyError("x")])
def test_a_payment_that_stays_open_is_requested_again_later(
    sql: Sql, scripted: ScriptedProvider, error: Exception
) -> None:
    payment, reference = ask(sql)
    scripted.cancellations[reference] = error

    assert cancel(str(payment)) == "the payment is still pending"

    due_in, _, attempts = left(sql, payment)
    assert due_in is not None
    assert 4 < due_in < 7
    assert attempts == 1
    assert cancel(str(payment)) == "nothing is requested of it now", "not before its time"
    del scripted.cancellations[reference]
    make_due(sql)
    assert cancel(str(payment)) == "the payment is canceled"


def test_after_three_days_it_is_left_to_the_look_ups(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, reference = ask(sql, created_at="now() - interval '73 hours'", attempts="5", next_attempt_at="now()")
    scripted.cancellations[reference] = ProviderRefusedError("never")

    assert cancel(str(payment)) == "the payment is still pending"
    assert left(sql, payment)[0] is None
    assert sql("SELECT next_look_up_at FROM payments")[0].next_look_up_at is not None


def test_a_payment_that_closed_by_itself_is_left_alone(sql: Sql, scripted: ScriptedProvider) -> None:
    payment, _ = ask(sql, "paid")

    assert cancel(str(payment)) == "the payment is paid"
    assert scripted.canceled == []


def test_nobody_requested_it(sql: Sql, scripted: ScriptedProvider) -> None:
    insert_payment(sql)
    payment = sql("SELECT id FROM payments")[0].id

    assert cancel(str(payment)) == "nothing is requested of it now"
    assert cancel(str(uuid4())) == "nothing is requested of it now"
    assert scripted.canceled == []


def test_twice_at_once_it_is_canceled_once(sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider) -> None:
    payment, reference = ask(sql)
    mock_provider.put(reference, amount="240.00", currency="USD")
    workers = [make_worker(accounts={"mock": mock_provider.account}) for _ in range(4)]

    def run(number: int) -> str:
        with workers[number].app_context():
            return cancel(str(payment))

    results = at_once([lambda number=number: run(number) for number in range(4)])

    assert sorted(results) == ["nothing is requested of it now"] * 3 + ["the payment is canceled"]
    assert mock_provider.calls["cancel"] == 1
    assert [row["status"] for row in mock_provider.payments] == ["canceled"]
