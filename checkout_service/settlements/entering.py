"""Enters a report of settled money: all of it in one transaction, or nothing.

Its lines are copied into a table of their own, proved there, and become entries only where each section adds up. What
does not prove itself is held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.commands.models import Action
from checkout_service.providers.reports import Report
from checkout_service.settlement_words import FileState
from checkout_service.settlements.auditing import audit
from checkout_service.settlements.booking import begin, book, hold, lock, residues_to_json
from checkout_service.settlements.entered import (
    Entered,
    NotHeldError,
    Residue,
    UnenterableError,
    UnknownFileError,
)
from checkout_service.settlements.proof import MOST, prove
from checkout_service.settlements.spool import Spool, spooled
from checkout_service.settlements.staging import stage

_KNOWN: Final = """
    SELECT id, state::text, rows, residues, faults FROM settlement_files
    WHERE provider = %(provider)s AND account = %(account)s AND sha256 = %(sha256)s
"""

_BY_ID: Final = "SELECT provider, name, state::text, rows, faults FROM settlement_files WHERE id = %(file)s"

# A row with a name that another one has cannot be told from it; one that does not add up by itself is no movement.
_UNENTERABLE: Final = """
    SELECT min(line) FROM settlement_lines AS line
    WHERE file_id = %(file)s AND (net <> gross - fee OR EXISTS (
        SELECT FROM (
            SELECT account, entry_ref FROM settlement_lines WHERE file_id = %(file)s
            GROUP BY account, entry_ref HAVING count(DISTINCT (gross, fee, net, currency)) > 1
        ) AS several
        WHERE several.account = line.account AND several.entry_ref = line.entry_ref))
"""

# A payout is of one amount and one currency.
_TWO_PAYOUTS: Final = """
    WITH listed AS (
        SELECT payout.* FROM settlement_files AS file, jsonb_to_recordset(file.payouts)
            AS payout (account text, payout_ref text, amount numeric, currency text)
        WHERE file.id = %(file)s
    )
    (SELECT payout_ref FROM listed GROUP BY account, payout_ref HAVING count(DISTINCT (amount, currency)) > 1)
    UNION ALL
    (SELECT listed.payout_ref FROM listed JOIN payouts AS known ON known.provider = %(provider)s
        AND known.account = listed.account AND known.payout_ref = listed.payout_ref
    WHERE known.currency <> listed.currency)
    LIMIT 1
"""

_CURSOR: Final = """
    INSERT INTO settlement_accounts (provider, account, cursor) VALUES (%(provider)s, %(account)s, %(cursor)s)
    ON CONFLICT (provider, account) DO UPDATE SET cursor = excluded.cursor, updated_at = now()
"""


def enter(
    connection: psycopg.Connection[Any],
    report: Report,
    *,
    provider: str,
    account: str,
    operator: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Entered:
    """Read the report to its end and enter it, or hold it; a transaction of its own.

    ``connection`` is one of the role of settlements, in autocommit. ``account`` is the one that the report was read
    for, '' where the report says it. ``operator`` is the person who has it entered, for the audit, None where nobody
    does. ``progress`` is called each second with the number of lines read. The same bytes again change nothing, unless
    they are held: they are read anew, since the reader, or what is known of payouts, may be another by now.
    Raises UnreadableReportError, FileOfAnotherError, psycopg.Error, and OSError where there is no room for the lines;
    after any error, and after KeyboardInterrupt, nothing of it is there.
    """
    [[file_id]] = connection.execute("SELECT uuidv7()").fetchall()
    with spooled(report, file_id=file_id, account=account, progress=progress) as spool:
        if len(report.sha256) != 32:
            raise ValueError("the report does not say what its bytes were")
        with connection.transaction(), connection.cursor() as cursor:
            begin(cursor)
            lock(cursor)
            known = _known(cursor, report, provider=provider, account=account)
            if known is not None and known.state is not FileState.HELD:
                entered = known
            else:
                entered = _enter(
                    cursor, report, spool, file_id=file_id, provider=provider, account=account, known=known
                )
            if operator is not None and not entered.is_known:
                details = {"name": report.name, "provider": provider, "state": entered.state.value}
                audit(cursor, Action.ENTER_FILE, subject=entered.file_id, operator=operator, why="", details=details)
            if report.cursor is not None:
                cursor.execute(_CURSOR, {"provider": provider, "account": account, "cursor": report.cursor})
            return entered


def accept(connection: psycopg.Connection[Any], file_id: UUID, *, operator: str, why: str) -> Entered:
    """Enter a file that is held, as it is: an operator has seen what does not add up. Writes the audit.

    Raises UnknownFileError, NotHeldError, psycopg.Error, and UnenterableError where lines contradict each other, or
    what is known of a payout.
    """
    with connection.transaction(), connection.cursor() as cursor:
        begin(cursor)
        lock(cursor)
        found = cursor.execute(_BY_ID, {"file": file_id}).fetchone()
        if found is None:
            raise UnknownFileError(f"no file {file_id}")
        provider, name, state, rows, faults = found
        if state != FileState.HELD:
            raise NotHeldError(f"{name} is {state}")
        [[line]] = cursor.execute(_UNENTERABLE, {"file": file_id}).fetchall()
        if line is not None:
            raise UnenterableError(f"line {line} of {name} contradicts itself, or another line of the same name")
        if two := cursor.execute(_TWO_PAYOUTS, {"file": file_id, "provider": provider}).fetchone():
            raise UnenterableError(
                f"{name} lists payout {two[0]} with two amounts, or with another currency than before"
            )
        # Its payout may have come since.
        # All of them: a payout whose residue is not kept would stay open.
        residues = prove(cursor, file_id, most=None)
        entered = book(cursor, file_id, provider=provider, rows=rows, residues=residues, operator=operator, why=why)
        entered.faults = faults
        audit(
            cursor,
            Action.ACCEPT_FILE,
            subject=file_id,
            operator=operator,
            why=why,
            details={"name": name, "residues": residues_to_json(residues[:MOST]).obj, "faults": faults},
        )
        return entered


def _known(cursor: psycopg.Cursor[Any], report: Report, *, provider: str, account: str) -> Entered | None:
    """What became of the same bytes when they came before, or None."""
    found = cursor.execute(_KNOWN, {"provider": provider, "account": account, "sha256": report.sha256}).fetchone()
    if found is None:
        return None
    file_id, state, rows, residues, faults = found
    return Entered(
        file_id=file_id,
        state=FileState(state),
        is_known=True,
        rows=rows,
        residues=[Residue.from_json(residue) for residue in residues],
        faults=faults,
    )


def _enter(
    cursor: psycopg.Cursor[Any],
    report: Report,
    spool: Spool,
    *,
    file_id: UUID,
    provider: str,
    account: str,
    known: Entered | None,
) -> Entered:
    held = None if known is None else known.file_id
    faults = stage(cursor, report, spool, file_id=file_id, provider=provider, account=account, held=held)
    file_id = held or file_id
    residues = prove(cursor, file_id)
    if not faults and not residues:
        return book(cursor, file_id, provider=provider, rows=spool.rows)
    hold(cursor, file_id, residues)
    is_known = known is not None and (known.rows, list(known.residues), list(known.faults)) == (
        *(spool.rows, list(residues)),
        list(faults),
    )
    return Entered(
        file_id=file_id, state=FileState.HELD, is_known=is_known, rows=spool.rows, residues=residues, faults=faults
    )
