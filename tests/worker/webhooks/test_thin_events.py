"""Webhooks that say several things, or only that there is news."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from time import sleep

import pytest

from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import (
    Decline,
    ProviderRefundEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import webhook_row
from tests.worker.scripted import Scripted, ScriptedProvider, event, thin_event
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

AWAY = ProviderUnavailableError("the provider did not answer")


def tell(scripted: ScriptedProvider, sql: Sql, name: str, words: Scripted, **columns: str) -> object:
    """File a webhook that says this."""
    body = json.dumps({"webhook": name}).encode()
    scripted.webhooks[body] = words
    return insert_webhook(sql, body, **columns)


PRECEDENCE = {
    "parked before applied": ("parked", ["unknown", "news"]),
    "parked before a mismatch": ("parked", ["mismatch", "unknown"]),
    "parked before known": ("parked", ["known", "unknown"]),
    "applied before known": ("applied", ["known", "news"]),
    "stale is applied": ("applied", ["known", "stale"]),
    "a mismatch is applied": ("applied", ["known", "mismatch"]),
    "known": ("duplicate", ["known", "known"]),
    "nothing": ("ignored", []),
}


@pytest.mark.parametrize(("state", "words"), PRECEDENCE.values(), ids=PRECEDENCE.keys())
@pytest.mark.parametrize("turn", [1, -1])
def test_a_batch_is_what_the_first_of_its_events_is(
    sql: Sql, scripted: ScriptedProvider, state: str, words: list[str], turn: int
) -> None:
    reference, other = insert_payment(sql), insert_payment(sql, status="paid")
    known = event(reference, "processing", event_id="evt_known")
    process(str(tell(scripted, sql, "before", [known])))
    events = {
        "known": known,
        "news": event(reference, "paid"),
        "stale": event(other, "failed"),
        "mismatch": event(reference, "paid", currency="EUR"),
        "unknown": event("mock_pi_unknown", "paid"),
    }
    delivery = tell(scripted, sql, "batch", [events[name] for name in words[::turn]])

    process(str(delivery))

    assert state_of(sql, delivery) == state
    assert status_of(sql, reference) == ("paid" if "news" in words else "processing"), "what is known is applied"


def test_a_batch_about_many_payments_moves_each(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_payment(sql) for _ in range(50)]
    events = [event(reference, status) for reference in references for status in ("failed", "paid", "processing")]
    delivery = tell(scripted, sql, "batch", events)

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert {row.status for row in sql("SELECT DISTINCT status::text FROM payments")} == {"paid"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 150


def test_a_thin_event_is_looked_up_and_never_remembered(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    truth = [event(reference, "processing", event_id="lookup:processing")]
    scripted.truths[reference] = lambda: list(truth)
    first = tell(scripted, sql, "news", [thin_event(reference)])
    process(str(first))
    assert (state_of(sql, first), status_of(sql, reference)) == ("applied", "processing")

    again = tell(scripted, sql, "news", [thin_event(reference)])
    process(str(again))
    assert (state_of(sql, again), scripted.looked_up) == ("duplicate", [reference] * 2)

    truth[:] = [event(reference, "paid", event_id="lookup:paid")]
    news = tell(scripted, sql, "news", [thin_event(reference)])
    process(str(news))
    assert (state_of(sql, news), status_of(sql, reference)) == ("applied", "paid")
    assert webhook_row(sql, again).detail is None


def test_a_thin_event_about_a_payment_that_is_still_open_says_nothing(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    delivery = tell(scripted, sql, "news", [thin_event(reference)])

    process(str(delivery))

    assert (state_of(sql, delivery), status_of(sql, reference)) == ("ignored", "pending")
    assert scripted.looked_up == [reference]


@pytest.mark.parametrize(("where", "state"), [("looking up", "received"), ("reading", "rejected")])
def test_a_provider_that_is_away_uses_up_no_attempt(
    sql: Sql, scripted: ScriptedProvider, where: str, state: str
) -> None:
    """What cannot even be verified is kept among the rejected, and tried again like the other."""
    reference = insert_payment(sql)
    scripted.truths[reference] = AWAY
    delivery = tell(scripted, sql, "news", [thin_event(reference)] if where == "looking up" else AWAY)

    for minutes, low, high in [(0, 5, 6), (0.5, 30, 36), (4, 240, 290), (60, 900, 1080)]:
        sql(
            "UPDATE webhook_deliveries SET next_attempt_at = now(), received_at = now() - :age * interval '1 minute'",
            age=minutes,
        )
        sweep()
        process(str(delivery))
        row = webhook_row(sql, delivery)
        assert (row.state, row.attempts) == (state, 1)
        assert low - 2 < row.due_in < high + 2
        assert "did not answer" in row.detail

    scripted.truths[reference] = [event(reference, "paid")]
    scripted.webhooks = {key: [thin_event(reference)] for key in scripted.webhooks}
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    sweep()
    process(str(delivery))
    assert (state_of(sql, delivery), status_of(sql, reference)) == ("applied", "paid")


def test_after_72_hours_a_provider_that_is_away_uses_up_attempts(sql: Sql, scripted: ScriptedProvider) -> None:
    gone = insert_payment(sql)
    scripted.truths[gone] = AWAY
    delivery = tell(scripted, sql, "news", [thin_event(gone)], received_at="now() - interval '73 hours'")

    for attempt in (1, 2, 3):
        sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
        process(str(delivery))
        assert (state_of(sql, delivery), webhook_row(sql, delivery).attempts) == ("received", attempt)


@pytest.mark.parametrize("error", [ProviderRefusedError("status 404"), KeyError("id")])
def test_a_look_up_that_goes_wrong_is_its_webhooks_alone(
    sql: Sql, scripted: ScriptedProvider, error: Exception
) -> None:
    broken, whole = insert_payment(sql), insert_payment(sql)
    scripted.truths[broken] = error
    poison = tell(scripted, sql, "poison", [event(whole, "failed"), thin_event(broken)])
    neighbour = tell(scripted, sql, "neighbour", [event(whole, "processing")])

    process(str(poison))

    row = webhook_row(sql, poison)
    assert (row.state, row.attempts, state_of(sql, neighbour)) == ("received", 1, "applied")
    assert 3 < row.due_in < 7
    assert status_of(sql, whole) == "failed", "what its other parts prove is recorded"


def test_a_slow_provider_holds_up_a_set_for_a_bounded_time(
    sql: Sql, scripted: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups that find no time are put off, without an attempt; the rest of the set is recorded."""
    monkeypatch.setattr("worker.webhooks.task.LOOK_UP_FOR", 0.3)
    reference = insert_payment(sql)

    def slowly() -> list[object]:
        sleep(0.2)
        return []

    slow = [insert_payment(sql) for _ in range(8)]
    scripted.truths |= dict.fromkeys(slow, slowly)
    thin_events = [tell(scripted, sql, f"news {number}", [thin_event(one)]) for number, one in enumerate(slow)]
    paid = tell(scripted, sql, "paid", [event(reference, "paid")])

    process(str(thin_events[0]))

    assert status_of(sql, reference) == "paid"
    assert state_of(sql, paid) == "applied"
    assert 1 <= len(scripted.looked_up) <= 2, "one, where the machine is slow too"
    put_off = [webhook_row(sql, delivery) for delivery in thin_events[2:]]
    assert {(row.state, row.attempts) for row in put_off} == {("received", 1)}


