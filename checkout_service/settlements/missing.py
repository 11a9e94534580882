"""Finds what of ours no line tells of: money that came, or went back, longer ago than a provider takes to list it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlements.booking import begin, lock
from checkout_service.settlements.matching_news import match_changed
from checkout_service.settlements.payouts import recompute

LOOK_BACK: Final = timedelta(days=120)
"""What is older is not looked at again each time: a person has seen it by then, or nobody ever will."""

# Ids grow with time, so that those of the last months are found by the key of each table, however many are older. The
# payment and the attempt of a capture are what a line may have been matched with while it had no name. What ours gave
# back is missing where its lines still say that it went: long after our last news of it, since these may come first.
_MISSING: Final = """
    WITH since AS MATERIALIZED (
        SELECT provider, greatest(min(first_entry_at), %(since)s) AS at FROM settlement_accounts
        WHERE first_entry_at IS NOT NULL GROUP BY provider
    ), ours AS (
        SELECT 'capture'::settlement_subject AS subject, capture.id, capture.payment_id, capture.provider,
            capture.amount, capture.currency, false AS went_back
        FROM captures AS capture JOIN since USING (provider)
        WHERE capture.id >= %(first)s AND capture.created_at >= since.at AND capture.created_at < %(until)s
            AND capture.status = 'succeeded' AND capture.amount > 0 AND NOT EXISTS (
                SELECT FROM payment_attempts AS attempt JOIN settlement_matches AS known
                    ON known.subject_id = attempt.id AND known.undone_at IS NULL AND known.entry_id IS NOT NULL
                WHERE attempt.payment_id = capture.payment_id
                    AND attempt.attempt_ref = ANY(ARRAY[capture.attempt_ref, '']))
        UNION ALL
        SELECT 'capture', attempt.id, attempt.payment_id, attempt.provider, attempt.amount_presumed, attempt.currency,
            false
        FROM payment_attempts AS attempt JOIN since USING (provider)
        WHERE attempt.id >= %(first)s AND attempt.created_at >= since.at AND attempt.created_at < %(until)s
            AND attempt.amount_presumed > 0 AND attempt.status < 'expired'
            AND NOT EXISTS (SELECT FROM captures AS capture
                WHERE capture.payment_id = attempt.payment_id AND capture.status >= 'succeeded'
                    AND (attempt.attempt_ref = '' OR capture.attempt_ref = ANY(ARRAY[attempt.attempt_ref, ''])))
            AND NOT (attempt.attempt_ref = '' AND EXISTS (SELECT FROM payment_attempts AS other
                WHERE other.payment_id = attempt.payment_id AND other.attempt_ref <> ''
                    AND other.amount_presumed > 0 AND other.status < 'expired'))
        UNION ALL
        SELECT 'refund', refund.id, refund.payment_id, refund.provider, -refund.amount, refund.currency, false
        FROM refunds AS refund JOIN since USING (provider)
        WHERE refund.id >= %(first)s AND refund.created_at >= since.at AND refund.created_at < %(until)s
            AND refund.status = 'succeeded'
        UNION ALL
        SELECT 'dispute', dispute.id, dispute.payment_id, dispute.provider, -dispute.amount, dispute.currency, false
        FROM disputes AS dispute JOIN since USING (provider)
        WHERE dispute.id >= %(first)s AND dispute.created_at >= since.at AND dispute.created_at < %(until)s
            AND dispute.money_out AND dispute.dispute_ref <> ''
        UNION ALL
        SELECT back.subject, back.id, back.payment_id, back.provider,
            CASE WHEN there.is_comparable THEN -there.amount ELSE back.amount END, back.currency, true
        FROM (
            SELECT 'capture'::settlement_subject AS subject, capture.id, capture.payment_id, capture.provider,
                -capture.amount AS amount, capture.currency
            FROM captures AS capture
            WHERE capture.id >= %(back_first)s AND capture.status = 'undone' AND capture.updated_at < %(until)s
            UNION ALL
            SELECT 'refund', refund.id, refund.payment_id, refund.provider, refund.amount, refund.currency
            FROM refunds AS refund
            WHERE refund.status = 'failed' AND refund.updated_at >= %(back)s AND refund.updated_at < %(until)s
            UNION ALL
            SELECT 'dispute', dispute.id, dispute.payment_id, dispute.provider, dispute.amount, dispute.currency
            FROM disputes AS dispute
            WHERE dispute.money_step > 0 AND NOT dispute.money_out
                AND dispute.updated_at >= %(back)s AND dispute.updated_at < %(until)s
        ) AS back
        CROSS JOIN LATERAL (
            SELECT max(known.amount) AS amount, bool_and(known.currency = back.currency
                AND known.detail <> 'converted' AND NOT 'currency' = ANY(known.differs)) AS is_comparable,
                bool_or(entry.gross > 0) AND bool_or(entry.gross < 0) AS has_both,
                bool_or('amount' = ANY(known.differs)) AS is_listed
            FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
            WHERE known.subject_id = back.id AND known.undone_at IS NULL AND entry.withdrawn_by IS NULL
        ) AS there
        WHERE NOT there.is_listed AND CASE WHEN there.is_comparable THEN there.amount <> 0 ELSE NOT there.has_both END
    )
