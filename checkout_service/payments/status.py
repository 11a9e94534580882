"""The payment status: a one-way street.

    pending → processing → failed → expired → canceled → paid → reversed

A fact carries the status that it proves, and applying it is ``max(current, proven)``. That is commutative, associative
and idempotent, so any order of delivery, any duplicates and any replay end in the same status.
"""

from __future__ import annotations

from enum import Enum


class PaymentStatus(Enum):
    """Where a payment stands; later members are further down the street. PostgreSQL's enum has the same order."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    PAID = "paid"
    REVERSED = "reversed"

    # Worked out once for each member: the ledger asks several times for every letter.
    def __init__(self, value: str) -> None:
        self.position = len(type(self).__members__)
        self.closed_unpaid = value in {"expired", "canceled"}
        """Whether nobody expected money any more."""
        self.money_came = value in {"paid", "reversed"}
        """Whether money came, even if it went again."""

    def __lt__(self, other: object) -> bool:
        return self.position < other.position if isinstance(other, PaymentStatus) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.position <= other.position if isinstance(other, PaymentStatus) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.position > other.position if isinstance(other, PaymentStatus) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.position >= other.position if isinstance(other, PaymentStatus) else NotImplemented

    @property
    def open(self) -> bool:
        """Whether the provider may still have news that nobody reported: a lost ``paid`` may follow a failure."""
        return self < PaymentStatus.EXPIRED
