"""Reads of refunds, and of what is left to refund."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, func, literal_column, select, text

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.owners import is_theirs
from checkout_service.payments.models import Payment
from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.refunds.models import Refund

REFUND: Final[tuple[Any, ...]] = (
    Refund.id.label("refund_id"),
    Refund.payment_id,
    Refund.amount,
    Refund.currency,
    Refund.status,
    Refund.reason,
    Refund.decline,
    Refund.detail,
    Refund.requested_by,
    Refund.request_hash,
    Refund.capture_ref,
    Refund.created_at,
    Refund.updated_at,
    literal_column("""(
        SELECT jsonb_agg(jsonb_build_array(back.order_line_id, back.qty, back.amount::text) ORDER BY back.id)
        FROM refund_lines AS back WHERE back.refund_id = refunds.id
    )""").label("lines"),
)

_SOURCES: Final = """(
    SELECT jsonb_agg(jsonb_build_array(source.id, source.capture_ref, source.attempt_ref, source.room::text))
    FROM payment_sources(payments.id) AS source
)"""
"""Of what something may be given back (migrations/entries/requests.sql); the triggers of refunds judge by it."""

_LINES: Final = """(
    SELECT jsonb_agg(jsonb_build_array(line.id,
        greatest(line.qty - order_line_refunded(line.id) - order_line_in_question(line.id), 0), line.unit_price::text))
    FROM orders AS made JOIN order_lines AS line ON line.order_id = made.id
    WHERE made.payment_id = payments.id AND line.id = ANY(:lines)
)"""
"""What is left of lines of its order (migrations/orders/requests.sql, migrations/pieces/made_for.sql); the triggers of
refund_lines judge by it."""

_REQUEST_LOST: Final = "refund_request_lost(payments.id)"
"""Until somebody has looked at it. The trigger refunds_wait_for_look_up judges by it
(migrations/restores/look_ups.sql)."""

_WAITS: Final = "EXISTS (SELECT FROM look_ups_after_restore AS waiting WHERE waiting.payment_id = payments.id)"
"""Whether its provider has to be asked first. The same trigger judges by it."""


def _refundable(lines: str) -> Statement:
    return Statement(
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
            literal_column(_SOURCES).label("sources"),
            literal_column(_REQUEST_LOST).label("request_lost"),
            literal_column(_WAITS).label("waits"),
            *REFUND,
            # Last: the places of enums are those of the columns that SQLAlchemy knows.
            text(f"{lines} AS named_lines"),
        )
        .outerjoin(
            Refund,
            and_(
                Refund.requested_by == bindparam("requested_by"), Refund.idempotency_key == bindparam("idempotency_key")
            ),
        )
        .where(Payment.id == bindparam("payment_id"))
        .order_by(Refund.part)
    )


_refundable_amount, _refundable_lines = _refundable("NULL"), _refundable(_LINES)

_of_payment = Statement(
    # The text comes last: the places of enums are told by the columns that are none.
    select(*REFUND, text(f"{is_theirs('payments.user_id')} AS is_theirs"))
    .select_from(Payment)
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
    detail: str | None
    requested_by: UUID | None
    request_hash: bytes | None
    capture_ref: str | None
    created_at: datetime
    updated_at: datetime
    lines: list[tuple[str, int, str]] | None


class RefundableLine(NamedTuple):
    """A line of the payment's order: how many of its pieces may still be given back, and the price of one."""

    id: UUID
    left: int
    unit_price: Decimal


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
    """A payment's status and currency, what is left to refund and of what, oldest first, and of which lines.

    ``refunds`` are the rows that a key has, by part; none if it was never used. ``request_lost``: the provider made a
    refund for us whose request the database has lost, and nobody has looked at that yet.
    """

    payment_status: PaymentStatus
    currency: str
    left: Decimal
    request_lost: bool
    waits: bool
    sources: list[Source]
    lines: list[RefundableLine]
    refunds: list[RefundRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunds:
    """Whether the payment is this customer's, and its refunds as the API shows them, oldest first."""

    is_theirs: bool
    refunds: list[dict[str, Any]]


def refundable(*, payment_id: UUID, requested_by: UUID, key: str, lines: Sequence[UUID] = ()) -> Refundable | None:
    """What a caller may refund, and what was requested with this key; None when there is no such payment.

    Of those of the ``lines`` that are of the payment's order, it says what is left.
    """
    values = {"payment_id": payment_id, "requested_by": requested_by, "idempotency_key": key}
    rows = execute(_refundable_lines, values | {"lines": list(lines)}) if lines else execute(_refundable_amount, values)
    if not rows:
        return None
    status, currency, left, sources, request_lost, waits, *_, named = rows[0]
    return Refundable(
        payment_status=status,
        currency=currency,
        left=left,
        request_lost=request_lost,
        waits=waits,
        sources=[
            Source(UUID(source_id), capture_ref, attempt_ref, Decimal(room))
            for source_id, capture_ref, attempt_ref, room in sources or ()
        ],
        lines=[RefundableLine(UUID(line_id), max(left, 0), Decimal(price)) for line_id, left, price in named or ()],
        refunds=[RefundRow._make(refund) for _, _, _, _, _, _, *refund, _ in rows if refund[0] is not None],
    )


def refunds_of(*, payment_id: UUID, user_id: UUID) -> PaymentRefunds | None:
    """A payment's refunds; None when there is no such payment."""
    rows = execute(_of_payment, {"payment_id": payment_id, "user_id": user_id})
    if not rows:
        return None
    refunds = [show_refund(RefundRow._make(refund)) for *refund, _ in rows if refund[0] is not None]
    return PaymentRefunds(is_theirs=rows[0].is_theirs, refunds=refunds)


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
    """The refund as the API shows it to staff; with its lines where it was asked for by line."""
    shown: dict[str, Any] = {
        "id": str(row.refund_id),
        "payment_id": str(row.payment_id),
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "status": row.status.value,
        "reason": row.reason,
        "decline": row.decline,
        "provider_answer": row.detail if row.decline else None,
        "made_by": "provider" if row.requested_by is None else "request",
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
    if row.lines:
        shown["lines"] = [
            {"line_id": str(line_id), "qty": qty, "amount": show(Decimal(amount), row.currency)}
            for line_id, qty, amount in row.lines
        ]
    return shown
