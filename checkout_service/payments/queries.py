"""Reads of payments: by their owner, and by staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.payments.outcomes import read_reasons
from checkout_service.payments.timeline import ENTRIES, EntryRow, show_entry

# The other payments of one filling of the cart, where money came for both. A customer is told only of their own.
_COLUMNS: Final = """
    payment.id, payment.status::text AS status, payment.amount, payment.currency, payment.amount_captured,
    payment.amount_lost,
    greatest(payment.amount_captured - payment.amount_lost - payment.amount_blocked - payment.amount_refunded
        - payment.amount_refunding, 0) AS amount_refundable,
    payment.amount_authorized, payment.amount_accepted, payment.amount_refunded, payment.amount_refunding,
    payment.under_way, payment.provider, payment.review_reason, payment.version, payment.created_at, payment.updated_at,
    (SELECT min(attempt.expires_at) FROM payment_attempts AS attempt
        WHERE payment.amount_authorized > 0 AND attempt.payment_id = payment.id AND attempt.status = 'authorized'
            AND NOT attempt.rest_released AND NOT EXISTS (
                SELECT FROM payment_attempts AS newer
                WHERE newer.payment_id = payment.id AND newer.replaces = attempt.attempt_ref)
    ) AS authorization_expires_at,
    ARRAY(SELECT mate.id
        FROM checkout_sessions AS own
        JOIN checkout_sessions AS other ON other.cart_id = own.cart_id AND other.generation = own.generation
            AND other.payment_id <> own.payment_id
        JOIN payments AS mate ON mate.id = other.payment_id
        WHERE payment.amount_captured > 0 AND own.payment_id = payment.id AND mate.amount_captured > 0
            AND (CAST(:anybodys AS boolean) OR mate.user_id = payment.user_id)
        ORDER BY mate.id
    ) AS duplicate_of
"""

_with_timeline = Statement(f"""
    SELECT {_COLUMNS}, entry.*
    FROM payments AS payment LEFT JOIN LATERAL ({ENTRIES}) AS entry ON true
    WHERE payment.id = :payment_id AND (CAST(:anybodys AS boolean) OR payment.user_id = CAST(:user_id AS uuid))
    ORDER BY entry.received_at, entry.place, entry.entry_id
""")  # noqa: S608 (only our own constants)

_NEWEST: Final = f"""
    SELECT {_COLUMNS}
    FROM (
        SELECT * FROM payments WHERE user_id = :user_id AND {{bound}}
        ORDER BY created_at DESC, id DESC LIMIT :limit
    ) AS payment
    ORDER BY payment.created_at DESC, payment.id DESC
"""  # noqa: S608 (only our own constants)

_first_page = Statement(_NEWEST.format(bound="true"))

_next_page = Statement(_NEWEST.format(bound="(created_at, id) < (:created_at, :id)"))


class _PaymentRow(Protocol):
    """The columns of a payment that the API shows."""

    id: UUID
    status: str
    amount: Decimal
    currency: str
    amount_captured: Decimal
    amount_lost: Decimal
    amount_refundable: Decimal
    amount_authorized: Decimal
    amount_accepted: Decimal | None
    amount_refunded: Decimal
    amount_refunding: Decimal
    under_way: bool
    provider: str
    review_reason: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    authorization_expires_at: datetime | None
    duplicate_of: Sequence[UUID]


class _TimelineRow(_PaymentRow, EntryRow, Protocol):
    """The same with one of its entries, or NULL in all of these where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """Payments as the API shows them, newest first; ``next_cursor`` is None where no page follows."""

    payments: list[dict[str, Any]]
    next_cursor: str | None


def payment_of(*, payment_id: UUID, user_id: UUID | None) -> dict[str, Any] | None:
    """The customer's payment with its timeline, oldest entry first, as the API shows it.

    None when it is not this customer's. Without a customer it may be anybody's, and what only staff may read is there
    too: reasons for a review, what was reviewed and why. Raises DatabaseUnavailableError.
    """
    anybodys = user_id is None
    rows: Sequence[_TimelineRow] = execute(
        _with_timeline, {"payment_id": payment_id, "user_id": user_id, "anybodys": anybodys}
    )
    if not rows:
        return None
    shown = _shown(rows[0])
    if anybodys:
        shown["review_reasons"] = sorted(read_reasons(rows[0].review_reason))
    return shown | {"timeline": [show_entry(row, anybodys=anybodys) for row in rows if row.kind is not None]}


def payments_of(*, user_id: UUID, limit: int, cursor: str | None) -> PaymentPage:
    """A page of the customer's payments. Raises BadCursorError and DatabaseUnavailableError."""
    rows: Sequence[_PaymentRow]
    values: dict[str, Any] = {"user_id": user_id, "limit": limit + 1, "anybodys": False}
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
        "status": row.status,
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "amount_captured": show(row.amount_captured, row.currency),
        "amount_lost": show(row.amount_lost, row.currency),
        "amount_refundable": show(row.amount_refundable, row.currency),
        "amount_authorized": show(row.amount_authorized, row.currency),
        "amount_accepted": None if row.amount_accepted is None else show(row.amount_accepted, row.currency),
        "amount_refunded": show(row.amount_refunded, row.currency),
        "amount_refunding": show(row.amount_refunding, row.currency),
        "under_way": row.under_way,
        "authorization_expires_at": (
            None if row.authorization_expires_at is None else show_time(row.authorization_expires_at)
        ),
        "duplicate_of": list(map(str, row.duplicate_of)),
        "provider": row.provider,
        "under_review": row.review_reason is not None,
        "version": row.version,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
