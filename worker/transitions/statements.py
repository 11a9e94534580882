"""Every statement of the transitions; each takes arrays, so that their number does not grow with the events.

The order in which they lock keeps two workers from deadlock: carts by key, payments by id, refunds by id. What the
database itself holds: no payment moves back (trigger payments_guard) and nobody but refunds writes their sums
(payments_guard_refund_sums), both in migrations/baseline/payments.sql; no refund moves back (refunds_guard), and their
sum stays within what was paid (refunds_fill_from_payment, refunds_update_sums), in migrations/baseline/refunds.sql.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from checkout_service.database.statements import Statement

# Where money came, before any payment: of two duplicates (payments for equal lines of one cart) that are paid at once,
# the second waits here and sees the first. Advisory, since the worker may change nothing of a cart; held until the end.
LOCK_CARTS: Final = Statement("""
    SELECT pg_advisory_xact_lock(cart.key)
    FROM (
        SELECT DISTINCT hashtextextended('checkout cart ' || own.cart_id::text, 0) AS key
        FROM payments AS named JOIN checkout_sessions AS own ON own.payment_id = named.id
        WHERE named.provider_ref = ANY(CAST(:money AS text[]))
        ORDER BY key
    ) AS cart
""")


class PaymentRow(NamedTuple):
    """A row of LOCK_PAYMENTS. The last two are NULL for a payment without a session."""

    id: UUID
    provider: str
    provider_ref: str
    status: str
    amount: Decimal
    currency: str
    review_reason: str | None
    capture_ref: str | None
    cart_id: UUID | None
    lines_key: int | None


# NO KEY UPDATE, because the events' foreign key takes KEY SHARE. Of duplicates only those are locked along that money
# came for, a few of however many.
LOCK_PAYMENTS: Final = Statement(
    """
    WITH named AS (
        SELECT payment.id, payment.provider_ref, session.cart_id, session.lines_key
        FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
        WHERE payment.provider_ref = ANY(CAST(:references AS text[]))
    ), duplicates AS (
        SELECT session.payment_id, session.cart_id, session.lines_key
        FROM (
            SELECT DISTINCT cart_id, lines_key FROM named WHERE provider_ref = ANY(CAST(:money AS text[]))
        ) AS purchase
        JOIN checkout_sessions AS session ON session.cart_id = purchase.cart_id
            AND session.lines_key = purchase.lines_key AND session.payment_id NOT IN (SELECT id FROM named)
        JOIN payments AS other ON other.id = session.payment_id AND other.status >= 'paid'
    )
    SELECT payment.id, payment.provider, payment.provider_ref, payment.status::text AS status, payment.amount,
        payment.currency, payment.review_reason, payment.capture_ref, known.cart_id, known.lines_key
    FROM (
        SELECT id, cart_id, lines_key FROM named
        UNION ALL
        SELECT payment_id, cart_id, lines_key FROM duplicates
    ) AS known
    JOIN payments AS payment ON payment.id = known.id
    ORDER BY payment.id
    FOR NO KEY UPDATE OF payment
    """,
    binary=True,
    named=False,
)


class RefundRow(NamedTuple):
    """A row of LOCK_REFUNDS."""

    id: UUID
    payment_id: UUID
    provider_ref: str | None
    amount: Decimal
    status: str
    sent: bool
    ours: bool


# All refunds of these payments. Nobody can insert another one meanwhile, since that locks the payment too.
LOCK_REFUNDS: Final = Statement(
    """
    SELECT id, payment_id, provider_ref, amount, status::text AS status, sent_at IS NOT NULL AS sent,
        requested_by IS NOT NULL AS ours
    FROM refunds WHERE payment_id = ANY(CAST(:payments AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
    """,
    named=False,
)


class KnownRefundEventRow(NamedTuple):
    """A row of KNOWN_REFUND_EVENTS."""

    provider: str
    event_id: str
    refund_id: UUID
    outcome: str


# Nobody enters an event of these refunds meanwhile: their payments are locked.
KNOWN_REFUND_EVENTS: Final = Statement(
    """
    SELECT provider, event_id, refund_id, outcome FROM refund_events
    WHERE event_id = ANY(CAST(:events AS text[])) AND refund_id = ANY(CAST(:refunds AS uuid[]))
    """,
    named=False,
)


class NewEventRow(NamedTuple):
    """A row of INSERT_EVENTS. ``outcome_before`` is None for an event that was never seen."""

    provider: str
    event_id: str
    outcome_before: str | None


# An event that was a mismatch is judged again: perhaps it agrees now. Rows only of events that are new or judged again.
INSERT_EVENTS: Final = Statement(
    """
    INSERT INTO payment_events (delivery_id, provider, event_id, payment_id, status, amount, currency, outcome,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:payments AS uuid[]), CAST(:statuses AS payment_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:occurred AS timestamptz[]),
        CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id) DO UPDATE SET outcome = excluded.outcome
        WHERE payment_events.outcome = 'mismatch' AND payment_events.payment_id = excluded.payment_id
            AND payment_events.status = excluded.status
    RETURNING provider, event_id, old.outcome AS outcome_before
    """,
    binary=True,
    named=False,
)

# The raw bodies come as bytes: psycopg would escape each quote of a text in an array, by far the largest cost of a set.
# One row a payment: an UPDATE … FROM with two rows for one payment would take either without a word.
MOVE_PAYMENTS: Final = Statement("""
    UPDATE payments AS payment
    SET status = greatest(payment.status, moved.status),
        raw_payload = coalesce(CAST(convert_from(moved.raw, 'UTF8') AS jsonb), payment.raw_payload),
        review_reason = moved.reason,
        capture_ref = coalesce(payment.capture_ref, moved.capture),
        next_look_up_at = CASE
            WHEN moved.status >= 'paid' THEN NULL
            WHEN moved.status > payment.status AND moved.status >= 'expired' THEN now() + interval '1 hour'
            ELSE payment.next_look_up_at END,
        look_ups = CASE
            WHEN moved.status > payment.status AND moved.status >= 'expired' THEN 0
            ELSE payment.look_ups END,
        updated_at = now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS payment_status[]), CAST(:raws AS bytea[]),
        CAST(:reasons AS text[]), CAST(:captures AS text[])) AS moved (id, status, raw, reason, capture)
    WHERE payment.id = moved.id
