"""Computes how far we are with payouts: what their entries add up to, and whether one of them needs a person."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlement_words import BLOCKING

_BLOCKING: Final = ", ".join(f"'{state}'" for state in BLOCKING)

# A payout's own line is no part of what it is made of. One that failed after it was paid stays as it is: what it was
# made of was paid, and came back by a line of its own. One that failed before has nothing that anybody lists. What a
# person has accepted, of a file or of the payout itself, is that lines of this sum were paid out with this amount: of
# neither does another one count. Of the payout itself, that is all that there is to know: also where nobody lists it,
# or where lines are of other currencies, if some were then.
_RECOMPUTE: Final = f"""
    WITH summed AS (
        SELECT payout.id,
            count(entry.id) FILTER (WHERE entry.kind <> 'payout') AS entries,
            coalesce(sum(entry.gross) FILTER (WHERE entry.kind <> 'payout' AND entry.currency = payout.currency),
                0) AS gross,
            coalesce(sum(entry.fee) FILTER (WHERE entry.kind <> 'payout' AND entry.currency = payout.currency),
                0) AS fee,
            coalesce(sum(entry.net) FILTER (WHERE entry.kind <> 'payout' AND entry.currency = payout.currency),
                0) AS net,
            coalesce(bool_or(entry.kind <> 'payout' AND entry.currency <> payout.currency), false) AS has_others,
            coalesce(bool_or(entry.kind = 'payout'), false) AS has_own_line
        FROM payouts AS payout
        LEFT JOIN balance_entries AS entry ON entry.payout_id = payout.id AND entry.withdrawn_by IS NULL
        WHERE payout.id = ANY(%(payouts)s)
        GROUP BY payout.id
    ), counted AS (
        SELECT entry.payout_id, count(*) AS exceptions
        FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE known.undone_at IS NULL AND known.resolved_at IS NULL AND known.state IN ({_BLOCKING})
            AND known.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
            AND entry.payout_id = ANY(%(payouts)s)
        GROUP BY entry.payout_id
    ), accepted AS (
        SELECT file.provider, section.account, section.of_payout, residue.currency, residue.expected, residue.found
        FROM settlement_files AS file
        CROSS JOIN jsonb_to_recordset(file.sections) AS section (account text, name text, of_payout text)
        JOIN jsonb_to_recordset(file.residues)
            AS residue (account text, section text, currency text, expected numeric, found numeric)
            ON residue.account = section.account AND residue.section = section.name
        WHERE file.accepted_by IS NOT NULL AND section.of_payout <> '' AND residue.currency <> ''
            AND residue.expected IS NOT NULL
    ), accepted_so AS (
        SELECT known.payout_id, known.amount_here, known.amount, 'currency' = ANY(known.differs)
        FROM settlement_matches AS known
        WHERE known.payout_id = ANY(%(payouts)s) AND known.entry_id IS NULL AND known.undone_at IS NULL
            AND known.state = 'matched'
    ), computed AS (
        SELECT summed.*, coalesce(counted.exceptions, 0) AS exceptions,
            CASE
                WHEN NOT payout.itemized AND summed.has_own_line THEN 'by_balance'
                WHEN summed.entries = 0 AND payout.status >= 'canceled' THEN 'not_paid'
                WHEN (payout.id, payout.amount, summed.net, summed.has_others) IN (TABLE accepted_so) THEN
                    CASE WHEN coalesce(counted.exceptions, 0) > 0 THEN 'unmatched' ELSE 'reconciled' END
                WHEN NOT payout.itemized THEN 'open'
                WHEN summed.entries = 0 OR summed.has_others THEN 'open'
                WHEN summed.net <> payout.amount AND (payout.provider, payout.account, payout.payout_ref,
                    payout.currency::text, payout.amount, summed.net) NOT IN (TABLE accepted) THEN 'open'
                WHEN coalesce(counted.exceptions, 0) > 0 THEN 'unmatched'
                ELSE 'reconciled' END::payout_state AS state
        FROM summed JOIN payouts AS payout USING (id) LEFT JOIN counted ON counted.payout_id = summed.id
    )
    UPDATE payouts AS payout SET entries = computed.entries, gross = computed.gross, fee = computed.fee,
        net = computed.net,
        exceptions = computed.exceptions, state = computed.state,
        reconciled_at = CASE WHEN computed.state = 'reconciled' THEN coalesce(payout.reconciled_at, now()) END,
        version = payout.version + 1, updated_at = now()
    FROM computed
    WHERE computed.id = payout.id
        AND (payout.entries, payout.gross, payout.fee, payout.net, payout.exceptions, payout.state) IS DISTINCT FROM
            (computed.entries, computed.gross, computed.fee, computed.net, computed.exceptions, computed.state)
"""  # noqa: S608 (only our own constants)


def recompute(cursor: psycopg.Cursor[Any], payouts: Collection[UUID]) -> None:
    """Sums and states of these payouts, as their entries and matches are now; versions count what changed.

    To be called within a transaction. Raises psycopg.Error.
    """
    if payouts:
        cursor.execute(_RECOMPUTE, {"payouts": list(payouts)})
