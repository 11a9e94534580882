"""Reads payments for operators: pages of all of them, of a status or of those with a flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.console.filters import PaymentFilter, Place
from checkout_service.cursors import BadCursorError, Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus
from checkout_service.webhooks.queries import Webhook

PAGE: Final = 50

FLAGGED_SORTED: Final = 5_000
"""Flagged payments that are sorted for a page. There are few; of very many, some are enough to begin with."""

_COLUMNS: Final = (
    "id, provider, provider_ref, amount, currency, status::text AS status, review_reason, created_at, next_look_up_at"
)

# One short walk a status along (status, created_at), so that no page sorts more than a few hundred rows.
_BY_STATUS: Final = f"""
    SELECT {_COLUMNS} FROM unnest(CAST(:statuses AS payment_status[])) AS filter (by_status)
    CROSS JOIN LATERAL (
        SELECT * FROM payments WHERE payments.status = filter.by_status AND {{place}}
        ORDER BY payments.created_at {{way}}, payments.id {{way}} LIMIT :limit
    ) AS payment
    ORDER BY created_at {{way}}, id {{way}} LIMIT :limit
"""  # noqa: S608 (only our own constants)

_FLAGGED: Final = f"""
    SELECT {_COLUMNS} FROM (
        SELECT * FROM payments WHERE review_reason IS NOT NULL LIMIT {FLAGGED_SORTED}
    ) AS payments
    WHERE status = ANY(CAST(:statuses AS payment_status[])) AND {{place}}
    ORDER BY created_at {{way}}, id {{way}} LIMIT :limit
"""  # noqa: S608 (only our own constants)

_found = {
    "id": text("SELECT id FROM payments WHERE id = :sought"),
    "provider_ref": text("SELECT id FROM payments WHERE provider_ref = :sought"),
}

_of_reference = text("""
    SELECT id, status::text AS status, review_reason FROM payments
    WHERE provider_ref = :provider_ref AND provider = :provider
""")

_events_of = text("""
    SELECT event_id, status::text AS status, outcome, received_at FROM payment_events
    WHERE payment_id = :id AND delivery_id = :delivery_id ORDER BY received_at, id LIMIT 20
""")


class _PaymentRow(NamedTuple):
    """The values of ``_COLUMNS``."""

    id: UUID
    provider: str
    provider_ref: str
    amount: Decimal
    currency: str
    status: str
    review_reason: str | None
    created_at: datetime
    next_look_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPayment:
    """A line of the list."""

    id: UUID
    provider: str
    provider_ref: str
    amount: Decimal
    currency: str
    status: PaymentStatus
    review_reason: str | None
    created_at: datetime
    next_look_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentOfWebhook:
    """The payment that a webhook is about."""

    id: UUID
    status: PaymentStatus
    review_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOfWebhook:
    """An event that a webhook brought, the status that it proves, and what it did."""

    event_id: str
    status: PaymentStatus
    outcome: EventOutcome
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """Payments, newest first, and where the pages around it begin."""

    rows: Sequence[ListedPayment]
    newer: str | None = None
    older: str | None = None


def payments_page(chosen: PaymentFilter, place: Place, *, limit: int = PAGE) -> PaymentPage:
    """A page of the payments that the filter lets through. Raises DatabaseUnavailableError."""
    before, after = _read(place.before), _read(place.after)
    upwards = after is not None and before is None
    way, edge = ("ASC", after) if upwards else ("DESC", before)
    values: dict[str, Any] = {
        "limit": limit + 1,
        "statuses": [chosen.status.value] if chosen.status else [status.value for status in PaymentStatus],
    }
    bound = "true"
    if edge is not None:
        bound = f"(payments.created_at, payments.id) {'>' if upwards else '<'} (:at, CAST(:id AS uuid))"
        values |= {"at": edge.moment, "id": edge.id}
    statement = (_FLAGGED if chosen.flagged else _BY_STATUS).format(place=bound, way=way)
    found = [_listed(row) for row in map(_PaymentRow._make, execute(text(statement), values))]
    rows, more = found[:limit], len(found) > limit
    if upwards:
        rows.reverse()
    first, last = (str(Cursor(row.created_at, row.id)) for row in (rows[0], rows[-1])) if rows else (None, None)
    if upwards:
        return PaymentPage(rows=rows, newer=first if more else None, older=last or place.after)
    return PaymentPage(rows=rows, newer=(first or place.before) if before else None, older=last if more else None)


def payment_by(*, payment_id: UUID | None = None, provider_ref: str = "") -> UUID | None:
    """The id of the payment with this id or reference, if there is one."""
    by = "provider_ref" if payment_id is None else "id"
    rows = execute(_found[by], {"sought": payment_id or provider_ref})
    found: UUID | None = rows[0].id if rows else None
    return found


def payment_of_webhook(webhook: Webhook) -> PaymentOfWebhook | None:
    """The payment that a webhook was found to be about."""
    if webhook.provider_ref is None:
        return None
    rows = execute(_of_reference, {"provider_ref": webhook.provider_ref, "provider": webhook.provider})
    if not rows:
        return None
    payment_id, status, review_reason = rows[0]
    return PaymentOfWebhook(id=payment_id, status=PaymentStatus(status), review_reason=review_reason)


def events_of_webhook(webhook_id: UUID, payment_id: UUID) -> list[EventOfWebhook]:
    """The events about this payment that a webhook brought, oldest first."""
    rows = execute(_events_of, {"id": payment_id, "delivery_id": webhook_id})
    return [
        EventOfWebhook(
            event_id=event_id, status=PaymentStatus(status), outcome=EventOutcome(outcome), received_at=received_at
        )
        for event_id, status, outcome, received_at in rows
    ]


def _listed(row: _PaymentRow) -> ListedPayment:
    return ListedPayment(**row._asdict() | {"status": PaymentStatus(row.status)})


def _read(cursor: str | None) -> Cursor | None:
    """The cursor in an address. One that is not ours is none: the list begins at its beginning."""
    try:
        return read_cursor(cursor) if cursor is not None else None
    except BadCursorError:
        return None