""")

# A refund that is processing is looked up after ten minutes, in case its webhook is lost.
MOVE_REFUNDS: Final = Statement("""
    UPDATE refunds AS refund
    SET status = greatest(refund.status, moved.status),
        provider_ref = coalesce(refund.provider_ref, moved.reference),
        decline = coalesce(refund.decline, moved.decline),
        next_attempt_at = CASE
            WHEN moved.status > 'processing' THEN NULL
            WHEN moved.status > refund.status THEN now() + interval '10 minutes'
            ELSE refund.next_attempt_at END,
        detail = CASE WHEN moved.status > refund.status THEN NULL ELSE refund.detail END,
        updated_at = now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS refund_status[]), CAST(:references AS text[]),
        CAST(:declines AS text[])) AS moved (id, status, reference, decline)
    WHERE refund.id = moved.id
""")


class NewRefundRow(NamedTuple):
    """A row of INSERT_REFUNDS."""

    id: UUID
    payment_id: UUID
    provider_ref: str


# Refunds that were made in the provider's dashboard.
INSERT_REFUNDS: Final = Statement(
    """
    INSERT INTO refunds (payment_id, provider_ref, amount, status, decline, next_attempt_at)
    SELECT payment_id, reference, amount, status, decline,
        CASE WHEN status = 'processing' THEN now() + interval '10 minutes' END
    FROM unnest(CAST(:payments AS uuid[]), CAST(:references AS text[]), CAST(:amounts AS numeric[]),
        CAST(:statuses AS refund_status[]), CAST(:declines AS text[]))
        AS made (payment_id, reference, amount, status, decline)
    RETURNING id, payment_id, provider_ref
    """,
    named=False,
)

# An event that was a mismatch is judged again: perhaps it agrees now.
INSERT_REFUND_EVENTS: Final = Statement("""
    INSERT INTO refund_events (delivery_id, provider, event_id, refund_id, status, amount, currency, outcome,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:refunds AS uuid[]), CAST(:statuses AS refund_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:occurred AS timestamptz[]),
        CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id, refund_id) DO UPDATE SET outcome = excluded.outcome
        WHERE refund_events.outcome = 'mismatch'
""")


def as_json(raw: dict[str, Any] | bytes) -> bytes:
    """The body behind an event as JSON, for ``raws`` of MOVE_PAYMENTS."""
    if isinstance(raw, bytes):
        return raw
    try:
        return orjson.dumps(raw)
    except TypeError:
        # It refuses integers of more than 64 bits, which a verified webhook may hold.
        return json.dumps(raw).encode()
