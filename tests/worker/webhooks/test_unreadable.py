"""A webhook that was verified and cannot be understood fails at once, before an operator, and apart from the rejected.

One that nobody verified stays among the rejected, whose number is bounded.
"""

from __future__ import annotations

from uuid import UUID

import pytest

from checkout_service.providers.base import ParsedWebhook, UnreadableError, UnverifiedError
from checkout_service.providers.factory import make_provider
from checkout_service.settings.provider_accounts import Account
from checkout_service.telemetry.metrics import webhook_deliveries_total
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import MakeWorker, Messages, webhook_row
from tests.worker.scripted import ScriptedProvider, event
from worker.webhooks.claims import PARKED_FOR
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

BODY, NEIGHBOUR = b'{"a":1}', b'{"a":2}'
ODD = UnreadableError("currency is not three characters")


def failed_count() -> float:
    return webhook_deliveries_total.labels("mock", "failed")._value.get()


def test_it_fails_in_a_task_of_its_own_and_is_not_tried_again(
    sql: Sql, scripted: ScriptedProvider, messages: Messages
) -> None:
    reference, before = insert_payment(sql), failed_count()
    scripted.webhooks = {BODY: ODD, NEIGHBOUR: [event(reference, "paid")]}
    odd, neighbour = insert_webhook(sql, BODY), insert_webhook(sql, NEIGHBOUR)

    process(str(neighbour))

    assert [state_of(sql, odd), state_of(sql, neighbour)] == ["received", "applied"], "a set fails for nobody"
    assert webhook_row(sql, odd).due_in <= 0
    sweep()
    assert (str(odd),) in messages()
    with pytest.raises(WebhookFailedError, match=f"{odd}: verified, but not understood: currency"):
        process(str(odd))

    row = webhook_row(sql, odd)
    assert (row.state, row.attempts, row.next_attempt_at) == ("failed", 2, None)
    assert row.detail == "verified, but not understood: currency is not three characters"
    assert failed_count() == before + 1
    assert sql("SELECT count(*) AS n FROM webhook_deliveries WHERE state = 'rejected'")[0].n == 0
    sweep()
    assert messages().count((str(odd),)) == 1


def test_an_operators_replay_reads_it_again_and_fails_at_once_or_succeeds(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.webhooks = {BODY: ODD}
    delivery = insert_webhook(sql, BODY, state="'failed'", attempts=2, next_attempt_at="NULL")

    with pytest.raises(WebhookFailedError, match="not understood"):
        process(str(delivery))
    assert state_of(sql, delivery) == "failed"

    scripted.webhooks = {BODY: [event(reference, "paid")]}
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_a_rejected_one_fails_when_its_secret_was_mended_and_it_makes_no_sense(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    scripted.webhooks = {BODY: ODD}
    delivery = insert_webhook(sql, BODY, state="'rejected'", attempts=1, next_attempt_at="NULL")

    with pytest.raises(WebhookFailedError):
        process(str(delivery))

    assert state_of(sql, delivery) == "failed"


def test_what_is_understood_of_a_batch_counts_and_the_batch_fails(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    parsed = ParsedWebhook(events=[event(reference, "paid", event_id="evt_1")], unreadable="item 2 of 2: no")
    scripted.webhooks = {BODY: parsed}
    delivery = insert_webhook(sql, BODY)

    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("received", "paid")
    with pytest.raises(WebhookFailedError, match="item 2 of 2"):
        process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).provider_ref) == ("failed", reference)
    assert sql("SELECT count(*) AS n FROM payment_events")[0].n == 1


def test_a_batch_waits_for_its_payment_first(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = "pi_not_here_yet"
    parsed = ParsedWebhook(events=[event(reference, "paid")], unreadable="item 2 of 2: no")
    scripted.webhooks = {BODY: parsed}
    delivery = insert_webhook(sql, BODY)

    process(str(delivery))
    assert state_of(sql, delivery) == "parked"
    insert_payment(sql, provider_ref=reference)
    _make_due(sql, delivery)
    with pytest.raises(WebhookFailedError):
        process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("failed", "paid")


def test_a_batch_whose_payment_never_came_fails_all_the_same(sql: Sql, scripted: ScriptedProvider) -> None:
    scripted.webhooks = {BODY: ParsedWebhook(events=[event("pi_never", "paid")], unreadable="item 2 of 2: no")}
    delivery = insert_webhook(sql, BODY)
    process(str(delivery))
    sql("UPDATE webhook_deliveries SET received_at = now() - CAST(:age AS interval)", age=PARKED_FOR)
    _make_due(sql, delivery)

    with pytest.raises(WebhookFailedError, match="item 2 of 2"):
        process(str(delivery))

    assert state_of(sql, delivery) == "failed"


@pytest.mark.parametrize("provider", ["mock", "mollie", "adyen", "standard", "stripe", "paypal"])
def test_nonsense_of_a_stranger_is_rejected_whoever_it_pretends_to_be(
    sql: Sql, make_worker: MakeWorker, provider: str
) -> None:
    """Otherwise anybody could make failed rows without end."""
    worker = make_worker(accounts={}, rejected_max_rows=1)
    worker.extensions["providers"] = {provider: make_provider(provider, Account())}
    bodies = [b'{"a":1}', b"id=nothing", b"[", b"\xff"]
    deliveries = [insert_webhook(sql, body) for body in bodies]
    sql("UPDATE webhook_deliveries SET provider = :provider", provider=provider)

    with worker.app_context():
        process(str(deliveries[0]))

    rows = sql("SELECT state FROM webhook_deliveries")
    assert [row.state for row in rows] == ["rejected"], "within the bounds, the others are dropped"


def test_one_error_is_for_the_unverified_and_another_for_the_verified(sql: Sql, scripted: ScriptedProvider) -> None:
    scripted.webhooks = {BODY: UnverifiedError("the signature is not ours")}
    delivery = insert_webhook(sql, BODY)

    process(str(delivery))

    assert (state_of(sql, delivery), webhook_row(sql, delivery).detail) == ("rejected", "the signature is not ours")


def _make_due(sql: Sql, delivery: UUID) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = :id", id=delivery)
