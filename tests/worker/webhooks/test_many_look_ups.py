"""News of more payments than one attempt can ask about: each attempt comes further, and none holds back another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

import pytest

from checkout_service.cache import cache
from checkout_service.providers.base import (
    Decline,
    ProviderEvent,
    ProviderRefusedError,
    ProviderUnavailableError,
    UnreadableError,
)
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of
from tests.worker.conftest import webhook_row
from tests.worker.scripted import ScriptedProvider, event, thin_event
from worker.webhooks import look_ups, task
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process

MANY = 30
IN_AN_ATTEMPT = 5


def file_news(scripted: ScriptedProvider, sql: Sql, references: Sequence[str]) -> UUID:
    body = json.dumps(list(references)).encode()
    scripted.webhooks[body] = [thin_event(reference) for reference in references]
    return insert_webhook(sql, body)


def again(sql: Sql, delivery: UUID) -> None:
    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    sweep()
    process(str(delivery))


class Clock:
    """Time that passes with each answer alone, so that how many fit into an attempt is no matter of chance."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _forget() -> None:
    for key in cache()._redis.keys("*looked up*"):
        cache()._redis.delete(key)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(task, "monotonic", made)
    monkeypatch.setattr(look_ups, "monotonic", made)
    return made


@pytest.fixture
def slow(scripted: ScriptedProvider, sql: Sql, clock: Clock) -> list[str]:
    """Payments that were paid, at a provider that answers so slowly that an attempt asks about a few of them."""
    references = [insert_payment(sql) for _ in range(MANY)]

    def paid(reference: str) -> list[ProviderEvent]:
        # The last one begins before the time is over, and ends after it.
        clock.now += task.LOOK_UP_FOR / (IN_AN_ATTEMPT - 0.5)
        return [event(reference, "paid", event_id=f"lookup:{reference}")]

    for reference in references:
        scripted.truths[reference] = lambda reference=reference: paid(reference)
    return references


def test_each_attempt_goes_on_where_the_one_before_had_no_time_left(
    sql: Sql, scripted: ScriptedProvider, slow: list[str]
) -> None:
    delivery = file_news(scripted, sql, slow)
    process(str(delivery))
    first = webhook_row(sql, delivery)
    paid_first = sum(status_of(sql, reference) == "paid" for reference in slow)
    assert (first.state, first.attempts) == ("received", 1)
    assert first.due_in < 8, "soon, however old it is"
    assert paid_first == IN_AN_ATTEMPT, "what was answered counts at once"
    assert first.detail.endswith(f"({MANY - IN_AN_ATTEMPT} of {MANY} are left)")

    for _ in range(MANY):
        if state_of(sql, delivery) != "received":
            break
        again(sql, delivery)

    assert state_of(sql, delivery) == "applied"
    assert {status_of(sql, reference) for reference in slow} == {"paid"}
    assert sorted(scripted.looked_up) == sorted(slow), "each is asked about once"


