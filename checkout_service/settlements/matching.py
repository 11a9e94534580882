"""Matches entries with what of ours they are about: new ones, and those about the same things as new ones.

Each step is a statement over many entries. What a person said of an entry is never replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlements.matching_statements import ENTRY, INSERT, MATCHED_KINDS, computed

PIECE: Final = 20_000
"""Entries that are matched again at a time."""

_FRESH: Final = f"""
    SELECT {ENTRY} FROM balance_entries AS entry
    WHERE entry.id > %(after)s AND entry.file_id = %(file)s AND entry.withdrawn_by IS NULL
        AND entry.kind = ANY(%(kinds)s::balance_entry_kind[])
"""  # noqa: S608 (only our own constants)

# Of payments that nothing was matched with before: nearly all of a file.
_MATCH_FRESH: Final = f"""
    {INSERT}
    FROM ({computed(_FRESH)}) AS found
    WHERE found.payment_id IS NULL OR NOT EXISTS (
        SELECT FROM settlement_matches AS known
        WHERE known.payment_id = found.payment_id AND known.undone_at IS NULL)
"""

_LEFT: Final = """
    SELECT entry.id FROM balance_entries AS entry
    WHERE entry.id > %(after)s AND entry.file_id = %(file)s AND entry.withdrawn_by IS NULL
        AND entry.kind = ANY(%(kinds)s::balance_entry_kind[])
        AND NOT EXISTS (
            SELECT FROM settlement_matches AS known WHERE known.entry_id = entry.id AND known.undone_at IS NULL)
    ORDER BY entry.id LIMIT %(piece)s
"""

_CHOSEN: Final = f"""
    SELECT {ENTRY} FROM unnest(%(entries)s::uuid[]) AS chosen (id) JOIN balance_entries AS entry USING (id)
"""  # noqa: S608 (only our own constants)

_PAYMENTS: Final = f"""
    SELECT DISTINCT found.payment_id FROM ({computed(_CHOSEN)}) AS found WHERE found.payment_id IS NOT NULL
"""  # noqa: S608 (only our own constants)

_OF_PAYMENTS: Final = """
    SELECT entry.id FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
    WHERE known.payment_id = ANY(%(payments)s) AND known.undone_at IS NULL AND known.made_by IS NULL
        AND known.payout_id IS NULL AND entry.withdrawn_by IS NULL
"""

# One that comes out as it was stays, with what a person said of it.
_UNDO_CHANGED: Final = f"""
    WITH found AS MATERIALIZED ({computed(_CHOSEN)}), undone AS (
        UPDATE settlement_matches AS known
        SET undone_at = now(), undone_why = 'other entries about the same, or other news', updated_at = now()
        FROM found
        WHERE known.entry_id = found.entry_id AND known.undone_at IS NULL AND known.made_by IS NULL
            AND (known.subject, known.subject_id, known.payment_id, known.state, known.amount, known.currency,
                known.amount_here, known.currency_here, known.differs, known.detail)
            IS DISTINCT FROM (found.subject, found.subject_id, found.payment_id, found.state, found.amount,
                found.currency, found.amount_here, found.currency_here, found.differs, found.detail)
    )
    UPDATE settlement_matches AS known SET undone_at = now(), undone_why = 'an entry tells of it', updated_at = now()
    WHERE known.subject_id IN (SELECT subject_id FROM found) AND known.entry_id IS NULL AND known.undone_at IS NULL
        AND known.state = 'missing_there'
"""  # noqa: S608 (only our own constants)

_MATCH_CHOSEN: Final = f"""
    WITH made AS (
        {INSERT}
        FROM ({computed(_CHOSEN)}) AS found
        WHERE NOT EXISTS (
            SELECT FROM settlement_matches AS known
            WHERE known.entry_id = found.entry_id AND known.undone_at IS NULL)
        RETURNING entry_id
    )
    SELECT DISTINCT entry.payout_id FROM made JOIN balance_entries AS entry ON entry.id = made.entry_id
    WHERE entry.payout_id IS NOT NULL
"""  # noqa: S608 (only our own constants)

_UNDO_WITHDRAWN: Final = """
    UPDATE settlement_matches AS known
    SET undone_at = now(), undone_why = 'a later file has it no more, or otherwise', updated_at = now()
    FROM balance_entries AS entry
    WHERE entry.withdrawn_by = %(file)s AND known.entry_id = entry.id AND known.undone_at IS NULL
