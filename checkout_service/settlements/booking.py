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
"""Held files that are tried again with a file. The others have their turn with the next one."""

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
# Nobody needs the lines of those any more.
_SUPERSEDED: Final = """
    WITH newer AS MATERIALIZED (
        SELECT DISTINCT section.account, section.name, section.complete, section.opening, section.expected
        FROM settlement_files AS file, jsonb_to_recordset(file.sections)
            AS section (account text, name text, complete boolean, opening jsonb, expected jsonb)
        WHERE file.id = %(file)s
    ), own AS MATERIALIZED (
        SELECT held.id, section.account, section.name, section.opening, section.expected
        FROM settlement_files AS held, jsonb_to_recordset(held.sections)
            AS section (account text, name text, opening jsonb, expected jsonb)
        WHERE held.state = 'held' AND held.provider = %(provider)s AND held.id <> %(file)s
    ), superseded AS (
        UPDATE settlement_files SET state = 'superseded', resolved_by = %(file)s, updated_at = now()
        WHERE id IN (
            SELECT own.id FROM own LEFT JOIN newer ON newer.account = own.account AND newer.name = own.name
                AND (newer.complete OR newer.opening = own.opening AND newer.expected = own.expected)
            GROUP BY own.id HAVING count(*) = count(newer.name))
        RETURNING id
    )
    DELETE FROM settlement_lines WHERE file_id IN (SELECT id FROM superseded)
"""

# Those of which a section waits for a payout that is here by now, or has another amount than when it was tried. What
# was tried in vain has the new amount in its residue, and so waits for the next one.
_HELD: Final = """
    SELECT held.id, held.rows FROM settlement_files AS held
    WHERE held.state = 'held' AND held.provider = %(provider)s AND held.faults = '{}' AND EXISTS (
        SELECT FROM jsonb_to_recordset(held.residues)
            AS residue (account text, section text, currency text, expected numeric)
        JOIN jsonb_to_recordset(held.sections) AS section (account text, name text, of_payout text)
            ON section.account = residue.account AND section.name = residue.section AND section.of_payout <> ''
        JOIN payouts AS payout ON payout.provider = %(provider)s AND payout.account = section.account
            AND payout.payout_ref = section.of_payout
        LEFT JOIN jsonb_to_recordset(held.payouts) AS listed (account text, payout_ref text)
            ON listed.account = section.account AND listed.payout_ref = section.of_payout
        WHERE listed.payout_ref IS NULL AND residue.expected IS DISTINCT FROM payout.amount
            AND (residue.currency = payout.currency OR residue.currency = '' AND residue.expected IS NULL))
    ORDER BY held.created_at, held.id LIMIT %(most)s
"""

_IS_HELD: Final = "SELECT FROM settlement_files WHERE id = %(file)s AND state = 'held'"

_HOLD: Final = "UPDATE settlement_files SET residues = %(residues)s, updated_at = now() WHERE id = %(file)s"


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
    """Enter the lines of one file and match them, then those of held files whose payout is here, and prove themselves.

    To be called within a transaction, by one at a time. Raises psycopg.Error.
    """
    first, after = _book(
        cursor,
        file_id,
        provider=provider,
        rows=rows,
        residues=residues,
        operator=operator,
        why=why,
        resolved_by=resolved_by,
    )
    first.retried = _retry(cursor, file_id, provider=provider)
    if provider != BANK:
        # Once, however many files that were: it goes through all that is open.
        recompute(cursor, match_news(cursor, provider=provider))
    values = {"after": after, "file": file_id}
    first.by_state = {MatchState(state): number for state, number in cursor.execute(_BY_STATE, values)}
    return first


def hold(cursor: psycopg.Cursor[Any], file_id: UUID, residues: Sequence[Residue]) -> None:
    """Note why a held file does not prove itself. Raises psycopg.Error."""
    cursor.execute(_HOLD, {"file": file_id, "residues": residues_to_json(residues)})


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


def _retry(cursor: psycopg.Cursor[Any], file_id: UUID, *, provider: str) -> list[UUID]:
    """Enters held files that this one, or one before it, has resolved; those ids."""
    entered: list[UUID] = []
    tried = 0
    while tried < RETRIED:
        values = {"provider": provider, "most": RETRIED - tried}
        chosen = cursor.execute(_HELD, values).fetchall()
        if not chosen:
            break
        tried += len(chosen)
        for held, rows in chosen:
            # One that was entered a moment ago may have taken its place.
            if cursor.execute(_IS_HELD, {"file": held}).fetchone() is None:
                continue
            if residues := prove(cursor, held):
                hold(cursor, held, residues)
            else:
                _book(cursor, held, provider=provider, rows=rows, resolved_by=file_id)
                entered.append(held)
    return entered


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
) -> tuple[Entered, UUID]:
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
    cursor.execute(_SUPERSEDED, {"file": file_id, "provider": provider})
    entered = Entered(
        file_id=file_id,
        state=FileState.ENTERED,
        rows=rows,
        new=made.new,
        known=made.known,
        withdrawn=made.withdrawn,
        residues=residues,
    )
    return entered, made.after
