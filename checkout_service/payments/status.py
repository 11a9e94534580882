"""The statuses of payments, refunds and every other entry, each in its status order.

An entry (an attempt, a capture, a refund, a dispute) is only ever joined: ``max(current, proven)``. That is
commutative, associative and idempotent, so any order of delivery, any duplicates and any replay end in the same
entries.

A payment's status is computed of its entries by the database's own function ``payments_fold``, never stepped: it may go
back, when a dispute that was lost is won. The order of its members says only how far a payment is:

    pending → processing → failed → authorized → expired → canceled → partially_paid → paid → reversed
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
    """What became of a payment, computed of its entries. PostgreSQL's enum has the same order."""

    PENDING = "pending"
    PROCESSING = "processing"
    FAILED = "failed"
    """Every attempt so far failed; the customer may make another."""
    AUTHORIZED = "authorized"
    """Money is promised, and none came."""
    EXPIRED = "expired"
    CANCELED = "canceled"
    PARTIALLY_PAID = "partially_paid"
    """Less came than is due."""
    PAID = "paid"
    """What came reaches what is due; so it stays until all of it is gone by disputes."""
    REVERSED = "reversed"

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.closed_unpaid = value in {"expired", "canceled"}
        """Whether nobody expected money any more."""
        self.money_came = value in {"partially_paid", "paid", "reversed"}
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


class AttemptStatus(_Ordered):
    """What became of a try to pay."""

    STARTED = "started"
    UNDER_WAY = "under_way"
    FAILED = "failed"
    AUTHORIZED = "authorized"
    EXPIRED = "expired"
    CANCELED = "canceled"


class CaptureStatus(_Ordered):
    """What became of a capture. ``undone`` is last: the provider took back what it had reported as captured."""

    PENDING = "pending"
    REFUSED = "refused"
    SUCCEEDED = "succeeded"
    UNDONE = "undone"


class DisputeStage(_Ordered):
    """How far a dispute has escalated. An inquiry moves no money and blocks no refund."""

    INQUIRY = "inquiry"
    CHARGEBACK = "chargeback"
    PRE_ARBITRATION = "pre_arbitration"
    ARBITRATION = "arbitration"


class DisputeStatus(_Ordered):
    """Where a dispute is within its stage. ``lost`` is a word of the story alone: money goes by money steps."""

    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    LOST = "lost"
    WON = "won"
    CLOSED = "closed"


class RequestStatus(_Ordered):
    """What became of a capture or a void that somebody asked for."""

    REQUESTED = "requested"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
