"""Reads of payments, by their owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import bindparam, select, tuple_

from checkout_service.api.responses import show_time
from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.models import Payment, PaymentEvent
from checkout_service.payments.status import PaymentStatus

_columns = (
    Payment.id,
    Payment.status,
    Payment.amount,
    Payment.currency,
    Payment.amount_refunded,
    Payment.amount_refunding,
    Payment.provider,
    Payment.review_reason,
    Payment.created_at,
    Payment.updated_at,
)

_timeline = (
    select(
        *_columns,
        PaymentEvent.status.label("event_status"),
        PaymentEvent.outcome,
        PaymentEvent.amount.label("event_amount"),
        PaymentEvent.currency.label("event_currency"),
        PaymentEvent.occurred_at,
        PaymentEvent.received_at,
    )
    .outerjoin(PaymentEvent, PaymentEvent.payment_id == Payment.id)
    .where(Payment.id == bindparam("payment_id"))
    .order_by(PaymentEvent.received_at, PaymentEvent.id)
)

_anybodys = Statement(_timeline)

_own = Statement(_timeline.where(Payment.user_id == bindparam("user_id")))

_newest = (
    select(*_columns)
    .where(Payment.user_id == bindparam("user_id"))
    .order_by(Payment.created_at.desc(), Payment.id.desc())
    .limit(bindparam("limit"))
)

_first_page = Statement(_newest)

_next_page = Statement(
    _newest.where(tuple_(Payment.created_at, Payment.id) < tuple_(bindparam("created_at"), bindparam("id")))
)


class _PaymentRow(Protocol):
    """The columns of a payment that the API shows."""

    id: UUID
    status: PaymentStatus
    amount: Decimal
    currency: str
    amount_refunded: Decimal
    amount_refunding: Decimal
    provider: str
    review_reason: str | None
    created_at: datetime
    updated_at: datetime


class _EventRow(_PaymentRow, Protocol):
    """The same with one of its events, or NULL in all of these where it has none."""

    event_status: PaymentStatus | None
    outcome: str
    event_amount: Decimal | None
    event_currency: str | None
    occurred_at: datetime | None
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """Payments as the API shows them, newest first; ``next_cursor`` is None where no page follows."""

    payments: list[dict[str, Any]]
    next_cursor: str | None


def payment_of(*, payment_id: UUID, user_id: UUID | None) -> dict[str, Any] | None:
    """The customer's payment with its timeline, oldest event first, as the API shows it.

    None when it is not this customer's. Without a customer it may be anybody's. Raises DatabaseUnavailableError.
    """
    rows: Sequence[_EventRow]
    if user_id is None:
        rows = execute(_anybodys, {"payment_id": payment_id})
    else:
        rows = execute(_own, {"payment_id": payment_id, "user_id": user_id})
    if not rows:
        return None
    events = [_event(row, row.event_status) for row in rows if row.event_status is not None]
    return _shown(rows[0]) | {"timeline": events}


def payments_of(*, user_id: UUID, limit: int, cursor: str | None) -> PaymentPage:
    """A page of the customer's payments. Raises BadCursorError and DatabaseUnavailableError."""
    rows: Sequence[_PaymentRow]
    values: dict[str, Any] = {"user_id": user_id, "limit": limit + 1}
    if cursor is None:
        rows = execute(_first_page, values)
    else:
        after = read_cursor(cursor)
        rows = execute(_next_page, values | {"created_at": after.moment, "id": after.id})
    page = rows[:limit]
    more = str(Cursor(page[-1].created_at, page[-1].id)) if len(rows) > limit else None
    return PaymentPage(payments=[_shown(row) for row in page], next_cursor=more)


def _shown(row: _PaymentRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "status": row.status.value,
        "amount": show(row.amount),
        "currency": row.currency,
        "amount_refunded": show(row.amount_refunded),
        "amount_refunding": show(row.amount_refunding),
        "provider": row.provider,
        "under_review": row.review_reason is not None,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }


def _event(row: _EventRow, status: PaymentStatus) -> dict[str, Any]:
    return {
        "status": status.value,
        "outcome": row.outcome,
        "amount": None if row.event_amount is None else show(row.event_amount),
        "currency": row.event_currency,
        "occurred_at": None if row.occurred_at is None else show_time(row.occurred_at),
        "received_at": show_time(row.received_at),
    }
