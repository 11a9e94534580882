"""Reads of payments: by their owner, and by staff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.cursors import LONGEST_PAGE, PAGE, BadCursorError, Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.owners import is_for, owners_of
from checkout_service.payments.mates import mates_of
from checkout_service.payments.next_action import next_action_of, show_next_action
from checkout_service.payments.outcomes import read_reasons
from checkout_service.payments.status import PaymentStatus
from checkout_service.payments.timeline import EntryRow, entries_of, show_entry

TIMELINE: Final = 200
"""Entries of a timeline that one answer shows. A customer whose attempts fail can make it long."""

_NOBODY: Final = UUID(int=0)

# The other payments of one filling of the cart, or for the same things in a cart that was merged with it, where money
# came for both. A customer is told only of their own.
_COLUMNS: Final = f"""
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
        FROM {mates_of("payment.id")} AS other JOIN payments AS mate ON mate.id = other.payment_id
        WHERE payment.amount_captured > 0 AND mate.amount_captured > 0
            AND {{of_caller}}
        ORDER BY mate.id
    ) AS duplicate_of,
    (SELECT jsonb_build_array(made.id, made.number_prefix || made.number)
        FROM orders AS made WHERE made.payment_id = payment.id) AS of_order,
    payment.user_id, payment.provider_ref
"""  # noqa: S608 (only our own constants)


def columns(*, anybodys: bool) -> str:
    """What every payment shows: of ``payment``, a row of payments.

    A customer is the parameter ``user_id``; with ``anybodys``, as for staff, there is none.
    """
    return _COLUMNS.format(of_caller=is_for("mate.user_id", anybodys=anybodys))


# An entry without an id is alone in its place. What the client pays with is for the owner alone, while it may be paid.
_WITH_TIMELINE: Final = f"""
    SELECT {{columns}}, {{payment_token}} AS payment_token, entry.*
    FROM payments AS payment LEFT JOIN LATERAL (
        SELECT * FROM ({{entries}}) AS one WHERE {{bound}}
        ORDER BY received_at DESC, place DESC, entry_id DESC LIMIT {TIMELINE} + 1
    ) AS entry ON true
    WHERE payment.id = :payment_id AND {{of_caller}}
    ORDER BY entry.received_at, entry.place, entry.entry_id
"""  # noqa: S608 (only our own constants)

_PAID_WITH: Final = """
    CASE WHEN payment.status = 'pending' THEN (
        SELECT session.payment_token FROM checkout_sessions AS session WHERE session.payment_id = payment.id
    ) END
"""

_BEFORE: Final = """
    (received_at, place, coalesce(entry_id, :nobody))
        < (CAST(:before AS timestamptz), CAST(:before_place AS integer), CAST(:before_id AS uuid))
"""


def _with_timeline(*, anybodys: bool, bound: str) -> Statement:
    return Statement(
        _WITH_TIMELINE.format(
            columns=columns(anybodys=anybodys),
            payment_token="NULL" if anybodys else _PAID_WITH,
            entries=entries_of(anybodys=anybodys),
            bound=bound,
            of_caller=is_for("payment.user_id", anybodys=anybodys),
        )
    )


_newest_entries = {anybodys: _with_timeline(anybodys=anybodys, bound="true") for anybodys in (True, False)}

_earlier_entries = {anybodys: _with_timeline(anybodys=anybodys, bound=_BEFORE) for anybodys in (True, False)}

_NEWEST: Final = f"""
    SELECT {columns(anybodys=False)}
    FROM (
        SELECT one.* FROM {owners_of()} AS owner CROSS JOIN LATERAL (
            SELECT * FROM payments WHERE user_id = owner.id AND {{bound}}
            ORDER BY created_at DESC, id DESC LIMIT {LONGEST_PAGE} + 1
        ) AS one
        ORDER BY one.created_at DESC, one.id DESC LIMIT {PAGE}
    ) AS payment
    ORDER BY payment.created_at DESC, payment.id DESC
