"""The statuses of payments and refunds: status orders.

    pending → processing → failed → expired → canceled → paid → reversed

An event carries the status that it proves, and applying it is ``max(current, proven)``. That is commutative,
associative and idempotent, so any order of delivery, any duplicates and any replay end in the same status. Refunds have
a status order of their own:

    requested → processing → succeeded → failed
"""

from __future__ import annotations

from enum import Enum


class _Ordered(Enum):
    """Members in their status order. The comparisons are written out, because each webhook needs several of them."""

    def __init__(self, _value: str) -> None:
        self.position = len(type(self).__members__)

    def __lt__(self, other: object) -> bool:
        return self.position < other.position if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.position <= other.position if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.position > other.position if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.position >= other.position if isinstance(other, type(self)) else NotImplemented


class PaymentStatus(_Ordered):
    """What became of a payment; it moves to later members only. PostgreSQL's enum has the same order."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    PAID = "paid"
    REVERSED = "reversed"

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.closed_unpaid = value in {"expired", "canceled"}
        """Whether nobody expected money any more."""
        self.money_came = value in {"paid", "reversed"}
        """Whether money came, even if it went again."""

    @property
    def open(self) -> bool:
        """Whether the provider may still have news that nobody reported: a lost ``paid`` may follow a failure."""
        return self < PaymentStatus.EXPIRED


class RefundStatus(_Ordered):
    """What became of a refund. ``failed`` is last: a provider may find a day later that the money came back to us."""

    REQUESTED = "requested"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
