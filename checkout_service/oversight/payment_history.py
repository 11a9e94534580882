"""What is known of one payment, from every table that knows something: the rows that its story is told from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text

from checkout_service.database.engine import execute

PAGE: Final = 5000
"""Webhooks that one statement looks through: some tens of milliseconds."""

EARLY: Final = timedelta(hours=1)
"""How long before its payment a webhook may have come: a provider can be faster than our own INSERT."""

_payment = text("""
    SELECT id, user_id, provider, provider_ref, status::text AS status, amount, currency, review_reason, created_at,
        amount_refunded, amount_refunding, next_look_up_at, look_ups, look_up_log
    FROM payments WHERE id = :id
""")

_session = text("""
    SELECT id, cart_id, idempotency_key, amount, currency, jsonb_array_length(lines) AS lines, expires_at, created_at
    FROM checkout_sessions WHERE payment_id = :id
""")

_events = text("""
    SELECT event_id, delivery_id, status::text AS status, amount, currency, outcome, occurred_at, received_at
    FROM payment_events WHERE payment_id = :id ORDER BY received_at, id
""")

_refunds = text("""
    SELECT id, provider_ref, amount, currency, status::text AS status, reason, decline, requested_by, attempts, detail,
        next_attempt_at, created_at
    FROM refunds WHERE payment_id = :id ORDER BY id
""")

_refund_events = text("""
    SELECT event.event_id, event.delivery_id, 'refund ' || event.status::text AS status, event.amount, event.currency,
        event.outcome, event.occurred_at, event.received_at
    FROM refund_events AS event JOIN refunds ON refunds.id = event.refund_id WHERE refunds.payment_id = :id
    ORDER BY event.received_at, event.id
""")

_cancellation = text("""
    SELECT requested_by, attempts, next_attempt_at, detail, created_at FROM cancel_requests WHERE payment_id = :id
""")

_WEBHOOK_COLUMNS: Final = "id, received_at, state, attempts, detail, next_attempt_at, processed_at"

_linked = text(f"SELECT {_WEBHOOK_COLUMNS} FROM webhook_deliveries WHERE id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608 (only our own constants)

# A repeated webhook, a rejected or a failed one is tied to no payment by anything but the bytes in it. Keys are version
# 7 UUIDs, so a walk along the primary key begins where the payment did.
_walk = text(f"""
    WITH page AS (
        SELECT {_WEBHOOK_COLUMNS}, provider, body FROM webhook_deliveries
        WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {PAGE}
    )
    SELECT last.id AS last_id, found.* FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last
    LEFT JOIN (
        SELECT {_WEBHOOK_COLUMNS} FROM page
        WHERE provider = :provider AND octet_length(body) <= :largest AND (
            position(convert_to(:reference, 'UTF8') IN body) > 0
            OR position(convert_to(:payment_id, 'UTF8') IN body) > 0
        )
    ) AS found ON true
""")  # noqa: S608 (only our own constants)

_first_key = text(
    "SELECT uuidv7(CAST(:created_at AS timestamptz) - clock_timestamp() - CAST(:early AS interval)) AS id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A payment, its session if any, the events of it and of its refunds, and the webhooks about it, as they came.

    ``looked_until`` is the last webhook looked at, if the look ended there and more webhooks may follow.
    """

    payment: Row[Any]
    sessions: Sequence[Row[Any]]
    events: Sequence[Row[Any]]
    webhooks: Sequence[Row[Any]]
    refunds: Sequence[Row[Any]]
    refund_events: Sequence[Row[Any]]
    cancellations: Sequence[Row[Any]]
    looked_until: UUID | None = None


def evidence_of(
    payment_id: UUID,
    *,
    owner: UUID | None = None,
    pages: int | None = None,
    largest: int = 2**30,
    early: timedelta = EARLY,
    after: UUID | None = None,
) -> Evidence | None:
    """Everything known of this payment, or None. Raises DatabaseUnavailableError.

    Webhooks that no event leads to are looked for in so many ``pages`` of webhooks, from where the payment began or
    behind the webhook ``after``; in all of them without a number. Those of more than ``largest`` bytes are not
    searched. With an ``owner``, another's payment is None at once.
    """
    found = execute(_payment, {"id": payment_id})
    if not found:
        return None
    (payment,) = found
    if owner is not None and payment.user_id != owner:
        return None
    events = execute(_events, {"id": payment_id})
    refund_events = execute(_refund_events, {"id": payment_id})
    named = [row.delivery_id for row in (*events, *refund_events) if row.delivery_id]
    webhooks = {row.id: row for row in execute(_linked, {"ids": named})}
    if after is None:
        ((after,),) = execute(_first_key, {"created_at": payment.created_at, "early": early})
    about, looked_until = _webhooks_about(payment, pages, after, largest)
    webhooks |= {row.id: row for row in about}
    return Evidence(
        payment=payment,
        sessions=execute(_session, {"id": payment_id}),
        events=events,
        webhooks=sorted(webhooks.values(), key=lambda row: (row.received_at, row.id)),
        refunds=execute(_refunds, {"id": payment_id}),
        refund_events=refund_events,
        cancellations=execute(_cancellation, {"id": payment_id}),
        looked_until=looked_until,
    )


def _webhooks_about(
    payment: Row[Any], pages: int | None, after: Any, largest: int
) -> tuple[list[Row[Any]], UUID | None]:
    """Webhooks whose bytes speak of the payment, and where the walk stopped unless it came to the end."""
    sought = {
        "provider": payment.provider,
        "reference": payment.provider_ref,
        "payment_id": str(payment.id),
        "largest": largest,
    }
    found: list[Row[Any]] = []
    while pages != 0:
        page = execute(_walk, {"after": after, **sought})
        if not page:
            return found, None
        found += [row for row in page if row.id is not None]
        after = page[0].last_id
        pages = None if pages is None else pages - 1
    return found, after
