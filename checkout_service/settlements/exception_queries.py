"""Reads of what needs a person: matches that are open, one by one and as events tell of them; files that are held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.settlement_words import EXCEPTIONS, EntryKind, FileState, MatchState, PayoutState
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.walking import Found, Walk, both, conditions, find

LOOKED_AT: Final = 20_000
"""Entries of a payout, the newest, among which its open exceptions are looked for."""

GROUPS: Final = 100
"""Groups of exceptions that a payout is shown with."""

HELD_SHOWN: Final = 100
"""Files that are held on a page, the newest."""

_IS_OPEN: Final = """
    match.undone_at IS NULL AND match.resolved_at IS NULL
    AND match.state <> ALL ('{matched,not_ours}'::settlement_match_state[])
"""

_THERE: Final = f"CASE WHEN kind = '{EntryKind.FEE.value}' THEN net ELSE gross END"
"""What a line is compared by: what a customer paid or got; of a fee, what it takes."""

# As settlement_exceptions_of groups them (migrations/settlements/events.sql): those of one transaction have its moment.
# Each entry's along the index of matches by their entry; a bank's, and what has none, by the payout.
_of_payout: Final = Statement(f"""
    WITH open AS MATERIALIZED (
        SELECT match.*, entry.currency AS entry_currency, entry.there
        FROM (
            SELECT id, currency, {_THERE} AS there FROM balance_entries WHERE payout_id = CAST(:id AS uuid)
            ORDER BY id DESC LIMIT {LOOKED_AT}
        ) AS entry
        CROSS JOIN LATERAL (
            SELECT * FROM settlement_matches AS match
            WHERE match.entry_id = entry.id AND match.entry_id IS NOT NULL AND {_IS_OPEN} OFFSET 0
        ) AS match
        UNION ALL
        SELECT match.*, entry.currency, {_THERE}
        FROM (
            SELECT * FROM settlement_matches AS match
            WHERE match.payout_id = CAST(:id AS uuid) AND {_IS_OPEN} ORDER BY match.id DESC LIMIT {LOOKED_AT}
        ) AS match
        LEFT JOIN LATERAL (SELECT * FROM balance_entries WHERE id = match.entry_id OFFSET 0) AS entry ON true
        WHERE entry.payout_id IS DISTINCT FROM CAST(:id AS uuid)
    )
    SELECT one.*, first.detail
    FROM (
        SELECT min(match.id::text COLLATE "C")::uuid AS id, match.state::text AS state, match.provider, match.account,
            count(*) AS number,
            sum(CASE WHEN match.entry_id IS NULL THEN match.amount_here WHEN match.provider = 'bank' THEN match.amount
                ELSE match.there END) AS amount,
            coalesce(match.entry_currency, match.currency_here, match.currency) AS currency,
            CASE WHEN count(match.payment_id) = count(*)
                AND min(match.payment_id::text COLLATE "C") = max(match.payment_id::text COLLATE "C")
                THEN min(match.payment_id::text COLLATE "C") END AS payment_id, match.created_at
        FROM open AS match
        GROUP BY match.state, match.provider, match.account, match.created_at,
            coalesce(match.entry_currency, match.currency_here, match.currency)
    ) AS one
    JOIN settlement_matches AS first ON first.id = one.id
    ORDER BY one.id LIMIT {GROUPS}
""")  # noqa: S608 (only our own constants)

_COLUMNS: Final = """
    made.id, made.state::text AS state, made.provider, made.account, made.entry_id, made.subject::text AS subject,
    made.payment_id, made.amount, made.currency, made.amount_here, made.currency_here, made.differs, made.detail,
    made.created_at, payout.id AS payout_id, payout.payout_ref, entry.entry_ref, entry.subject_ref, entry.payment_ref,
    entry.merchant_ref, entry.kind::text AS entry_kind
"""

_JOIN: Final = """
    LEFT JOIN balance_entries AS entry ON entry.id = made.entry_id
    LEFT JOIN payouts AS payout ON payout.id = coalesce(made.payout_id, entry.payout_id)
"""

_CONDITIONS: Final = {
    "provider": "made.provider = CAST(:provider AS text)",
    "payout_id": """CAST(:payout_id AS uuid) IN (
        made.payout_id, (SELECT payout_id FROM balance_entries WHERE id = made.entry_id))""",
}

_held: Final = Statement(f"""
    SELECT id, provider, account, name, form, rows, residues, faults, created_at FROM settlement_files
    WHERE state = '{FileState.HELD.value}' ORDER BY created_at DESC LIMIT {HELD_SHOWN}
""")  # noqa: S608 (only our own constants)


COUNTED: Final = 10_000
"""Rows of a kind that are counted at most: more of them are no other news."""

OPEN_FOR_LONG: Final = 7
"""Days without a change after which a payout that is open needs a person; deploy/observability/rules has them too."""

LOOKED_AT_FIRST: Final = 1_000
"""Open exceptions of a kind whose age is looked at: those with the smallest ids, which are the oldest."""

_COUNT: Final = f"""
    SELECT '{{state}}' AS kind,
        (SELECT count(*) FROM (SELECT FROM settlement_matches AS match
            WHERE {_IS_OPEN} AND match.state = '{{state}}' LIMIT {COUNTED}) AS counted) AS number,
        (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM (
            SELECT created_at FROM settlement_matches AS match
            WHERE {_IS_OPEN} AND match.state = '{{state}}' ORDER BY id LIMIT {LOOKED_AT_FIRST}) AS first) AS age
