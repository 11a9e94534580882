"""Payouts of an amount are looked for in pieces of the entries, and the same comes of however large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import MatchState
from checkout_service.settlements import bank_matching
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import connect, enter_payouts, enter_statement, entry, payout
from tests.settlements.test_bank_matching import ADYEN, MOLLIE

ENTRIES = [
    # One payout by two entries, and one that a text names and an amount alone may be as well.
    *(entry("60.00", ADYEN), entry("50.00", "a"), entry("40.00", f"{ADYEN} b"), entry("100.00", "no name")),
    # Two entries that may be the same two payouts, and one that the descriptor tells.
    *(entry("50.00", "b"), entry("70.00", "from the ROSE SHOP"), entry("-20.00", f"back {MOLLIE}")),
    *(entry("20.00", MOLLIE), entry("5.00", "c"), entry("30.00", "TX900000000042XT")),
]


@pytest.fixture
def enter_in_pieces(
    servers: Servers,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    _empty_tables: Callable[[], None],
) -> Iterator[Callable[[int], list[Any]]]:
    """Enters the same files with pieces of a size; all rows of matches and payouts after each, also those undone."""
    with connect(servers) as connection:

        def enter(piece: int) -> list[Any]:
            monkeypatch.setattr(bank_matching, "PIECE", piece)
            _empty_tables()
            return list(_rows_after_each(connection, sql))

        yield enter


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_however_large_a_piece_is_the_same_rows_come_of_it(
    enter_in_pieces: Callable[[int], list[Any]], piece: int
) -> None:
    as_one = enter_in_pieces(1000)
    assert {row[3] for row in as_one[0][0]} == {
        *(MatchState.MATCHED, MatchState.DIFFERS, MatchState.PROPOSED, MatchState.NOT_OURS)
    }
    assert as_one[0] != as_one[1] != as_one[2]
    assert enter_in_pieces(piece) == as_one


def _rows_after_each(connection: psycopg.Connection[Any], sql: Sql) -> Iterator[tuple[Any, ...]]:
    enter_payouts(
        connection,
        [
            *(payout("one", "100.00", ADYEN), payout("two", "50.00"), payout("three", "50.00")),
            *(payout("four", "20.00", MOLLIE), payout("red", "70.00", descriptor="ROSE SHOP")),
            *(payout("white", "70.00"), payout("five", "31.00", "TX900000000042XT")),
        ],
    )
    enter_statement(connection, ENTRIES, complete=True)
    yield _rows(sql)
    enter_statement(connection, [each for each in ENTRIES if each != ENTRIES[2]], complete=True)
    yield _rows(sql)
    enter_payouts(connection, [payout("six", "5.00"), payout("seven", "50.00", "TX900000000077XT")])
    yield _rows(sql)


def _rows(sql: Sql) -> tuple[list[Any], list[Any]]:
    matches = sql(
        """SELECT entry.net, entry.description, payout.payout_ref, known.state::text AS state, known.amount,
            known.currency, known.amount_here, known.currency_here, known.differs::text AS differs, known.detail,
            known.undone_at IS NOT NULL AS is_undone, known.undone_why
        FROM settlement_matches AS known JOIN balance_entries AS entry ON entry.id = known.entry_id
        LEFT JOIN payouts AS payout ON payout.id = known.payout_id"""
    )
    payouts = sql("SELECT payout_ref, state::text AS state, amount_at_bank, exceptions, version FROM payouts")
    return sorted(map(tuple, matches), key=str), sorted(map(tuple, payouts), key=str)
