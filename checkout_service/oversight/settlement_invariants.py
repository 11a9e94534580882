"""What must hold of settled money: a payout is what its entries add up to, and what is reconciled needs nobody."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.oversight.promises import Invariant, Limits
from checkout_service.settlement_words import BLOCKING
from checkout_service.settlements.amounts import show_exactly
from checkout_service.terminal import printable

PAGE: Final = 50
"""Payouts of which one statement adds up the entries: one may have hundreds of thousands."""

RECENT: Final = 20
"""Payouts of which a scrape adds them up, the newest among those with FEW entries or fewer."""

FEW: Final = 500

_BLOCKING: Final = ", ".join(f"'{state.value}'" for state in BLOCKING)

# As checkout_service.settlements.payouts sums them: its own line is no part of a payout. A scrape adds up few: one that
# has more than it says differs in their number already.
_SUMMED: Final = """
    CROSS JOIN LATERAL (
        SELECT count(*) AS entries,
            coalesce(sum(entry.gross) FILTER (WHERE entry.currency = payout.currency), 0) AS gross,
            coalesce(sum(entry.fee) FILTER (WHERE entry.currency = payout.currency), 0) AS fee,
            coalesce(sum(entry.net) FILTER (WHERE entry.currency = payout.currency), 0) AS net
        FROM (
            SELECT * FROM balance_entries AS one
            WHERE one.payout_id = payout.id AND one.withdrawn_by IS NULL AND one.kind <> 'payout' {most}
        ) AS entry
    ) AS summed
"""

# A person may have accepted that a payout's lines add up to something else: to this, of a payout of this amount.
_ASTRAY: Final = """
    payout.state IN ('unmatched', 'reconciled') AND payout.net <> payout.amount AND NOT EXISTS (
        SELECT FROM settlement_files AS file
        CROSS JOIN jsonb_to_recordset(file.sections) AS section (account text, name text, of_payout text)
        JOIN jsonb_to_recordset(file.residues)
            AS residue (account text, section text, currency text, expected numeric, found numeric)
            ON residue.account = section.account AND residue.section = section.name
        WHERE file.accepted_by IS NOT NULL AND file.provider = payout.provider
            AND section.account = payout.account AND section.of_payout = payout.payout_ref
            AND residue.currency = payout.currency AND residue.expected = payout.amount AND residue.found = payout.net
        UNION ALL
        SELECT FROM settlement_matches AS accepted
        WHERE accepted.payout_id = payout.id AND accepted.entry_id IS NULL AND accepted.undone_at IS NULL
            AND accepted.state = 'matched' AND accepted.amount_here = payout.amount AND accepted.amount = payout.net)
"""

_OTHERWISE: Final = """
    (payout.entries, payout.gross, payout.fee, payout.net) <> (summed.entries, summed.gross, summed.fee, summed.net)
"""

# Along settlement_matches_open, of which there are few where a payout is reconciled.
_UNSETTLED: Final = f"""
    SELECT entry.payout_id FROM (
        SELECT * FROM settlement_matches AS match
        WHERE match.undone_at IS NULL AND match.resolved_at IS NULL AND match.state IN ({_BLOCKING})
            AND match.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])
        ORDER BY match.state, match.id LIMIT CAST(:limit AS integer)
    ) AS match
    CROSS JOIN LATERAL (SELECT * FROM balance_entries WHERE id = match.entry_id OFFSET 0) AS entry
    JOIN payouts AS payout ON payout.id = entry.payout_id AND payout.state = 'reconciled'
"""  # noqa: S608 (only our own constants)

ADDED_UP: Final = text(f"""
    SELECT payout.id, payout.provider, payout.payout_ref, payout.currency, payout.amount, payout.state::text AS state,
        payout.net, summed.net AS really, {_ASTRAY} AS astray, {_OTHERWISE} AS otherwise
    FROM (
        SELECT * FROM payouts WHERE id > CAST(:after AS uuid) ORDER BY id LIMIT {PAGE}
    ) AS payout {_SUMMED.format(most="")}
    ORDER BY payout.id
""")  # noqa: S608 (only our own constants)

UNSETTLED: Final = text(f"SELECT DISTINCT payout_id FROM ({_UNSETTLED}) AS found")  # noqa: S608 (the same)

COUNT: Final = text(f"""
    SELECT (
        SELECT count(*) FROM (SELECT * FROM payouts ORDER BY id DESC LIMIT CAST(:limit AS integer)) AS payout
        WHERE {_ASTRAY}
    ) + (
        SELECT count(*) FROM (
            SELECT * FROM (SELECT * FROM payouts ORDER BY id DESC LIMIT CAST(:limit AS integer)) AS newest
            WHERE newest.entries <= {FEW} ORDER BY newest.id DESC LIMIT {RECENT}
        ) AS payout {_SUMMED.format(most=f"LIMIT {FEW + 1}")} WHERE {_OTHERWISE}
    ) + (SELECT count(DISTINCT payout_id) FROM ({_UNSETTLED}) AS found)
""")  # noqa: S608 (only our own constants)


class _AddedUp(NamedTuple):
    id: UUID
    provider: str
    payout_ref: str
    currency: str
    amount: Decimal
    state: str
    net: Decimal
    really: Decimal
    astray: bool
    otherwise: bool


def _astray(_: Limits) -> Iterator[str]:
    after = UUID(int=0)
    while rows := [_AddedUp(*row) for row in execute(ADDED_UP, {"after": after})]:
        for row in rows:
            name = f"payout {row.id} ({printable(row.provider)} {printable(row.payout_ref)})"
            amount, net, really = (show_exactly(each, row.currency) for each in (row.amount, row.net, row.really))
            if row.otherwise:
                yield f"{name}: its entries add up to {really} {row.currency}, it says {net}; or their number differs"
            if row.astray:
                yield f"{name} is {row.state}, of {amount} {row.currency}, and adds up to {net}"
        after = rows[-1].id
    for (payout_id,) in execute(UNSETTLED, {"limit": 100_000}):
        yield f"payout {payout_id} is reconciled, and a line of it needs a person"


SETTLEMENT_INVARIANTS: Final = (
    Invariant(
        name="entries_make_payout",
        promise="a payout's entries add up to it once it is matched, its sums are theirs, and reconciled needs nobody",
        remedy="Somebody else wrote entries, matches or payouts: find out who may write. `settlements show PAYOUT` has "
        "what it is made of; its report imported again computes it anew where a line of it changed.",
        find=_astray,
        count=COUNT,
    ),
)