""".replace("{matched,not_ours}", "{{matched,not_ours}}")  # noqa: S608 (only our own constants)

# Each kind along settlement_matches_open, and payouts along payouts_state. A fee of no payment is nobody's haste, and a
# payout that nobody can list waits for its account's balance, not for its lines.
COUNTS: Final = f"""
    WITH open_payouts AS MATERIALIZED (
        SELECT updated_at FROM (
            SELECT itemized, updated_at FROM payouts WHERE state = '{PayoutState.OPEN.value}'
            ORDER BY id LIMIT {COUNTED}) AS first
        WHERE itemized
    )
    SELECT jsonb_object_agg(kind, number) AS counts,
        coalesce(max(age) FILTER (WHERE kind <> '{MatchState.UNOWNED_FEE.value}'), 0) AS oldest,
        (SELECT count(*) FROM (SELECT FROM payouts WHERE state IN ('open', 'unmatched') LIMIT {COUNTED}) AS counted)
            AS open_payouts,
        (SELECT count(*) FROM open_payouts WHERE updated_at < now() - interval '{OPEN_FOR_LONG} days') AS open_for_long,
        (SELECT coalesce(extract(epoch FROM now() - min(updated_at))::float8, 0) FROM open_payouts)
            AS oldest_open_payout
    FROM (
        {" UNION ALL ".join(_COUNT.format(state=state.value) for state in EXCEPTIONS)}
        UNION ALL SELECT 'held', (SELECT count(*) FROM (SELECT FROM settlement_files
            WHERE state = '{FileState.HELD.value}' LIMIT {COUNTED}) AS counted), NULL
    ) AS each
"""  # noqa: S608 (only our own constants)

_counts: Final = Statement(COUNTS)


class OpenCounts(NamedTuple):
    """How many exceptions are open of each kind, held files among them, up to ``COUNTED`` of each.

    ``oldest`` is the age in seconds of the oldest that needs a person, 0 where there is none; ``open_payouts`` counts
    payouts that have not come out even. Of itemized payouts that are open, ``open_for_long`` counts those that nothing
    changed for ``OPEN_FOR_LONG`` days, and ``oldest_open_payout`` is the longest time in seconds without a change.
    """

    by_kind: dict[str, int]
    oldest: float
    open_payouts: int
    open_for_long: int
    oldest_open_payout: float


def open_counts() -> OpenCounts:
    """The counts, by one statement. Raises DatabaseUnavailableError."""
    [row] = execute(_counts, {})
    return OpenCounts(row.counts, row.oldest, row.open_payouts, row.open_for_long, row.oldest_open_payout)


class OpenException(NamedTuple):
    """An exception that nobody settled. ``amount`` is what is there, ``amount_here`` what we have, each with its
    currency. What has no entry is missing there. The four names are those that its entry has at the provider.
    """

    id: UUID
    state: str
    provider: str
    account: str
    entry_id: UUID | None
    subject: str
    payment_id: UUID | None
    amount: Decimal | None
    currency: str | None
    amount_here: Decimal | None
    currency_here: str | None
    differs: list[str]
    detail: str
    created_at: datetime
    payout_id: UUID | None
    payout_ref: str | None
    entry_ref: str | None
    subject_ref: str | None
    payment_ref: str | None
    merchant_ref: str | None
    entry_kind: str | None


class HeldFile(NamedTuple):
    """A file that does not prove itself. ``residues`` say what is lacking or too much, by section and currency."""

    id: UUID
    provider: str
    account: str
    name: str
    form: str
    rows: int
    residues: list[dict[str, Any]]
    faults: list[str]
    created_at: datetime


def exceptions_of_payout(payout_id: UUID) -> list[dict[str, Any]]:
    """Its open exceptions as events tell of them: one for each kind, currency and transaction that found some.

    They are looked for among its newest ``LOOKED_AT`` entries. Raises DatabaseUnavailableError.
    """
    return [
        {
            "id": str(row.id),
            "kind": row.state,
            "provider": row.provider,
            "account": row.account or None,
            "payout_id": str(payout_id),
            "count": row.number,
            "amount": None if row.amount is None else show_exactly(row.amount, row.currency or ""),
            "currency": row.currency,
            "payment_id": row.payment_id,
            "detail": row.detail or None,
            "created_at": show_time(row.created_at),
        }
        for row in execute(_of_payout, {"id": payout_id})
    ]


def open_exceptions(
    kind: MatchState, *, provider: str | None = None, payout_id: UUID | None = None, limit: int, cursor: str | None
) -> Found:
    """Those of one kind that nobody settled, the newest first: rows that ``OpenException`` names.

    They are narrowed to those of a provider, and of a payout.

    Raises BadCursorError and DatabaseUnavailableError.
    """
    # As a constant, since the index is partial.
    source = f"""settlement_matches AS made WHERE made.state = '{kind.value}' AND made.undone_at IS NULL
        AND made.resolved_at IS NULL AND made.state <> ALL ('{{matched,not_ours}}'::settlement_match_state[])"""
    given = {"provider": provider, "payout_id": payout_id}
    rest = both(conditions(given, _CONDITIONS))
    found = find(Walk(source, rest, _COLUMNS, joins=_JOIN), given, limit=limit, cursor=cursor)
    # Before a row's own columns stand what was looked through and the place.
    return Found([OpenException(*row[4:]) for row in found.rows], found.next_cursor)


def held_files() -> Sequence[HeldFile]:
    """The newest files that are held. Raises DatabaseUnavailableError."""
    return [HeldFile(*row) for row in execute(_held, {})]