"""

_FIND: Final = f"""
    {_MISSING}
    INSERT INTO settlement_matches (provider, account, subject, subject_id, payment_id, state, amount_here,
        currency_here)
    SELECT ours.provider, '', ours.subject, ours.id, ours.payment_id, 'missing_there', ours.amount, ours.currency
    FROM ours
    WHERE NOT EXISTS (
        SELECT FROM settlement_matches AS known WHERE known.subject_id = ours.id AND known.undone_at IS NULL
            AND (known.entry_id IS NULL OR NOT ours.went_back))
    ON CONFLICT DO NOTHING
"""  # noqa: S608 (only our own constants)

# Of ours that counts no more, or whose line was matched with the attempt instead.
_GONE: Final = f"""
    {_MISSING}
    UPDATE settlement_matches AS known SET undone_at = now(), undone_why = 'it is not missing any more',
        updated_at = now()
    WHERE known.state = 'missing_there' AND known.undone_at IS NULL AND known.resolved_at IS NULL
        AND known.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
        AND known.created_at >= %(since)s AND known.entry_id IS NULL
        AND (known.subject_id >= %(first)s OR EXISTS (
            SELECT FROM settlement_matches AS entered WHERE entered.subject_id = known.subject_id
                AND entered.undone_at IS NULL AND entered.entry_id IS NOT NULL))
        AND NOT EXISTS (SELECT FROM ours WHERE ours.id = known.subject_id)
"""  # noqa: S608 (only our own constants)


def find_missing(connection: psycopg.Connection[Any], *, after_days: int, now: datetime) -> int:
    """Note what of ours is older than ``after_days`` and has no current entry; how many are new. A transaction.

    So is money that came back of which the entries know nothing. Before, whatever our own news change is matched again.
    Only of providers of which something was entered, only what is younger than the first entry of theirs (of any of
    their accounts: nothing says which one money of ours is on), and than ``LOOK_BACK``. What is not missing any more is
    listed no more. Raises psycopg.Error.
    """
    until = now - timedelta(days=after_days)
    since = now - max(LOOK_BACK, timedelta(days=2 * after_days))
    first = _first_id(since)
    values = {"since": since, "until": until, "first": first, "back": since, "back_first": first}
    # What was noted since then may be of twice as long ago.
    before = since - (now - since)
    of_gone = values | {"back": before, "back_first": _first_id(before)}
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        recompute(cursor, match_changed(cursor, first=first))
        cursor.execute(_GONE, of_gone)
        cursor.execute(_FIND, values)
        return cursor.rowcount


def _first_id(moment: datetime) -> UUID:
    """The smallest id that was made then (RFC 9562, version 7: milliseconds since 1970 come first)."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)