"""  # noqa: S608 (only our own constants)

_first_page = Statement(_NEWEST.format(bound="true"))

_next_page = Statement(_NEWEST.format(bound="(created_at, id) < (:created_at, :id)"))


class PaymentRow(Protocol):
    """The values of ``columns``."""

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
    of_order: list[Any] | None
    user_id: UUID
    provider_ref: str


class _TimelineRow(PaymentRow, EntryRow, Protocol):
    """The same with one of its entries, or NULL in all of these where it has none."""

    payment_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """Payments as the API shows them, newest first; ``next_cursor`` is None where no page follows."""

    payments: list[dict[str, Any]]
    next_cursor: str | None


def payment_of(
    *,
    payment_id: UUID,
    user_id: UUID | None,
    before: str | None = None,
    providers: Mapping[str, object] | None = None,
) -> dict[str, Any] | None:
    """The customer's payment with the newest part of its timeline, oldest entry first, as the API shows it.

    ``earlier_cursor`` is what to give as ``before`` for the part before it, or None. None when it is not this
    customer's. Without a customer it may be anybody's, and what only staff may read is there too: reasons for a review,
    what was reviewed and why. With ``providers``, those that are on, a customer is shown what to do next to pay it.
    Raises BadCursorError and DatabaseUnavailableError.
    """
    anybodys = user_id is None
    values: dict[str, Any] = {"payment_id": payment_id, "user_id": user_id}
    rows: Sequence[_TimelineRow]
    if before is None:
        rows = execute(_newest_entries[anybodys], values)
    else:
        rows = execute(_earlier_entries[anybodys], values | _bound(before))
    if not rows:
        return None
    shown = show_payment(rows[0], anybodys=anybodys)
    if providers is not None and not anybodys:
        action = next_action_of(
            providers,
            provider=rows[0].provider,
            payment_token=rows[0].payment_token,
            status=PaymentStatus(rows[0].status),
        )
        shown["next_action"] = show_next_action(action)
    entries = [row for row in rows if row.kind is not None]
    newest = entries[-TIMELINE:]
    return shown | {
        "timeline": [show_entry(row, anybodys=anybodys) for row in newest],
        "earlier_cursor": _place_of(newest[0]) if len(entries) > TIMELINE else None,
    }


def _bound(before: str) -> dict[str, Any]:
    """The values of a place in a timeline: the entry that the part after it begins with. Raises BadCursorError."""
    place, _, rest = before.partition(".")
    if not (place.isascii() and place.isdigit() and len(place) < 4):
        raise BadCursorError(before)
    cursor = read_cursor(rest)
    return {"before": cursor.moment, "before_place": int(place), "before_id": cursor.id, "nobody": _NOBODY}


def _place_of(row: _TimelineRow) -> str:
    return f"{row.place}.{Cursor(row.received_at, row.entry_id or _NOBODY)}"


def payments_of(*, user_id: UUID, limit: int, cursor: str | None) -> PaymentPage:
    """A page of the customer's payments. Raises BadCursorError and DatabaseUnavailableError."""
    rows: Sequence[PaymentRow]
    values: dict[str, Any] = {"user_id": user_id, "limit": limit + 1}
    if cursor is None:
        rows = execute(_first_page, values)
    else:
        after = read_cursor(cursor)
        rows = execute(_next_page, values | {"created_at": after.moment, "id": after.id})
    page = rows[:limit]
    more = str(Cursor(page[-1].created_at, page[-1].id)) if len(rows) > limit else None
    return PaymentPage(payments=[show_payment(row) for row in page], next_cursor=more)


def show_payment(row: PaymentRow, *, anybodys: bool = False) -> dict[str, Any]:
    """A payment as the API shows it: to its customer, or with ``anybodys`` to staff."""
    shown: dict[str, Any] = {
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
        "order": None if row.of_order is None else dict(zip(("id", "number"), row.of_order, strict=True)),
        "provider": row.provider,
        "under_review": row.review_reason is not None,
        "version": row.version,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
    if anybodys:
        shown |= {
            "customer": str(row.user_id),
            "reference": row.provider_ref,
            "review_reasons": sorted(read_reasons(row.review_reason)),
        }
    return shown
