"""Lines about payments that other lines told of already, in pieces: as one by one, and without reading tables whole."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
import pytest

from benchmarks.settlements import report_of, second_report_of, seeded
from checkout_service.settlement_words import MatchState
from checkout_service.settlements import matching
from checkout_service.settlements.entering import enter
from tests.conftest import Sql
from tests.settlements.entering.reports import dump
from tests.settlements.entering.test_any_order import EMPTY

Settlements = psycopg.Connection[Any]


def seed(sql: Sql, count: int) -> None:
    for statement in seeded(count):
        sql(statement)
    # As autovacuum has in life. It may have come between two tests, when there was nothing.
    sql("ANALYZE payments, captures, refunds")


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_however_large_a_piece_is_the_same_comes_of_the_same_lines(
    settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    seed(sql, 30)
    found = []
    for pieces, makers in ((1000, (second_report_of, report_of)), (piece, (report_of, second_report_of))):
        monkeypatch.setattr(matching, "PIECE", pieces)
        for table in EMPTY:
            sql(f"DELETE FROM {table}")
        entered = [enter(settlements, make(30), provider="stripe", account="") for make in makers]
        found.append(dump(sql))

    assert found[1] == found[0]
    # A third takes something back: such a capture differs, and what was said of its first line is another by now.
    assert entered[1].by_state == {MatchState.MATCHED: 20, MatchState.DIFFERS: 10}
    assert sql("SELECT count(*) AS n FROM settlement_matches WHERE undone_at IS NOT NULL")[0].n == 10


def test_a_match_that_a_person_made_stays_and_no_other_takes_its_place(settlements: Settlements, sql: Sql) -> None:
    seed(sql, 3)
    enter(settlements, report_of(3), provider="stripe", account="")
    sql("UPDATE settlement_matches SET undone_at = now(), undone_why = 'tried'")
    sql(
        """INSERT INTO settlement_matches (provider, account, entry_id, payment_id, state, made_by, made_why)
        SELECT entry.provider, entry.account, entry.id, known.payment_id, 'not_ours', 'ada', 'of another shop'
        FROM balance_entries AS entry JOIN settlement_matches AS known ON known.entry_id = entry.id"""
    )
    enter(settlements, second_report_of(3), provider="stripe", account="")

    current = sql(
        """SELECT entry.entry_ref, known.state::text AS state FROM settlement_matches AS known
        JOIN balance_entries AS entry ON entry.id = known.entry_id
        WHERE known.undone_at IS NULL AND entry.entry_ref NOT LIKE '%second%'"""
    )
    assert sorted(tuple(row) for row in current) == [(f"txn_settled_{number}", "not_ours") for number in range(3)]


def test_no_piece_reads_a_table_whole(settlements: Settlements, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "PIECE", 20)
    seed(sql, 1000)
    enter(settlements, report_of(1000), provider="stripe", account="")
    before = scans(settlements)

    enter(settlements, second_report_of(1000), provider="stripe", account="")

    # A rule over the whole file may, and what other connections did a moment ago is counted late. There are 50 pieces.
    read = [after - scans_before for after, scans_before in zip(scans(settlements), before, strict=True)]
    assert max(read) < 40, read


def test_an_import_that_was_rolled_back_makes_the_next_one_no_slower(settlements: Settlements, sql: Sql) -> None:
    """Vacuum finds nothing alive then, and the planner believes that it stays so: it would read all for each line."""
    seed(sql, 1000)
    with suppress(InterruptedError), settlements.transaction():
        enter(settlements, report_of(1000), provider="stripe", account="")
        raise InterruptedError
    for table in ("balance_entries", "settlement_matches", "payouts"):
        sql(f"VACUUM (TRUNCATE FALSE) {table}")
    before = read_by_indexes(settlements)

    enter(settlements, report_of(1000), provider="stripe", account="")
    enter(settlements, second_report_of(1000), provider="stripe", account="")

    assert read_by_indexes(settlements) - before < 100_000


def read_by_indexes(settlements: Settlements) -> int:
    """How many rows of the indexes of entries and matches were read so far."""
    settlements.execute("SELECT pg_stat_force_next_flush()")
    settlements.execute("SELECT 1")
    found = settlements.execute(
        """SELECT sum(idx_tup_read) FROM pg_stat_user_indexes
        WHERE relname IN ('balance_entries', 'settlement_matches')"""
    ).fetchone()
    assert found is not None
    return int(found[0])


def scans(settlements: Settlements) -> list[int]:
    """How often each table was read whole so far."""
    settlements.execute("SELECT pg_stat_force_next_flush()")
    settlements.execute("SELECT 1")
    return [
        number
        for (number,) in settlements.execute(
            """SELECT seq_scan FROM pg_stat_user_tables
            WHERE relname IN ('balance_entries', 'settlement_matches', 'captures', 'refunds', 'payments')
            ORDER BY relname"""
        )
    ]
