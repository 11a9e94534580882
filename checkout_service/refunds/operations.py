"""Takes the request for a refund by one INSERT, which the database itself holds within what was paid.

Two triggers of the INSERT hold the sum (migrations/baseline/refunds.sql): refunds_fill_from_payment locks the payment,
which must be paid, and refunds_update_sums adds to its sums, where the CHECK payments_refunds_fit refuses what is too
much. So what was read before the INSERT may be out of date. It serves to answer a replay, and to say what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
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
from checkout_service.refunds.queries import REFUND, refundable, show_refund

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


def request_refund(request: RefundRequest) -> tuple[dict[str, Any], bool]:
    """The refund as it was requested, and whether that is the replay of an answer given before. Raises Problem."""
    for _ in range(TRIES):
        found = refundable(payment_id=request.payment_id, requested_by=request.requested_by, key=request.key)
        if found is None:
            raise NotFound("There is no such payment.")
        if found.refund_id is not None:
            return _replayed(found, request), True
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
        return show_refund(row), False
    raise StillInProgress("Other refunds of this payment are being requested at this moment: send it again.")


def _replayed(found: Any, request: RefundRequest) -> dict[str, Any]:
    """The answer as it was first given. GET shows the refund's status of today."""
    if found.request_hash != request.request_hash:
        raise IdempotencyKeyReused("This Idempotency-Key belongs to another request: use a new key for a new refund.")
    shown = show_refund(found)
    return shown | {"status": RefundStatus.REQUESTED.value, "decline": None, "updated_at": shown["created_at"]}


def _check(found: Any, request: RefundRequest) -> None:
    if found.payment_status is not PaymentStatus.PAID:
        raise NotRefundable(payment_status=found.payment_status.value)
    if request.amount is not None and request.amount != round(request.amount, decimals(found.payment_currency)):
        detail = f"{found.payment_currency} has no such small unit."
        raise Invalid(errors=[{"pointer": "/amount", "detail": detail}])
    left = {"amount_left": show(found.left), "currency": found.payment_currency}
    if found.left == 0:
        raise NothingLeftToRefund(**left)
    if request.amount is not None and request.amount > found.left:
        raise RefundTooLarge(**left)
