"""Payments and refunds under lock, while events are applied to them in memory; nothing is read or written here."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import Decline


class Purchase(NamedTuple):
    """What a payment is for. Two payments with equal ones are duplicates: equal lines of one cart."""

    cart_id: UUID
    lines_key: int


@dataclass(slots=True, kw_only=True)
class LockedPayment:
    """A payment under lock. The values ``…_before`` are those of its row.

    ``raw`` is the JSON body of the event that moved it last. ``refunds`` are read only where the set has events about
    refunds of this payment.
    """

    id: UUID
    provider: str
    amount: Decimal
    currency: str
    status: PaymentStatus
    status_before: PaymentStatus
    reasons: set[str]
    reasons_before: frozenset[str]
    capture_ref: str | None
    capture_ref_before: str | None
    purchase: Purchase | None
    raw: bytes | None = None
    refunds: list[LockedRefund] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether its row has to be written."""
        return (
            self.status is not self.status_before
            or self.reasons != self.reasons_before
            or self.capture_ref != self.capture_ref_before
        )

    @property
    def refundable(self) -> Decimal:
        """What no refund holds: the amount without its refunds that did not fail."""
        held = (refund.amount for refund in self.refunds if refund.status is not RefundStatus.FAILED)
        return self.amount - sum(held, Decimal(0))


@dataclass(slots=True, kw_only=True)
class LockedRefund:
    """A refund under lock, or one that is about to be inserted and has no ``id`` yet.

    ``ours`` tells one that was requested here from one that was made in the provider's dashboard, ``sent`` whether the
    provider has ever been sent the request.
    """

    payment: LockedPayment
    id: UUID | None
    provider_ref: str | None
    amount: Decimal
    status: RefundStatus
    sent: bool = False
    ours: bool = False
    decline: Decline | None = None
    changed: bool = False

    @property
    def under_way(self) -> bool:
        return self.status <= RefundStatus.PROCESSING


Payments = dict[tuple[str, str], LockedPayment]
"""Locked payments by provider and provider_ref."""
