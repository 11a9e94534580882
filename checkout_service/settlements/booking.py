"""Books a file whose lines are in settlement_lines: entries, matches, payouts, in the transaction of its caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from checkout_service.settlement_words import BANK, FileState, MatchState
from checkout_service.settlements.bank_identity import name_entries
from checkout_service.settlements.bank_matching import match_bank_entries
from checkout_service.settlements.entered import Entered, Residue
from checkout_service.settlements.matching import match
from checkout_service.settlements.matching_news import match_news
from checkout_service.settlements.payouts import recompute
from checkout_service.settlements.proof import prove
from checkout_service.settlements.versions import make_entries

RETRIED: Final = 100
"""Held files that are tried again after a file. The others have their turn after the next one."""

_LOCK: Final = "LOCK TABLE settlement_accounts IN SHARE ROW EXCLUSIVE MODE"

# Sorts and hashes over a million lines, without leaving the customers' memory to the system's mercy. One process of the
# server works for it and not several: the cores are the customers'.
_SETTINGS: Final = """
    SELECT set_config('work_mem', '64MB', true), set_config('max_parallel_workers_per_gather', '0', true),
        set_config('statement_timeout', '900s', true), set_config('lock_timeout', '900s', true),
        set_config('timezone', 'UTC', true)
"""

_BOOKED: Final = """
    UPDATE settlement_files SET state = 'entered', entered_at = now(), updated_at = now(), residues = %(residues)s,
        accepted_by = %(operator)s, accepted_why = %(why)s, resolved_by = %(resolved_by)s
    WHERE id = %(file)s
"""

_BY_STATE: Final = """
    SELECT state::text, count(*) FROM settlement_matches
    WHERE id > %(after)s AND file_id = %(file)s AND undone_at IS NULL GROUP BY state
"""

# About the same sections, all of which this one has as a whole: of a bank's, from the same balance to the same.
_SUPERSEDED: Final = """
    UPDATE settlement_files AS held SET state = 'superseded', resolved_by = %(file)s, updated_at = now()
    FROM settlement_files AS file
    WHERE file.id = %(file)s AND held.state = 'held' AND held.provider = file.provider AND held.id <> file.id
        AND jsonb_array_length(held.sections) > 0 AND NOT EXISTS (
            SELECT FROM jsonb_to_recordset(held.sections)
                AS own (account text, name text, opening jsonb, expected jsonb)
            WHERE NOT EXISTS (
                SELECT FROM jsonb_to_recordset(file.sections)
                    AS newer (account text, name text, complete boolean, opening jsonb, expected jsonb)
                WHERE newer.account = own.account AND newer.name = own.name AND (newer.complete
                    OR newer.opening = own.opening AND newer.expected = own.expected)))
"""

# Those that add up to a payout, which may be here by now.
_HELD: Final = """
    SELECT held.id, held.rows FROM settlement_files AS held
    WHERE held.state = 'held' AND held.provider = %(provider)s AND held.faults = '{}' AND EXISTS (
        SELECT FROM jsonb_to_recordset(held.sections) AS section (account text, of_payout text)
        JOIN payouts AS payout ON payout.provider = held.provider AND payout.account = section.account
            AND payout.payout_ref = section.of_payout
        WHERE payout.id = ANY(%(payouts)s))
    ORDER BY held.created_at, held.id LIMIT %(most)s
"""


def begin(cursor: psycopg.Cursor[Any]) -> None:
    """Prepare a transaction that changes settled money; nothing outlives it, so a pooler may lie between."""
    cursor.execute(_SETTINGS)


def lock(cursor: psycopg.Cursor[Any]) -> None:
    """Wait until nobody else changes settled money: what is computed of entries is true of all of them.

    Readers are not kept out. A lock of a table and not an advisory one, which whoever can connect may hold.
    """
    cursor.execute(_LOCK)


def book(
    cursor: psycopg.Cursor[Any],
    file_id: UUID,
    *,
    provider: str,
    rows: int,
    residues: Sequence[Residue] = (),
    operator: str | None = None,
    why: str | None = None,
    resolved_by: UUID | None = None,
) -> Entered:
    """Enter the lines of one file, match them, and try held files again that wait for a payout which it brought."""
    retried: list[UUID] = []
    first, payouts = _book(
        cursor,
        file_id,
        provider=provider,
        rows=rows,
        residues=residues,
        operator=operator,
        why=why,
        resolved_by=resolved_by,
    )
    while payouts:
        values = {"provider": provider, "payouts": list(payouts), "most": RETRIED - len(retried)}
        payouts = set()
        for held, held_rows in cursor.execute(_HELD, values).fetchall():
            if not prove(cursor, held):
                _, more = _book(cursor, held, provider=provider, rows=held_rows, resolved_by=file_id)
                payouts |= more
                retried.append(held)
    if provider != BANK:
        # Once, however many files that were: it goes through all that is open.
        recompute(cursor, match_news(cursor, provider=provider))
    first.retried = retried
    return first


def residues_to_json(residues: Sequence[Residue]) -> Jsonb:
    """As the file's row has them, amounts as text."""
    return Jsonb(
        [
            {
                "account": residue.account,
                "section": residue.section,
                "currency": residue.currency,
                "expected": None if residue.expected is None else format(residue.expected, "f"),
                "found": format(residue.found, "f"),
                "rule": residue.rule,
            }
            for residue in residues
        ]
    )


def _book(
    cursor: psycopg.Cursor[Any],
    file_id: UUID,
    *,
    provider: str,
    rows: int,
    residues: Sequence[Residue] = (),
    operator: str | None = None,
    why: str | None = None,
    resolved_by: UUID | None = None,
) -> tuple[Entered, set[UUID]]:
    cursor.execute(
        _BOOKED,
        {
            "file": file_id,
            "residues": residues_to_json(residues),
            "operator": operator,
            "why": why,
            "resolved_by": resolved_by,
        },
    )
    if provider == BANK:
        name_entries(cursor, file_id)
    made = make_entries(cursor, file_id, provider=provider, rows=rows)
    payouts = set(made.payouts)
    if provider == BANK:
        match_bank_entries(cursor.connection, file_id=file_id)
    else:
        payouts |= match(cursor, file_id, after=made.after, provider=provider, withdrawn=made.withdrawn)
    recompute(cursor, payouts)
    if made.payouts and provider != BANK:
        match_bank_entries(cursor.connection, payout_ids=list(made.payouts))
    cursor.execute(_SUPERSEDED, {"file": file_id})
    by_state = {
        MatchState(state): number for state, number in cursor.execute(_BY_STATE, {"after": made.after, "file": file_id})
    }
    entered = Entered(
        file_id=file_id,
        state=FileState.ENTERED,
        rows=rows,
        new=made.new,
        known=made.known,
        withdrawn=made.withdrawn,
        by_state=by_state,
        residues=residues,
    )
    return entered, payouts
