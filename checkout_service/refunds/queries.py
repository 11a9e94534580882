"""Reads of refunds, and of what is left to refund."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, func, literal_column, select

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.models import Payment
from checkout_service.payments.status import PaymentStatus, RefundStatus
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
    Refund.capture_ref,
    Refund.created_at,
    Refund.updated_at,
)

# payment_sources (migrations/entries/requests.sql) says of what something may be given back; its triggers judge by it.
_refundable = Statement(
    select(
        Payment.status,
        Payment.currency,
        func.greatest(
            Payment.amount_captured
            - Payment.amount_lost
            - Payment.amount_blocked
            - Payment.amount_refunded
            - Payment.amount_refunding,
            0,
        ).label("left"),
        literal_column("""(
            SELECT jsonb_agg(jsonb_build_array(source.id, source.capture_ref, source.attempt_ref, source.room::text))
            FROM payment_sources(payments.id) AS source
        )""").label("sources"),
        *REFUND,
    )
    .outerjoin(
        Refund,
        and_(Refund.requested_by == bindparam("requested_by"), Refund.idempotency_key == bindparam("idempotency_key")),
    )
    .where(Payment.id == bindparam("payment_id"))
    .order_by(Refund.part)
)

_of_payment = Statement(
    select(Payment.user_id, *REFUND)
    .outerjoin(Refund, Refund.payment_id == Payment.id)
    .where(Payment.id == bindparam("payment_id"))
    .order_by(Refund.id)
)


class RefundRow(NamedTuple):
    """The values of ``REFUND``."""

    refund_id: UUID
    payment_id: UUID
    amount: Decimal
    currency: str
    status: RefundStatus
    reason: str | None
    decline: str | None
    requested_by: UUID | None
    request_hash: bytes | None
    capture_ref: str | None
    created_at: datetime
    updated_at: datetime


class Source(NamedTuple):
    """What money may be given back of: a capture, or an attempt whose captures nobody names; and how much of it.

    ``id`` is the row's, as the API shows it; one of ``capture_ref`` and ``attempt_ref`` is the provider's name.
    """

    id: UUID
    capture_ref: str | None
    attempt_ref: str | None
    room: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refundable:
    """A payment's status and currency, what is left to refund and of what, oldest first.

    ``refunds`` are the rows that a key has, by part; none if it was never used.
    """

    payment_status: PaymentStatus
    currency: str
    left: Decimal
    sources: list[Source]
    refunds: list[RefundRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunds:
    """Whose payment it is, and its refunds as the API shows them, oldest first."""

    user_id: UUID
    refunds: list[dict[str, Any]]


def refundable(*, payment_id: UUID, requested_by: UUID, key: str) -> Refundable | None:
    """What a caller may refund, and what was requested with this key; None when there is no such payment."""
    rows = execute(_refundable, {"payment_id": payment_id, "requested_by": requested_by, "idempotency_key": key})
    if not rows:
        return None
    status, currency, left, sources, *_ = rows[0]
    return Refundable(
        payment_status=status,
        currency=currency,
        left=left,
        sources=[
            Source(UUID(source_id), capture_ref, attempt_ref, Decimal(room))
            for source_id, capture_ref, attempt_ref, room in sources or ()
        ],
        refunds=[RefundRow._make(refund) for _, _, _, _, *refund in rows if refund[0] is not None],
    )


def refunds_of(*, payment_id: UUID) -> PaymentRefunds | None:
    """A payment's refunds; None when there is no such payment."""
    rows = execute(_of_payment, {"payment_id": payment_id})
    if not rows:
        return None
    refunds = [show_refund(RefundRow._make(refund)) for _, *refund in rows if refund[0] is not None]
    return PaymentRefunds(user_id=rows[0].user_id, refunds=refunds)


def show_request(rows: Sequence[RefundRow]) -> dict[str, Any]:
    """A request's rows as the one refund that was asked for; ``parts`` where it took several captures."""
    shown = show_refund(rows[0]) | {"amount": show(sum((row.amount for row in rows), Decimal(0)), rows[0].currency)}
    if len(rows) > 1:
        shown["parts"] = [
            {"id": str(row.refund_id), "amount": show(row.amount, row.currency), "capture_ref": row.capture_ref}
            for row in rows
        ]
    return shown


def show_refund(row: RefundRow) -> dict[str, Any]:
    """The refund as the API shows it."""
    return {
        "id": str(row.refund_id),
        "payment_id": str(row.payment_id),
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "status": row.status.value,
        "reason": row.reason,
        "decline": row.decline,
        "made_by": "provider" if row.requested_by is None else "request",
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
