"""The transitions's four statements; each takes arrays, so that their number does not grow with the events."""

from __future__ import annotations

import json
from typing import Any, Final

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
)

# An event that was a mismatch is judged again: perhaps it agrees now.
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
    RETURNING provider, event_id, old.outcome AS was
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


def as_json(raw: dict[str, Any] | bytes) -> bytes:
    """A body behind an event, for ``raws``."""
    if isinstance(raw, bytes):
        return raw
    try:
        return orjson.dumps(raw)
    except TypeError:
        # It refuses integers of more than 64 bits, which a verified webhook may hold.
        return json.dumps(raw).encode()
