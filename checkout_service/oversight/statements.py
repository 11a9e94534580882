"""The statements behind the invariants: one that finds all rows that break a promise, and one that counts few of them.

Each count looks at a bounded number of the most telling rows, along an index, so that a scrape costs milliseconds.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

PAGE: Final = 2000
RECENT: Final = 1000
"""Rows of each kind that a scrape looks at."""

ALL: Final = 100_000
"""As many as anybody will want to have listed."""

# What is stuck is old, so the oldest of each open status tell.
_STUCK: Final = """
    SELECT payment.id, CASE
        WHEN payment.next_look_up_at IS NULL THEN 'has no look-up ahead'
        WHEN payment.next_look_up_at < now() - CAST(:overdue AS interval) THEN 'waits for an overdue look-up'
        ELSE 'is open though its session ended' END AS why
    FROM unnest(CAST(ARRAY['pending', 'processing', 'failed', 'authorized'] AS payment_status[])) AS open (status)
    CROSS JOIN LATERAL (
        SELECT * FROM payments WHERE payments.status = open.status
        ORDER BY created_at LIMIT CAST(:limit AS integer)
    ) AS payment
    LEFT JOIN checkout_sessions AS session ON session.payment_id = payment.id
    WHERE payment.next_look_up_at IS NULL
        OR payment.next_look_up_at < now() - CAST(:overdue AS interval)
        OR NOT payment.under_way AND payment.amount_authorized = 0 AND payment.review_reason IS NULL
            AND session.expires_at < now() - interval '1 hour'
    ORDER BY payment.created_at
"""
STUCK: Final = text(_STUCK)
COUNT_STUCK: Final = text(f"SELECT count(*) FROM ({_STUCK}) AS stuck")  # noqa: S608 (only our own constants)

_PENDING: Final = """
    SELECT id, state, attempts, received_at FROM (
        SELECT id, state, attempts, received_at, next_attempt_at, replay_of FROM webhook_deliveries
        WHERE state IN ('received', 'parked') ORDER BY next_attempt_at LIMIT 10 * CAST(:limit AS integer)
    ) AS due
    WHERE state = 'received' AND replay_of IS NULL AND received_at < now() - CAST(:pending AS interval)
        OR state = 'parked' AND next_attempt_at < now() - CAST(:pending AS interval)
    ORDER BY received_at
"""
PENDING_TOO_LONG: Final = text(_PENDING)
COUNT_PENDING: Final = text(f"SELECT count(*) FROM ({_PENDING}) AS pending")  # noqa: S608 (only our own constants)

# OFFSET 0 keeps the planner from a hash of all webhooks for the few that are looked for.
# Where the bytes came before, a delivery that was settled then is named; whoever is named may be replayed, or be pruned
# a little before. Where an event came before, the payment has events.
_WITHOUT_EVENT: Final = """CASE
    WHEN webhook.detail LIKE 'the same bytes came before, settled with %' THEN
        webhook.received_at > now() - interval '1 hour' AND NOT EXISTS (
            SELECT FROM webhook_deliveries AS first WHERE first.id = CAST(right(webhook.detail, 36) AS uuid) OFFSET 0)
    ELSE webhook.provider_ref IS NOT NULL AND webhook.received_at > now() - CAST(:remembered AS interval)
        AND EXISTS (
            SELECT FROM payments AS payment
            WHERE payment.provider = webhook.provider AND payment.provider_ref = webhook.provider_ref
                AND NOT EXISTS (SELECT FROM payment_events AS event WHERE event.payment_id = payment.id)
                AND NOT EXISTS (
                    SELECT FROM refund_events AS event JOIN refunds AS refund ON refund.id = event.refund_id
                    WHERE refund.payment_id = payment.id))
END"""

DUPLICATE_WEBHOOKS: Final = text(f"""
    SELECT webhook.id, webhook.received_at AS at, webhook.provider_ref, {_WITHOUT_EVENT} AS wrong FROM (
        SELECT * FROM webhook_deliveries
        WHERE state = 'duplicate' AND id > CAST(:after_id AS uuid)
        ORDER BY id LIMIT {PAGE}
    ) AS webhook ORDER BY webhook.id
