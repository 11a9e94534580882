"""Matches entries with what of ours they are about: new ones, and those about the same things as new ones.

Each step is a statement over many entries. What a person said of an entry is never replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlements.matching_statements import ENTRY, INSERT, MATCHED_KINDS, computed, placed

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

# As versions.py asks of entries.
_IS_THOUGHT_EMPTY: Final = "SELECT reltuples <= 0 FROM pg_class WHERE oid = 'settlement_matches'::regclass"

_PLANNED: Final = """
    SELECT set_config('enable_seqscan', %(is_any)s, true), set_config('enable_hashjoin', %(is_any)s, true),
        set_config('enable_mergejoin', %(is_any)s, true)
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

_OF_PAYMENTS: Final = f"""
    SELECT entry.id
    FROM (
        SELECT placed.payment_id FROM ({placed(_CHOSEN)}) AS placed
        UNION SELECT unnest(%(payments)s::uuid[])
    ) AS about
    JOIN settlement_matches AS known USING (payment_id)
    JOIN balance_entries AS entry ON entry.id = known.entry_id
    WHERE known.undone_at IS NULL AND known.made_by IS NULL AND known.payout_id IS NULL AND entry.withdrawn_by IS NULL
"""  # noqa: S608 (only our own constants)

# What comes of entries is computed once. One that comes out as it was stays, with what a person said of it. What is
# undone is undone by when it is read, so another one may take its place in the same statement.
_MATCH_CHOSEN: Final = f"""
    WITH found AS MATERIALIZED ({computed(_CHOSEN)}), undone AS (
        UPDATE settlement_matches AS known
        SET undone_at = now(), undone_why = 'other entries about the same, or other news', updated_at = now()
        FROM found
        WHERE known.entry_id = found.entry_id AND known.undone_at IS NULL AND known.made_by IS NULL
            AND (known.subject, known.subject_id, known.payment_id, known.state, known.amount, known.currency,
                known.amount_here, known.currency_here, known.differs, known.detail)
            IS DISTINCT FROM (found.subject, found.subject_id, found.payment_id, found.state, found.amount,
                found.currency, found.amount_here, found.currency_here, found.differs, found.detail)
        RETURNING found.*
    ), here AS (
        UPDATE settlement_matches AS known
        SET undone_at = now(), undone_why = 'an entry tells of it', updated_at = now()
        WHERE known.subject_id = ANY(ARRAY(SELECT DISTINCT subject_id FROM found))
            AND known.entry_id IS NULL AND known.undone_at IS NULL AND known.state = 'missing_there'
    ), made AS (
        {INSERT}
        FROM (
            SELECT * FROM undone AS found WHERE NOT EXISTS (
                SELECT FROM settlement_matches AS known
                WHERE known.entry_id = found.entry_id AND known.undone_at IS NULL AND known.made_by IS NOT NULL)
            UNION ALL
            SELECT * FROM found WHERE NOT EXISTS (
                SELECT FROM settlement_matches AS known
                WHERE known.entry_id = found.entry_id AND known.undone_at IS NULL)
        ) AS found
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
    fresh = cursor.rowcount
    [[is_thought_empty]] = cursor.execute(_IS_THOUGHT_EMPTY).fetchall()
    if fresh >= PIECE or is_thought_empty:
        cursor.execute("ANALYZE settlement_matches")
    left = _ids(cursor, _LEFT, values)
    if left or withdrawn:
        with _looked_up(cursor):
            while left:
                payouts |= _match_again(cursor, left)
                values["after"] = left[-1]
                left = _ids(cursor, _LEFT, values)
            less = _ids(cursor, LESS, values) if withdrawn else []
            for start in range(0, len(less), PIECE):
                payouts |= _match_again(cursor, (), payments=less[start : start + PIECE])
    return payouts


def match_again(cursor: psycopg.Cursor[Any], entries: Sequence[UUID], *, payments: Collection[UUID] = ()) -> set[UUID]:
    """Match these entries, and all others of the payments that they are about or that are named.

    The payouts of what changed. An entry that comes out as it was keeps its row, and what a person said of it.
    To be called within a transaction, by one at a time. Raises psycopg.Error.
    """
    with _looked_up(cursor):
        return _match_again(cursor, entries, payments=payments)


def _match_again(cursor: psycopg.Cursor[Any], entries: Sequence[UUID], *, payments: Collection[UUID] = ()) -> set[UUID]:
    named = {"entries": list(entries), "payments": list(payments)}
    chosen = {*entries, *_ids(cursor, _OF_PAYMENTS, named)}
    return set(_ids(cursor, _MATCH_CHOSEN, {"entries": list(chosen)}))


@contextmanager
def _looked_up(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """Have rows looked up by an index, each by itself, for the length of the block, which is within a transaction.

    A piece is a small part of its tables. The planner would rather read these whole, again for each piece, and a file
    of a million lines has fifty.
    """
    cursor.execute(_PLANNED, {"is_any": "off"})
    yield
    cursor.execute(_PLANNED, {"is_any": "on"})


def _ids(cursor: psycopg.Cursor[Any], query: str, values: Mapping[str, Any]) -> list[UUID]:
    return [found for (found,) in cursor.execute(query, values)]
