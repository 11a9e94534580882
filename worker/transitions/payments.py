"""The rules of events about payments, applied to what is locked; nothing is read or written here.

``judge`` decides before the events are inserted, ``apply`` moves the payments by those that turned out to be new.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import PaymentStatus
from checkout_service.providers.base import ProviderEvent
from worker.transitions.locked import LockedPayment, Payments, Purchase
from worker.transitions.outcomes import Effect, Outcome, ReceivedEvent
from worker.transitions.statements import as_json

EventKey = tuple[str, str]
"""A provider and its name for an event."""

PARKED, DUPLICATE = Effect(Outcome.PARKED), Effect(Outcome.DUPLICATE)
APPLIED, STALE, MISMATCH = Effect(Outcome.APPLIED), Effect(Outcome.STALE), Effect(Outcome.MISMATCH)
"""Made once: a set has hundreds of events, and these effects say nothing of their own."""


class JudgedEvent(NamedTuple):
    """An event about a payment that is here, its place in the set, and what it does if it is new."""

    place: int
    received: ReceivedEvent
    event: ProviderEvent
    payment: LockedPayment
    effect: Effect


def judge(events: Sequence[ReceivedEvent], payments: Payments, effects: list[Effect]) -> dict[EventKey, JudgedEvent]:
    """One judged event for each event id; that the others are duplicates is put into ``effects``.

    ``effects`` has one place for each event, and says PARKED until something else is known. Of two events with one id
    in a set the first counts, unless only the second agrees with the payment.
    """
    current = {payment.id: payment.status for payment in payments.values()}
    judged: dict[EventKey, JudgedEvent] = {}
    for place, received in enumerate(events):
        event = received.event
        if not isinstance(event, ProviderEvent):
            continue
        payment = payments.get((event.provider, event.provider_ref))
        if payment is None:
            continue
        key = (event.provider, event.event_id)
        effect = MISMATCH if _disagrees(event, payment) else STALE
        other = judged.get(key)
        if other is not None:
            if other.effect is not MISMATCH or effect is MISMATCH:
                effects[place] = DUPLICATE
                continue
            effects[other.place] = DUPLICATE
            del judged[key]
        if effect is STALE and event.status > current[payment.id]:
            effect = APPLIED
            current[payment.id] = event.status
        judged[key] = JudgedEvent(place, received, event, payment, effect)
    return judged


def apply(judged: Mapping[EventKey, JudgedEvent], new: Mapping[EventKey, str | None], effects: list[Effect]) -> None:
    """Move the payments forward, flag what a person has to look at, and put the effects of these events in.

    ``new`` are the events that were inserted or judged again, with their outcome before. The order of events does not
    matter for a payment's status and reasons.
    """
    for key, (place, _, event, payment, effect) in judged.items():
        if key not in new:
            effects[place] = DUPLICATE
            continue
        effects[place] = effect
        if effect is MISMATCH:
            # One that was a mismatch before was flagged then. A person may have looked at it since.
            if new[key] is None:
                payment.reasons.add(ReviewReason.MISMATCH)
            continue
        closed = payment.status.closed_unpaid or event.status.closed_unpaid
        if closed and max(payment.status, event.status).money_came:
            payment.reasons.add(ReviewReason.PAID_AFTER_CLOSE)
        if event.status.money_came:
            payment.capture_ref = payment.capture_ref or event.capture_ref
        if event.status > payment.status:
            payment.status = event.status
            payment.raw = as_json(event.raw)


def flag_duplicates(payments: Iterable[LockedPayment]) -> None:
    """Flag payments for the same lines of the same cart, if money came for more than one.

    Only when it came just now: what a person has looked at and cleared is not flagged again by an echo.
    """
    paid_for: dict[Purchase, list[LockedPayment]] = {}
    for payment in payments:
        if payment.purchase is not None and payment.status.money_came:
            paid_for.setdefault(payment.purchase, []).append(payment)
    for duplicates in paid_for.values():
        if len(duplicates) > 1 and not all(duplicate.status_before.money_came for duplicate in duplicates):
            for payment in duplicates:
                payment.reasons.add(ReviewReason.PAID_TWICE)


def _disagrees(event: ProviderEvent, payment: LockedPayment) -> bool:
    """Whether a ``paid`` speaks of other money than ours."""
    if event.status is not PaymentStatus.PAID:
        return False
    if event.amount is None and event.currency is None and not event.amount_required:
        return False
    amount = payment.amount if event.amount is None and not event.amount_required else event.amount
    currency = payment.currency if event.currency is None and not event.amount_required else event.currency
    return (amount, currency) != (payment.amount, payment.currency)
