"""The rules of events about refunds, applied one after the other to what is locked; nothing is read or written here.

What a provider reports is entered at once, whatever the sums say: the fold flags what is too large. A report waits only
while it may be about a refund of ours that has no reference yet, or where it names no amount.

What the provider made of a refund of ours that has failed here stands for that one (``made_for``): pieces of an order
that were asked for with it count as given back with what was made, and may not be given back once more. The provider
says so by our id, and gave back as much as was asked for; whatever else may be ours is flagged, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from checkout_service.payments.outcomes import REQUEST_LOST
from checkout_service.payments.status import RefundStatus
from checkout_service.providers.base import Decline, ProviderRefundEvent
from checkout_service.refunds.settling import awaits
from worker.transitions.locked import LockedPayment, LockedRefund
from worker.transitions.outcomes import Effect, Outcome, ReceivedEvent, RefundMove
from worker.transitions.statements import KnownRefundEventRow

_Key = tuple[str, str, int]
"""A provider, its name for an event, and which refund the event is about: one event may speak of several."""

Flag = Callable[[LockedPayment, str, str], None]
"""Flags a payment with a mismatch: what it is about, and a detail for people."""


class RefundEventEntry(NamedTuple):
    """An event about a refund that is to be written."""

    received: ReceivedEvent
    event: ProviderRefundEvent
    refund: LockedRefund
    outcome: Outcome


class RefundEvents:
    """Applies events about refunds of locked payments, and remembers which events are to be written."""

    def __init__(
        self,
        payments: Iterable[LockedPayment],
        known: Iterable[KnownRefundEventRow],
        flag: Flag,
        *,
        other_requests: Container[UUID],
    ) -> None:
        """``known`` are those of the set's events that were recorded before, ``other_requests`` captures and voids."""
        self._other_requests = other_requests
        self._entries: dict[_Key, RefundEventEntry] = {}
        self._flag = flag
        self._replaced: list[LockedRefund] = []
        refunds: Mapping[UUID | None, LockedRefund] = {
            refund.id: refund for payment in payments for refund in payment.refunds
        }
        self._outcomes: dict[_Key, Outcome] = {
            (row.provider, row.event_id, id(refunds[row.refund_id])): Outcome(row.outcome) for row in known
        }

    @property
    def refunds(self) -> Sequence[LockedRefund]:
        """The refunds that the events spoke of, those that are new among them."""
        spoken_of = [entry.refund for entry in self._entries.values()]
        return list({id(refund): refund for refund in (*spoken_of, *self._replaced)}.values())

    def moves(self) -> Sequence[RefundMove]:
        """The moves that the events made."""
        return [
            RefundMove(entry.event.provider, proven(entry.event))
            for entry in self._entries.values()
            if entry.outcome is Outcome.APPLIED
        ]

    @property
    def entries(self) -> Sequence[RefundEventEntry]:
        """The events that are to be written, one for each event and refund."""
        return [entry for entry in self._entries.values() if entry.event.event_id]

    def apply(self, received: ReceivedEvent, event: ProviderRefundEvent, payment: LockedPayment) -> Effect:
        """Apply one event, ``received.event``; what it did.

        An event that is not entered may flag its payment all the same.
        """
        refund = refund_of(event, payment)
        if refund is None:
            return self._begin(received, event, payment)
        if refund.refused and proven(event) < RefundStatus.FAILED:
            return self._made_all_the_same(received, event, refund)
        if self._is_another(event, refund):
            self._flag(payment, event.refund_ref, f"it is not refund {refund.id}, which an operator named so")
            self._free_name(refund)
            return self._begin(received, event, payment)
        if refund.named_by_operator and refund.provider_ref != event.refund_ref:
            refund = self._named_otherwise(event, refund)
        if not refund.ours:
            self._note_made_for(event, refund)
        key = (event.provider, event.event_id, id(refund))
        if event.event_id and self._outcomes.get(key, Outcome.MISMATCH) is not Outcome.MISMATCH:
            return Effect(Outcome.DUPLICATE)
        outcome = self._move(event, refund)
        if key not in self._outcomes or outcome is not Outcome.MISMATCH:
            self._entries[key] = RefundEventEntry(received, event, refund, outcome)
        self._outcomes[key] = outcome
        return Effect(outcome)

    def _begin(self, received: ReceivedEvent, event: ProviderRefundEvent, payment: LockedPayment) -> Effect:
        """Enter a refund that was not requested here, if it is not one of ours."""
        if event.currency not in {None, payment.currency} or (event.amount is not None and event.amount <= 0):
            self._flag(payment, event.refund_ref, f"a refund over {event.amount} {event.currency}")
            return Effect(Outcome.MISMATCH)
        if any(_may_be(event, refund) for refund in payment.refunds):
            return Effect(Outcome.WAITING, awaits(event.refund_ref, event.amount, payment.currency))
        if event.amount is None:
            return Effect(Outcome.WAITING, "a refund that is not here, and the event names no amount")
        refund = LockedRefund(
            payment=payment,
            id=None,
            provider_ref=event.refund_ref,
            amount=event.amount,
            status=proven(event),
            capture_ref=event.capture_ref,
            attempt_ref=event.attempt_ref,
            decline=event.decline,
        )
        if (
            event.refund_id is not None
            and event.refund_id not in self._other_requests
            and refund.status is not RefundStatus.FAILED
        ):
            # A restore, or a failover to a standby that lagged: whoever repeats that request would be given it again.
            self._flag(payment, event.refund_ref, f"refund {event.refund_id} {REQUEST_LOST}")
        if event.refund_id is None and refund.status is not RefundStatus.FAILED:
            self._flag_perhaps_ours(refund)
        if any(_may_be_miscopied(refund.amount, other) for other in payment.refunds):
            self._flag(payment, event.refund_ref, "perhaps the refund of this amount that an operator named otherwise")
        return self._enter(received, event, refund)

    def _made_all_the_same(self, received: ReceivedEvent, event: ProviderRefundEvent, refused: LockedRefund) -> Effect:
        """Enter a refund of ours that had failed, and that the provider made: as one of its own, so that it counts.

        The one that failed stays so: what it held may have been requested again meanwhile.
        """
        payment, amount = refused.payment, refused.amount if event.amount is None else event.amount
        is_whole = amount == refused.amount
        detail = "was refused, and was made all the same" if is_whole else "was refused, and another amount was made"
        self._flag(payment, event.refund_ref, f"refund {refused.id} {detail}")
        if event.currency not in {None, payment.currency} or amount <= 0:
            return Effect(Outcome.MISMATCH)
        made = LockedRefund(
            payment=payment,
            id=None,
            provider_ref=event.refund_ref,
            amount=amount,
            status=proven(event),
            capture_ref=event.capture_ref or refused.capture_ref,
            attempt_ref=event.attempt_ref or refused.attempt_ref,
            made_for=refused.id if is_whole else None,
        )
        return self._enter(received, event, made)

    def _note_made_for(self, event: ProviderRefundEvent, made: LockedRefund) -> None:
        """Have what was entered as a refund of the dashboard stand for ours that failed, where the provider says so."""
        ours = next((other for other in made.payment.refunds if other.ours and other.id == event.refund_id), None)
        if ours is None or ours.status is not RefundStatus.FAILED or made.made_for is not None:
            return
        if made.amount != ours.amount:
            detail = f"refund {ours.id} was refused, and another amount was made"
            self._flag(made.payment, event.refund_ref, detail)
            return
        made.made_for, made.changed = ours.id, True
        self._replaced.append(made)

    def _flag_perhaps_ours(self, made: LockedRefund) -> None:
        """Flag a refund that names none of ours, and may be one of its amount that an operator ended as not made.

        The provider was late to tell of it, or somebody made it once more in the dashboard, or it is another one: only
        a person can tell. Until one has, pieces of these refunds are not given back once more
        (``order_line_in_question``, migrations/pieces/made_for.sql, which reads these words).
        """
        others = made.payment.refunds
        replaced = {other.made_for for other in others if other.status is not RefundStatus.FAILED}
        perhaps = [
            str(other.id)
            for other in others
            if other.ended_by_operator and other.id not in replaced and _same_money(made, other)
        ]
        if perhaps:
            detail = f"perhaps refund {' or '.join(perhaps)}, which an operator ended as not made"
            self._flag(made.payment, made.provider_ref or "", detail)

    def _named_otherwise(self, event: ProviderRefundEvent, refund: LockedRefund) -> LockedRefund:
        """The provider's name for a refund goes before the one that an operator copied; the refund that has it.

        Where that name was entered before, as a refund of the dashboard, it is the same money: it counts there.
        """
        payment = refund.payment
        namesake = next((other for other in payment.refunds if other.provider_ref == event.refund_ref), None)
        if namesake is None or namesake.ours:
            return refund
        self._flag(payment, event.refund_ref, f"refund {refund.id} is not {refund.provider_ref}, as an operator saw")
        refund.status, refund.decline = RefundStatus.FAILED, Decline.NOT_IN_THIS_STATE
        refund.detail = f"the provider made it as {event.refund_ref}"
        self._free_name(refund)
        if namesake.amount == refund.amount:
            namesake.made_for, namesake.changed = refund.id, True
            self._replaced.append(namesake)
        return namesake

    def _is_another(self, event: ProviderRefundEvent, refund: LockedRefund) -> bool:
        """Whether this is another refund, whose name an operator took for that of ours: its amount differs."""
        return (
            refund.named_by_operator
            and event.refund_id is None
            and event.refund_ref == refund.provider_ref
            and event.amount not in {None, refund.amount}
            and proven(event) < RefundStatus.FAILED
        )

    def _free_name(self, refund: LockedRefund) -> None:
        """Have a refund of ours lose the name that an operator copied: somebody else's refund has it, or may have."""
        refund.provider_ref, refund.changed = None, True
        self._replaced.append(refund)

    def _enter(self, received: ReceivedEvent, event: ProviderRefundEvent, refund: LockedRefund) -> Effect:
        refund.payment.refunds.append(refund)
        key = (event.provider, event.event_id, id(refund))
        self._entries[key] = RefundEventEntry(received, event, refund, Outcome.APPLIED)
        self._outcomes[key] = Outcome.APPLIED
        return Effect(Outcome.APPLIED)

    def _move(self, event: ProviderRefundEvent, refund: LockedRefund) -> Outcome:
        """Move a refund forward; the order of events does not matter."""
        payment, status = refund.payment, proven(event)
        namesakes = [
            other for other in payment.refunds if other.provider_ref == event.refund_ref and other is not refund
        ]
        other_money = event.amount not in {None, refund.amount} or event.currency not in {None, payment.currency}
        renamed = refund.named_by_operator and event.refund_id == refund.id
        other_name = refund.provider_ref not in {None, event.refund_ref} and not renamed
        if other_name or namesakes or (other_money and status < RefundStatus.FAILED):
            self._flag(payment, event.refund_ref, f"refund {refund.id}: another amount, currency or reference")
            return Outcome.MISMATCH
        if refund.provider_ref is None or refund.named_by_operator:
            refund.named_by_operator = False
            refund.provider_ref, refund.changed = event.refund_ref, True
        if refund.capture_ref is None and event.capture_ref:
            refund.capture_ref, refund.changed = event.capture_ref, True
        if refund.attempt_ref is None and event.attempt_ref:
            refund.attempt_ref, refund.changed = event.attempt_ref, True
        if status <= refund.status:
            return Outcome.STALE
        if status is RefundStatus.FAILED:
            refund.decline = event.decline
        refund.status, refund.changed = status, True
        return Outcome.APPLIED


