"""The transitions: the only writer of ``payments.status``.

``record`` takes many events and a fixed number of statements, in an order that keeps two workers from deadlock:
carts locked first, by key, where money came; then payments, by id; then events inserted; then one UPDATE of payments.
The database lets no status move back: trigger payments_guard (migrations/baseline/payments.sql).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent
from worker.transitions.outcomes import Outcome, Review
from worker.transitions.payment_statements import INSERT_EVENTS, LOCK_CARTS, LOCK_PAYMENTS, MOVE_PAYMENTS, as_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An event, where it came from, and when."""

    event: ProviderEvent
    received_at: datetime
    delivery_id: UUID | None = None


@dataclass(slots=True)
class _Payment:
    """A locked payment while events are applied to it."""

    id: UUID
    amount: Any
    currency: str
    before: PaymentStatus
    status: PaymentStatus
    reasons: set[str]
    cart: tuple[Any, Any] | None
    raw: bytes | None = None
    capture: str | None = None
    stood: tuple[PaymentStatus, set[str], str | None] | None = None

    @property
    def changed(self) -> bool:
        return (self.status, self.reasons, self.capture) != self.stood


_Payments = dict[tuple[str, str], _Payment]
"""By provider and provider_ref."""
_Recorded = dict[tuple[str, str], str | None]


def record(connection: Connection, reports: Sequence[Report], *, besides: Iterable[str] = ()) -> list[Outcome]:
    """Enter events into the transitions within the caller's transaction; one outcome for each, in order.

    Events about payments that are not here yet are PARKED and leave no trace. Payments with the references ``besides``
    are locked along, for what follows.
    """
    payments = _lock(connection, reports, besides)
    outcomes = [Outcome.PARKED] * len(reports)
    entries = _entries(reports, payments, outcomes)
    recorded = _insert_events(connection, reports, payments, entries)
    for key, (index, outcome) in entries.items():
        outcomes[index] = outcome if key in recorded else Outcome.DUPLICATE
    _apply(reports, payments, outcomes, recorded)
    _flag_duplicates(payments)
    _move(connection, [payment for payment in payments.values() if payment.changed])
    return outcomes


def _lock(connection: Connection, reports: Sequence[Report], besides: Iterable[str]) -> _Payments:
    """The payments that the events speak of, and their duplicates that money came for, locked until the transaction
    ends.
    """
    references = sorted({report.event.provider_ref for report in reports}.union(besides))
    money = sorted({report.event.provider_ref for report in reports if report.event.status.money_came})
    if not references:
        return {}
    if money:
        LOCK_CARTS.within(connection, {"money": money})
    rows = LOCK_PAYMENTS.within(connection, {"references": references, "money": money})
    payments = {}
    for row in rows:
        status = PaymentStatus(row.status)
        reasons = set(row.review_reason.split(", ")) if row.review_reason else set()
        payments[row.provider, row.provider_ref] = _Payment(
            id=row.id,
            amount=row.amount,
            currency=row.currency,
            before=status,
            status=status,
            reasons=set(reasons),
            capture=row.capture_ref,
            stood=(status, reasons, row.capture_ref),
            cart=None if row.cart_id is None else (row.cart_id, row.lines_key),
        )
    return payments


def _entries(
    reports: Sequence[Report], payments: _Payments, outcomes: list[Outcome]
) -> dict[tuple[str, str], tuple[int, Outcome]]:
    """One entry an event id: the report that speaks for it, and what it would do.

    Of two reports of one event in the same set the first speaks, unless only the second agrees with the payment.
    """
    standing = {payment.id: payment.status for payment in payments.values()}
    entries: dict[tuple[str, str], tuple[int, Outcome]] = {}
    for index, report in enumerate(reports):
        event = report.event
        payment = payments.get((event.provider, event.provider_ref))
        if payment is None:
            continue
        key = (event.provider, event.event_id)
        outcome = Outcome.MISMATCH if _disagrees(event, payment) else Outcome.STALE
        spoken = entries.get(key)
        if spoken is not None and (spoken[1] is not Outcome.MISMATCH or outcome is Outcome.MISMATCH):
            outcomes[index] = Outcome.DUPLICATE
            continue
        if spoken is not None:
            outcomes[spoken[0]] = Outcome.DUPLICATE
        if outcome is not Outcome.MISMATCH and event.status > standing[payment.id]:
            outcome = Outcome.APPLIED
            standing[payment.id] = event.status
        entries[key] = (index, outcome)
    return entries


