"""Payments and refunds under lock, while events are applied to them in memory; nothing is read or written here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline
from worker.transitions.statements import PaymentRow


@dataclass(slots=True, kw_only=True)
class LockedPayment:
    """A payment under lock, as its row was when it was locked.

    ``mate`` tells one that has money, while that of another payment for the same things may move now: whether an event
    speaks of it or not. ``refunds`` are read only where the set has events about refunds of this payment.
    """

    id: UUID
    provider: str
    provider_ref: str
    amount: Decimal
    currency: str
    closed: PaymentStatus | None
    looked_up_at: datetime | None
    mate: bool
    trace_context: str | None = None
    refunds: list[LockedRefund] = field(default_factory=list)


def locked_payment(row: PaymentRow) -> LockedPayment:
    """The payment in a row of LOCK_PAYMENTS, which may be a plain tuple."""
    id_, provider, provider_ref, amount, currency, closed, looked_up_at, mate, trace_context = row
    return LockedPayment(
        id=id_,
        provider=provider,
        provider_ref=provider_ref,
        amount=amount,
        currency=currency,
        closed=None if closed is None else PaymentStatus(closed),
        looked_up_at=looked_up_at,
        mate=mate,
        trace_context=trace_context,
    )


@dataclass(slots=True, kw_only=True)
class LockedRefund:
    """A refund under lock, or one that is about to be inserted and has no ``id`` yet.

    ``ours`` tells one that was requested here from one that was made in the provider's dashboard, ``sent`` whether the
    provider has ever been sent the request. ``named_by_operator`` tells one whose reference no provider has confirmed
    yet. ``capture_ref`` and ``attempt_ref`` are what it is of, where that is known. ``in_doubt`` tells one that only a
    person could find out about. ``made_for`` is the refund of ours, failed by now, that the provider made as this one.
    """

    payment: LockedPayment
    id: UUID | None
    provider_ref: str | None
    amount: Decimal
    status: RefundStatus
    capture_ref: str | None = None
    attempt_ref: str | None = None
    sent: bool = False
    ours: bool = False
    named_by_operator: bool = False
    in_doubt: bool = False
    made_for: UUID | None = None
    decline: Decline | None = None
    detail: str | None = None
    changed: bool = False

    @property
    def under_way(self) -> bool:
        return self.status <= RefundStatus.PROCESSING

    @property
    def refused(self) -> bool:
        """Whether it failed before the provider had a name for it: so nothing was made, as far as is known."""
        unnamed = self.provider_ref is None or self.named_by_operator
        return self.ours and self.status is RefundStatus.FAILED and unnamed

    @property
    def ended_by_operator(self) -> bool:
        """Whether a person ended it, having found nothing of it at the provider."""
        return self.refused and self.in_doubt and self.provider_ref is None

    def refuse(self, decline: Decline, detail: str) -> bool:
        """The provider refused it, or we did in its place: it failed, unless it is past that. Whether it moved.

        ``detail`` is what staff read of it.
        """
        if self.status is not RefundStatus.REQUESTED:
            return False
        self.status, self.decline, self.detail, self.changed = RefundStatus.FAILED, decline, detail, True
        return True
