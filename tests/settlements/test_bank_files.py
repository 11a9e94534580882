"""Statements as files: read, proved, entered and matched with payouts, in either format and again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from typing import Any

import psycopg
import pytest

from checkout_service.settlement_words import BANK, FileState
from checkout_service.settlements.banks.reading import read_statement
from checkout_service.settlements.entering import enter
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import at_bank, connect, enter_payouts, payout, states
from tests.settlements.banks.documents import booked, mt940
from tests.settlements.banks.samples import DUTCH, PAYOUTS_OF_08

FRIDAY = date(2026, 11, 27)


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


def enter_file(connection: psycopg.Connection[Any], content: str) -> Any:
    report = read_statement(BytesIO(content.encode()), name="statement", account="")
    return enter(connection, report, provider=BANK, account="")


def test_a_statement_says_which_payouts_came(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_payouts(
        settlements,
        [
            payout("41", "90.09", "TX900000000041XT batch 41, TulipShopECOM", on=FRIDAY),
            payout("stl", "159.91", "0000001.2611.27", on=FRIDAY),
            payout("po", "49.70", on=FRIDAY),
        ],
    )
    entered = enter_file(settlements, PAYOUTS_OF_08)
    assert (entered.state, entered.new, entered.known) == (FileState.ENTERED, 5, 0)
    assert states(sql) == {
        ("TX900000000041XT batch 41, Tulip", "41"): "matched",
        ("0000001.2611.27", "stl"): "matched",
        ("TULIP SHOP | MADEUP-E2E-1", "po"): "proposed",
        ("", None): "not_ours",
        ("an earlier credit taken back", None): "not_ours",
    }
    assert at_bank(sql) == {"41": "90.09", "stl": "159.91", "po": None}


def test_the_same_entries_in_the_other_format_are_known(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    enter_file(settlements, PAYOUTS_OF_08)
    entered = enter_file(settlements, DUTCH)
    assert (entered.state, entered.new, entered.known, entered.withdrawn) == (FileState.ENTERED, 0, 2, 0)
    assert sql("SELECT count(*) FROM balance_entries")[0].count == 5


def test_equal_entries_of_a_day_are_two_and_come_once(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    entries = [":61:2611271127C5,00NTRFNONREF//SAME"] * 2
    more = ":61:2611271127C1,00NTRFNONREF//OTHER"
    assert enter_file(settlements, mt940(*entries, closing="C261127EUR1010,00")).new == 2
    entered = enter_file(settlements, mt940(*entries, more, closing="C261127EUR1011,00"))
    assert (entered.new, entered.known) == (1, 2)
    assert sql("SELECT sum(net)::text AS net FROM balance_entries WHERE withdrawn_by IS NULL")[0].net == "11.00"


def test_a_statement_that_does_not_add_up_is_held_and_matches_nothing(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    enter_payouts(settlements, [payout("41", "90.09", "TX900000000041XT", on=FRIDAY)])
    entered = enter_file(settlements, PAYOUTS_OF_08.replace("</Stmt>", f"{booked('0.01')}</Stmt>"))
    assert entered.state is FileState.HELD
    assert [(each.currency, str(each.found - each.expected)) for each in entered.residues] == [("EUR", "0.01")]
    assert (states(sql), at_bank(sql)) == ({}, {"41": None})
    assert enter_file(settlements, PAYOUTS_OF_08).state is FileState.ENTERED
    assert at_bank(sql) == {"41": "90.09"}
    assert {row.state for row in sql("SELECT state FROM settlement_files WHERE provider = 'bank'")} == {
        "entered",
        "superseded",
    }
