"""The statements of the refunds' transitions; each takes arrays, so that their number does not grow with the events."""

from __future__ import annotations

from sqlalchemy import text

LOCK_PAYMENTS = text("""
    SELECT id, provider, provider_ref, status::text AS status, amount, currency, review_reason,
        amount_refunded + amount_refunding AS taken
    FROM payments WHERE provider_ref = ANY(CAST(:references AS text[]))
    ORDER BY id FOR NO KEY UPDATE
""")

LOCK_REFUNDS = text("""
    SELECT id, payment_id, provider_ref, amount, currency, status::text AS status,
        sent_at IS NOT NULL AS asked, requested_by IS NOT NULL AS ours
    FROM refunds WHERE payment_id = ANY(CAST(:payments AS uuid[]))
    ORDER BY id FOR NO KEY UPDATE
""")

# Nobody enters an event of these refunds meanwhile: their payments are locked.
KNOWN_EVENTS = text("""
    SELECT provider, event_id, refund_id, outcome FROM refund_events
    WHERE event_id = ANY(CAST(:events AS text[])) AND refund_id = ANY(CAST(:refunds AS uuid[]))
""")

# A refund that is processing is asked about again, in case its webhook is lost.
MOVE_REFUNDS = text("""
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

INSERT_REFUNDS = text("""
    INSERT INTO refunds (payment_id, provider_ref, amount, status, decline, next_attempt_at)
    SELECT payment_id, reference, amount, status, decline,
        CASE WHEN status = 'processing' THEN now() + interval '10 minutes' END
    FROM unnest(CAST(:payments AS uuid[]), CAST(:references AS text[]), CAST(:amounts AS numeric[]),
        CAST(:statuses AS refund_status[]), CAST(:declines AS text[]))
        AS made (payment_id, reference, amount, status, decline)
    RETURNING id, payment_id, provider_ref
""")

# An event that was a mismatch is judged again: perhaps it agrees now.
INSERT_EVENTS = text("""
    INSERT INTO refund_events (delivery_id, provider, event_id, refund_id, status, amount, currency, outcome,
        occurred_at, received_at)
    SELECT * FROM unnest(CAST(:deliveries AS uuid[]), CAST(:providers AS text[]), CAST(:events AS text[]),
        CAST(:refunds AS uuid[]), CAST(:statuses AS refund_status[]), CAST(:amounts AS numeric[]),
        CAST(:currencies AS text[]), CAST(:outcomes AS text[]), CAST(:occurred AS timestamptz[]),
        CAST(:received AS timestamptz[]))
    ON CONFLICT (provider, event_id, refund_id) DO UPDATE SET outcome = excluded.outcome
        WHERE refund_events.outcome = 'mismatch'
""")

FLAG_PAYMENTS = text("""
    UPDATE payments AS payment SET review_reason = flagged.reason, updated_at = now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS flagged (id, reason)
    WHERE payment.id = flagged.id
""")
