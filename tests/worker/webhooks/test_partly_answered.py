"""Webhooks that come to their end by several attempts: none of them loses what another was to enter, or entered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from checkout_service.cache import cache
from checkout_service.providers.base import (
    Decline,
    ProviderRefusedError,
    ProviderUnavailableError,
    ThinEvent,
    UnreadableError,
)
from checkout_service.webhooks.queries import find_webhook
from tests.conftest import Sql
from tests.refunding import insert_refund, refund_event
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import webhook_row
from tests.worker.scripted import ScriptedProvider, event, thin_event
from tests.worker.webhooks.test_many_look_ups import again, file_news
from worker.webhooks import progress, task
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import WebhookFailedError, process

AWAY = ProviderUnavailableError("away")
ODD = UnreadableError("another payment")


def _paid(reference: str, **values: Any) -> list[Any]:
    return [event(reference, "paid", event_id=f"lookup:{reference}", **values)]


@pytest.mark.parametrize("wrong", [AWAY, ODD], ids=["away", "odd"])
def test_a_refund_that_waits_is_entered_though_another_payment_was_not_answered(
    sql: Sql, scripted: ScriptedProvider, wrong: Exception
) -> None:
    ours, other = insert_payment(sql), insert_payment(sql)
    scripted.truths[ours] = _paid(ours)
    process(str(file_news(scripted, sql, [ours])))
    (payment,) = sql("SELECT id FROM payments WHERE provider_ref = :ref", ref=ours)
    in_doubt = insert_refund(sql, payment.id, sent_at="now()")
    dashboard = refund_event(ours, "succeeded", refund_ref="re_dashboard", event_id="lookup:re_dashboard")
    scripted.truths |= {ours: [*_paid(ours), dashboard], other: wrong}
    delivery = file_news(scripted, sql, [ours, other])
    process(str(delivery))
    assert sql("SELECT count(*) FROM refunds WHERE provider_ref IS NOT NULL")[0].count == 0, "may be the one in doubt"

    scripted.truths[other] = _paid(other)
    sql("UPDATE refunds SET provider_ref = 're_ours', attempts = 1 WHERE id = :id", id=in_doubt)
    again(sql, delivery)

    assert state_of(sql, delivery) == "applied"
    assert {row.provider_ref for row in sql("SELECT provider_ref FROM refunds")} == {"re_ours", "re_dashboard"}


def test_what_a_failover_lost_is_looked_up_again(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that took over lacks the commit; nothing that is kept since then may say otherwise."""
    lost, away = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {lost: _paid(lost), away: AWAY}
    delivery = file_news(scripted, sql, [lost, away])
    histories, record = ["before"], task.record

    def record_and_lose(connection: Any, received: Any) -> Any:
        nested = connection.begin_nested()
        recorded = record(connection, received)
        nested.rollback()
        histories[0] = "since then"
        return recorded

    monkeypatch.setattr(progress, "history", lambda **_: histories[0])
    with monkeypatch.context() as failing_over:
        failing_over.setattr(task, "record", record_and_lose)
        process(str(delivery))
    assert status_of(sql, lost) == "pending"

    scripted.truths[away] = _paid(away)
    again(sql, delivery)

    assert status_of(sql, lost) == "paid"
    assert scripted.looked_up.count(lost) == 2


def test_a_webhook_that_is_not_through_names_what_is_left(sql: Sql, scripted: ScriptedProvider) -> None:
    good, bad = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {good: _paid(good), bad: ODD}
    delivery = file_news(scripted, sql, [good, bad])
    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.provider_ref) == ("received", bad)
    assert row.detail.endswith("(1 of 2 are left)")

    sql("UPDATE webhook_deliveries SET attempts = 11")
    with pytest.raises(WebhookFailedError):
        again(sql, delivery)
    row = webhook_row(sql, delivery)
    assert (row.state, row.provider_ref) == ("failed", bad)
    assert "1 of 2 are left" in row.detail


