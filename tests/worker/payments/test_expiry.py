"""Payments whose session is over are canceled at their provider, and become what the provider says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError, UnreadableError
from tests.conftest import Sql
from tests.crowd import at_once
from tests.provider import MockProvider
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.promises import insert_promise
from tests.worker.scripted import ScriptedProvider, event
from worker.payments import look_ups as reconciliation
from worker.payments.look_ups import expire, look_up
from worker.payments.status_queries import GIVE_UP_AFTER
from worker.webhooks.task import process

OVER = "now() - interval '1 second'"


@pytest.fixture(autouse=True)
def _from_the_beginning() -> Iterator[None]:
    """What this process remembers is no matter of the next test."""
    reconciliation._in_vain.clear()
    yield
    reconciliation._in_vain.clear()


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_payment_whose_session_is_over_expires(sql: Sql, scripted: ScriptedProvider, status: str) -> None:
    reference = insert_promise(sql, status=status, ends=OVER)

    assert expire() == "asked about 1 payments, learned 1 events"

    assert scripted.canceled == [reference]
    assert status_of(sql, reference) == "expired"
    (row,) = sql("SELECT round(extract(epoch FROM next_look_up_at - now()))::int AS due_in, look_ups FROM payments")
    assert (row.due_in, row.look_ups) == (pytest.approx(3600, abs=5), 0)
    expire()
    assert scripted.canceled == [reference]


@pytest.mark.parametrize("status", ["processing", "expired", "canceled", "paid", "reversed"])
def test_money_under_way_or_settled_is_not_canceled(sql: Sql, scripted: ScriptedProvider, status: str) -> None:
    reference = insert_promise(sql, status=status, ends=OVER)

    expire()

    assert scripted.canceled == []
    assert status_of(sql, reference) == status


def test_a_flagged_payment_is_a_persons_to_decide(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_promise(sql, ends=OVER)
    sql("UPDATE payments SET review_reason = 'mismatch'")

    expire()

    assert (scripted.canceled, status_of(sql, reference)) == ([], "pending")


def test_a_session_that_is_not_over_and_a_payment_without_one_are_left_alone(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    insert_promise(sql, ends="now() + interval '10 seconds'")
    insert_payment(sql)

    expire()

    assert scripted.canceled == []
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"pending"}


@pytest.mark.parametrize("refused", [False, True])
def test_a_provider_that_says_paid_is_believed(sql: Sql, scripted: ScriptedProvider, refused: bool) -> None:
    reference = insert_promise(sql, ends=OVER)
    paid = [event(reference, "paid")]
    scripted.cancellations[reference] = ProviderRefusedError("it is paid") if refused else paid
    scripted.truths[reference] = paid

    expire()

    assert status_of(sql, reference) == "paid"
    assert sql("SELECT review_reason FROM payments")[0].review_reason is None


def test_a_provider_that_is_away_expires_nothing(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_promise(sql, ends=OVER) for _ in range(GIVE_UP_AFTER + 3)]
    scripted.cancellations = dict.fromkeys(references, ProviderUnavailableError("no answer"))

    expire()

    assert sorted(scripted.canceled) == sorted(references[:GIVE_UP_AFTER]), (
        "the run ends, it does not knock for every payment"
    )
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"pending"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 0
    scripted.cancellations = {}
    expire()
    assert {row.status for row in sql("SELECT status::text FROM payments")} == {"expired"}


@pytest.mark.parametrize("error", [ProviderUnavailableError("never"), ProviderRefusedError("never"), KeyError("never")])
def test_payments_that_no_provider_answers_for_do_not_stand_before_the_rest(
    sql: Sql, scripted: ScriptedProvider, error: Exception
) -> None:
    cursed = [insert_promise(sql, ends=OVER) for _ in range(GIVE_UP_AFTER)]
    others = [insert_promise(sql, ends=OVER) for _ in range(3)]
    scripted.cancellations = dict.fromkeys(cursed, error)
    scripted.truths = dict.fromkeys(cursed, error)

    expire()
    expire()

    assert {status_of(sql, reference) for reference in others} == {"expired"}
    assert {status_of(sql, reference) for reference in cursed} == {"pending"}


@pytest.mark.parametrize("answer", [ProviderRefusedError("no"), UnreadableError("what"), []])
def test_what_cannot_be_canceled_is_left_to_the_look_ups_which_cancel_again(
    sql: Sql, scripted: ScriptedProvider, answer: Any
) -> None:
    reference = insert_promise(sql, ends="now() - interval '1 hour'")
    scripted.cancellations[reference] = answer
    for _ in range(3):
        expire()
    assert scripted.canceled == [reference]
    (row,) = sql("SELECT round(extract(epoch FROM next_look_up_at - now()))::int AS due_in, look_ups FROM payments")
    assert (row.due_in, row.look_ups) == (pytest.approx(1200, abs=5), 1)

    sql("UPDATE payments SET next_look_up_at = now()")
    look_up()
    expire()
    assert scripted.canceled == [reference] * 2
    assert status_of(sql, reference) == "pending"

    scripted.cancellations.clear()
    sql("UPDATE payments SET next_look_up_at = now()")
    look_up()
    assert status_of(sql, reference) == "expired"


def test_a_payment_that_was_looked_up_before_its_sessions_end_is_canceled_soon_after_it(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    reference = insert_promise(sql, ends=OVER)
    sql("UPDATE payments SET look_ups = 2, next_look_up_at = now() + interval '39 minutes'")

    expire()

    assert status_of(sql, reference) == "expired"


def test_a_look_up_that_finds_an_expired_payment_canceled_leaves_it_expired(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    reference = insert_promise(sql, ends=OVER)
    expire()
    scripted.truths[reference] = [event(reference, "canceled")]
    sql("UPDATE payments SET next_look_up_at = now()")

    look_up()

    assert scripted.looked_up == [reference]
    assert status_of(sql, reference) == "expired"


def test_a_payment_that_somebody_holds_keeps_no_other_waiting_and_its_answer_is_not_lost(
    sql: Sql, scripted: ScriptedProvider, superuser: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.payments.status_queries.GIVE_UP_AFTER", 1)  # one call at a time: in order
    held, free = [insert_promise(sql, ends=OVER) for _ in range(2)]
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as operator:
        operator.execute(text("SELECT FROM payments WHERE provider_ref = :held FOR UPDATE"), {"held": held})
        scripted.cancellations[free] = lambda: (operator.rollback(), [event(free, "canceled")])[1]

        expire()

    assert [status_of(sql, reference) for reference in (held, free)] == ["expired", "expired"]
    assert scripted.canceled == [held, free]


def test_a_payment_that_cannot_be_recorded_does_not_stand_before_the_rest(
    sql: Sql, scripted: ScriptedProvider, break_recording: Callable[[str], None]
) -> None:
    references = [insert_promise(sql, ends=OVER) for _ in range(3)]
    break_recording(references[0])

    expire()

    assert [status_of(sql, reference) for reference in references] == ["pending", "expired", "expired"]


@pytest.mark.usefixtures("worker")
def test_money_that_comes_after_all_counts_and_is_flagged(sql: Sql) -> None:
    reference = insert_promise(sql, ends=OVER)
    expire()
    assert status_of(sql, reference) == "expired"

    process(str(insert_webhook(sql, webhook(reference))))

    assert status_of(sql, reference) == "paid"
    assert sql("SELECT review_reason FROM payments")[0].review_reason == "paid_after_close"


def test_runs_at_once_expire_each_payment_once(sql: Sql, scripted: ScriptedProvider, make_worker: MakeWorker) -> None:
    references = [insert_promise(sql, ends=OVER) for _ in range(25)]
    for reference in references:
        reported = [event(reference, "canceled", event_id=f"lookup:{reference}:canceled:")]
        scripted.cancellations[reference] = reported
    runners = [make_worker() for _ in range(3)]
    for app in runners:
        app.extensions["providers"] = {"mock": scripted}

    at_once([lambda app=app: _expire(app) for app in runners])

    assert {status_of(sql, reference) for reference in references} == {"expired"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 25


def test_more_than_a_page_is_walked_to_its_end(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_payment(sql)
    references = [insert_promise(sql, ends=OVER if number % 3 else "now() + interval '1 day'") for number in range(12)]
    statement = reconciliation._page_of_open.text.replace(f"LIMIT {reconciliation.PAGE}", "LIMIT 2")
    monkeypatch.setattr(reconciliation, "PAGE", 2)
    monkeypatch.setattr(reconciliation, "_page_of_open", reconciliation.text(statement))

    expire()

    assert sorted(scripted.canceled) == sorted(reference for number, reference in enumerate(references) if number % 3)


def test_at_the_mock_providers_server(
    sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.payments.status_queries.GIVE_UP_AFTER", 1)  # one call at a time: in order
    left, paid, unknown = [insert_promise(sql, ends=OVER) for _ in range(3)]
    mock_provider.put(left, amount="240.00", currency="USD")
    mock_provider.put(paid, status="paid", amount="240.00", currency="USD")
    with make_worker(accounts={"mock": mock_provider.account}).app_context():
        mock_provider.behave(after="drop", times=1)
        expire()
        assert status_of(sql, left) == "pending", "canceled there, but the answer was lost"

        expire()

    assert [status_of(sql, reference) for reference in (left, paid, unknown)] == ["expired", "paid", "pending"]
    held = {payment["provider_ref"]: payment["status"] for payment in mock_provider.payments}
    assert held == {left: "canceled", paid: "paid"}


def _expire(app: Flask) -> str:
    with app.app_context():
        return expire()