"""

# What has another version needs nobody. The payment is the one that the last match said.
OPEN_WITHDRAWN: Final = """
    INSERT INTO settlement_matches (provider, account, entry_id, payment_id, state, amount, currency, detail, file_id)
    SELECT entry.provider, entry.account, entry.id, (
            SELECT known.payment_id FROM settlement_matches AS known
            WHERE known.entry_id = entry.id AND known.payment_id IS NOT NULL ORDER BY known.id DESC LIMIT 1),
        'withdrawn', entry.gross, entry.currency, 'a later file has it no more', entry.withdrawn_by
    FROM balance_entries AS entry
    WHERE entry.withdrawn_by = %(file)s AND NOT EXISTS (
        SELECT FROM balance_entries AS current
        WHERE current.provider = entry.provider AND current.account = entry.account
            AND current.entry_ref = entry.entry_ref AND current.withdrawn_by IS NULL)
"""

_BACK: Final = """
    WITH undone AS (
        UPDATE settlement_matches AS known
        SET undone_at = now(), undone_why = 'a later file has it again', updated_at = now()
        FROM balance_entries AS entry
        JOIN balance_entries AS current ON current.provider = entry.provider AND current.account = entry.account
            AND current.entry_ref = entry.entry_ref AND current.withdrawn_by IS NULL
        WHERE known.state = 'withdrawn' AND known.undone_at IS NULL AND known.resolved_at IS NULL
            AND known.state <> ALL ('{matched,not_ours}'::settlement_match_state[])
            AND known.entry_id = entry.id AND entry.provider = %(provider)s
        RETURNING entry.payout_id
    )
    SELECT DISTINCT payout_id FROM undone WHERE payout_id IS NOT NULL
"""

LESS: Final = """
    SELECT DISTINCT gone.payment_id
    FROM balance_entries AS entry JOIN settlement_matches AS gone ON gone.entry_id = entry.id
    WHERE entry.withdrawn_by = %(file)s AND gone.state <> 'withdrawn' AND gone.payment_id IS NOT NULL AND EXISTS (
        SELECT FROM settlement_matches AS known
        WHERE known.payment_id = gone.payment_id AND known.undone_at IS NULL AND known.state <> 'withdrawn')
"""


def match(cursor: psycopg.Cursor[Any], file_id: UUID, *, after: UUID, provider: str, withdrawn: int) -> set[UUID]:
    """Match the entries that this file brought (those above ``after``), and again what they change.

    The payouts of what changed. To be called within a transaction, by one at a time. Raises psycopg.Error.
    """
    values = {"file": file_id, "after": after, "kinds": MATCHED_KINDS, "provider": provider, "piece": PIECE}
    payouts: set[UUID] = set()
    if withdrawn:
        cursor.execute(_UNDO_WITHDRAWN, values)
        cursor.execute(OPEN_WITHDRAWN, values)
    payouts.update(row[0] for row in cursor.execute(_BACK, values))
    cursor.execute(_MATCH_FRESH, values)
    if cursor.rowcount >= PIECE:
        cursor.execute("ANALYZE settlement_matches")
    while left := [row[0] for row in cursor.execute(_LEFT, values)]:
        payouts |= match_again(cursor, left)
    if withdrawn:
        less = [row[0] for row in cursor.execute(LESS, values)]
        for start in range(0, len(less), PIECE):
            payouts |= match_again(cursor, (), payments=less[start : start + PIECE])
    return payouts


def match_again(cursor: psycopg.Cursor[Any], entries: Sequence[UUID], *, payments: Collection[UUID] = ()) -> set[UUID]:
    """Match these entries, and all others of the payments that they are about or that are named.

    The payouts of what changed. An entry that comes out as it was keeps its row, and what a person said of it.
    """
    about = set(payments)
    about.update(row[0] for row in cursor.execute(_PAYMENTS, {"entries": list(entries)}))
    chosen = set(entries)
    if about:
        chosen.update(row[0] for row in cursor.execute(_OF_PAYMENTS, {"payments": list(about)}))
    values = {"entries": list(chosen)}
    cursor.execute(_UNDO_CHANGED, values)
    return {row[0] for row in cursor.execute(_MATCH_CHOSEN, values)}
