"""The statements behind the invariants of money: the entries against what is computed of them, and what has a limit.

As in ``statements``: one finds all rows that break a promise, one counts few of them along an index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from checkout_service.oversight.statements import PAGE, RECENT
from checkout_service.payments.mates import mates_of

# The rule of the status stands here once more, on purpose: a check by the fold's own words would share its faults. The
# sums and reasons are computed anew of the entries.
_COMPUTED: Final = """
    summed AS MATERIALIZED (
        SELECT * FROM payment_sums(ARRAY(SELECT id FROM page))
    ), reasons AS (
        SELECT found.payment_id, string_agg(DISTINCT found.reason, ', ' ORDER BY found.reason) AS shown
        FROM payment_reasons(ARRAY(SELECT summed::payment_sum FROM summed)) AS found
        WHERE NOT EXISTS (
            SELECT FROM payment_reviews AS review
            WHERE review.payment_id = found.payment_id AND review.reason = found.reason
                AND review.amounts = found.amounts)
        GROUP BY found.payment_id
    ), compared AS (
        SELECT payment.id, payment.created_at AS at, concat_ws(', ',
            CASE WHEN payment.status::text <> computed.status
                THEN format('status %s instead of %s', payment.status, computed.status) END,
            CASE WHEN payment.review_reason IS DISTINCT FROM reasons.shown
                THEN format('reasons %s instead of %s', coalesce(payment.review_reason, 'none'),
                    coalesce(reasons.shown, 'none')) END,
            CASE WHEN payment.amount_captured <> summed.came THEN 'amount_captured' END,
            CASE WHEN payment.amount_lost <> summed.undone + summed.taken THEN 'amount_lost' END,
            CASE WHEN payment.amount_blocked <> summed.blocked THEN 'amount_blocked' END,
            CASE WHEN payment.amount_authorized <> summed.authorized THEN 'amount_authorized' END,
            CASE WHEN payment.amount_accepted IS DISTINCT FROM summed.accepted THEN 'amount_accepted' END,
            CASE WHEN payment.under_way <> summed.under_way THEN 'under_way' END) AS differs
        FROM page
        JOIN payments AS payment ON payment.id = page.id
        JOIN summed ON summed.payment_id = page.id
        LEFT JOIN reasons ON reasons.payment_id = page.id
        CROSS JOIN LATERAL (SELECT CASE
            WHEN summed.came > 0 AND summed.undone + summed.taken >= summed.came THEN 'reversed'
            WHEN summed.came >= summed.due THEN 'paid'
            WHEN summed.came > 0 THEN 'partially_paid'
            ELSE coalesce(payment.closed::text, CASE WHEN summed.authorized > 0 THEN 'authorized'
                WHEN summed.under_way THEN 'processing' END, summed.ended::text, 'pending') END AS status
        ) AS computed
    )
"""

FOLDED: Final = text(f"""
    WITH page AS MATERIALIZED (
        SELECT id FROM payments
        WHERE id > CAST(:after_id AS uuid)
        ORDER BY id LIMIT {PAGE}
    ), {_COMPUTED}
    SELECT id, at, differs, differs <> '' AS wrong FROM compared ORDER BY id
