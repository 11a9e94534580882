"""The way of a payment as it is drawn: the statuses that it came through, and the one that it has now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from checkout_service.oversight.entries import PaymentEventRecorded
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus

EXPLAINED: Final = {
    PaymentStatus.PENDING: "asked to pay",
    PaymentStatus.PROCESSING: "under way",
    PaymentStatus.FAILED: "declined",
    PaymentStatus.AUTHORIZED: "money promised",
    PaymentStatus.EXPIRED: "time ran out",
    PaymentStatus.CANCELED: "called off",
    PaymentStatus.PARTIALLY_PAID: "a part came",
    PaymentStatus.PAID: "money came",
    PaymentStatus.REVERSED: "money went back",
}

_BETWEEN: Final = (PaymentStatus.PROCESSING, PaymentStatus.FAILED, PaymentStatus.AUTHORIZED)
"""Statuses that are drawn where the payment came through them to the one that it has; others only where it has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStep:
    """One status: ``current`` if the payment has it, ``reached`` if it has it or came through it."""

    name: str
    explained: str
    current: bool
    reached: bool


def status_steps(status: PaymentStatus, events: Iterable[PaymentEventRecorded]) -> list[StatusStep]:
    """The steps of a payment with this status, from the first to the last.

    One that may still be paid has ``paid`` as its last step, which is not reached yet.
    """
    came_by = {event.status for event in events if event.outcome is EventOutcome.APPLIED}
    drawn = {PaymentStatus.PENDING, status} | {each for each in _BETWEEN if each in came_by and each < status}
    if status.open or status is PaymentStatus.PARTIALLY_PAID or status is PaymentStatus.REVERSED:
        drawn.add(PaymentStatus.PAID)
    return [
        StatusStep(
            name=step.value,
            explained=EXPLAINED[step],
            current=step is status,
            reached=step <= status,
        )
        for step in PaymentStatus
        if step in drawn
    ]
