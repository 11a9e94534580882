"""Whatever settled money is filtered by, a page goes by an index and looks through a bounded number of rows."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from checkout_service.settlement_words import EntryKind, MatchState, PayoutState, PayoutStatus
from checkout_service.settlements import walking
from checkout_service.settlements.entry_queries import EntryFilters, entries_walk
from checkout_service.settlements.exception_queries import exceptions_of_payout, open_counts, open_exceptions
from checkout_service.settlements.queries import PayoutFilters, payout_of, payouts_walk
from tests.conftest import Sql
from tests.many_rows import plans
from tests.settlements.entered import Books

LARGE = {"balance_entries", "settlement_matches", "payouts"}

ENTRIES = 6000

ENTRY_FILTERS: dict[str, Any] = {
    "payout_id": UUID(int=1),
    "payment_id": UUID(int=2),
    "provider": "stripe",
    "kind": EntryKind.DISPUTE,
    "currency": "EUR",
    "occurred_since": "2020-01-01T00:00:00Z",
    "match_state": MatchState.UNKNOWN_HERE,
    "withdrawn": True,
}

PAYOUT_FILTERS: dict[str, Any] = {
    "provider": "stripe",
    "state": PayoutState.UNMATCHED,
    "status": PayoutStatus.PAID,
    "currency": "EUR",
    "arrival_since": "2020-01-01",
    "reference": "po_1",
}


@pytest.fixture
def payout(books: Books, sql: Sql) -> UUID:
    """A payout among some, with many entries of which each has a match."""
    file = books.file()
    made = [books.payout(f"po_{number}", entries=ENTRIES // 20) for number in range(20)]
    books.run(
        """INSERT INTO balance_entries (provider, account, section, entry_ref, kind, provider_type, gross, fee, net,
            currency, occurred_at, occurred_local, payout_id, payout_ref, about, subject_ref, payment_ref,
            merchant_ref, description, file_id, line)
        SELECT 'stripe', '', '', 'txn_' || number,
            (CASE number %% 9 WHEN 0 THEN 'dispute' ELSE 'capture' END)::balance_entry_kind, 'charge', 1, 0, 1, 'USD',
            now() - number * interval '1 minute', '', (%(payouts)s::uuid[])[1 + number %% 20], '', 'none', '', '', '',
            '', %(file)s, number
        FROM generate_series(1, %(entries)s) AS number RETURNING 1""",
        payouts=made,
        file=file,
        entries=ENTRIES,
    )
    books.run(
        """INSERT INTO settlement_matches (provider, account, entry_id, state, payment_id)
        SELECT provider, account, id,
            (CASE line %% 7 WHEN 0 THEN 'unknown_here' ELSE 'matched' END)::settlement_match_state, uuidv7()
        FROM balance_entries WHERE %(any)s RETURNING 1""",
        any=True,
    )
    sql("ANALYZE balance_entries, settlement_matches, payouts")
    return made[7]


def some(filters: dict[str, Any]) -> list[dict[str, Any]]:
    """None of the filters, each alone, and each two of them."""
    return [dict(chosen) for size in (0, 1, 2) for chosen in combinations(filters.items(), size)]


def test_no_combination_of_filters_reads_or_sorts_a_whole_table(
    app: Flask, payout: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LARGE", LARGE)
    monkeypatch.setattr(plans, "MOST", 2 * walking.LOOKED_THROUGH)
    walks = [
        *(entries_walk(EntryFilters(**given)) for given in some(ENTRY_FILTERS | {"payout_id": payout})),
        *(payouts_walk(PayoutFilters(**given)) for given in some(PAYOUT_FILTERS)),
    ]
    with app.app_context():
        for walk, values in walks:
            with plans.explained() as seen:
                first = walking.find(walk, values, limit=5, cursor=None)
                if first.next_cursor:
                    walking.find(walk, values, limit=5, cursor=first.next_cursor)
            assert seen
            assert not plans.wrong(seen), f"{walk}: {plans.wrong(seen)}"


def test_what_stands_beside_them_goes_by_index(app: Flask, payout: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "LARGE", LARGE)
    with app.app_context(), plans.explained() as seen:
        assert payout_of(payout)
        assert exceptions_of_payout(payout)[0]["count"] > 0
        assert open_counts().by_kind["unknown_here"] == ENTRIES // 7
        assert open_exceptions(MatchState.UNKNOWN_HERE, limit=50, cursor=None).next_cursor
    assert len(seen) >= 5
    assert not plans.wrong(seen), plans.wrong(seen)