""")  # noqa: S608 (only our own constants)

COUNT_FOLDED: Final = text(f"""
    WITH page AS MATERIALIZED (
        SELECT newest.id FROM unnest(enum_range(NULL::payment_status)) AS filter (by_status)
        CROSS JOIN LATERAL (
            SELECT * FROM payments WHERE payments.status = filter.by_status
            ORDER BY created_at DESC LIMIT {RECENT // 10}
        ) AS newest
    ), {_COMPUTED}
    SELECT count(*) FROM compared WHERE differs <> ''
""")  # noqa: S608 (only our own constants)


MONEY_WITHOUT_EVENT: Final = text(f"""
    WITH page AS (
        SELECT id, created_at, amount_captured, currency FROM payments
        WHERE status = CAST(:status AS payment_status) AND created_at > now() - CAST(:remembered AS interval)
            AND (created_at, id) > (CAST(:after_time AS timestamptz), CAST(:after_id AS uuid))
        ORDER BY created_at, id LIMIT {PAGE}
    )
    SELECT page.id, page.created_at AS at, page.amount_captured AS came, page.currency, NOT EXISTS (
        SELECT FROM payment_events AS event WHERE event.payment_id = page.id
    ) AS wrong
    FROM page ORDER BY page.created_at, page.id
""")  # noqa: S608 (only our own constants)

COUNT_MONEY_WITHOUT_EVENT: Final = text(f"""
    SELECT count(*) FROM unnest(CAST(ARRAY['partially_paid', 'paid', 'reversed'] AS payment_status[]))
        AS filter (by_status)
    CROSS JOIN LATERAL (
        SELECT * FROM payments
        WHERE payments.status = filter.by_status AND created_at > now() - CAST(:remembered AS interval)
        ORDER BY created_at DESC LIMIT {RECENT}
    ) AS newest
    WHERE NOT EXISTS (SELECT FROM payment_events AS event WHERE event.payment_id = newest.id)
""")  # noqa: S608 (only our own constants)


# Flagged, or seen by a person: on both sides.
_HALF_FLAGGED: Final = f"""EXISTS (
    SELECT FROM payments AS payment
    CROSS JOIN LATERAL {mates_of("payment.id")} AS other JOIN payments AS mate ON mate.id = other.payment_id
    WHERE payment.id = session.payment_id AND payment.amount_captured > 0 AND mate.amount_captured > 0
        AND 'paid_twice' <> ALL(string_to_array(coalesce(payment.review_reason, ''), ', '))
        AND NOT EXISTS (
            SELECT FROM payment_reviews AS review WHERE review.payment_id = payment.id AND review.reason = 'paid_twice')
)"""  # noqa: S608 (only our own constants)

DUPLICATES: Final = text(f"""
    SELECT session.id, session.expires_at AS at, session.payment_id, {_HALF_FLAGGED} AS wrong
    FROM (
        SELECT * FROM checkout_sessions
        WHERE (expires_at, id) > (CAST(:after_time AS timestamptz), CAST(:after_id AS uuid))
        ORDER BY expires_at, id LIMIT {PAGE}
    ) AS session
    ORDER BY session.expires_at, session.id
""")  # noqa: S608 (only our own constants)

COUNT_DUPLICATES: Final = text(f"""
    SELECT count(*) FROM (SELECT * FROM checkout_sessions ORDER BY expires_at DESC LIMIT {RECENT}) AS session
    WHERE {_HALF_FLAGGED}
""")  # noqa: S608 (only our own constants)


# As of refunds: requested for too long, due and nobody came, or a person has to look.
_OUTSTANDING: Final = """
    SELECT 'capture' AS kind, id, detail, created_at FROM (
        SELECT * FROM capture_requests WHERE status <= 'processing'
        ORDER BY next_attempt_at LIMIT 10 * CAST(:limit AS integer)
    ) AS due
    WHERE status = 'requested' AND created_at < now() - CAST(:overdue AS interval)
        OR next_attempt_at < now() - CAST(:overdue AS interval) OR in_doubt
    UNION ALL
    SELECT 'void', id, detail, created_at FROM (
        SELECT * FROM voids WHERE status <= 'processing'
        ORDER BY next_attempt_at LIMIT 10 * CAST(:limit AS integer)
    ) AS due
    WHERE status = 'requested' AND created_at < now() - CAST(:overdue AS interval)
        OR next_attempt_at < now() - CAST(:overdue AS interval)
"""
CAPTURES_OUTSTANDING: Final = text(_OUTSTANDING)
COUNT_CAPTURES_OUTSTANDING: Final = text(f"SELECT count(*) FROM ({_OUTSTANDING}) AS outstanding")  # noqa: S608 (only our own constants)


_PAST: Final = """
    SELECT 'attempt' AS kind, attempt.payment_id AS id, attempt.attempt_ref AS name, attempt.times_out_at AS since
    FROM (
        SELECT * FROM payment_attempts
        WHERE status = 'under_way' AND given_up_at IS NULL AND times_out_at IS NOT NULL
        ORDER BY times_out_at LIMIT 10 * CAST(:limit AS integer)
    ) AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
    WHERE attempt.times_out_at < now() - CAST(:overdue AS interval) AND payment.under_way
    UNION ALL
    SELECT 'authorization', attempt.payment_id, attempt.attempt_ref, attempt.expires_at
    FROM (
        SELECT * FROM payment_attempts
        WHERE status = 'authorized' AND NOT rest_released AND expires_at IS NOT NULL
        ORDER BY expires_at LIMIT 10 * CAST(:limit AS integer)
    ) AS attempt JOIN payments AS payment ON payment.id = attempt.payment_id
    WHERE attempt.expires_at < now() - interval '1 day' AND payment.amount_authorized > 0 AND payment.closed IS NULL
        AND NOT EXISTS (SELECT FROM payment_attempts AS newer
            WHERE newer.payment_id = attempt.payment_id AND newer.replaces = attempt.attempt_ref)
"""
PAST_LIMIT: Final = text(_PAST)
COUNT_PAST_LIMIT: Final = text(f"SELECT count(*) FROM ({_PAST}) AS past")  # noqa: S608 (only our own constants)
