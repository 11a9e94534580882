"""The statuses of payments and refunds: one-way streets.

    pending → processing → failed → expired → canceled → paid → reversed

A fact carries the status that it proves, and applying it is ``max(current, proven)``. That is commutative, associative
and idempotent, so any order of delivery, any duplicates and any replay end in the same status. Refunds have a street of
their own:

    requested → processing → succeeded → failed
"""

from __future__ import annotations

from enum import Enum
from functools import total_ordering


@total_ordering
class PaymentStatus(Enum):
    """Where a payment stands; later members are further down the street. PostgreSQL's enum has the same order."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    PAID = "paid"
    REVERSED = "reversed"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, PaymentStatus):
            return NotImplemented
        return _POSITION[self] < _POSITION[other]

    @property
    def open(self) -> bool:
        """Whether the provider may still have news that nobody reported: a lost ``paid`` may follow a failure."""
        return self < PaymentStatus.EXPIRED

    @property
    def closed_unpaid(self) -> bool:
        """Whether nobody expected money any more."""
        return self in {PaymentStatus.EXPIRED, PaymentStatus.CANCELED}

    @property
    def money_came(self) -> bool:
        """Whether money came, even if it went again."""
        return self >= PaymentStatus.PAID


_POSITION = {status: position for position, status in enumerate(PaymentStatus)}


@total_ordering
class RefundStatus(Enum):
    """Where a refund stands. ``failed`` comes last: a provider may find a day later that the money came back to us."""

    REQUESTED = "requested"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, RefundStatus):
            return NotImplemented
        return _REFUND_POSITION[self] < _REFUND_POSITION[other]


_REFUND_POSITION = {status: position for position, status in enumerate(RefundStatus)}
