"""Events about refunds, applied one after the other to what is locked; nothing is read or written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.money import CENT
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline, ProviderRefundEvent
from worker.transitions.outcomes import Outcome, Review

WAIT_FOR_OURS: Final = timedelta(hours=1)
"""How long a refund that the provider made may wait for the room of one of ours before a person has to look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundReport:
    """An event about a refund, where it came from, and when."""

    event: ProviderRefundEvent
    received_at: datetime
    delivery_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """What an event did; of one that is WAITING, for what."""

    outcome: Outcome
    why: str | None = None


@dataclass(slots=True)
class HeldRefund:
    """A locked refund, or one that is about to be inserted, while events are applied to it."""

    payment: HeldPayment
    id: UUID | None
    reference: str | None
    amount: Decimal
    status: RefundStatus
    asked: bool = False
    ours: bool = False
    decline: Decline | None = None
    changed: bool = False

    @property
    def under_way(self) -> bool:
        return self.status <= RefundStatus.PROCESSING


@dataclass(slots=True)
class HeldPayment:
    """A locked payment with its refunds. ``left`` is what no refund holds."""

    id: UUID
    status: PaymentStatus
    currency: str
    left: Decimal
    reasons: set[str]
    flagged: bool = False
    refunds: list[HeldRefund] = field(default_factory=list)

    def flag(self, reason: Review) -> None:
        self.flagged = self.flagged or reason not in self.reasons
        self.reasons.add(reason)


Key = tuple[str, str, int]
"""An event of a provider, and which refund it is about: one event may speak of several."""


class Entry:
    """Events applied one after the other to what is locked; nothing is written yet."""

    def __init__(self, payments: dict[tuple[str, str], HeldPayment]) -> None:
        self.payments = payments
        self.events: dict[Key, tuple[RefundReport, HeldRefund, Outcome]] = {}
        self._seen: dict[Key, Outcome] = {}

    def remember(self, known: Sequence[Any]) -> None:
        """Events that were entered before."""
        refunds = {refund.id: refund for payment in self.payments.values() for refund in payment.refunds}
        for row in known:
            self._seen[row.provider, row.event_id, id(refunds[row.refund_id])] = Outcome(row.outcome)

    def refund_of(self, event: ProviderRefundEvent) -> HeldRefund | None:
        """The refund that an event is about, by our id if the provider gave it back, else by its own reference."""
        payment = self.payments.get((event.provider, event.provider_ref))
        refunds = payment.refunds if payment else []
        ours = next((refund for refund in refunds if refund.ours and refund.id == event.refund_id), None)
        return ours or next((refund for refund in refunds if refund.reference == event.refund_ref), None)

    def enter(self, report: RefundReport) -> Entered:
        event = report.event
        payment = self.payments.get((event.provider, event.provider_ref))
        if payment is None:
            return Entered(Outcome.PARKED)
        refund = self.refund_of(event)
        if refund is None:
            return self._begin(report, payment)
        key = (event.provider, event.event_id, id(refund))
        if self._seen.get(key, Outcome.MISMATCH) is not Outcome.MISMATCH:
            return Entered(Outcome.DUPLICATE)
        outcome = _apply(event, refund)
        if key not in self._seen or outcome is not Outcome.MISMATCH:
            self.events[key] = (report, refund, outcome)
        self._seen[key] = outcome
        return Entered(outcome)

    def _begin(self, report: RefundReport, payment: HeldPayment) -> Entered:
        """Enter a refund that we did not ask for, if it is not one of ours and if there is room for it."""
        event, status = report.event, proven(report.event)
        if event.currency not in {None, payment.currency} or (event.amount is not None and event.amount < CENT):
            payment.flag(Review.REFUND_MISMATCH)
            return Entered(Outcome.MISMATCH)
        if any(_may_be(event, refund) for refund in payment.refunds):
            return Entered(Outcome.WAITING, "a refund of ours with this amount has no reference yet")
        if not payment.status.money_came:
            return Entered(Outcome.WAITING, "its payment is not paid yet")
        if event.amount is None:
            return Entered(Outcome.WAITING, "a refund that is not here, of an amount that is not told")
        refund = HeldRefund(payment, None, event.refund_ref, event.amount, status, decline=event.decline)
        if status is not RefundStatus.FAILED:
            if event.amount > payment.left:
                ours = any(refund.ours and refund.under_way for refund in payment.refunds)
                if not ours or datetime.now(UTC) - report.received_at > WAIT_FOR_OURS:
                    payment.flag(Review.REFUND_TOO_LARGE)
                return Entered(Outcome.WAITING, "more than is left of its payment")
            payment.left -= event.amount
        payment.refunds.append(refund)
        key = (event.provider, event.event_id, id(refund))
        self.events[key] = (report, refund, Outcome.APPLIED)
        self._seen[key] = Outcome.APPLIED
        return Entered(Outcome.APPLIED)


def _apply(event: ProviderRefundEvent, refund: HeldRefund) -> Outcome:
    """Move a refund along its street; the order of events is no matter."""
    payment, status = refund.payment, proven(event)
    namesakes = [other for other in payment.refunds if other.reference == event.refund_ref and other is not refund]
    other_money = event.amount not in {None, refund.amount} or event.currency not in {None, payment.currency}
    if refund.reference not in {None, event.refund_ref} or namesakes or (other_money and status < RefundStatus.FAILED):
        payment.flag(Review.REFUND_MISMATCH)
        return Outcome.MISMATCH
    if refund.reference is None:
        if refund.status is RefundStatus.FAILED and status < RefundStatus.FAILED:
            # It was refused, and the provider speaks of it all the same.
            payment.flag(Review.REFUND_MISMATCH)
        refund.reference, refund.changed = event.refund_ref, True
    if status <= refund.status:
        return Outcome.STALE
    if status is RefundStatus.FAILED:
        payment.left += refund.amount
        refund.decline = event.decline
    refund.status, refund.changed = status, True
    return Outcome.APPLIED


def proven(event: ProviderRefundEvent) -> RefundStatus:
    """What the provider knows of, it works on: nothing is left to be asked for."""
    return max(event.status, RefundStatus.PROCESSING)


def _may_be(event: ProviderRefundEvent, refund: HeldRefund) -> bool:
    """Whether this may be the refund that the event speaks of: asked for, and the answer not written down yet."""
    asked_for = refund.ours and refund.under_way and refund.reference is None and refund.asked
    return asked_for and event.refund_id is None and event.amount in {None, refund.amount}
