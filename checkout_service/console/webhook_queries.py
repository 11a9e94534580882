"""Reads webhooks for operators: pages of a list along an index, however many there are, and one webhook in full.

Keys are version 7 UUIDs, so the order of the primary key is that of arrival. No page looks at more than ``WINDOW``
webhooks: where those that match are rarer than that, it says how far it looked and offers to go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.console.filters import PENDING, Place, WebhookFilter, read_id
from checkout_service.database.engine import execute
from checkout_service.delivery_states import PENDING as PENDING_STATES
from checkout_service.delivery_states import RARE, REFERENCED_RARE, DeliveryState, listed
from checkout_service.payments.status import PaymentStatus

PAGE: Final = 50

WINDOW: Final = 10_000
"""Webhooks that one page looks through: some tens of milliseconds."""

FEW: Final = 5_000
"""Webhooks pending that are sorted for a page; when more are, they are nearly all of the newest."""

READ_FOR_LIST: Final = 16 * 1024
"""Bytes up to which a body is read for the list, to tell its type."""

_referenced: Final = listed(REFERENCED_RARE)

# Subjects: what a page looks through, each along an index of its own.
_ALL: Final = "SELECT * FROM webhook_deliveries WHERE {place} ORDER BY id {way} LIMIT :window"
_OF_STATE: Final = (
    "SELECT * FROM webhook_deliveries WHERE state = '{state}' AND {place} ORDER BY state {way}, id {way} LIMIT :window"
)
_FEW_PENDING: Final = f"""
    SELECT * FROM (
        SELECT * FROM webhook_deliveries WHERE state IN ({listed(PENDING_STATES)}) ORDER BY next_attempt_at LIMIT {FEW}
    ) AS pending WHERE {{place}} ORDER BY id {{way}}
"""  # noqa: S608 (only our own constants)
_OF_PAYMENT: Final = f"""
    SELECT * FROM (
        SELECT webhook.* FROM webhook_deliveries AS webhook WHERE webhook.id = ANY(CAST(:linked AS uuid[]))
        UNION ALL
        SELECT webhook.* FROM webhook_deliveries AS webhook
        WHERE webhook.provider_ref = :reference AND webhook.state IN ({_referenced})
            AND (CAST(:of AS text) IS NULL OR webhook.provider = :of)
            AND webhook.provider_ref IS NOT NULL AND webhook.id <> ALL(CAST(:linked AS uuid[]))
    ) AS about WHERE {{place}} ORDER BY id {{way}} LIMIT :window
"""  # noqa: S608 (only our own constants)

# The joins come after the page is cut, so that they are made for its rows alone; an event is found by its payment.
_PAGE: Final = """
    WITH page AS MATERIALIZED (
        SELECT * FROM ({subject}) AS looked_at WHERE {conditions} ORDER BY id {way} LIMIT :limit
    )
    SELECT page.id, page.provider, page.state, page.attempts, page.received_at, page.next_attempt_at,
        page.processed_at, page.provider_ref, page.detail, page.headers, coalesce(octet_length(page.body), 0) AS size,
        CASE WHEN octet_length(page.body) <= :read THEN page.body END AS body,
        payment.id AS payment_id, payment.status::text AS payment_status, event.event_id
    FROM page
    LEFT JOIN payments AS payment
        ON payment.provider_ref = page.provider_ref AND payment.provider = page.provider
    LEFT JOIN LATERAL (
        SELECT payment_events.event_id FROM payment_events
        WHERE payment_events.payment_id = payment.id AND payment_events.delivery_id = page.id
        ORDER BY payment_events.received_at LIMIT 1
    ) AS event ON true
    ORDER BY page.id {way}
"""

# The last webhook that a window came to, if it was full: only then may more lie behind it.
_EDGE: Final = "SELECT id, received_at FROM ({subject}) AS looked_at ORDER BY id {back} LIMIT 1"
_SIZE: Final = "SELECT count(*) FROM ({subject}) AS looked_at"

_few_pending = text(f"""
    SELECT count(*) FROM (
        SELECT FROM webhook_deliveries WHERE state IN ({listed(PENDING_STATES)}) LIMIT {FEW} + 1
    ) AS pending
""")  # noqa: S608 (only our own constants)
_payment_by = {
    "id": text("SELECT id, provider, provider_ref FROM payments WHERE id = :sought"),
    "provider_ref": text("SELECT id, provider, provider_ref FROM payments WHERE provider_ref = :sought"),
}
_linked = text("""
    SELECT delivery_id FROM payment_events WHERE payment_id = ANY(CAST(:ids AS uuid[])) AND delivery_id IS NOT NULL
    ORDER BY received_at DESC LIMIT 500
