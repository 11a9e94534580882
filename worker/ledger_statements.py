"""The ledger's four statements; each takes arrays, so that their number does not grow with the facts."""

from __future__ import annotations

import json
from typing import Any

import orjson
from sqlalchemy import text

# Where money came, before any payment: of two twins (payments for equal lines of one cart) that are paid at once, the
# second waits here and sees the first. Advisory, since the worker may change nothing of a cart; held until the end.
LOCK_CARTS = text("""
    SELECT pg_advisory_xact_lock(cart.key)
    FROM (
        SELECT DISTINCT hashtextextended('checkout cart ' || own.cart_id::text, 0) AS key
        FROM payments AS named JOIN checkout_sessions AS own ON own.payment_id = named.id
        WHERE named.provider_ref = ANY(CAST(:money AS text[]))
        ORDER BY key
    ) AS cart
""")

# NO KEY UPDATE, because the events' foreign key takes KEY SHARE. Of twins only those are locked along that money came
# for, a few of however many.
LOCK_PAYMENTS = text("""
    SELECT payment.id, payment.provider, payment.provider_ref, payment.status::text AS status, payment.amount,
        payment.currency, payment.review_reason, payment.capture_ref, session.cart_id, session.lines_key
    FROM payments AS payment LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.id IN (
        SELECT named.id FROM payments AS named WHERE named.provider_ref = ANY(CAST(:references AS text[]))
        UNION
        SELECT twin.payment_id
        FROM (
            SELECT DISTINCT own.cart_id, own.lines_key
            FROM payments AS named JOIN checkout_sessions AS own ON own.payment_id = named.id
            WHERE named.provider_ref = ANY(CAST(:money AS text[]))
        ) AS purchase
        JOIN checkout_sessions AS twin ON twin.cart_id = purchase.cart_id AND twin.lines_key = purchase.lines_key
        JOIN payments AS other ON other.id = twin.payment_id AND other.status >= 'paid'
    )
    ORDER BY payment.id
    FOR NO KEY UPDATE OF payment
""")

# An event that was a mismatch is judged again: perhaps it agrees now.
INSERT_EVENTS = text("""
    INSERT INTO payment_events (delivery_id, provider, event_id, payment_id, status, amount, currency, outcome,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:payments AS uuid[]), CAST(:statuses AS payment_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:occurred AS timestamptz[]),
        CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id) DO UPDATE SET outcome = excluded.outcome
        WHERE payment_events.outcome = 'mismatch' AND payment_events.payment_id = excluded.payment_id
            AND payment_events.status = excluded.status
    RETURNING provider, event_id
""")

# The raw bodies come as bytes: psycopg would escape each quote of a text in an array, by far the largest cost of a set.
# One row a payment: an UPDATE … FROM with two rows for one payment would take either without a word.
MOVE_PAYMENTS = text("""
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


def as_json(raw: dict[str, Any]) -> bytes:
    """A body behind a fact, for ``raws``."""
    try:
        return orjson.dumps(raw)
    except TypeError:
        # It refuses integers of more than 64 bits, which a genuine letter may hold.
        return json.dumps(raw).encode()