def test_nobody_is_queried_about_a_payment_that_is_not_here(sql: Sql, scripted: ScriptedProvider) -> None:
    delivery = tell(scripted, sql, "news", [thin_event("mock_pi_unknown")])

    process(str(delivery))

    assert state_of(sql, delivery) == "parked"
    assert webhook_row(sql, delivery).provider_ref == "mock_pi_unknown"
    assert scripted.looked_up == []


@pytest.mark.parametrize(("age", "state"), [("1 second", "received"), ("2 minutes", "rejected")])
def test_an_unsigned_webhook_about_a_payment_that_is_not_ours_waits_a_moment(
    sql: Sql, scripted: ScriptedProvider, age: str, state: str
) -> None:
    words = [thin_event("mock_pi_unknown", verified=False)]
    delivery = tell(scripted, sql, "news", words, received_at=f"now() - interval '{age}'")

    process(str(delivery))

    assert state_of(sql, delivery) == state
    assert scripted.looked_up == []


def test_credentials_that_a_provider_refuses_use_up_no_attempt(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    scripted.truths[reference] = ProviderRefusedError("status 401", reason=Decline.CREDENTIALS)
    delivery = tell(scripted, sql, "news", [thin_event(reference)])

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert (row.state, row.detail) == ("received", "status 401")


def test_a_set_asks_about_each_payment_once(sql: Sql, scripted: ScriptedProvider) -> None:
    """Anybody can send an unsigned webhook about their own payment a thousand times."""
    reference = insert_payment(sql)
    scripted.truths[reference] = [event(reference, "paid", event_id="lookup:paid")]
    webhooks = [tell(scripted, sql, f"news {number}", [thin_event(reference, verified=False)]) for number in range(20)]

    process(str(webhooks[0]))

    assert scripted.looked_up == [reference]
    assert sorted(state_of(sql, one) for one in webhooks) == ["applied"] + ["duplicate"] * 19
    assert status_of(sql, reference) == "paid"


def test_an_answer_that_cannot_be_understood_is_not_quoted_in_the_log(
    sql: Sql, scripted: ScriptedProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = insert_payment(sql)

    def answer() -> list[object]:
        try:
            return [int("4111 1111 1111 1111")]
        except ValueError as error:
            raise UnreadableError("a time is none") from error

    scripted.truths[reference] = answer
    process(str(tell(scripted, sql, "news", [thin_event(reference)])))

    words = capsys.readouterr()
    assert "look_up_not_understood" in words.err + words.out
    assert "4111 1111" not in words.err + words.out


def test_what_may_be_entered_soon_is_not_parked_for_days_by_its_neighbour(sql: Sql, scripted: ScriptedProvider) -> None:
    reference = insert_payment(sql)
    refund = ProviderRefundEvent(
        provider="mock",
        provider_ref=reference,
        refund_ref="re_1",
        event_id="evt_refund",
        status=RefundStatus.SUCCEEDED,
    )
    delivery = tell(scripted, sql, "batch", [event("mock_pi_of_another_service", "paid"), refund])

    process(str(delivery))
    row = webhook_row(sql, delivery)
    assert (row.state, row.due_in < 60) == ("received", True), "the refund waits for one that names its amount"

    named = replace(refund, event_id="evt_named", status=RefundStatus.PROCESSING, amount=Decimal("1.00"))
    process(str(tell(scripted, sql, "named", [named])))
    sql("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE id = :id", id=delivery)
    process(str(delivery))
    assert sql("SELECT status::text FROM refunds")[0].status == "succeeded"
    assert state_of(sql, delivery) == "parked"
