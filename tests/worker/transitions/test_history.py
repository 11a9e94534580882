"""Whatever providers tell: any order, any repetition and any split over workers ends in the same payments.

Random histories of all kinds of entries are entered one by one; then shuffled, doubled, cut into sets, and entered by
two workers at once. What comes out is measured by the rules in plain Python (``rules.py``).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.database.engine import transaction
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import (
    AttemptStatus,
    CaptureStatus,
    DisputeStage,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)
from checkout_service.providers.base import ProviderEvent, ProviderRefundEvent
from checkout_service.providers.entries import (
    AttemptEntry,
    CaptureEntry,
    ClosedEntry,
    DisputeEntry,
    NoneUnderWayEntry,
    NoticeEntry,
)
from tests.conftest import Sql
from tests.crowd import at_once
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.transitions.entered import folded
from tests.worker.transitions.rules import Expected, Report
from worker.transitions.outcomes import ReceivedEvent
from worker.transitions.recording import record

PAYMENTS = 4
DUE = Decimal("240.00")
BEGIN = datetime.now(UTC) - timedelta(days=3)

Event = ProviderEvent | ProviderRefundEvent

amounts = st.sampled_from([Decimal(each) for each in ("40.00", "100.00", "140.00", "240.00")])
moments = st.integers(0, 40).map(lambda minutes: BEGIN + timedelta(minutes=minutes))
maybe_amounts = st.none() | amounts


@st.composite
def attempts(draw: st.DrawFn, names: Sequence[str]) -> AttemptEntry:
    ref = draw(st.sampled_from(names))
    status = draw(st.sampled_from(list(AttemptStatus)))
    return AttemptEntry(
        ref=ref,
        status=status,
        presumed=draw(maybe_amounts),
        authorized=draw(maybe_amounts) if status is AttemptStatus.AUTHORIZED else None,
        currency="USD",
        rest_released=draw(st.booleans()) and draw(st.booleans()),
        # Always the same one, as a provider says it: the second stands in the place of the first.
        replaces=names[0] if len(names) > 1 and ref == names[1] and draw(st.booleans()) else None,
        at=draw(moments),
    )


@st.composite
def captures(draw: st.DrawFn, names: Sequence[str]) -> CaptureEntry:
    which = draw(st.integers(0, 2))
    return CaptureEntry(
        ref=f"capture_{which}",
        status=draw(st.sampled_from(list(CaptureStatus))),
        amount=draw(amounts),
        currency="USD",
        attempt_ref=names[which % len(names)],
    )


@st.composite
def disputes(draw: st.DrawFn) -> DisputeEntry:
    step = draw(st.integers(0, 4))
    return DisputeEntry(
        ref=draw(st.sampled_from(["dispute_0", "dispute_1", ""])),
        stage=draw(st.sampled_from(list(DisputeStage))),
        status=draw(st.sampled_from(list(DisputeStatus))),
        at=draw(moments),
        blocks_refund=draw(st.booleans()),
        step=step,
        money_out=step > 0 and draw(st.booleans()),
        amount=draw(maybe_amounts),
        currency="USD",
    )


@st.composite
def refunds(draw: st.DrawFn) -> ProviderRefundEvent:
    which = draw(st.integers(0, 2))
    return ProviderRefundEvent(
        provider="mock",
        provider_ref="",
        refund_ref=f"refund_{which}",
        event_id="",
        status=draw(st.sampled_from([RefundStatus.PROCESSING, RefundStatus.SUCCEEDED, RefundStatus.FAILED])),
        amount=Decimal(40 + 100 * which),
        currency="USD",
    )


def reports(names: Sequence[str]) -> st.SearchStrategy[Report]:
    closed = st.sampled_from([PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED])
    noticed = st.sampled_from([ReviewReason.RECAPTURED, ReviewReason.FRAUD_WARNING])
    return st.one_of(
        attempts(names),
        captures(names),
        captures(names),
        disputes(),
        refunds(),
        closed.map(lambda status: ClosedEntry(status=status)),
        # Between two moments at which something is reports.
        moments.map(lambda at: NoneUnderWayEntry(at=at + timedelta(seconds=30))),
        noticed.map(lambda reason: NoticeEntry(reason=reason, ref="x")),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Report]]:
    """What is reports of which payment, by a provider that names its attempts or by one that does not."""
    names = draw(st.sampled_from([("attempt_0", "attempt_1"), ("attempt_0", "attempt_1"), ("",)]))
    history = draw(st.lists(st.tuples(st.integers(0, PAYMENTS - 1), reports(names)), min_size=1, max_size=16))
    # No two news of a dispute have one place, where the name of the event would decide, which is another in each run.
    return [
        (which, replace(each, rank=place) if isinstance(each, DisputeEntry) else each)
        for place, (which, each) in enumerate(history)
    ]


def make_payments(sql: Sql) -> list[str]:
    """Two of one filling of a cart, one of a later filling of it, one of another cart."""
    cart = insert_cart(sql)
    first, second = insert_promise(sql, cart=cart), insert_promise(sql, cart=cart)
    sql("UPDATE carts SET generation = 5 WHERE id = :cart", cart=cart)
    return [first, second, insert_promise(sql, cart=cart), insert_promise(sql)]


def events_of(history: Sequence[tuple[int, Report]], references: Sequence[str]) -> list[Event]:
    """The events that tell it, with names of each payment's own."""
    run = uuid4().hex
    events: list[Event] = []
    for number, (which, each) in enumerate(history):
        own, reference, event_id = f"{run}_{which}_", references[which], f"evt_{run}_{number}"
        if isinstance(each, ProviderRefundEvent):
            named = replace(each, refund_ref=own + each.refund_ref, provider_ref=reference, event_id=event_id)
            events.append(named)
            continue
        entry: Any = each
        for name in ("ref", "attempt_ref", "replaces"):
            if getattr(entry, name, None) and not isinstance(entry, NoticeEntry):
                entry = replace(entry, **{name: own + getattr(entry, name)})
        events.append(
            ProviderEvent(
                provider="mock",
                provider_ref=reference,
                event_id=event_id,
                status=None,
                occurred_at=BEGIN + timedelta(minutes=number),
                entries=[entry],
            )
        )
    return events


