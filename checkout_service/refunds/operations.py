"""Takes the request for a refund by one INSERT, which the database itself holds within what was paid.

Two triggers of the INSERT hold the sum (migrations/baseline/refunds.sql): refunds_fill_from_payment locks the payment,
which must be paid, and refunds_update_sums adds to its sums, where the CHECK payments_refunds_fit refuses what is too
much. So what was read before the INSERT may be out of date. It serves to answer a replay, and to say what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, insert

from checkout_service.api.idempotency_key import request_hash
from checkout_service.api.problems import IdempotencyKeyReused, Invalid, NotFound, StillInProgress
from checkout_service.database.engine import Conflict, execute
from checkout_service.database.statements import Statement
from checkout_service.money import decimals, show
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.refunds.models import Refund
from checkout_service.refunds.problems import NothingLeftToRefund, NotRefundable, RefundTooLarge
from checkout_service.refunds.queries import REFUND, Refundable, RefundRow, refundable, show_refund

_insert = Statement(
    insert(Refund)
    .values(
        payment_id=bindparam("payment_id"),
        # Without an amount the trigger takes what is left, under the payment's lock.
        amount=bindparam("amount"),
        reason=bindparam("reason"),
        requested_by=bindparam("requested_by"),
        idempotency_key=bindparam("idempotency_key"),
        request_hash=bindparam("request_hash"),
    )
    .returning(*REFUND)
)

TRIES = 3
"""What is left may change between reading and inserting: another refund fails, or takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """The caller's request; without an amount, for all that is left."""

    payment_id: UUID
    requested_by: UUID
    key: str
    amount: Decimal | None
    reason: str | None

    @property
    def request_hash(self) -> bytes:
        amount = None if self.amount is None else show(self.amount)
        return request_hash({"payment_id": str(self.payment_id), "amount": amount, "reason": self.reason})


class RefundAnswer(NamedTuple):
    """The refund as it was requested, and whether that is the replay of an answer given before."""

    refund: dict[str, Any]
    replayed: bool


def request_refund(request: RefundRequest) -> RefundAnswer:
    """Store the request, or give the answer of its key again. Raises Problem."""
    for _ in range(TRIES):
        found = refundable(payment_id=request.payment_id, requested_by=request.requested_by, key=request.key)
        if found is None:
            raise NotFound("There is no such payment.")
        if found.refund is not None:
            return RefundAnswer(refund=_replayed(found.refund, request), replayed=True)
        _check(found, request)
        try:
            (row,) = execute(
                _insert,
                {
                    "payment_id": request.payment_id,
                    "amount": request.amount,
                    "reason": request.reason,
                    "requested_by": request.requested_by,
                    "idempotency_key": request.key,
                    "request_hash": request.request_hash,
                },
            )
        except Conflict:
            # A concurrent retry with this key was faster, or another refund took the room: what is true now tells
            # which.
            continue
        return RefundAnswer(refund=show_refund(RefundRow._make(row)), replayed=False)
    raise StillInProgress("Other refunds of this payment are being requested at this moment: send it again.")


def _replayed(found: RefundRow, request: RefundRequest) -> dict[str, Any]:
    """The answer as it was first given. GET shows the refund's status of today."""
    if found.request_hash != request.request_hash:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new refund.")
    shown = show_refund(found)
    return shown | {"status": RefundStatus.REQUESTED.value, "decline": None, "updated_at": shown["created_at"]}


def _check(found: Refundable, request: RefundRequest) -> None:
    if found.payment_status is not PaymentStatus.PAID:
        raise NotRefundable(payment_status=found.payment_status.value)
    if request.amount is not None and request.amount != round(request.amount, decimals(found.currency)):
        detail = f"{found.currency} has no such small unit."
        raise Invalid(errors=[{"pointer": "/amount", "detail": detail}])
    left = show(found.left)
    if found.left == 0:
        raise NothingLeftToRefund(amount_left=left, currency=found.currency)
    if request.amount is not None and request.amount > found.left:
        raise RefundTooLarge(amount_left=left, currency=found.currency)