""")


class ListedWebhook(NamedTuple):
    """A line of the list, with the payment that it is about and an event that it brought.

    ``size`` is that of the body in bytes; ``body`` is None where that is more than ``READ_FOR_LIST``. What it was not
    found to be about is None.
    """

    id: UUID
    provider: str
    state: DeliveryState
    attempts: int
    received_at: datetime
    next_attempt_at: datetime | None
    processed_at: datetime | None
    provider_ref: str | None
    detail: str | None
    headers: Mapping[str, str]
    size: int
    body: bytes | None
    payment_id: UUID | None
    payment_status: PaymentStatus | None
    event_id: str | None


class _Edge(NamedTuple):
    """The webhook that a window ended at."""

    id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Webhooks, newest first. ``newer`` and ``older`` are where the pages around it begin.

    ``looked_back_to`` is set where the page ended because enough had been looked at, not because it was full.
    """

    rows: Sequence[ListedWebhook]
    newer: str | None = None
    older: str | None = None
    looked_back_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What webhooks are looked for by: ``provider_ref``, and the ids of the payments that are called so.

    There are none where only the reference is known, and several where providers name alike. ``provider`` is None where
    a reference was typed: webhooks of any provider may carry it.
    """

    payment_ids: Sequence[UUID]
    provider_ref: str
    provider: str | None = None


def about(find: str | None) -> About | None:
    """What was typed, a payment's id or reference, as what webhooks can be found by."""
    if find is None:
        return None
    sought = read_id(find)
    by = "id" if sought else "provider_ref"
    rows = execute(_payment_by[by], {"sought": sought or find})
    if not rows:
        return About(payment_ids=(), provider_ref=find)
    provider = rows[0].provider if sought else None
    return About(payment_ids=[row.id for row in rows], provider_ref=rows[0].provider_ref, provider=provider)


def webhooks_page(filters: WebhookFilter, place: Place, *, payment: About | None, limit: int = PAGE) -> Page:
    """A page of the webhooks that match. Raises DatabaseUnavailableError."""
    before, after = read_id(place.before), read_id(place.after)
    upwards = after is not None and before is None
    values: dict[str, Any] = {"limit": limit + 1, "read": READ_FOR_LIST, "window": WINDOW}
    subject, bounded = _subject(filters, payment, values)
    way = "ASC" if upwards else "DESC"
    filled = subject.replace("{place}", _place(filters, before, after, values)).replace("{way}", way)
    statement = _PAGE.format(subject=filled, conditions=_conditions(filters, values), way=way)
    found = [_listed(row) for row in execute(text(statement), values)]
    rows, more = found[:limit], len(found) > limit
    edge = None if more or not bounded else _edge(filled, values, back="DESC" if upwards else "ASC")
    if upwards:
        rows.reverse()
        return Page(
            rows=rows,
            newer=str(rows[0].id) if more else (str(edge.id) if edge else None),
            older=str(rows[-1].id) if rows else str(after),
        )
    return Page(
        rows=rows,
        newer=str(rows[0].id) if before and rows else (str(before) if before else None),
        older=str(rows[-1].id) if more else (str(edge.id) if edge else None),
        looked_back_to=edge.received_at if edge else None,
    )


def _listed(columns: Iterable[Any]) -> ListedWebhook:
    id_, provider, state, *others, status, event_id = columns
    payment_status = None if status is None else PaymentStatus(status)
    return ListedWebhook._make([id_, provider, DeliveryState(state), *others, payment_status, event_id])


def _subject(filters: WebhookFilter, payment: About | None, values: dict[str, Any]) -> tuple[str, bool]:
    """What the page looks through, and whether that has a bound that may end it early."""
    if payment is not None:
        linked = execute(_linked, {"ids": payment.payment_ids}) if payment.payment_ids else ()
        values |= {"linked": [row.delivery_id for row in linked], "reference": payment.provider_ref}
        values["of"] = payment.provider
        return _OF_PAYMENT, False
    if filters.state in RARE:
        return _OF_STATE.replace("{state}", str(filters.state)), True
    if filters.state in {DeliveryState.RECEIVED, PENDING} and execute(_few_pending)[0][0] <= FEW:
        return _FEW_PENDING, False
    return _ALL, True


def _place(filters: WebhookFilter, before: UUID | None, after: UUID | None, values: dict[str, Any]) -> str:
    """Bounds by key; times are bounds as well, with a minute for transactions that took long."""
    bounds = ["true"]
    if before is not None:
        bounds.append("id < CAST(:before AS uuid)")
        values["before"] = before
    elif after is not None:
        bounds.append("id > CAST(:after AS uuid)")
        values["after"] = after
    if filters.since is not None:
        bounds.append("id >= (SELECT uuidv7(CAST(:since AS timestamptz) - clock_timestamp() - interval '1 minute'))")
        values["since"] = filters.since
    if filters.until is not None:
        bounds.append("id < (SELECT uuidv7(CAST(:until AS timestamptz) - clock_timestamp() + interval '1 minute'))")
        values["until"] = filters.until
    return " AND ".join(bounds)


def _conditions(filters: WebhookFilter, values: dict[str, Any]) -> str:
    conditions = ["true"]
    if filters.outstanding_only:
        conditions.append(f"state IN ({listed(PENDING_STATES)})")
    elif filters.state is not None:
        conditions.append(f"state = '{filters.state}'")
    if filters.reason is not None:
        conditions.append("starts_with(detail, :detail)")
        values["detail"] = filters.reason.detail_prefix
    if filters.provider is not None:
        conditions.append("provider = :provider")
        values["provider"] = filters.provider
    if filters.since is not None:
        conditions.append("received_at >= :since")
    if filters.until is not None:
        conditions.append("received_at < :until")
    return " AND ".join(conditions)


def _edge(subject: str, values: dict[str, Any], *, back: str) -> _Edge | None:
    size = execute(text(_SIZE.format(subject=subject)), values)[0][0]
    if size < WINDOW:
        return None
    return _Edge._make(execute(text(_EDGE.format(subject=subject, back=back)), values)[0])
