"""A webhook that breaks whoever touches it: it goes alone, backs off, and ends before an operator."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from checkout_service.providers.base import ProviderUnavailableError
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from tests.worker.scripted import ScriptedProvider, event, thin_event
from worker.webhooks.claims import claim
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

Break = Callable[[str], None]
Mend = Callable[[], None]
MAX_ATTEMPTS = 12


def make_due(sql: Sql, delivery: UUID) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = :id", id=delivery)


def fail_for_good(sql: Sql, delivery: UUID) -> None:
    sql("UPDATE webhook_deliveries SET attempts = :tried WHERE id = :id", tried=MAX_ATTEMPTS - 1, id=delivery)
    make_due(sql, delivery)
    with pytest.raises(WebhookFailedError):
        process(str(delivery))


@pytest.mark.usefixtures("worker")
def test_a_poison_webhook_holds_back_no_neighbour(sql: Sql, break_recording: Break) -> None:
    references = [insert_payment(sql) for _ in range(7)]
    deliveries = [insert_webhook(sql, webhook(reference)) for reference in references]
    break_recording(references[3])

    process(str(deliveries[0]))

    poison = deliveries.pop(3)
    assert {state_of(sql, delivery) for delivery in deliveries} == {"applied"}
    assert [status_of(sql, reference) for reference in references].count("paid") == 6
    row = webhook_row(sql, poison)
    assert (row.state, row.attempts, row.processed_at) == ("received", 1, None)
    assert row.detail == "RaiseException: this payment is cursed"
    assert status_of(sql, references[3]) == "pending"


def test_a_webhook_that_breaks_its_reader_holds_back_no_neighbour(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.webhooks = {b'{"a":1}': ValueError("no \x00 at all \ud800"), b'{"a":2}': [event(reference, "paid")]}
    poison, neighbour = insert_webhook(sql, b'{"a":1}'), insert_webhook(sql, b'{"a":2}')

    process(str(poison))

    assert [state_of(sql, poison), state_of(sql, neighbour)] == ["received", "applied"]
    assert webhook_row(sql, poison).attempts == 1
    assert status_of(sql, reference) == "paid"


@pytest.mark.usefixtures("worker")
def test_back_off_doubles_from_5_seconds_to_15_minutes(sql: Sql, break_recording: Break) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    break_recording(reference)

    for attempt in range(1, MAX_ATTEMPTS):
        process(str(delivery))

        row = webhook_row(sql, delivery)
        delay = min(5 * 2 ** (attempt - 1), 900)
        assert (row.state, row.attempts) == ("received", attempt)
        assert delay - 2 < row.due_in < delay * 1.2
        process(str(delivery))
        assert webhook_row(sql, delivery).attempts == attempt, "before it is due, a message about it does nothing"
        make_due(sql, delivery)

    with pytest.raises(WebhookFailedError, match=f"{delivery}.*cursed"):
        process(str(delivery))
    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts, row.next_attempt_at) == ("failed", MAX_ATTEMPTS, None)
    assert row.processed_at is not None
    assert status_of(sql, reference) == "pending"


@pytest.mark.usefixtures("worker")
def test_back_off_has_jitter(sql: Sql, break_recording: Break) -> None:
    reference = insert_payment(sql)
    deliveries = [insert_webhook(sql, webhook(reference, number=number)) for number in range(20)]
    break_recording(reference)

    process(str(deliveries[0]))

    delays = {row.delay for row in sql("SELECT next_attempt_at - updated_at AS delay FROM webhook_deliveries")}
    assert len(delays) > 10


@pytest.mark.usefixtures("worker")
def test_an_operators_run_gets_one_attempt_and_succeeds_once_the_cause_is_gone(
    sql: Sql, break_recording: Break, mend: Mend
) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    break_recording(reference)
    fail_for_good(sql, delivery)

    with pytest.raises(WebhookFailedError):
        process(str(delivery))
    assert (state_of(sql, delivery), webhook_row(sql, delivery).next_attempt_at) == ("failed", None)

    mend()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")
    assert webhook_row(sql, delivery).detail is None


@pytest.mark.usefixtures("worker")
def test_an_operators_run_of_a_rejected_webhook_gets_one_attempt_too(sql: Sql, break_recording: Break) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), state="'rejected'", attempts=1, next_attempt_at="NULL")
    break_recording(reference)

    with pytest.raises(WebhookFailedError):
        process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("failed", 2)


@pytest.mark.usefixtures("worker")
def test_a_failed_webhook_that_parks_in_an_operators_run_is_tried_when_its_payment_comes(sql: Sql) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), state="'failed'", attempts=MAX_ATTEMPTS, next_attempt_at="NULL")
    sql("UPDATE webhook_deliveries SET body = :body", body=webhook("pi_unknown"))
    process(str(delivery))
    assert state_of(sql, delivery) == "parked"

    sql("UPDATE webhook_deliveries SET body = :body, next_attempt_at = now()", body=webhook(reference))
    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


@pytest.mark.usefixtures("worker")
def test_a_webhook_whose_worker_died_goes_alone(sql: Sql, messages: Messages) -> None:
    delivery = insert_webhook(sql, webhook(insert_payment(sql)))
    (dead,) = claim(delivery)
    neighbour = insert_webhook(sql, webhook(insert_payment(sql)))
    sweep()
    assert (str(delivery),) not in messages(), "its worker may still be alive"
    make_due(sql, delivery)

    sweep()
    assert (str(delivery),) in messages()
    assert process(str(delivery)) == "applied"

    assert [state_of(sql, delivery), state_of(sql, neighbour)] == ["applied", "received"]
    assert webhook_row(sql, delivery).attempts == dead.attempts + 1


@pytest.mark.usefixtures("worker")
def test_a_webhook_that_kills_every_worker_ends_as_failed(sql: Sql) -> None:
    """Not read once more: its attempts were counted when they began."""
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference), attempts=MAX_ATTEMPTS, next_attempt_at="now()")

    with pytest.raises(WebhookFailedError, match="used up"):
        process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("failed", "pending")
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid"), "an operator may still try"


def test_one_attempt_is_all_where_one_is_configured(sql: Sql, make_worker: MakeWorker, break_recording: Break) -> None:
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    break_recording(reference)

    with make_worker(webhook_max_attempts=1).app_context():
        process(str(delivery))
        assert webhook_row(sql, delivery).due_in <= 0, "in a set, where a task cannot fail for all to see"
        with pytest.raises(WebhookFailedError, match="cursed"):
            process(str(delivery))

    assert state_of(sql, delivery) == "failed"


def test_an_operators_run_while_the_provider_is_away_leaves_the_webhook_failed(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    reference = insert_payment(sql)
    scripted.webhooks = {b"{}": [thin_event(reference)]}
    scripted.truths = {reference: ProviderUnavailableError("no answer")}
    delivery = insert_webhook(sql, b"{}", state="'failed'", attempts=5, next_attempt_at="NULL")

    with pytest.raises(WebhookFailedError, match="no answer"):
        process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).next_attempt_at) == ("failed", None)
