"""What was ignored is processed again once the adapter or the settings are right: one, or all of a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.commands import operations
from checkout_service.commands.models import Door
from checkout_service.commands.operations import Origin
from checkout_service.delivery_states import DeliveryState
from checkout_service.providers.base import IgnoredReason, ParsedWebhook, ProviderUnavailableError
from checkout_service.webhooks import queries
from checkout_service.webhooks.queries import count_processable
from checkout_service.webhooks.selection import Choice
from tests.conftest import Sql
from tests.providers.kits.stripe import KIT, PAYMENT_ID, intent, sign
from tests.providers.kits.stripe import event as stripe_event
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import MakeWorker, webhook_row
from tests.worker.scripted import ScriptedProvider, event, thin_event
from worker.webhooks import replays
from worker.webhooks.task import process

IGNORED = {"state": "'ignored'", "attempts": "1", "next_attempt_at": "NULL", "processed_at": "now()"}


def run(about: UUID, *, quiet: bool = False) -> str:
    """The task, as an operator's message has it run, or as a wake-up where it is quiet."""
    process.push_request(id=str(uuid4()), quiet=quiet)
    try:
        return process.run(str(about))
    finally:
        process.pop_request()


def command_all(app: Flask, **choice: Any) -> UUID:
    details = Choice(state=DeliveryState.IGNORED, **choice).to_details()
    origin = Origin(key=uuid4(), door=Door.CLI, operator="mira", why="mended")
    with app.app_context():
        return operations.process_all(details, counted=1, origin=origin)


def run_of(sql: Sql, command: UUID) -> tuple[str, int, dict[str, int]]:
    (found,) = sql("SELECT state, replayed FROM command_runs WHERE id = :id", id=command)
    counts = sql("SELECT state, count FROM command_results WHERE command_id = :id", id=command)
    return found.state, found.replayed, {row.state: row.count for row in counts}


def file(sql: Sql, scripted: ScriptedProvider, reason: str, **columns: str) -> tuple[str, UUID]:
    """An ignored webhook whose news the adapter has learned to read since: the payment's reference, and its id."""
    reference, body = insert_payment(sql), json.dumps({"of": str(uuid4())}).encode()
    scripted.webhooks[body] = [event(reference, "paid")]
    detail = "NULL" if reason == "" else f"'{reason}: for a reason'"
    return reference, insert_webhook(sql, body, **IGNORED | {"detail": detail} | columns)


