"""Reads of refunds, and of what is left to refund."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.models import Payment
from checkout_service.refunds.models import Refund

REFUND = (
    Refund.id.label("refund_id"),
    Refund.payment_id,
    Refund.amount,
    Refund.currency,
    Refund.status,
    Refund.reason,
    Refund.decline,
    Refund.requested_by,
    Refund.request_hash,
    Refund.created_at,
    Refund.updated_at,
)

_refundable = Statement(
    select(
        Payment.status.label("payment_status"),
        Payment.currency.label("payment_currency"),
        (Payment.amount - Payment.amount_refunded - Payment.amount_refunding).label("left"),
        *REFUND,
    )
    .outerjoin(
        Refund,
        and_(Refund.requested_by == bindparam("requested_by"), Refund.idempotency_key == bindparam("idempotency_key")),
    )
    .where(Payment.id == bindparam("payment_id"))
)

_of_payment = Statement(
    select(Payment.user_id, *REFUND)
    .outerjoin(Refund, Refund.payment_id == Payment.id)
    .where(Payment.id == bindparam("payment_id"))
    .order_by(Refund.id)
)


def refundable(*, payment_id: UUID, requested_by: UUID, key: str) -> Any | None:
    """The payment's status, its currency, what is left to refund, and the refund of this key; None without payment.

    ``refund_id`` is None if the key has no refund yet.
    """
    rows = execute(_refundable, {"payment_id": payment_id, "requested_by": requested_by, "idempotency_key": key})
    return rows[0] if rows else None


def refunds_of(*, payment_id: UUID) -> tuple[UUID, list[dict[str, Any]]] | None:
    """Whose payment it is, and its refunds, oldest first; None when there is no such payment."""
    rows = execute(_of_payment, {"payment_id": payment_id})
    if not rows:
        return None
    return rows[0].user_id, [show_refund(row) for row in rows if row.refund_id is not None]


def show_refund(row: Any) -> dict[str, Any]:
    """The refund as the API shows it."""
    return {
        "id": str(row.refund_id),
        "payment_id": str(row.payment_id),
        "amount": show(row.amount),
        "currency": row.currency,
        "status": row.status.value,
        "reason": row.reason,
        "decline": row.decline,
        "made_by": "provider" if row.requested_by is None else "request",
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
