"""Matches again what our own news change: what of ours came after its line, or became another since it was matched.

Nothing says when that was, so what is here now is compared with what each match says. Only what may come out otherwise
is matched again.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlement_words import BANK
from checkout_service.settlements.matching import PIECE, match_again
from checkout_service.settlements.matching_statements import CAPTURE, DISPUTE, REFUND, SOUGHT

# Those that nothing of ours was found for, also where a person settled that: the line is of ours all the same. Each is
# looked up by an index, however many are open.
_NOW_HERE: Final = f"""
    WITH open AS MATERIALIZED (
        SELECT entry.id, entry.provider, entry.subject_ref, entry.payment_ref, {SOUGHT} AS subject, known.payment_id
        FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE known.state = ANY('{{unknown_here,unowned_fee}}'::settlement_match_state[])
            AND known.undone_at IS NULL AND known.entry_id IS NOT NULL AND known.made_by IS NULL
            AND known.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
            AND known.provider <> '{BANK}' AND known.provider = coalesce(%(provider)s::text, known.provider)
            AND (entry.kind NOT IN ('unknown', 'fee') OR known.payment_id IS NULL)
    )
    SELECT open.id FROM open JOIN captures AS capture
        ON capture.provider = open.provider AND capture.capture_ref = open.subject_ref
    WHERE open.subject = 'capture' AND open.subject_ref <> ''
    UNION
    SELECT open.id FROM open JOIN refunds AS refund
        ON refund.provider = open.provider AND refund.provider_ref = open.subject_ref
    WHERE open.subject = 'refund' AND open.subject_ref <> ''
    UNION
    SELECT open.id FROM open JOIN disputes AS dispute
        ON dispute.provider = open.provider AND dispute.dispute_ref = open.subject_ref AND dispute.dispute_ref <> ''
    WHERE open.subject = 'dispute' AND open.subject_ref <> ''
    UNION
    SELECT open.id FROM open JOIN payment_attempts AS attempt
        ON attempt.provider = open.provider AND attempt.attempt_ref <> ''
        AND attempt.attempt_ref = ANY(ARRAY[open.subject_ref, open.payment_ref])
    WHERE open.payment_id IS NULL
    UNION
    SELECT open.id FROM open JOIN payments AS payment
        ON payment.provider = open.provider AND payment.provider_ref <> ''
        AND payment.provider_ref = ANY(ARRAY[open.subject_ref, open.payment_ref])
    WHERE open.payment_id IS NULL
    UNION
    -- Of a payment that is known, where something may be meant by now.
    SELECT open.id FROM open JOIN captures AS capture USING (payment_id)
    WHERE open.subject = 'capture' AND capture.status >= 'succeeded'
    UNION
    SELECT open.id FROM open JOIN payment_attempts AS attempt USING (payment_id)
    WHERE open.subject = 'capture' AND attempt.amount_presumed IS NOT NULL AND attempt.status < 'expired'
    UNION
    SELECT open.id FROM open JOIN refunds AS refund USING (payment_id) WHERE open.subject = 'refund'
    UNION
    SELECT open.id FROM open JOIN disputes AS dispute USING (payment_id) WHERE open.subject = 'dispute'
"""  # noqa: S608 (only our own constants)

_OTHER: Final = """
    known.amount_here IS DISTINCT FROM ours.here OR known.currency_here IS DISTINCT FROM ours.currency_here
    OR known.detail <> 'converted' AND NOT 'currency' = ANY(known.differs)
        AND ('amount' = ANY(known.differs)) <> coalesce(
            known.amount <> ours.here AND known.amount IS DISTINCT FROM ours.here_too, false)
    OR ours.has_others AND ours.ref IS DISTINCT FROM (
        SELECT entry.subject_ref FROM balance_entries AS entry WHERE entry.id = known.entry_id)