def test_what_an_attempt_before_entered_is_applied(sql: Sql, scripted: ScriptedProvider) -> None:
    first, second = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {first: _paid(first), second: AWAY}
    delivery = file_news(scripted, sql, [first, second])
    process(str(delivery))
    scripted.truths[second] = _paid(second)
    process(str(file_news(scripted, sql, [second])))

    again(sql, delivery)

    assert state_of(sql, delivery) == "applied"


def test_what_no_attempt_entered_is_a_duplicate(sql: Sql, scripted: ScriptedProvider) -> None:
    first, second = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {first: _paid(first), second: _paid(second)}
    process(str(file_news(scripted, sql, [first])))
    process(str(file_news(scripted, sql, [second])))
    scripted.truths[second] = AWAY
    delivery = file_news(scripted, sql, [first, second])
    process(str(delivery))
    scripted.truths[second] = _paid(second)

    again(sql, delivery)

    assert state_of(sql, delivery) == "duplicate"


def test_a_mismatch_of_an_attempt_before_is_not_lost_until_a_replay_finds_none(
    sql: Sql, scripted: ScriptedProvider
) -> None:
    wrong, away = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {wrong: _paid(wrong, amount=Decimal("1.00"), currency="EUR"), away: AWAY}
    delivery = file_news(scripted, sql, [wrong, away])
    process(str(delivery))
    scripted.truths[away] = _paid(away)
    again(sql, delivery)
    row = webhook_row(sql, delivery)
    assert (row.state, row.mismatch) == ("applied", True)

    scripted.truths[wrong] = _paid(wrong)
    process(str(delivery))
    row = webhook_row(sql, delivery)
    assert (row.state, row.mismatch, status_of(sql, wrong)) == ("applied", False, "paid")


def test_a_replay_of_what_failed_counts_what_was_entered_then(sql: Sql, scripted: ScriptedProvider) -> None:
    good, bad = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {good: _paid(good), bad: ODD}
    delivery = file_news(scripted, sql, [good, bad])
    sql("UPDATE webhook_deliveries SET attempts = 11, next_attempt_at = now()")
    with pytest.raises(WebhookFailedError):
        process(str(delivery))
    scripted.truths[bad] = []

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"


def test_what_is_of_another_service_in_the_end_takes_nothing_back(sql: Sql, scripted: ScriptedProvider) -> None:
    ours = insert_payment(sql)
    body = b"both"
    scripted.webhooks[body] = [event(ours, "paid", event_id="evt_ours"), event("theirs", "paid")]
    delivery = insert_webhook(sql, body)
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, ours)) == ("parked", "paid")
    sql("UPDATE webhook_deliveries SET received_at = now() - interval '73 hours', next_attempt_at = now()")
    sweep()

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.detail) == ("applied", "the rest is of a payment that another service opened")


def test_a_payment_that_our_key_may_not_read_holds_back_no_other(sql: Sql, scripted: ScriptedProvider) -> None:
    refused, good = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {refused: ProviderRefusedError("status 403", reason=Decline.CREDENTIALS), good: _paid(good)}
    delivery = file_news(scripted, sql, [refused, good])

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts, row.provider_ref) == ("received", 1, refused)
    assert status_of(sql, good) == "paid"


def test_a_key_that_is_no_good_is_not_tried_for_every_payment(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_payment(sql) for _ in range(15)]
    scripted.truths |= dict.fromkeys(references, ProviderRefusedError("status 401", reason=Decline.CREDENTIALS))

    process(str(file_news(scripted, sql, references)))

    assert len(scripted.looked_up) == 10


