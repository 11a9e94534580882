"""Puts a report's lines into settlement_lines, and the row of its file beside them, held for now.

One statement a rule, each over all lines: what is wrong with a line by itself is found here, and not in Python.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.providers.reports import Report, UnreadableReportError
from checkout_service.settlement_words import BANK
from checkout_service.settlements.bank_identity import identify
from checkout_service.settlements.spool import COLUMNS, Spool, to_json

PIECE: Final = 1 << 20
"""Bytes that are handed to the server at a time."""

MOST_STATEMENTS: Final = 10_000
"""Of a bank's file: each is compared with the others of its account, while nobody else enters anything."""

_COPY: Final = f"COPY settlement_lines ({COLUMNS}) FROM STDIN"

# Equal rows are interchangeable, so it does not matter which of them gets which number; that of the first stays.
_NUMBER: Final = """
    UPDATE settlement_lines AS line SET entry_ref = regexp_replace(line.entry_ref, '[0-9]+$', equal.number::text)
    FROM (
        SELECT equal.line, row_number() OVER (PARTITION BY equal.account, equal.entry_ref ORDER BY equal.line) AS number
        FROM settlement_lines AS equal
        JOIN (
            SELECT account, entry_ref FROM settlement_lines WHERE file_id = %(file)s AND is_made
            GROUP BY account, entry_ref HAVING count(*) > 1
        ) AS several USING (account, entry_ref)
        WHERE equal.file_id = %(file)s AND equal.is_made
    ) AS equal
    WHERE line.file_id = %(file)s AND line.line = equal.line AND equal.number > 1
"""

_FAULTS: Final = """
    WITH own AS NOT MATERIALIZED (SELECT * FROM settlement_lines WHERE file_id = %(file)s)
    (SELECT format('lines that are named as another one is: %%s, the first is %%s in line %%s',
        count(*), (array_agg(several.entry_ref ORDER BY several.line))[1], min(several.line))
    FROM (
        SELECT entry_ref, max(line) AS line FROM own WHERE NOT is_made
        GROUP BY account, entry_ref HAVING count(*) > 1
    ) AS several HAVING count(*) > 0)
    UNION ALL
    (SELECT format('lines whose net is not gross less fee: %%s, the first is line %%s', count(*), min(line))
    FROM own WHERE net <> gross - fee HAVING count(*) > 0)
    UNION ALL
    (SELECT format('sections of lines that the file does not have: %%s, the first in line %%s', count(*), min(line))
    FROM (SELECT account, section, min(line) AS line FROM own GROUP BY account, section) AS own
    WHERE NOT EXISTS (
        SELECT FROM jsonb_to_recordset(%(sections)s::jsonb) AS section (account text, name text)
        WHERE section.account = own.account AND section.name = own.section)
    HAVING count(*) > 0)
    UNION ALL
    (SELECT format('payout %%s is listed with two amounts, currencies or accounts', payout.payout_ref)
    FROM jsonb_to_recordset(%(payouts)s::jsonb) AS payout (account text, payout_ref text, amount numeric, currency text)
    GROUP BY payout.account, payout.payout_ref
    HAVING count(DISTINCT (payout.amount, payout.currency)) > 1 LIMIT 1)
    UNION ALL
    (SELECT format('payout %%s is in %%s, and was in %%s before', payout.payout_ref, payout.currency, known.currency)
    FROM jsonb_to_recordset(%(payouts)s::jsonb) AS payout (account text, payout_ref text, currency text)
    JOIN payouts AS known
        ON known.provider = %(provider)s AND known.account = payout.account AND known.payout_ref = payout.payout_ref
    WHERE known.currency <> payout.currency LIMIT 1)
"""

_INSERT: Final = """
    INSERT INTO settlement_files (id, provider, account, name, sha256, form, columns, rows, payouts, sections,
        faults, state)
    VALUES (%(file)s, %(provider)s, %(account)s, %(name)s, %(sha256)s, %(form)s, %(columns)s, %(rows)s, %(payouts)s,
        %(sections)s, %(faults)s, 'held')
"""

# A held file is read again: what is known of it is what the reader of today says.
_AGAIN: Final = """
    UPDATE settlement_files SET form = %(form)s, columns = %(columns)s, rows = %(rows)s, payouts = %(payouts)s,
        sections = %(sections)s, faults = %(faults)s, residues = '[]', updated_at = now()
    WHERE id = %(held)s
"""

_CLEAR: Final = "DELETE FROM settlement_lines WHERE file_id = %(held)s"

_TAKE: Final = "UPDATE settlement_lines SET file_id = %(held)s WHERE file_id = %(file)s"

_SINGLE: Final = "SELECT coalesce(bool_or(is_made), false) FROM settlement_lines WHERE file_id = %(file)s"


def stage(
    cursor: psycopg.Cursor[Any],
    report: Report,
    spool: Spool,
    *,
    file_id: UUID,
    provider: str,
    account: str,
    held: UUID | None = None,
) -> Sequence[str]:
    """Copy the lines and make the file's row; what of it contradicts itself, in words.

    ``held`` names the file of the same bytes that is held already: it takes these lines in place of those that it has.
    ``file_id`` is what the spool calls them by. Equal rows without a name of their own are numbered. To be called
    within a transaction. Raises psycopg.Error, and UnreadableReportError for a bank's file of more statements than
    ``MOST_STATEMENTS``.
    """
    if provider == BANK and len(report.sections) > MOST_STATEMENTS:
        raise UnreadableReportError(f"has {len(report.sections)} statements, more than {MOST_STATEMENTS}: split it")
    with cursor.copy(_COPY) as copy:
        while piece := spool.file.read(PIECE):
            copy.write(piece)
    # Nobody has counted what came a moment ago; each statement after this one is planned by it.
    cursor.execute("ANALYZE settlement_lines")
    values: dict[str, Any] = {
        "file": file_id,
        "provider": provider,
        "account": account,
        "name": report.name,
        "sha256": report.sha256,
        "form": report.form,
        "columns": list(report.columns),
        "rows": spool.rows,
        "payouts": to_json(report.payouts),
        "sections": to_json(report.sections),
    }
    [[has_made]] = cursor.execute(_SINGLE, values).fetchall()
    if has_made:
        cursor.execute(_NUMBER, values)
    faults: Sequence[str] = [*report.faults, *(row[0] for row in cursor.execute(_FAULTS, values))]
    if provider == BANK:
        faults = [*faults, *identify(cursor, file_id, json.loads(values["sections"])).faults]
    values["faults"] = faults
    if held is None:
        cursor.execute(_INSERT, values)
    else:
        for statement in (_CLEAR, _TAKE, _AGAIN):
            cursor.execute(statement, {**values, "held": held})
    return faults