def play(entries: Sequence[Event]) -> None:
    """Enter them as one set; once more where another worker holds a payment for too long."""
    now = datetime.now(UTC)
    for _ in range(5):
        try:
            with transaction() as connection:
                record(connection, [ReceivedEvent(each, now) for each in entries])
        except DatabaseLockedError:
            continue
        return
    raise AssertionError("held for ever")


@dataclass
class Cut:
    """A shuffled history with duplicates, cut into the sets of two workers."""

    sets: list[list[Event]]

    @classmethod
    def of(cls, events: list[Event], chance: random.Random) -> Cut:
        shuffled = events + chance.choices(events, k=chance.randint(0, len(events)))
        chance.shuffle(shuffled)
        cuts = sorted(chance.randint(0, len(shuffled)) for _ in range(chance.randint(0, len(shuffled))))
        sets = [shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
        return cls(sets=sets + chance.sample(sets, k=chance.randint(0, len(sets))))


def entries_of(sql: Sql, references: Sequence[str]) -> list[Any]:
    """Everything besides the payments in which the order of what came must not show."""
    return [tuple(sql(ENTRIES, reference=reference)[0]) for reference in references]


ENTRIES = """
    SELECT
        (SELECT array_agg(row(substr(attempt_ref, 33), status, amount_presumed, amount_authorized, rest_released,
            reported_at)::text ORDER BY attempt_ref) FROM payment_attempts WHERE payment_id = payment.id) AS attempts,
        (SELECT array_agg(row(substr(capture_ref, 33), status, amount, substr(attempt_ref, 33))::text
            ORDER BY capture_ref) FROM captures WHERE payment_id = payment.id) AS captures,
        (SELECT array_agg(row(substr(dispute_ref, 33), stage, status, reported_at, rank, money_step, money_out, amount,
            blocks_refund)::text ORDER BY dispute_ref) FROM disputes WHERE payment_id = payment.id) AS disputes,
        (SELECT array_agg(row(substr(provider_ref, 33), status, amount)::text ORDER BY provider_ref)
            FROM refunds WHERE payment_id = payment.id) AS refunds,
        (SELECT count(*) FROM payment_events WHERE payment_id = payment.id) AS events
    FROM payments AS payment WHERE provider_ref = :reference
"""


@pytest.mark.usefixtures("worker")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_the_order_of_events_is_no_matter(sql: Sql, history: list[tuple[int, Report]], seed: int) -> None:
    as_it_came, shuffled = make_payments(sql), make_payments(sql)

    for each in events_of(history, as_it_came):
        play([each])
    for entries in Cut.of(events_of(history, shuffled), random.Random(seed)).sets:
        play(entries)

    assert [folded(sql, each) for each in shuffled] == [folded(sql, each) for each in as_it_came]
    assert entries_of(sql, shuffled) == entries_of(sql, as_it_came)
    measure(sql, history, as_it_came)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=histories(), seed=st.integers(0, 2**32))
def test_two_workers_at_once_end_as_one_alone(
    sql: Sql, worker_app: Flask, history: list[tuple[int, Report]], seed: int
) -> None:
    references = make_payments(sql)
    chance = random.Random(seed)
    cut = Cut.of(events_of(history, references), chance).sets

    def work(which: int) -> None:
        with worker_app.app_context():
            for entries in cut[which::2]:
                play(entries)

    at_once([partial(work, 0), partial(work, 1)])

    measure(sql, history, references)


def measure(sql: Sql, history: Sequence[tuple[int, Report]], references: Sequence[str]) -> None:
    """The payments against the rules alone."""
    expected = [Expected(due=DUE) for _ in references]
    for which, each in history:
        expected[which].hear(each)
    for which, rule in enumerate(expected):
        now = folded(sql, references[which])
        mates = [expected[1 - which]] if which < 2 else []
        assert (now.status, now.reasons) == (rule.status, rule.reasons(mates))
        assert [
            Decimal(each) for each in (now.captured, now.lost, now.blocked, now.authorized, now.refunded, now.refunding)
        ] == [rule.came, rule.undone + rule.taken, rule.blocked, rule.authorized, rule.refunded, rule.refunding]
        assert now.under_way == rule.under_way
