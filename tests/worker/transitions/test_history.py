"""Any shuffle of a history of events, with duplicates, in sets of any size and run again, ends in the same state."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout_service.database.engine import transaction
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent
from tests.conftest import Sql
from tests.worker.promises import insert_cart, insert_promise
from tests.worker.scripted import event
from worker.transitions.outcomes import received_now
from worker.transitions.recording import record

PAYMENTS = 4

Saying = tuple[int, str, str]
"""Which payment, what is said of it, and with which money."""

sayings = st.tuples(
    st.integers(0, PAYMENTS - 1),
    st.sampled_from([status.value for status in PaymentStatus]),
    st.sampled_from(["right", "right", "none", "wrong"]),
)


def make_payments(sql: Sql) -> list[str]:
    """Two duplicates of one cart, one of other lines, one of another cart."""
    cart = insert_cart(sql)
    other_lines = '[{"listing": 2, "qty": 1}]'
    return [
        insert_promise(sql, cart=cart),
        insert_promise(sql, cart=cart),
        insert_promise(sql, cart=cart, lines=other_lines),
        insert_promise(sql),
    ]


def events_of(history: list[Saying], references: list[str]) -> list[ProviderEvent]:
    money: dict[str, dict[str, Any]] = {
        "right": {"amount": Decimal("240.00"), "currency": "USD"},
        "wrong": {"amount": Decimal("240.01"), "currency": "USD"},
        "none": {},
    }
    run = references[0][-8:]
    return [
        event(references[which], status, event_id=f"evt_{run}_{number}", **money[kind])
        for number, (which, status, kind) in enumerate(history)
    ]


def play(events: list[ProviderEvent], rng: random.Random | None = None) -> None:
    """One by one as they came; or with duplicates, shuffled, in sets, some of which are run again."""
    sets = [[each] for each in events]
    if rng is not None:
        shuffled = events + rng.choices(events, k=rng.randint(0, len(events)))
        rng.shuffle(shuffled)
        cuts = sorted(rng.randint(0, len(shuffled)) for _ in range(rng.randint(0, len(shuffled))))
        sets = [shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
        sets += rng.sample(sets, k=rng.randint(0, len(sets)))
    for entry in sets:
        with transaction() as connection:
            record(connection, received_now(entry))


def transitions(sql: Sql, references: list[str]) -> list[Any]:
    """Everything about the payments in which the order of what came must not show."""
    rows = sql(
        """SELECT status::text, review_reason, next_look_up_at IS NULL AS settled,
            (SELECT array_agg(row(substr(event_id, 14), status, amount, currency, outcome = 'mismatch')::text
                ORDER BY event_id) FROM payment_events WHERE payment_id = payments.id) AS events
        FROM payments WHERE provider_ref = ANY(:references) ORDER BY array_position(:references, provider_ref)""",
        references=references,
    )
    return [tuple(row) for row in rows]


@pytest.mark.usefixtures("worker")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(sayings, min_size=1, max_size=14), seed=st.integers(0, 2**32))
def test_the_order_of_events_is_no_matter(sql: Sql, history: list[Saying], seed: int) -> None:
    as_it_came, shuffled = make_payments(sql), make_payments(sql)

    play(events_of(history, as_it_came))
    play(events_of(history, shuffled), random.Random(seed))

    assert transitions(sql, shuffled) == transitions(sql, as_it_came)
    for which, (status, review, _, _) in enumerate(transitions(sql, as_it_came)):
        assert (status, review) == expected(history, which)


def expected(history: list[Saying], which: int) -> tuple[str, str | None]:
    """By the rules alone, without a database: the furthest status, and the reasons for a person to look."""
    proven = [PaymentStatus(status) for of, status, money in history if of == which and not _mismatch(status, money)]
    status = max([PaymentStatus.PENDING, *proven])
    reasons = set()
    if any(of == which and _mismatch(status, money) for of, status, money in history):
        reasons.add("mismatch")
    if status.money_came and any(each.closed_unpaid for each in proven):
        reasons.add("paid_after_close")
    if status.money_came and which in {0, 1} and _money_came(history, 1 - which):
        reasons.add("paid_twice")
    return status.value, ", ".join(sorted(reasons)) or None


def _mismatch(status: str, money: str) -> bool:
    return status == "paid" and money == "wrong"


def _money_came(history: list[Saying], which: int) -> bool:
    return any(
        of == which and PaymentStatus(status).money_came and not _mismatch(status, money)
        for of, status, money in history
    )