"""

# What ours comes to is another, or what was meant by the name of its payment may be another by now. A person's
# settlement of a difference is of what it was.
_CHANGED: Final = f"""
    WITH known AS MATERIALIZED (
        SELECT known.entry_id, known.subject, known.subject_id, known.payment_id, known.amount, known.amount_here,
            known.currency_here, known.differs, known.detail
        FROM settlement_matches AS known
        WHERE known.id >= %(first)s AND known.state = ANY(%(states)s::settlement_match_state[])
            AND known.undone_at IS NULL AND known.entry_id IS NOT NULL AND known.made_by IS NULL
            AND known.provider <> '{BANK}' AND known.provider = coalesce(%(provider)s::text, known.provider)
            AND known.subject_id IS NOT NULL
    )
    SELECT known.entry_id FROM known JOIN (
        SELECT {CAPTURE}, capture.capture_ref AS ref, EXISTS (
            SELECT FROM captures AS other WHERE other.payment_id = capture.payment_id AND other.id <> capture.id
                AND other.status >= 'succeeded') AS has_others
        FROM captures AS capture
    ) AS ours ON ours.id = known.subject_id
    WHERE known.subject = 'capture' AND ({_OTHER})
    UNION
    SELECT known.entry_id FROM known JOIN payment_attempts AS attempt ON attempt.id = known.subject_id
    WHERE known.subject = 'capture' AND (
        known.amount_here IS DISTINCT FROM attempt.amount_presumed OR attempt.status >= 'expired'
        OR known.currency_here IS DISTINCT FROM attempt.currency::text
        OR EXISTS (SELECT FROM captures AS capture
            WHERE capture.payment_id = attempt.payment_id AND capture.status >= 'succeeded')
        OR EXISTS (SELECT FROM payment_attempts AS other
            WHERE other.payment_id = attempt.payment_id AND other.id <> attempt.id
                AND other.amount_presumed IS NOT NULL AND other.status < 'expired'))
    UNION
    SELECT known.entry_id FROM known JOIN (
        SELECT {REFUND}, refund.provider_ref AS ref, EXISTS (
            SELECT FROM refunds AS other WHERE other.payment_id = refund.payment_id AND other.id <> refund.id
            ) AS has_others
        FROM refunds AS refund
    ) AS ours ON ours.id = known.subject_id
    WHERE known.subject = 'refund' AND ({_OTHER})
    UNION
    SELECT known.entry_id FROM known JOIN (
        SELECT {DISPUTE}, dispute.dispute_ref AS ref, EXISTS (
            SELECT FROM disputes AS other WHERE other.payment_id = dispute.payment_id AND other.id <> dispute.id
            ) AS has_others
        FROM disputes AS dispute
    ) AS ours ON ours.id = known.subject_id
    WHERE known.subject = 'dispute' AND ({_OTHER})
"""  # noqa: S608 (only our own constants)

_DIFFERS: Final = ["differs"]
_ALL: Final = ["matched", "differs"]
_FIRST: Final = UUID(int=0)


def match_news(cursor: psycopg.Cursor[Any], *, provider: str) -> set[UUID]:
    """Match again the open exceptions of a provider of which ours is here, or another, by now; the payouts of these.

    To be called within a transaction, by one at a time. Raises psycopg.Error.
    """
    tried = _ids(cursor, _NOW_HERE, {"provider": provider})
    tried |= _ids(cursor, _CHANGED, {"provider": provider, "states": _DIFFERS, "first": _FIRST})
    return _match(cursor, tried)


def match_changed(cursor: psycopg.Cursor[Any], *, first: UUID) -> set[UUID]:
    """Match again whatever our own news change, of all providers; the payouts of what changed.

    It looks through all matches from ``first`` on. To be called as ``match_news`` is. Raises psycopg.Error.
    """
    tried = _ids(cursor, _NOW_HERE, {"provider": None})
    tried |= _ids(cursor, _CHANGED, {"provider": None, "states": _ALL, "first": first})
    return _match(cursor, tried)


def _match(cursor: psycopg.Cursor[Any], entries: set[UUID]) -> set[UUID]:
    tried = sorted(entries)
    payouts: set[UUID] = set()
    for start in range(0, len(tried), PIECE):
        payouts |= match_again(cursor, tried[start : start + PIECE])
    return payouts


def _ids(cursor: psycopg.Cursor[Any], query: str, values: dict[str, Any]) -> set[UUID]:
    return {found for (found,) in cursor.execute(query, values)}
