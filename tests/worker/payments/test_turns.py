"""A provider that is away, or a customer with much that is due, stands before nobody else's payments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.providers.base import (
    ProviderEvent,
    ProviderRefundEvent,
    ProviderUnavailableError,
    Reference,
    ThinEvent,
)
from checkout_service.providers.undelivered import UndeliveredEvent, UndeliveredPage
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, status_of
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import ScriptedProvider
from worker.payments import look_ups
from worker.payments.attempts import PAGE as ATTEMPTS_OF_A_PROVIDER
from worker.payments.backfill import backfill
from worker.payments.lanes import in_turns
from worker.payments.look_ups import STEP, expire, look_up
from worker.payments.status_queries import GIVE_UP_AFTER

MANY = 200

Answers = Sequence[ProviderEvent | ProviderRefundEvent]


class AwayProvider(ScriptedProvider):
    """Answers nothing; where ``until`` is given, only once that is set."""

    name = "adyen"

    def __init__(self, until: Event | None = None) -> None:
        super().__init__()
        self._until = until
        self.waited_in_vain = False

    def look_up(self, reference: Reference) -> Answers:
        super().look_up(reference)
        self._fail()

    def cancel(self, reference: Reference) -> Answers:
        super().cancel(reference)
        self._fail()

    def _fail(self) -> Any:
        if self._until is not None and not self._until.wait(30):
            self.waited_in_vain = True
        raise ProviderUnavailableError("no answer")


@pytest.fixture
def away() -> AwayProvider:
    return AwayProvider()


@pytest.fixture
def healthy() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture(autouse=True)
def _worker(make_worker: MakeWorker, away: AwayProvider, healthy: ScriptedProvider) -> Iterator[None]:
    """A worker with an account at both; the test runs inside its context."""
    app = make_worker(payment_namespace=uuid4())
    app.extensions["providers"] = {"adyen": away, "mock": healthy}
    look_ups._in_vain.clear()
    with app.app_context():
        yield
    look_ups._in_vain.clear()


def insert_many(sql: Sql, count: int, *, provider: str = "adyen", customers: int | None = None, ago: int = 60) -> None:
    """Payments that are due since ``ago`` seconds, with sessions that are over: of one customer each, or of so many."""
    sql(
        """WITH customer AS (
            INSERT INTO users (id) SELECT uuidv7() FROM generate_series(1, :customers) RETURNING id
        ), numbered AS (
            SELECT id, row_number() OVER () AS number FROM customer
        ), payment AS (
            INSERT INTO payments (user_id, provider, provider_ref, amount, currency, next_look_up_at)
            SELECT numbered.id, :provider, :provider || '_' || uuidv7(), 240, 'USD',
                now() - :ago * interval '1 second' + series * interval '1 millisecond'
            FROM generate_series(1, :count) AS series
            JOIN numbered ON numbered.number = series % :customers + 1
            RETURNING id, user_id, amount, currency
        ), cart AS (
            INSERT INTO carts (user_id) SELECT id FROM numbered WHERE number = 1 RETURNING id
        )
        INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at)
        SELECT payment.user_id, cart.id, payment.id::text, '', payment.id, payment.id::text, payment.amount,
            payment.currency, '[]', now() - interval '1 second'
        FROM payment, cart""",
        count=count,
        customers=customers or count,
        provider=provider,
        ago=ago,
    )


def insert_last(sql: Sql, *, provider: str = "mock") -> str:
    """One payment like them, of another customer and younger than them all; its provider_ref."""
    insert_many(sql, 1, provider=provider, ago=1)
    return str(sql("SELECT provider_ref FROM payments ORDER BY id DESC LIMIT 1")[0].provider_ref)


def test_turns_are_each_ones_first_before_anybodys_second() -> None:
    assert in_turns("aaabac", str) == ["a", "b", "c", "a", "a", "a"]


def test_what_is_due_at_a_provider_that_is_away_keeps_nobody_elses_look_up_waiting(
    sql: Sql, away: AwayProvider, healthy: ScriptedProvider
) -> None:
    insert_many(sql, MANY)
    reference = insert_last(sql)

    look_up()

    assert healthy.canceled == [reference], "its session is over, so that a look-up cancels it"
    assert status_of(sql, reference) == "expired"
    assert len(away.canceled) == GIVE_UP_AFTER
    (unused,) = sql("SELECT count(*) FROM payments WHERE look_ups = 0 AND next_look_up_at <= now()")
    assert unused.count == MANY - GIVE_UP_AFTER, "no look-up of theirs was used up, and they stay due"


def test_payments_of_a_provider_without_an_account_keep_no_answer_waiting(sql: Sql) -> None:
    """Nobody can be asked about them, so they are through at once; there may be thousands."""
    insert_many(sql, 4 * STEP, provider="stripe")
    insert_many(sql, 2, provider="mock")

    look_up()

    noted = sql("SELECT provider, max(look_up_log -> 0 ->> 'at') AS last_at FROM payments GROUP BY provider ORDER BY 1")
    assert [row.provider for row in noted] == ["mock", "stripe"]
    assert noted[0].last_at < noted[1].last_at


def test_a_call_that_hangs_holds_up_its_own_providers_payments_alone(
    sql: Sql, healthy: ScriptedProvider, make_worker: MakeWorker
) -> None:
    answered = Event()
    away = AwayProvider(until=answered)
    insert_many(sql, GIVE_UP_AFTER)
    reference = insert_last(sql)
    healthy.cancellations[reference] = lambda: (answered.set(), [])[1]
    app = make_worker()
    app.extensions["providers"] = {"adyen": away, "mock": healthy}

    with app.app_context():
        look_up()
    assert (len(away.canceled), away.waited_in_vain) == (GIVE_UP_AFTER, False)

    answered.clear()
    sql("UPDATE payments SET look_ups = 0")
    with app.app_context():
        expire()
    assert (len(away.canceled), away.waited_in_vain) == (2 * GIVE_UP_AFTER, False)
    assert healthy.canceled == [reference] * 2


def test_a_customer_with_hundreds_of_payments_stands_before_no_other_customer(sql: Sql) -> None:
    insert_many(sql, 500, provider="mock", customers=1)
    reference = insert_last(sql)
    (last,) = sql("SELECT id FROM payments WHERE provider_ref = :reference", reference=reference)

    claimed = look_ups._claim(None)

    assert [inquiry.payment_id for inquiry in claimed].index(last.id) == 1
    assert len(claimed) == STEP


def test_a_claim_takes_a_step_of_each_provider_or_of_those_that_are_named(sql: Sql) -> None:
    for provider in ("adyen", "mock", "of_another_age"):
        insert_many(sql, STEP + 5, provider=provider)

    assert sorted({inquiry.provider for inquiry in look_ups._claim(["mock"])}) == ["mock"]
    claimed = [inquiry.provider for inquiry in look_ups._claim(None)]
    assert {name: claimed.count(name) for name in claimed} == {"adyen": STEP, "mock": 5, "of_another_age": STEP}
    assert len(look_ups._claim(None)) == 10
    assert look_ups._claim(None) == []


def test_all_that_is_due_is_looked_up_step_after_step(sql: Sql, healthy: ScriptedProvider) -> None:
    insert_many(sql, 2 * STEP + 3, provider="mock", customers=7)

    look_up()

    assert len(healthy.canceled) == len(set(healthy.canceled)) == 2 * STEP + 3


def test_what_expires_at_a_provider_that_is_away_keeps_nobody_else_waiting(
    sql: Sql, away: AwayProvider, healthy: ScriptedProvider
) -> None:
    insert_many(sql, look_ups.PAGE + 1)
    reference = insert_last(sql)

    expire()

    assert status_of(sql, reference) == "expired"
    assert (len(away.canceled), healthy.canceled) == (GIVE_UP_AFTER, [reference])
    expire()
    assert len(set(away.canceled)) == 2 * GIVE_UP_AFTER, "others than those that were canceled in vain"


def test_a_window_that_is_full_of_one_that_is_away_is_not_the_end(
    sql: Sql, away: AwayProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_ups, "WINDOW", 10)
    insert_many(sql, 35)
    reference = insert_last(sql)

    expire()

    assert (status_of(sql, reference), len(away.canceled)) == ("expired", GIVE_UP_AFTER)


def test_payments_of_one_customer_expire_in_turn_with_others(
    sql: Sql, healthy: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.payments.status_queries.GIVE_UP_AFTER", 1)  # one call at a time: in order
    insert_many(sql, 30, provider="mock", customers=1)
    reference = insert_last(sql)

    expire()

    assert healthy.canceled.index(reference) == 1
    assert len(healthy.canceled) == 31


def test_attempts_past_their_time_of_a_provider_that_is_away_keep_nobody_elses_waiting(
    sql: Sql, away: AwayProvider, healthy: ScriptedProvider
) -> None:
    insert_many(sql, ATTEMPTS_OF_A_PROVIDER + 1)
    reference = insert_last(sql)
    sql("""INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, times_out_at)
        SELECT id, provider, 'debit_' || id, 'under_way', now() - interval '9 days', next_look_up_at FROM payments""")
    sql("UPDATE payments SET under_way = true")

    expire()

    assert (healthy.looked_up, len(away.looked_up)) == ([reference], GIVE_UP_AFTER)
    (given_up,) = sql("SELECT provider FROM payment_attempts WHERE given_up_at IS NOT NULL")
    assert given_up.provider == "mock"


class Undelivering(ScriptedProvider):
    """Keeps what it could not deliver, a page for each event; without any it is away."""

    def __init__(self, name: str, references: Sequence[str] = ()) -> None:
        super().__init__()
        self.name = name  # type: ignore[misc]  # the class has it for others
        self._references = references
        self.pages: list[str | None] = []

    def undelivered(self, *, since: Any, after: str | None = None) -> UndeliveredPage:
        self.pages.append(after)
        if not self._references:
            raise ProviderUnavailableError("no answer")
        place = int(after or 0)
        thin = ThinEvent(provider=self.name, provider_ref=self._references[place], verified=True)
        following = str(place + 1) if place + 1 < len(self._references) else None
        return UndeliveredPage(events=[UndeliveredEvent(event_id=f"evt_{place}", events=[thin])], after=following)


def test_providers_take_turns_in_a_backfill(sql: Sql, make_worker: MakeWorker) -> None:
    references = {name: [insert_payment(sql, provider=name) for _ in range(3)] for name in ("mock", "mollie")}
    first, second, last = (
        Undelivering("adyen"),
        Undelivering("mock", references["mock"]),
        Undelivering("mollie", references["mollie"]),
    )
    app = make_worker(payment_namespace=uuid4())
    app.extensions["providers"] = {"adyen": first, "mock": second, "mollie": last}

    with app.app_context():
        backfill()

    assert first.pages == [None]
    assert second.pages == last.pages == [None, "1", "2"]
    assert (second.looked_up, last.looked_up) == (references["mock"], references["mollie"])
