"""Proves a file by itself, before anything of it is entered: each section adds up to what it says, by currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.settlements.entered import Residue

MOST: Final = 1000
"""Residues of a file that are kept. Where more sections do not add up, they are of another kind of file."""

# A payout's own line is no part of what it is made of; where an account is listed as a whole it counts like any other.
# A payout's amount is looked for in the same file, then among those that are known.
_PROVE: Final = """
    WITH file AS (
        SELECT provider, payouts, sections FROM settlement_files WHERE id = %(file)s
    ), section AS (
        SELECT section.* FROM file, jsonb_to_recordset(file.sections)
            AS section (account text, name text, rule text, expected jsonb, of_payout text, rows bigint)
    ), listed AS (
        SELECT DISTINCT payout.account, payout.payout_ref, payout.amount, payout.currency
        FROM file, jsonb_to_recordset(file.payouts)
            AS payout (account text, payout_ref text, amount numeric, currency text)
    ), expected AS (
        SELECT section.account, section.name, amount.key AS currency, amount.value::numeric AS net
        FROM section, jsonb_each_text(
            CASE WHEN jsonb_typeof(section.expected) = 'object' THEN section.expected ELSE '{}' END) AS amount
        WHERE section.of_payout = ''
        UNION ALL
        SELECT section.account, section.name, listed.currency, listed.amount
        FROM section JOIN listed ON listed.account = section.account AND listed.payout_ref = section.of_payout
        WHERE section.of_payout <> ''
        UNION ALL
        SELECT section.account, section.name, known.currency::text, known.amount
        FROM section CROSS JOIN file JOIN payouts AS known ON known.provider = file.provider
            AND known.account = section.account AND known.payout_ref = section.of_payout
        WHERE section.of_payout <> '' AND NOT EXISTS (
            SELECT FROM listed WHERE listed.account = section.account AND listed.payout_ref = section.of_payout)
    ), summed AS (
        SELECT account, section AS name, currency::text, sum(net) AS net,
            sum(net) FILTER (WHERE kind <> 'payout') AS net_without_payout, count(*) AS rows
        FROM settlement_lines WHERE file_id = %(file)s GROUP BY account, section, currency
    ), found AS (
        SELECT summed.account, summed.name, summed.currency,
            CASE WHEN section.of_payout = '' THEN summed.net ELSE coalesce(summed.net_without_payout, 0) END AS net
        FROM summed JOIN section USING (account, name)
        WHERE section.of_payout <> '' OR jsonb_typeof(section.expected) = 'object'
    )
    SELECT account, name, currency, expected.net AS expected, coalesce(found.net, 0) AS found, section.rule
    FROM expected FULL JOIN found USING (account, name, currency) JOIN section USING (account, name)
    WHERE found.net IS DISTINCT FROM expected.net AND NOT (found.net IS NULL AND expected.net = 0)
    UNION ALL
    -- It is made of lines of a payout that nobody knows, and has none.
    SELECT section.account, section.name, '', NULL, 0, section.rule
    FROM section WHERE section.of_payout <> ''
        AND NOT EXISTS (SELECT FROM expected WHERE (expected.account, expected.name) = (section.account, section.name))
        AND NOT EXISTS (SELECT FROM found WHERE (found.account, found.name) = (section.account, section.name))
    UNION ALL
    SELECT section.account, section.name, '', section.rows, coalesce(counted.rows, 0), 'how many rows it has'
    FROM section LEFT JOIN (
        SELECT account, name, sum(rows) AS rows FROM summed GROUP BY account, name
    ) AS counted USING (account, name)
    WHERE section.rows <> coalesce(counted.rows, 0)
    ORDER BY 1, 2, 3
    LIMIT %(most)s
"""


def prove(cursor: psycopg.Cursor[Any], file_id: UUID, *, most: int | None = MOST) -> Sequence[Residue]:
    """What the file's sections lack or have too much, by account, section and currency; none where it proves itself.

    The first ``most`` of them; all where it is None. Raises psycopg.Error.
    """
    return [
        Residue(
            account=account,
            section=name,
            currency=currency,
            expected=None if expected is None else Decimal(expected),
            found=Decimal(found),
            rule=rule,
        )
        for account, name, currency, expected, found, rule in cursor.execute(_PROVE, {"file": file_id, "most": most})
    ]
