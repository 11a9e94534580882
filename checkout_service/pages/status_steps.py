"""The status order as it is drawn: its steps in order, which one is current, and what each event proved."""

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
    PaymentStatus.EXPIRED: "time ran out",
    PaymentStatus.CANCELED: "called off",
    PaymentStatus.PAID: "money came",
    PaymentStatus.REVERSED: "money went back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStep:
    """One status: ``current`` if the payment has it, ``passed`` if the payment cannot come back to it."""

    name: str
    explained: str
    current: bool
    passed: bool
    applied: int
    """Events that brought the payment here."""
    stale: int
    """Events that proved this status when the payment was further already."""
    mismatch: int
    """Events whose amount or currency is not the payment's."""


def status_steps(status: PaymentStatus, events: Iterable[PaymentEventRecorded]) -> list[StatusStep]:
    """The steps of a payment with this status, from the first to the last."""
    proved = [(event.status, event.outcome) for event in events]
    return [
        StatusStep(
            name=step.value,
            explained=EXPLAINED[step],
            current=step is status,
            passed=step < status,
            applied=proved.count((step, EventOutcome.APPLIED)) + (step is PaymentStatus.PENDING),
            stale=proved.count((step, EventOutcome.STALE)),
            mismatch=proved.count((step, EventOutcome.MISMATCH)),
        )
        for step in PaymentStatus
    ]
