"""Reads payments for operators: pages of all of them, of a status, a customer, an amount, or of those with a flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.console.filters import Place
from checkout_service.console.payment_filters import PaymentFilter
from checkout_service.cursors import BadCursorError, Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.owners import is_theirs, owners_of
from checkout_service.payments.outcomes import EventOutcome
from checkout_service.payments.status import PaymentStatus
from checkout_service.webhooks.queries import Webhook

PAGE: Final = 50

_COLUMNS: Final = (
    "id, provider, provider_ref, amount, currency, status::text AS status, review_reason, created_at, next_look_up_at"
)

LOOKED_THROUGH: Final = 10_000
"""Payments that one page looks through where the index leads to more than match: some tens of milliseconds."""

# One short walk a status along (status, created_at), so that no page sorts more than a few hundred rows.
_BY_STATUS: Final = """
    SELECT payment.* FROM unnest(CAST(:statuses AS payment_status[])) AS filter (by_status)
    CROSS JOIN LATERAL (
        SELECT * FROM payments WHERE payments.status = filter.by_status AND {bounds}
        ORDER BY payments.created_at {way}, payments.id {way} LIMIT :window
    ) AS payment
"""

_FLAGGED: Final = """
    SELECT * FROM payments WHERE review_reason IS NOT NULL AND {bounds}
    ORDER BY payments.created_at {way}, payments.id {way} LIMIT :window
"""

_OF_CUSTOMER: Final = f"""
    SELECT payment.* FROM {owners_of("customer")} AS owner CROSS JOIN LATERAL (
        SELECT * FROM payments WHERE payments.user_id = owner.id AND {{bounds}}
        ORDER BY payments.created_at {{way}}, payments.id {{way}} LIMIT :window
    ) AS payment
"""  # noqa: S608 (only our own constants)

# One step of the index for each currency that has this amount: its order is that of the currency and then of time.
_OF_AMOUNT: Final = """
    SELECT payment.* FROM (
        WITH RECURSIVE used (currency) AS (
            SELECT (SELECT min(currency) FROM payments WHERE amount = :amount)
            UNION ALL
            SELECT (SELECT min(currency) FROM payments WHERE amount = :amount AND currency > used.currency)
            FROM used WHERE used.currency IS NOT NULL
        )
        SELECT currency FROM used WHERE currency IS NOT NULL
    ) AS held CROSS JOIN LATERAL (
        SELECT * FROM payments WHERE payments.amount = :amount AND payments.currency = held.currency AND {bounds}
        ORDER BY payments.created_at {way}, payments.id {way} LIMIT :window
    ) AS payment
"""

_OF_SUM: Final = """
    SELECT * FROM payments WHERE payments.amount = :amount AND payments.currency = CAST(:currency AS text) AND {bounds}
    ORDER BY payments.created_at {way}, payments.id {way} LIMIT :window
"""

_LOOKED_AT: Final = "SELECT * FROM ({subject}) AS subject ORDER BY created_at {way}, id {way} LIMIT :window"

_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM ({_LOOKED_AT}) AS looked_at WHERE {{rest}} ORDER BY created_at {{way}}, id {{way}}
    LIMIT :limit
"""  # noqa: S608 (only our own constants)

# The last that a window came to, if it was full: only then may more lie behind it.
_EDGE: Final = f"""
    SELECT created_at, id FROM ({_LOOKED_AT}) AS looked_at ORDER BY created_at {{way}}, id {{way}}
    OFFSET CAST(:window AS integer) - 1 LIMIT 1
"""  # noqa: S608 (only our own constants)

