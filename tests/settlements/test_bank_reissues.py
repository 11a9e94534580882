"""Statements that are issued again, numbered anew, or of two sequences of numbers: none of them is held for that."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import psycopg
import pytest

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlement_words import FileState
from checkout_service.settlements import staging
from tests.conftest import Servers, Sql
from tests.settlements.bank_entries import connect
from tests.settlements.banks.documents import balance, booked, document, statement
from tests.settlements.test_bank_identity import of, put, total


@pytest.fixture
def settlements(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    """Of the role that writes settled money, in autocommit."""
    with connect(servers) as connection:
        yield connection


@pytest.mark.parametrize("number", ["6", "8", "70"])
def test_a_statement_that_is_issued_again_under_another_number_is_known(
    settlements: psycopg.Connection[Any], sql: Sql, number: str
) -> None:
    put(settlements, of("1000", "1010", booked("10", ref="R1"), name="A", number="7"))

    again = put(settlements, of("1000", "1010", booked("10", ref="R1"), name="B", number=number))

    assert (list(again.faults), again.state, again.new, again.known) == ([], FileState.ENTERED, 0, 1)
    assert total(sql) == "10"


def test_one_file_may_have_the_same_statement_under_two_numbers_and_two_sequences(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    def one(opening: str, closing: str, number: str, day: str) -> str:
        amount = str(int(closing) - int(opening))
        return statement(
            balance("OPBD", opening, day=day),
            balance("CLBD", closing, day=day),
            booked(amount, day=day, ref=f"R{opening}"),
            name=f"S{number}",
            number=number,
        )

    content = document(
        one("500", "900", "7", "2026-11-25"),
        one("950", "1000", "7", "2026-11-26"),
        one("1000", "1010", "8", "2026-11-27"),
        one("1000", "1010", "9", "2026-11-27"),
    )
    entered = put(settlements, content)
    assert (list(entered.faults), entered.state, total(sql)) == ([], FileState.ENTERED, "460")

    gap = document(one("7", "8", "70", "2026-10-26"), one("9", "10", "71", "2026-10-27"))
    assert put(settlements, gap).state is FileState.HELD


def test_numbers_of_days_and_of_months_are_two_sequences(settlements: psycopg.Connection[Any], sql: Sql) -> None:
    put(
        settlements,
        of(
            *("500", "1000", booked("500", day="2026-10-02", ref="R0")),
            name="MONTH",
            number="12",
            since="2026-10-01",
            until="2026-10-31",
        ),
    )
    days = [("12", "1000", "1010", "2026-11-26"), ("13", "1010", "1030", "2026-11-27")]
    for number, opening, closing, day in days:
        amount = str(int(closing) - int(opening))
        entered = put(
            settlements,
            of(
                opening,
                closing,
                booked(amount, day=day, ref=f"R{number}"),
                name=day,
                number=number,
                since=day,
                until=day,
            ),
        )
        assert (list(entered.faults), entered.state) == ([], FileState.ENTERED)
    assert total(sql) == "530"


def test_one_account_in_two_currencies_has_two_bookings_of_one_amount(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    for currency in ("EUR", "USD"):
        content = of("1000", "1010", booked("10"), name="S", number="7").replace("EUR", currency)
        entered = put(settlements, content)
        assert (list(entered.faults), entered.new) == ([], 1)
    # And the next of one of them, which is of the number after both.
    nextday = "2026-11-28"
    entered = put(
        settlements,
        of("1010", "1020", booked("10", day=nextday), name="S", number="8", since=nextday, until=nextday).replace(
            "EUR", "USD"
        ),
    )
    assert (list(entered.faults), entered.new, total(sql)) == ([], 1, "30")


def test_what_nobody_could_compare_is_refused(
    settlements: psycopg.Connection[Any], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MOST_STATEMENTS", 1)
    content = of("1000", "1010", booked("10", ref="R1"), name="A")
    assert put(settlements, content).new == 1
    second = statement(balance("OPBD", "1010"), balance("CLBD", "1010"), name="B")
    with pytest.raises(UnreadableReportError, match="has 2 statements, more than 1: split it"):
        put(settlements, content.replace("</BkToCstmrStmt>", f"{second}</BkToCstmrStmt>"))
    assert (total(sql), sql("SELECT count(*) AS n FROM settlement_files")[0].n) == ("10", 1)


def test_many_statements_of_one_file_are_compared_within_seconds(
    settlements: psycopg.Connection[Any], sql: Sql
) -> None:
    day = "2026-11-27"
    statements = [
        statement(
            balance("OPBD", str(number), day=day),
            balance("CLBD", str(number + 1), day=day),
            booked("1", day=day, ref=f"R{number}"),
            name=f"S{number}",
        )
        for number in range(3000)
    ]
    begun = monotonic()
    entered = put(settlements, document(*statements))
    assert monotonic() - begun < 15
    assert (entered.state, entered.new, total(sql)) == (FileState.ENTERED, 3000, "3000")