""")  # noqa: S608 (only our own constants)

COUNT_DUPLICATE_WEBHOOKS: Final = text(f"""
    SELECT count(*) FROM (
        SELECT * FROM webhook_deliveries WHERE state = 'duplicate' ORDER BY id DESC LIMIT {RECENT}
    ) AS webhook WHERE {_WITHOUT_EVENT}
""")  # noqa: S608 (only our own constants)

_DIFFERS: Final = """payment.id IS NULL
    OR (payment.amount, payment.currency, payment.user_id) <> (session.amount, session.currency, session.user_id)"""

SESSIONS: Final = text(f"""
    SELECT session.id, session.expires_at AS at, payment.id AS payment_id, {_DIFFERS} AS wrong
    FROM (
        SELECT * FROM checkout_sessions
        WHERE (expires_at, id) > (CAST(:after_time AS timestamptz), CAST(:after_id AS uuid))
        ORDER BY expires_at, id LIMIT {PAGE}
    ) AS session LEFT JOIN payments AS payment ON payment.id = session.payment_id
    ORDER BY session.expires_at, session.id
""")  # noqa: S608 (only our own constants)

COUNT_SESSIONS: Final = text(f"""
    SELECT count(*) FROM (SELECT * FROM checkout_sessions ORDER BY expires_at DESC LIMIT {RECENT}) AS session
    LEFT JOIN payments AS payment ON payment.id = session.payment_id WHERE {_DIFFERS}
""")  # noqa: S608 (only our own constants)

# More than came may be given back, in a provider's dashboard: that is a reason for a review, not a broken promise.
_ASTRAY: Final = "(payment.amount_refunded, payment.amount_refunding) <> (held.refunded, held.refunding)"

_HELD: Final = """
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount) FILTER (WHERE status = 'succeeded'), 0) AS refunded,
            coalesce(sum(amount) FILTER (WHERE status <= 'processing'), 0) AS refunding
        FROM refunds WHERE refunds.payment_id = payment.id
    ) AS held
"""

REFUNDS: Final = text(f"""
    WITH page AS (
        SELECT id, payment_id, created_at FROM refunds
        WHERE id > CAST(:after_id AS uuid) ORDER BY id LIMIT {PAGE}
    )
    SELECT page.id, page.created_at AS at, payment.id AS payment_id, held.refunded, held.refunding, {_ASTRAY} AS wrong
    FROM page JOIN payments AS payment ON payment.id = page.payment_id {_HELD} ORDER BY page.id
""")  # noqa: S608 (only our own constants)

COUNT_REFUNDS: Final = text(f"""
    SELECT count(DISTINCT payment.id)
    FROM (SELECT payment_id FROM refunds ORDER BY id DESC LIMIT {RECENT}) AS newest
    JOIN payments AS payment ON payment.id = newest.payment_id {_HELD} WHERE {_ASTRAY}
""")  # noqa: S608 (only our own constants)

# Requested for too long: the provider is away, or the truth is in doubt. Processing takes banks days, but somebody has
# to ask now and then.
_OUTSTANDING_REFUNDS: Final = """
    SELECT 'refund' AS kind, id, detail, created_at FROM (
        SELECT * FROM refunds WHERE status <= 'processing' ORDER BY next_attempt_at LIMIT 10 * CAST(:limit AS integer)
    ) AS due
    WHERE status = 'requested' AND created_at < now() - CAST(:overdue AS interval)
        OR next_attempt_at < now() - CAST(:overdue AS interval)
    UNION ALL
    SELECT 'cancellation of payment', payment_id, detail, created_at FROM (
        SELECT * FROM cancel_requests WHERE next_attempt_at IS NOT NULL
        ORDER BY next_attempt_at LIMIT 10 * CAST(:limit AS integer)
    ) AS due
    WHERE next_attempt_at < now() - CAST(:overdue AS interval)
"""
REFUNDS_OUTSTANDING: Final = text(_OUTSTANDING_REFUNDS)
COUNT_REFUNDS_OUTSTANDING: Final = text(f"SELECT count(*) FROM ({_OUTSTANDING_REFUNDS}) AS pending")  # noqa: S608 (only our own constants)