def test_without_the_cache_all_are_looked_up_again_and_nothing_is_entered_twice(
    sql: Sql, scripted: ScriptedProvider, slow: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = file_news(scripted, sql, slow)
    process(str(delivery))
    before = len(scripted.looked_up)
    monkeypatch.setattr(look_ups, "monotonic", lambda: 0.0)
    _forget()

    again(sql, delivery)

    assert state_of(sql, delivery) == "applied"
    assert len(scripted.looked_up) == before + MANY
    assert sql("SELECT count(*) FROM payment_events")[0].count == MANY


@pytest.mark.parametrize(
    "wrong",
    [
        ProviderUnavailableError("its events are behind"),
        UnreadableError("another payment"),
        ProviderRefusedError("gone", reason=Decline.UNKNOWN_REFERENCE),
        ZeroDivisionError("a bug"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_payment_that_cannot_be_looked_up_holds_back_no_other(
    sql: Sql, scripted: ScriptedProvider, wrong: Exception, place: int
) -> None:
    references = [insert_payment(sql) for _ in range(3)]
    for reference in references:
        scripted.truths[reference] = [event(reference, "paid")]
    good = scripted.truths[references[place]]
    scripted.truths[references[place]] = wrong
    delivery = file_news(scripted, sql, references)

    process(str(delivery))

    row = webhook_row(sql, delivery)
    assert row.state == "received"
    found = [status_of(sql, reference) for reference in references]
    assert found == ["pending" if number == place else "paid" for number in range(3)]

    scripted.truths[references[place]] = good
    scripted.looked_up.clear()
    again(sql, delivery)
    assert state_of(sql, delivery) == "applied"
    assert scripted.looked_up == [references[place]], "the others were asked about before"
    assert status_of(sql, references[place]) == "paid"


@pytest.mark.parametrize("refused", [False, True], ids=["no time is left", "refused in a row"])
def test_payments_at_the_front_that_err_hold_back_none_behind_them(
    sql: Sql, scripted: ScriptedProvider, slow: list[str], clock: Clock, refused: bool
) -> None:
    """Each attempt has the time, or the patience, for these alone, and begins at another place than the one before."""
    wrong = slow[: look_ups.REFUSED_IN_A_ROW if refused else IN_AN_ATTEMPT]
    right = [reference for reference in slow if reference not in wrong]

    def err() -> list[ProviderEvent]:
        if refused:
            raise ProviderRefusedError("403", reason=Decline.CREDENTIALS)
        clock.now += task.LOOK_UP_FOR / (IN_AN_ATTEMPT - 0.5)
        raise UnreadableError("another payment")

    scripted.truths |= dict.fromkeys(wrong, err)
    delivery = file_news(scripted, sql, slow)
    process(str(delivery))
    assert scripted.looked_up == wrong

    for _ in range(8 * MANY):
        if {status_of(sql, reference) for reference in right} == {"paid"}:
            break
        again(sql, delivery)

    assert {status_of(sql, reference) for reference in right} == {"paid"}
    assert {status_of(sql, reference) for reference in wrong} == {"pending"}
    assert sorted(each for each in scripted.looked_up if each in right) == sorted(right), "each is asked about once"


def _fail(sql: Sql) -> None:
    sql("UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL, attempts = 12")


def test_a_replay_goes_on_until_it_is_through(sql: Sql, scripted: ScriptedProvider, slow: list[str]) -> None:
    delivery = file_news(scripted, sql, slow)
    _fail(sql)
    for _ in range(MANY // IN_AN_ATTEMPT - 1):
        process(str(delivery))
        row = webhook_row(sql, delivery)
        assert row.state == "received"
        assert row.due_in < 8
        assert sql("SELECT state FROM command_runs")[0].state == "running"
        sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert sorted(scripted.looked_up) == sorted(slow), "each is asked about once"
    assert sql("SELECT state FROM command_runs")[0].state == "done"
    assert [(row.state, row.count) for row in sql("SELECT state, count FROM command_results")] == [("applied", 1)]


def test_a_replay_that_comes_no_further_fails(sql: Sql, scripted: ScriptedProvider, slow: list[str]) -> None:
    """Without the cache each attempt asks about the same ones: that is not to go on for ever."""
    delivery = file_news(scripted, sql, slow)
    _fail(sql)
    process(str(delivery))
    _forget()

    with pytest.raises(task.WebhookFailedError, match="of 30 are left"):
        again(sql, delivery)

    assert state_of(sql, delivery) == "failed"
    assert sql("SELECT state FROM command_runs")[0].state == "done"


def test_one_that_is_older_than_three_days_goes_on_as_long_as_it_comes_further(
    sql: Sql, scripted: ScriptedProvider, slow: list[str]
) -> None:
    delivery = file_news(scripted, sql, slow)
    sql("UPDATE webhook_deliveries SET received_at = now() - interval '80 hours'")
    process(str(delivery))
    for _ in range(MANY // IN_AN_ATTEMPT - 1):
        row = webhook_row(sql, delivery)
        assert (row.state, row.attempts) == ("received", 1)
        again(sql, delivery)
    assert state_of(sql, delivery) == "applied"


def test_each_replay_asks_about_all(sql: Sql, scripted: ScriptedProvider) -> None:
    references = [insert_payment(sql) for _ in range(3)]
    for reference in references:
        scripted.truths[reference] = [event(reference, "paid")]
    scripted.truths[references[2]] = UnreadableError("another payment")
    delivery = file_news(scripted, sql, references)
    process(str(delivery))
    sql("UPDATE webhook_deliveries SET state = 'failed', next_attempt_at = NULL")
    scripted.looked_up.clear()

    with pytest.raises(task.WebhookFailedError):
        process(str(delivery))

    assert scripted.looked_up == references