def test_what_an_adapter_did_not_know_is_applied_once_it_has_learned_it(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.webhooks[b"news"] = ParsedWebhook(ignored=IgnoredReason.UNKNOWN_TYPE)
    delivery = insert_webhook(sql, b"news")
    run(delivery, quiet=True)
    assert webhook_row(sql, delivery).detail.startswith("unknown_type: ")
    assert run(delivery).startswith("ignored"), "an operator may ask at any time, and it says nothing yet"

    scripted.webhooks[b"news"] = [event(reference, "paid")]
    assert run(delivery).startswith("applied")

    row = webhook_row(sql, delivery)
    assert (row.state, row.provider_ref, row.detail, row.replay_of) == ("applied", reference, None, None)
    assert [(each["state"], "command" in each) for each in row.attempt_log[1:]] == [
        ("ignored", True),
        ("applied", True),
    ]
    assert status_of(sql, reference) == "paid"
    assert [row.action for row in sql("SELECT action FROM audit")] == ["process", "process"]
    run(delivery)
    assert webhook_row(sql, delivery).attempts == row.attempts, "and never again"


def test_what_came_while_the_account_was_set_wrong_is_applied_once_it_is_right(
    sql: Sql, make_worker: MakeWorker
) -> None:
    reference = insert_payment(sql, provider="stripe", provider_ref="pi_ours")
    about = intent(id=reference, livemode=True, metadata={"payment_id": str(PAYMENT_ID)})
    signed = sign(
        stripe_event("payment_intent.succeeded", about, livemode=True), KIT.secrets[0], signed_at=datetime.now(UTC)
    )
    (delivery,) = sql(
        "INSERT INTO webhook_deliveries (provider, headers, body) VALUES ('stripe', :headers, :body) RETURNING id",
        headers=json.dumps(signed.headers),
        body=signed.body,
    )
    app = make_worker()
    with app.app_context():
        app.extensions["providers"] = {"stripe": KIT.provider(api_key="sk_test_of_the_wrong_mode")}
        run(delivery.id, quiet=True)
        assert webhook_row(sql, delivery.id).detail.startswith("not_ours: ")
        assert status_of(sql, reference) == "pending"

        app.extensions["providers"] = {"stripe": KIT.provider(api_key="sk_live_of_the_right_mode")}
        assert run(delivery.id).startswith("applied")

    assert status_of(sql, reference) == "paid"


def test_all_of_a_reason_are_processed_and_no_other(sql: Sql, app: Flask, scripted: ScriptedProvider) -> None:
    meant = [file(sql, scripted, "not_ours") for _ in range(3)]
    others = [file(sql, scripted, reason) for reason in ("unknown_type", "nothing_to_record", "not-ours", "")]
    failed = file(sql, scripted, "not_ours", state="'failed'")
    erased = file(sql, scripted, "not_ours", erased_at="now()")
    still_others = insert_webhook(sql, b"of another shop", **IGNORED, detail="'not_ours: as ever'")
    scripted.webhooks[b"of another shop"] = ParsedWebhook(ignored=IgnoredReason.NOT_OURS)
    assert count_processable(Choice(state=DeliveryState.IGNORED, reason=IgnoredReason.NOT_OURS)) == 4
    command = command_all(app, reason=IgnoredReason.NOT_OURS)

    assert run(command, quiet=True) == "0 webhooks, and 4 replayed"

    assert {status_of(sql, reference) for reference, _ in meant} == {"paid"}
    assert run_of(sql, command) == ("done", 4, {"applied": 3, "ignored": 1})
    assert (state_of(sql, still_others), webhook_row(sql, still_others).attempts) == ("ignored", 2)
    for reference, delivery in [*others, failed, erased]:
        assert (status_of(sql, reference), webhook_row(sql, delivery).attempts) == ("pending", 1)
    assert run(command, quiet=True) == "0 webhooks"


def test_without_a_reason_all_that_is_ignored_is_processed_but_what_was_erased(
    sql: Sql, app: Flask, scripted: ScriptedProvider
) -> None:
    filed = [file(sql, scripted, reason) for reason in ("unknown_type", "not_ours", "nothing_to_record", "")]
    reference, erased = file(sql, scripted, "not_ours", erased_at="now()")
    command = command_all(app)

    run(command, quiet=True)
    run(erased)

    assert run_of(sql, command) == ("done", 4, {"applied": 4})
    assert {status_of(sql, each) for each, _ in filed} == {"paid"}
    assert (state_of(sql, erased), status_of(sql, reference)) == ("ignored", "pending")
    assert sql("SELECT FROM audit WHERE subject = :id", id=str(erased)) == []


@pytest.mark.parametrize("first", [0, 1, 2, 6, 7], ids=lambda first: f"behind {first} others")
def test_few_of_a_reason_are_found_among_many_by_small_looks(
    sql: Sql, app: Flask, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """On an account that others use there may be millions that are not meant, and a statement has two seconds."""
    monkeypatch.setattr(replays, "WINDOW", 2)
    monkeypatch.setattr(replays, "REPLAY_SET", 3)
    monkeypatch.setattr(queries, "WINDOW", 2)
    for _ in range(first):
        file(sql, scripted, "nothing_to_record")
    meant = [file(sql, scripted, "not_ours") for _ in range(4)]
    for _ in range(7 - first):
        file(sql, scripted, "nothing_to_record")
    choice = {"reason": IgnoredReason.NOT_OURS}
    command = command_all(app, **choice)
    later, _ = file(sql, scripted, "not_ours")
    assert count_processable(Choice(state=DeliveryState.IGNORED, **choice)) == 5
    assert count_processable(Choice(state=DeliveryState.IGNORED, **choice), most=3) == 3
    assert count_processable(Choice(state=DeliveryState.IGNORED, reason=IgnoredReason.UNKNOWN_TYPE)) == 0

    assert run(command, quiet=True) == "0 webhooks, and 4 replayed"

    assert run_of(sql, command) == ("done", 4, {"applied": 4})
    assert {status_of(sql, reference) for reference, _ in meant} == {"paid"}
    assert status_of(sql, later) == "pending", "it came after the command"


def test_of_one_whose_provider_is_away_an_operator_hears_and_it_may_be_tried_again(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    reference = insert_payment(sql)
    scripted.webhooks[b"thin"] = [thin_event(reference)]
    scripted.truths[reference] = ProviderUnavailableError("no answer")
    delivery = insert_webhook(sql, b"thin", **IGNORED, detail="'unknown_type: of a kind'")

    with pytest.raises(Exception, match="no answer"):
        run(delivery)
    assert state_of(sql, delivery) == "failed"

    scripted.truths[reference] = [event(reference, "paid")]
    assert run(delivery).startswith("applied")
    assert status_of(sql, reference) == "paid"


def test_a_choice_says_for_which_reason_and_only_of_what_is_ignored() -> None:
    choice = Choice(state=DeliveryState.IGNORED, reason=IgnoredReason.NOT_OURS, provider="mock")

    assert choice.to_details() == {"state": "ignored", "reason": "not_ours", "provider": "mock"}
    assert Choice.from_details(choice.to_details()) == choice
    with pytest.raises(ValueError, match="only what is ignored has a reason"):
        Choice(state=DeliveryState.FAILED, reason=IgnoredReason.NOT_OURS)
    with pytest.raises(ValueError, match="because"):
        Choice.from_details({"state": "ignored", "reason": "because"})
