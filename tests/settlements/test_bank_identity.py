"""The same booking in several statements is entered once, and two bookings that look alike are two, or it is held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import BANK, FileState
from checkout_service.settlements.banks.reading import read_statement
from checkout_service.settlements.entering import accept, enter
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import at_bank, connect, enter_payouts, payout
from tests.settlements.banks.documents import balance, booked, detail, document, mt940, statement

NAMED = "TX900000000041XT batch 41"
FRIDAY = "2026-11-27"


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


def put(connection: psycopg.Connection[Any], content: str) -> Any:
    report = read_statement(BytesIO(content.encode()), name="statement", account="")
    return enter(connection, report, provider=BANK, account="")


def of(
    opening: str, closing: str, *entries: str, name: str = "S", since: str = FRIDAY, until: str = FRIDAY, **more: str
) -> str:
    """A document of one statement."""
    return document(
        statement(balance("OPBD", opening, day=since), balance("CLBD", closing, day=until), *entries, name=name, **more)
    )


def total(sql: Sql) -> str:
    [row] = sql("SELECT coalesce(sum(net), 0)::text AS net FROM balance_entries WHERE withdrawn_by IS NULL")
    return str(row.net)


def test_statements_of_one_name_take_nothing_from_each_other(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    first = of("1000", "1010", booked("10", ref="R1"))
    assert put(settlements, first).new == 1
    entered = put(settlements, of("1010", "1030", booked("20", ref="R2")))
    assert (entered.new, entered.withdrawn, total(sql)) == (1, 0, "30")


@pytest.mark.parametrize("ref", ["", "R1"])
@pytest.mark.parametrize("is_daily_first", [True, False])
def test_a_day_and_its_month_are_entered_once(
    settlements: psycopg.Connection[Any], sql: Sql, ref: str, is_daily_first: bool
) -> None:
    enter_payouts(settlements, [payout("41", "90.09", NAMED, on=date(2026, 11, 27))])
    entry = booked("90.09", ref=ref, more=NAMED)
    daily = of("1000", "1090.09", entry, name="DAY")
    monthly = of(
        "500",
        "1095.09",
        booked("500", day="2026-11-02", ref=ref and "R0"),
        entry,
        booked("5", day="2026-11-30", ref=ref and "R2"),
        name="MONTH",
        since="2026-11-01",
        until="2026-11-30",
    )
    files = [daily, monthly] if is_daily_first else [monthly, daily]
    assert {put(settlements, content).state for content in files} == {FileState.ENTERED}
    assert (at_bank(sql), total(sql)) == ({"41": "90.09"}, "595.09")


def test_a_statement_of_another_id_and_format_changes_nothing(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    put(settlements, of("1000", "1090.09", booked("90.09", more=NAMED), name="A"))
    for again in (
        of("1000", "1090.09", booked("90.09", more=NAMED), name="B"),
        mt940(":61:261128C90,09NTRFNONREF//R7", opening="C261126EUR1000,00", closing="C261127EUR1090,09"),
    ):
        entered = put(settlements, again)
        assert (entered.state, entered.new, entered.known) == (FileState.ENTERED, 0, 1)
    assert total(sql) == "90.09"


@pytest.mark.parametrize("ref", ["", "R1"])
def test_a_second_booking_that_looks_alike_is_entered(settlements: psycopg.Connection[Any], sql: Sql, ref: str) -> None:
    for opening, closing in (("1000", "1010"), ("1010", "1020")):
        assert put(settlements, of(opening, closing, booked("10", ref=ref), name=opening)).new == 1
    # The whole day has both of them.
    entered = put(settlements, of("1000", "1020", booked("10", ref=ref) * 2, name="DAY"))
    assert (entered.state, entered.new, entered.known, total(sql)) == (FileState.ENTERED, 0, 2, "20")


def test_where_nothing_says_which_it_is_the_file_is_held(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    put(settlements, of("1000", "1010", booked("10"), name="A"))
    held = put(settlements, of("1015", "1025", booked("10"), name="B"))
    assert (held.state, held.residues) == (FileState.HELD, [])
    assert "may be those of A 2026-11-27" in held.faults[0]
    assert total(sql) == "10"
    entered = accept(settlements, held.file_id, operator="ann", why="two of them")
    assert (entered.new, total(sql)) == (1, "20")


def test_what_came_before_has_to_be_found_in_a_statement_that_brings_more(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    put(settlements, of("1000", "1010", booked("10", ref="R1"), name="A"))
    held = put(settlements, of("1000", "1015", booked("10"), booked("5"), name="B"))
    assert held.state is FileState.HELD
    assert "they may be named otherwise" in held.faults[0]
    assert total(sql) == "10"


@pytest.mark.parametrize("has_details_first", [True, False])
def test_an_entry_is_one_with_its_details_and_without(
    settlements: psycopg.Connection[Any], sql: Sql, has_details_first: bool
) -> None:
    enter_payouts(settlements, [payout("41", "90.09", NAMED, on=date(2026, 11, 27))])
    parts = detail("90.09", text=NAMED) + detail("10.00", text="other")
    files = [
        of("1000", "1100.09", booked("100.09", ref="R1", details=parts), name="A"),
        of("1000", "1101.09", booked("100.09", ref="R1", more="batch"), booked("1", ref="R2"), name="B"),
    ]
    for content in files if has_details_first else reversed(files):
        assert put(settlements, content).state is FileState.ENTERED
    assert total(sql) == "101.09"
    assert at_bank(sql) == {"41": "90.09" if has_details_first else None}


def test_equal_entries_with_details_are_two_and_come_once(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    one = booked("5", ref="R1", details=detail("2", text="a") + detail("3", text="b"))
    assert put(settlements, of("0", "10", one * 2, name="A")).new == 4
    entered = put(settlements, of("0", "15", one * 3, name="B"))
    assert (entered.new, entered.known, total(sql)) == (2, 4, "15")


def test_a_value_day_in_place_of_a_day_of_booking_is_the_same_entry(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    put(settlements, of("1000", "1010", booked("10", ref="R1")))
    entered = put(
        settlements,
        mt940(
            ":61:261128C10,00NTRFNONREF//R1",
            ":61:261128C5,00NTRFNONREF//R2",
            opening="C261126EUR1000,00",
            closing="C261127EUR1015,00",
        ),
    )
    assert (entered.new, entered.known, total(sql)) == (1, 1, "15.00")


def test_a_gap_between_files_of_numbers_in_a_row_is_held(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    put(settlements, of("1000", "1010", booked("10", ref="R1"), name="A", number="7"))
    nextday = "2026-11-28"
    held = put(
        settlements,
        of("5000", "5010", booked("10", ref="R2", day=nextday), name="B", number="8", since=nextday, until=nextday),
    )
    assert held.state is FileState.HELD
    assert "does not open in EUR with what A 2026-11-27 closed with" in held.faults[0]
    assert total(sql) == "10"


def test_a_statement_that_proves_itself_takes_the_place_of_the_held_one_of_its_balances_alone(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    held = put(settlements, of("1000", "1010", booked("9", ref="R1")))
    assert held.state is FileState.HELD
    put(settlements, of("1010", "1030", booked("20", ref="R2")))
    assert [row.state for row in sql("SELECT state FROM settlement_files ORDER BY id")] == ["held", "entered"]
    put(settlements, of("1000", "1010", booked("10", ref="R1")))
    assert [row.state for row in sql("SELECT state FROM settlement_files ORDER BY id")] == [
        "superseded",
        "entered",
        "entered",
    ]
