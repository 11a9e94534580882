"""The rules of events about refunds, applied one after the other to what is locked; nothing is read or written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from checkout_service.money import CENT
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import ProviderRefundEvent
from worker.transitions.locked import LockedPayment, LockedRefund, Payments
from worker.transitions.outcomes import Effect, Outcome, ReceivedEvent
from worker.transitions.statements import KnownRefundEventRow

WAIT_FOR_OURS: Final = timedelta(hours=1)
"""How long a refund that the provider made may wait for the room of one of ours before a person has to look at it."""

_Key = tuple[str, str, int]
"""A provider, its name for an event, and which refund the event is about: one event may speak of several."""


class RefundEventEntry(NamedTuple):
    """An event about a refund that is to be written."""

    received: ReceivedEvent
    event: ProviderRefundEvent
    refund: LockedRefund
    outcome: Outcome


class RefundEvents:
    """Applies events about refunds of locked payments, and remembers which events are to be written."""

    def __init__(self, payments: Payments, known: Iterable[KnownRefundEventRow]) -> None:
        """``known`` are those of the set's events that were recorded before."""
        self._payments = payments
        self._entries: dict[_Key, RefundEventEntry] = {}
        refunds = {refund.id: refund for payment in payments.values() for refund in payment.refunds}
        self._outcomes: dict[_Key, Outcome] = {
            (row.provider, row.event_id, id(refunds[row.refund_id])): Outcome(row.outcome) for row in known
        }

    @property
    def entries(self) -> Sequence[RefundEventEntry]:
        """The events that are to be written, one for each event and refund."""
        return list(self._entries.values())

    def refund_of(self, event: ProviderRefundEvent) -> LockedRefund | None:
        """The refund that an event is about, by our id if the provider gave it back, else by its own reference."""
        payment = self._payments.get((event.provider, event.provider_ref))
        refunds = payment.refunds if payment else []
        ours = next((refund for refund in refunds if refund.ours and refund.id == event.refund_id), None)
        return ours or next((refund for refund in refunds if refund.provider_ref == event.refund_ref), None)

    def apply(self, received: ReceivedEvent, event: ProviderRefundEvent) -> Effect:
        """Apply one event, ``received.event``; what it did.

        An event that is not entered may flag its payment all the same.
        """
        payment = self._payments.get((event.provider, event.provider_ref))
        if payment is None:
            return Effect(Outcome.PARKED)
        refund = self.refund_of(event)
        if refund is None:
            return self._begin(received, event, payment)
        key = (event.provider, event.event_id, id(refund))
        if self._outcomes.get(key, Outcome.MISMATCH) is not Outcome.MISMATCH:
            return Effect(Outcome.DUPLICATE)
        outcome = _move(event, refund)
        if key not in self._outcomes or outcome is not Outcome.MISMATCH:
            self._entries[key] = RefundEventEntry(received, event, refund, outcome)
        self._outcomes[key] = outcome
        return Effect(outcome)

    def _begin(self, received: ReceivedEvent, event: ProviderRefundEvent, payment: LockedPayment) -> Effect:
        """Enter a refund that was not requested here, if it is not one of ours and if there is room for it."""
        if event.currency not in {None, payment.currency} or (event.amount is not None and event.amount < CENT):
            payment.reasons.add(ReviewReason.REFUND_MISMATCH)
            return Effect(Outcome.MISMATCH)
        if any(_may_be(event, refund) for refund in payment.refunds):
            return Effect(Outcome.WAITING, "a refund of ours with this amount has no reference yet")
        if not payment.status.money_came:
            return Effect(Outcome.WAITING, "its payment is not paid yet")
        if event.amount is None:
            return Effect(Outcome.WAITING, "a refund that is not here, and the event names no amount")
        status = proven(event)
        if status is not RefundStatus.FAILED and event.amount > payment.refundable:
            ours = any(refund.ours and refund.under_way for refund in payment.refunds)
            if not ours or datetime.now(UTC) - received.received_at > WAIT_FOR_OURS:
                payment.reasons.add(ReviewReason.REFUND_TOO_LARGE)
            return Effect(Outcome.WAITING, "more than is left of its payment")
        refund = LockedRefund(
            payment=payment,
            id=None,
            provider_ref=event.refund_ref,
            amount=event.amount,
            status=status,
            decline=event.decline,
        )
        payment.refunds.append(refund)
        key = (event.provider, event.event_id, id(refund))
        self._entries[key] = RefundEventEntry(received, event, refund, Outcome.APPLIED)
        self._outcomes[key] = Outcome.APPLIED
        return Effect(Outcome.APPLIED)


def proven(event: ProviderRefundEvent) -> RefundStatus:
    """The status that an event proves. What the provider knows of, it works on: nothing is left to be requested."""
    return max(event.status, RefundStatus.PROCESSING)


def _move(event: ProviderRefundEvent, refund: LockedRefund) -> Outcome:
    """Move a refund forward; the order of events does not matter."""
    payment, status = refund.payment, proven(event)
    namesakes = [other for other in payment.refunds if other.provider_ref == event.refund_ref and other is not refund]
    other_money = event.amount not in {None, refund.amount} or event.currency not in {None, payment.currency}
    other_name = refund.provider_ref not in {None, event.refund_ref}
    if other_name or namesakes or (other_money and status < RefundStatus.FAILED):
        payment.reasons.add(ReviewReason.REFUND_MISMATCH)
        return Outcome.MISMATCH
    if refund.provider_ref is None:
        if refund.status is RefundStatus.FAILED and status < RefundStatus.FAILED:
            # It was refused, and the provider speaks of it all the same.
            payment.reasons.add(ReviewReason.REFUND_MISMATCH)
        refund.provider_ref, refund.changed = event.refund_ref, True
    if status <= refund.status:
        return Outcome.STALE
    if status is RefundStatus.FAILED:
        refund.decline = event.decline
    refund.status, refund.changed = status, True
    return Outcome.APPLIED


def _may_be(event: ProviderRefundEvent, refund: LockedRefund) -> bool:
    """Whether the event may speak of this refund: its request was sent, and the answer is not written down yet."""
    sent = refund.ours and refund.under_way and refund.provider_ref is None and refund.sent
    return sent and event.refund_id is None and event.amount in {None, refund.amount}