def test_no_attempt_is_used_up_where_one_payment_is_away_and_another_held(
    sql: Sql, scripted: ScriptedProvider, superuser: Engine
) -> None:
    held, away = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {held: _paid(held), away: AWAY}
    delivery = file_news(scripted, sql, [held, away])
    process(str(delivery))  # tried before: alone from here on
    for key in cache()._redis.keys("*looked up*"):
        cache()._redis.delete(key)
    scripted.truths[held] = [event(held, "paid", event_id="lookup:later")]
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    with superuser.connect().execution_options(isolation_level="READ COMMITTED") as other:
        other.execute(text("SELECT FROM payments WHERE provider_ref = :ref FOR UPDATE"), {"ref": held})
        process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.attempts) == ("received", 1)
    assert "2 of 2 are left" in row.detail
    scripted.truths[away] = _paid(away)
    again(sql, delivery)
    assert state_of(sql, delivery) == "applied"


def test_all_its_events_are_noted_as_delivered_however_many_attempts_it_took(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr("worker.webhooks.memory.note_delivered", noted.extend)
    references = [insert_payment(sql) for _ in range(2)]
    scripted.truths |= {references[0]: _paid(references[0]), references[1]: AWAY}
    body = uuid4().bytes
    scripted.webhooks[body] = [
        ThinEvent(provider="mock", provider_ref=reference, event_id=f"evt_{number}")
        for number, reference in enumerate(references)
    ]
    delivery = insert_webhook(sql, body)
    process(str(delivery))
    assert noted == []
    scripted.truths[references[1]] = _paid(references[1])

    again(sql, delivery)

    assert sorted(noted) == [("mock", "evt_0"), ("mock", "evt_1")]


def test_what_the_next_attempt_is_to_know_is_no_news_to_staff(sql: Sql, scripted: ScriptedProvider) -> None:
    good, bad = insert_payment(sql), insert_payment(sql)
    scripted.truths |= {good: _paid(good), bad: AWAY}
    delivery = file_news(scripted, sql, [good, bad])
    process(str(delivery))

    (row,) = sql("SELECT attempt_log FROM webhook_deliveries")
    assert (row.attempt_log[-1]["did"], row.attempt_log[-1]["left"]) == (["applied"], 1)
    found = find_webhook(UUID(str(delivery)))
    assert found is not None
    assert [attempt.state for attempt in found.attempt_log] == ["received"]


def test_an_unverified_thin_event_is_looked_up_as_before(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.truths[reference] = _paid(reference)
    scripted.webhooks[b"unsigned"] = [thin_event(reference, verified=False)]
    delivery = insert_webhook(sql, b"unsigned")
    process(str(delivery))
    assert state_of(sql, delivery) == "applied"


@pytest.mark.parametrize("by_walk", [False, True], ids=["at once", "by the walk"])
@pytest.mark.parametrize("last", [False, True], ids=["first of two", "last of two"])
def test_news_of_several_payments_that_are_not_here_waits_for_each_of_them(
    sql: Sql, scripted: ScriptedProvider, last: bool, by_walk: bool
) -> None:
    """Under one of them alone, the money of the other would be seen after three days."""
    comes, never = f"mock_{uuid4().hex}", f"mock_{uuid4().hex}"
    scripted.truths[comes] = _paid(comes)
    delivery = file_news(scripted, sql, [never, comes] if last else [comes, never])
    process(str(delivery))
    assert state_of(sql, delivery) == "parked"
    _sweep_round()
    assert not _is_due(sql, delivery)

    insert_payment(sql, provider_ref=comes)
    if by_walk:
        sql("UPDATE payments SET created_at = now() - interval '1 hour'")
    _sweep_round()
    assert _is_due(sql, delivery)
    process(str(delivery))

    assert (status_of(sql, comes), state_of(sql, delivery)) == ("paid", "parked")
    _sweep_round()
    assert not _is_due(sql, delivery), "it waits for the other one alone"


def _sweep_round() -> None:
    """The walk through what is parked goes on where the sweep before left it, and then begins anew."""
    for _ in range(3):
        sweep()


def _is_due(sql: Sql, delivery: UUID) -> bool:
    found = sql("SELECT next_attempt_at <= now() AS due FROM webhook_deliveries WHERE id = :id", id=delivery)
    return bool(found[0].due)