_found = {
    by: text(f"SELECT {_COLUMNS} FROM payments WHERE {by} = :sought ORDER BY created_at DESC, id DESC")  # noqa: S608
    for by in ("id", "provider_ref")
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
    """Payments, newest first, and where the pages around it begin.

    ``looked_back_to`` is set where the page ended because enough had been looked at, not because it was full.
    """

    rows: Sequence[ListedPayment]
    newer: str | None = None
    older: str | None = None
    looked_back_to: datetime | None = None


def payments_page(chosen: PaymentFilter, place: Place, *, limit: int = PAGE) -> PaymentPage:
    """A page of the payments that the filter lets through. Raises DatabaseUnavailableError."""
    before, after = _read(place.before), _read(place.after)
    upwards = after is not None and before is None
    way, edge = ("ASC", after) if upwards else ("DESC", before)
    bounds, values = _bounds(chosen, edge, upwards=upwards)
    subject, rest = _subject(chosen)
    values |= {"limit": limit + 1, "window": LOOKED_THROUGH if rest else limit + 1}
    words = {"subject": subject.format(bounds=bounds, way=way), "rest": " AND ".join(rest) or "true", "way": way}
    found = [_listed(row) for row in map(_PaymentRow._make, execute(text(_PAGE.format(**words)), values))]
    rows, more = found[:limit], len(found) > limit
    # Where the index leads to more than match, a page may end before there are no more.
    looked_to = execute(text(_EDGE.format(**words)), values) if rest and not more else ()
    looked_back_to = looked_to[0].created_at if looked_to else None
    if upwards:
        rows.reverse()
    first, last = (str(Cursor(row.created_at, row.id)) for row in (rows[0], rows[-1])) if rows else (None, None)
    beyond = str(Cursor(*looked_to[0])) if looked_to else None
    if upwards:
        newer = first if more else beyond
        return PaymentPage(rows=rows, newer=newer, older=last or place.after, looked_back_to=looked_back_to)
    older = last if more else beyond
    newer = (first or place.before) if before else None
    return PaymentPage(rows=rows, newer=newer, older=older, looked_back_to=looked_back_to)


def _bounds(chosen: PaymentFilter, edge: Cursor | None, *, upwards: bool) -> tuple[str, dict[str, Any]]:
    """The stretch of time of a page, which every index here is in the order of, and the values of the statement."""
    bounds = ["true"]
    if edge is not None:
        bounds.append(f"(payments.created_at, payments.id) {'>' if upwards else '<'} (:at, CAST(:id AS uuid))")
    if chosen.since is not None:
        bounds.append("payments.created_at >= :since")
    if chosen.until is not None:
        bounds.append("payments.created_at < :until")
    values = {
        "at": edge.moment if edge else None,
        "id": edge.id if edge else None,
        "since": chosen.since,
        "until": chosen.until,
        "customer": chosen.customer,
        "amount": chosen.amount,
        "currency": chosen.currency,
        "reason": chosen.reason,
        "statuses": [chosen.status.value] if chosen.status else [status.value for status in PaymentStatus],
    }
    return " AND ".join(bounds), values


def _subject(chosen: PaymentFilter) -> tuple[str, list[str]]:
    """What a page looks through, along the index of the filter that tells most, and the conditions that are left."""
    rest = {
        "customer": (chosen.customer, is_theirs("user_id", "customer")),
        "amount": (chosen.amount, "amount = :amount"),
        "currency": (chosen.currency, "currency = CAST(:currency AS text)"),
        "reason": (chosen.reason, "CAST(:reason AS text) = ANY(string_to_array(review_reason, ', '))"),
        "status": (chosen.status, "status = ANY(CAST(:statuses AS payment_status[]))"),
    }
    conditions = {name: condition for name, (value, condition) in rest.items() if value is not None}
    if chosen.flagged:
        conditions["flagged"] = "review_reason IS NOT NULL"
    if chosen.customer is not None:
        del conditions["customer"]
        return _OF_CUSTOMER, list(conditions.values())
    if chosen.amount is not None:
        del conditions["amount"]
        return (_OF_SUM if conditions.pop("currency", None) else _OF_AMOUNT), list(conditions.values())
    if conditions.pop("flagged", None):
        return _FLAGGED, list(conditions.values())
    conditions.pop("status", None)
    return _BY_STATUS, list(conditions.values())


def payments_by(*, payment_id: UUID | None = None, provider_ref: str = "") -> list[ListedPayment]:
    """The payments with this id or reference, newest first: a reference may be that of several providers."""
    by = "provider_ref" if payment_id is None else "id"
    rows = execute(_found[by], {"sought": payment_id or provider_ref})
    return [_listed(_PaymentRow._make(row)) for row in rows]


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
