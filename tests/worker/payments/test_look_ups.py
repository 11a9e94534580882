"""Payments that nobody reported on are looked up, at growing intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError
from tests.conftest import Sql
from tests.crowd import at_once
from tests.provider import MockProvider
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import ScriptedProvider
from tests.worker.scripted import event as provider_event
from worker.payments.look_ups import STEP, look_up
from worker.payments.status_queries import GIVE_UP_AFTER, Inquiry, StatusQueries
from worker.unanswered import may_call
from worker.webhooks.task import process

MINUTE, HOUR, DAY = 60, 3600, 86_400


def make_due(sql: Sql) -> None:
    sql("UPDATE payments SET next_look_up_at = now() WHERE next_look_up_at IS NOT NULL")


def schedule(sql: Sql, reference: str) -> tuple[float | None, int]:
    """Seconds until the next look-up, and how many there were."""
    row = sql(
        """SELECT round(extract(epoch FROM next_look_up_at - now()))::float8 AS due_in, look_ups
        FROM payments WHERE provider_ref = :reference""",
        reference=reference,
    )[0]
    return row.due_in, row.look_ups


def test_an_open_payment_is_looked_up_at_growing_intervals(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    due, count = schedule(sql, reference)
    assert (due, count) == (pytest.approx(10 * MINUTE, abs=5), 0)
    look_up()
    assert scripted.looked_up == [], "not before it is due"

    for number, minutes in enumerate([20, 40, 80, 160, 320, 640, 720, 720, 720], start=1):
        make_due(sql)
        look_up()

        due, count = schedule(sql, reference)
        assert (due, count) == (pytest.approx(minutes * MINUTE, abs=5), number)
        look_up()
        assert len(scripted.looked_up) == number
    assert status_of(sql, reference) == "pending"
    assert sql("SELECT count(*) FROM payment_events")[0].count == 0


@pytest.mark.parametrize("status", ["processing", "failed"])
def test_a_lost_paid_is_found(sql: Sql, scripted: ScriptedProvider, status: str) -> None:
    reference = insert_payment(sql, status=status)
    scripted.truths[reference] = [provider_event(reference, "paid", event_id="lookup:1")]
    make_due(sql)

    assert look_up() == "asked about 1 payments, learned 1 events"

    assert status_of(sql, reference) == "paid"
    assert schedule(sql, reference)[0] is None, "a paid payment is looked up no more"
    (event,) = sql("SELECT event_id, outcome, delivery_id FROM payment_events")
    assert tuple(event) == ("lookup:1", "applied", None)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("status", ["expired", "canceled"])
def test_a_closed_payment_is_looked_up_three_times_more(sql: Sql, status: str) -> None:
    reference = insert_payment(sql)
    sql("UPDATE payments SET look_ups = 7")
    process(str(insert_webhook(sql, webhook(reference, status))))

    for number, seconds in enumerate([HOUR, DAY, 3 * DAY]):
        due, count = schedule(sql, reference)
        assert (due, count) == (pytest.approx(seconds, abs=5), number)
        make_due(sql)
        assert look_up() == "asked about 1 payments, learned 0 events"
    assert schedule(sql, reference) == (None, 3)
    make_due(sql)
    assert look_up() == "asked about 0 payments, learned 0 events"


def test_seeing_the_same_again_is_no_news(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.truths[reference] = [provider_event(reference, "processing", event_id="lookup:1")]

    for _ in range(3):
        make_due(sql)
        look_up()

    assert status_of(sql, reference) == "processing"
    assert [row.event_id for row in sql("SELECT event_id FROM payment_events")] == ["lookup:1"]


@pytest.mark.parametrize("error", [ProviderRefusedError("status 404"), KeyError("status")])
def test_an_answer_that_is_no_use_is_its_payments_alone(sql: Sql, scripted: ScriptedProvider, error: Exception) -> None:
    broken, whole = insert_payment(sql), insert_payment(sql)
    scripted.truths = {broken: error, whole: [provider_event(whole, "paid")]}
    make_due(sql)

    look_up()

    assert [status_of(sql, broken), status_of(sql, whole)] == ["pending", "paid"]
    assert schedule(sql, broken) == (pytest.approx(20 * MINUTE, abs=5), 1)


def test_a_event_that_cannot_be_recorded_is_its_payments_alone(
    sql: Sql, scripted: ScriptedProvider, break_recording: Callable[[str], None]
) -> None:
    references = [insert_payment(sql) for _ in range(4)]
    scripted.truths = {reference: [provider_event(reference, "paid")] for reference in references}
    break_recording(references[0])
    make_due(sql)

    look_up()

    assert [status_of(sql, reference) for reference in references] == ["pending", "paid", "paid", "paid"]


def test_a_provider_that_is_away_ends_the_run_and_the_rest_stays_due(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_payment(sql) for _ in range(STEP + 5)]
    scripted.truths = dict.fromkeys(references, ProviderUnavailableError("no answer"))
    make_due(sql)

    look_up()

    assert len(scripted.looked_up) == GIVE_UP_AFTER
    rest = [reference for reference in references if reference not in scripted.looked_up]
    assert {schedule(sql, reference)[1] for reference in rest} == {0}, "no look-up of theirs was used up"
    scripted.truths = {reference: [provider_event(reference, "paid")] for reference in references}
    look_up()
    assert {status_of(sql, reference) for reference in rest} == {"paid"}
    assert {status_of(sql, reference) for reference in scripted.looked_up[:3]} == {"pending"}


def test_payments_whose_news_cannot_be_read_yet_are_answers_and_keep_no_other_waiting(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    """GoCardless may list a payment as failed before it lists the event: it is there, and says to come again."""
    behind = [insert_payment(sql) for _ in range(2 * GIVE_UP_AFTER + 1)]
    scripted.truths = dict.fromkeys(behind, ProviderUnavailableError("its events are behind", in_progress=True))
    make_due(sql)
    sql("UPDATE payments SET next_look_up_at = next_look_up_at - interval '1 minute'")
    reference = insert_payment(sql)
    scripted.truths[reference] = [provider_event(reference, "paid")]
    make_due(sql)

    look_up()

    assert sorted(scripted.looked_up) == sorted([*behind, reference])
    assert status_of(sql, reference) == "paid"
    assert may_call("mock"), "and webhooks may be looked up, too"
    log = sql("SELECT look_up_log FROM payments WHERE provider_ref = :reference", reference=behind[0])[0].look_up_log
    assert [each["answer"] for each in log] == ["unavailable: its events are behind"]


def test_an_answer_that_says_to_come_again_ends_the_silence_before_it(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_payment(sql) for _ in range(4)]
    answers = iter([False, False, True, False])

    def answer() -> None:
        raise ProviderUnavailableError("again", in_progress=next(answers))

    scripted.truths = dict.fromkeys(references, answer)
    queries = StatusQueries()
    for reference in references:
        (row,) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)
        queries.ask(Inquiry(payment_id=row.id, provider="mock"))

    assert queries.patience("mock") == GIVE_UP_AFTER - 1


def test_two_runs_at_once_ask_about_each_payment_once(
    sql: Sql, scripted: ScriptedProvider, make_worker: MakeWorker
) -> None:
    references = [insert_payment(sql) for _ in range(STEP * 2)]
    runners = [make_worker() for _ in range(4)]
    for app in runners:
        app.extensions["providers"] = {"mock": scripted}

    for turn in range(1, 6):
        make_due(sql)
        at_once([lambda app=app: _look_up(app) for app in runners])

        assert sorted(scripted.looked_up) == sorted(references * turn)


def test_the_mock_providers_server_is_queried(sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider) -> None:
    references = [insert_payment(sql) for _ in range(6)]
    states: list[dict[str, Any]] = [
        {"status": "pending"},
        {"status": "paid", "amount": "240.00", "currency": "USD"},
        {"status": "paid", "amount": "1.00", "currency": "USD"},
        {"status": "of another age"},
        {"status": "failed"},
    ]
    for reference, state in zip(references, states, strict=False):
        mock_provider.put(reference, **state)
    make_due(sql)

    with make_worker(accounts={"mock": mock_provider.account}).app_context():
        look_up()

    assert [status_of(sql, reference) for reference in references] == [
        "pending", "paid", "partially_paid", "pending", "failed", "pending",
    ]  # fmt: skip
    assert {row.event_id for row in sql("SELECT event_id FROM payment_events")} == {
        f"lookup:{references[1]}:paid:240.00",
        f"lookup:{references[2]}:paid:1.00",
        f"lookup:{references[4]}:failed:",
    }
    (flagged,) = sql("SELECT provider_ref FROM payments WHERE review_reason = 'mismatch'")
    assert flagged.provider_ref == references[2]


@pytest.mark.parametrize("garbage", ["not_json", "array", "empty", "huge_number", "wrong_types", "nul", "wrong_amount"])
def test_an_answer_of_garbage_moves_nothing(
    sql: Sql, make_worker: MakeWorker, mock_provider: MockProvider, garbage: str
) -> None:
    reference = insert_payment(sql)
    mock_provider.behave(garbage=garbage)
    make_due(sql)

    with make_worker(accounts={"mock": mock_provider.account}).app_context():
        assert look_up() == "asked about 1 payments, learned 0 events"

    assert status_of(sql, reference) == "pending"


def _look_up(app: Flask) -> str:
    with app.app_context():
        return look_up()