def refund_of(event: ProviderRefundEvent, payment: LockedPayment) -> LockedRefund | None:
    """The refund that an event is about, by our id if the provider gave it back, else by its own reference.

    One of ours that was refused gives way to that which the provider made of it all the same.
    """
    refunds = payment.refunds
    ours = next((refund for refund in refunds if refund.ours and refund.id == event.refund_id), None)
    if ours is not None and not ours.refused:
        return ours
    return next((refund for refund in refunds if refund.provider_ref == event.refund_ref), ours)


def proven(event: ProviderRefundEvent) -> RefundStatus:
    """The status that an event proves. What the provider knows of, it works on: nothing is left to be requested."""
    return max(event.status, RefundStatus.PROCESSING)


def _may_be_miscopied(amount: Decimal, refund: LockedRefund) -> bool:
    """Whether a refund of this amount may be this one, whose reference only an operator has told."""
    return refund.named_by_operator and refund.status is RefundStatus.SUCCEEDED and refund.amount == amount


def _same_money(made: LockedRefund, ours: LockedRefund) -> bool:
    """Whether both are of one amount, and of one capture or attempt as far as that is known."""
    return made.amount == ours.amount and all(
        None in pair or pair[0] == pair[1]
        for pair in ((made.capture_ref, ours.capture_ref), (made.attempt_ref, ours.attempt_ref))
    )


def _may_be(event: ProviderRefundEvent, refund: LockedRefund) -> bool:
    """Whether the event may speak of this refund: its request was sent, and the answer is not written down yet."""
    if not (refund.ours and refund.under_way and refund.provider_ref is None and refund.sent):
        return False
    if event.capture_ref and refund.capture_ref and event.capture_ref != refund.capture_ref:
        return False
    if event.attempt_ref and refund.attempt_ref and event.attempt_ref != refund.attempt_ref:
        return False
    return event.refund_id is None and event.amount in {None, refund.amount}