def _disagrees(event: ProviderEvent, payment: _Payment) -> bool:
    """Whether a ``paid`` speaks of other money than ours."""
    if event.status is not PaymentStatus.PAID:
        return False
    if event.amount is None and event.currency is None and not event.amount_required:
        return False
    amount = payment.amount if event.amount is None and not event.amount_required else event.amount
    currency = payment.currency if event.currency is None and not event.amount_required else event.currency
    return (amount, currency) != (payment.amount, payment.currency)


def _insert_events(
    connection: Connection,
    reports: Sequence[Report],
    payments: _Payments,
    entries: dict[tuple[str, str], tuple[int, Outcome]],
) -> _Recorded:
    """Insert the events; returns those that are news, by key, with None, or were a mismatch until now, with that."""
    if not entries:
        return {}
    chosen = [(key, reports[index], outcome) for key, (index, outcome) in sorted(entries.items())]
    events = [report.event for _, report, _ in chosen]
    rows = INSERT_EVENTS.within(
        connection,
        {
            "deliveries": [report.delivery_id for _, report, _ in chosen],
            "providers": [event.provider for event in events],
            "events": [event.event_id for event in events],
            "payments": [payments[event.provider, event.provider_ref].id for event in events],
            "statuses": [event.status.value for event in events],
            "amounts": [event.amount for event in events],
            "currencies": [event.currency for event in events],
            "outcomes": [outcome.value for _, _, outcome in chosen],
            "occurred": [event.occurred_at for event in events],
            "received": [report.received_at for _, report, _ in chosen],
        },
    )
    return {(provider, event_id): was for provider, event_id, was in rows}


def _apply(reports: Sequence[Report], payments: _Payments, outcomes: Sequence[Outcome], recorded: _Recorded) -> None:
    """Move the payments along the street, and flag what a person has to look at; the order of events is no matter."""
    for report, outcome in zip(reports, outcomes, strict=True):
        if outcome in {Outcome.PARKED, Outcome.DUPLICATE}:
            continue
        event = report.event
        payment = payments[event.provider, event.provider_ref]
        if outcome is Outcome.MISMATCH:
            # One that was a mismatch before was flagged then; a person may have looked at it since.
            payment.reasons |= set() if recorded[event.provider, event.event_id] else {Review.MISMATCH}
            continue
        closed = payment.status.closed_unpaid or event.status.closed_unpaid
        if closed and max(payment.status, event.status).money_came:
            payment.reasons.add(Review.PAID_AFTER_CLOSE)
        if event.status.money_came:
            payment.capture = payment.capture or event.capture_ref
        if event.status > payment.status:
            payment.status = event.status
            payment.raw = as_json(event.raw)


def _flag_duplicates(payments: _Payments) -> None:
    """Flag payments for the same lines of the same cart, if money came for more than one.

    Only when it came just now: what a person has looked at and cleared is not flagged again by an echo.
    """
    by_cart: dict[tuple[Any, Any], list[_Payment]] = {}
    for payment in payments.values():
        if payment.cart is not None and payment.status.money_came:
            by_cart.setdefault(payment.cart, []).append(payment)
    for duplicates in by_cart.values():
        if len(duplicates) > 1 and not all(duplicate.before.money_came for duplicate in duplicates):
            for payment in duplicates:
                payment.reasons.add(Review.PAID_TWICE)


def _move(connection: Connection, payments: Sequence[_Payment]) -> None:
    if not payments:
        return
    MOVE_PAYMENTS.within(
        connection,
        {
            "ids": [payment.id for payment in payments],
            "statuses": [payment.status.value for payment in payments],
            "raws": [payment.raw for payment in payments],
            "reasons": [", ".join(sorted(payment.reasons)) or None for payment in payments],
            "captures": [payment.capture for payment in payments],
        },
    )
