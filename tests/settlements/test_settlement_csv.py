"""Payouts and entries as CSV: all that the filters let through, complete, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.server import downloads
from checkout_service.settlements import export, routes, walking
from checkout_service.settlements.export import ENTRY_HEADER, PAYOUT_HEADER
from checkout_service.settlements.schemas import EntrySchema, PayoutSchema
from tests.conftest import Customer, Statements
from tests.refunding import staff_of
from tests.settlements.entered import Books

PAYOUTS = "/api/admin/payouts.csv"
ENTRIES = "/api/admin/balance-entries.csv"


def rows(reader: Customer, path: str, **query: Any) -> list[dict[str, str]]:
    answer = reader.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.text.endswith("\r\n")
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    if path == PAYOUTS:
        assert int(answer.headers["Content-Length"]) == len(answer.data)
        return found
    assert "Content-Length" not in answer.headers
    last = found.pop()
    assert (last["id"], last["provider"]) == ("end", str(len(found)))
    assert set(last.values()) == {"end", str(len(found)), ""}
    return found


def test_the_columns_are_the_members_of_the_lists() -> None:
    assert set(PAYOUT_HEADER) == PayoutSchema().fields.keys()
    assert set(ENTRY_HEADER) == EntrySchema().fields.keys() - {"matches"} | {
        "match_states",
        "resolved_states",
        "payment_ids",
    }


def test_a_payout_is_a_row_as_the_list_shows_it(reader: Customer, books: Books) -> None:
    books.payout("po_1", amount="-1234567.5", arrival_on="2026-11-26", itemized=False)

    (row,) = rows(reader, PAYOUTS)

    (shown,) = reader.get("/api/admin/payouts").json["data"]
    assert row == {
        name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in shown.items()
    }
    assert (row["amount"], row["arrival_on"], row["itemized"]) == ("-1234567.50", "2026-11-26", "false")
    assert 'filename="payouts.csv"' in reader.get(PAYOUTS).headers["Content-Disposition"]


def test_an_entry_is_a_row_with_the_states_of_its_matches(reader: Customer, books: Books) -> None:
    file, first, second = books.file(), books.payout("po_1"), books.payout("po_2")
    entry = books.entry(file, "B1", provider="bank", kind="bank")
    for payout in (first, second):
        books.match("proposed", entry, provider="bank", payout_id=payout)

    (row,) = rows(reader, ENTRIES)

    assert (row["reference"], row["match_states"], row["payment_ids"]) == ("B1", "proposed", "")
    assert row["resolved_states"] == ""
    assert (row["gross"], row["net"], row["occurred_at"]) == ("200.00", "193.90", "2026-11-22T23:30:00Z")


def test_what_a_person_settled_stands_apart(reader: Customer, books: Books) -> None:
    entry = books.entry(books.file())
    books.match("unknown_here", entry, resolved_at="2026-11-01", resolved_by="ops", resolved_why="another shop")
    (row,) = rows(reader, ENTRIES)
    assert (row["match_states"], row["resolved_states"]) == ("", "unknown_here")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "a;=1", "\uff1d1"])
def test_what_others_wrote_is_no_formula_and_an_amount_stays_a_number(
    reader: Customer, books: Books, text: str
) -> None:
    file = books.file()
    names = ("account", "provider_type", "occurred_local", "subject_ref", "payment_ref", "merchant_ref", "description")
    books.entry(file, text, gross="-1", fee="0", net="-1", **dict.fromkeys(names, text))
    books.payout(text, **dict.fromkeys(("account", "bank_reference", "descriptor", "failure_code"), text))

    (entry,) = rows(reader, ENTRIES)
    (payout,) = rows(reader, PAYOUTS)

    guarded = text.replace(";", ";'") if ";" in text else f"'{text}"
    shown = ("account", "reference", "type", "occurred_local", "subject_reference", "payment_reference")
    assert {entry[name] for name in (*shown, "merchant_reference", "description")} == {guarded}
    assert {payout[name] for name in ("account", "reference", "bank_reference", "descriptor")} == {guarded}
    assert (entry["gross"], entry["net"]) == ("-1.00", "-1.00")


@pytest.mark.parametrize("at_once", [1, 2, 5, 500])
def test_all_that_the_filters_let_through_is_there_once(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(walking, "ROWS", at_once)
    monkeypatch.setattr(walking, "LOOKED_THROUGH", 2)
    file, payout = books.file(), books.payout()
    made = [books.entry(file, f"e{number}", payout_id=payout) for number in range(5)]
    for number in range(5):
        books.entry(file, f"other{number}", currency="EUR", payout_id=payout)
    newest = [f"e{number}" for number in range(4, -1, -1)]

    for query in ({"currency": "USD"}, {"currency": "USD", "payout_id": payout}):
        assert [row["reference"] for row in rows(reader, ENTRIES, **query)] == newest
    assert len(made) == len(newest)


def test_one_caller_makes_one_file_at_a_time(reader: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = list[int]()

    def pages(_: object) -> Any:
        inner.append(reader.get(ENTRIES).status_code)
        yield b"x"

    monkeypatch.setattr(routes, "payout_pages", pages)
    assert reader.get(PAYOUTS).status_code == 200
    assert inner == [429]
    assert export.payout_pages is not pages


def test_entries_are_not_bounded_as_files_that_are_made_whole_are(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MOST_BYTES", 10)
    monkeypatch.setattr(downloads, "MADE_WITHIN", -1.0)
    books.entry(books.file())

    assert len(rows(reader, ENTRIES)) == 1
    assert reader.get(PAYOUTS).status_code == 422


def test_what_is_entered_meanwhile_neither_shifts_rows_nor_doubles_them(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "ROWS", 2)
    file = books.file()
    for number in range(6):
        books.entry(file, f"e{number}")
    answer = reader.get(ENTRIES, buffered=False)
    pages = iter(answer.response)
    read = [next(pages), next(pages)]
    for number in range(6, 9):
        books.entry(file, f"e{number}")

    text = b"".join([*read, *pages]).decode()

    found = [row["reference"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert found == ["e5", "e4", "e3", "e2", "e1", "e0", ""]
    assert text.splitlines()[-1].startswith("end,6,")


def test_a_file_that_breaks_off_has_no_last_row_and_the_caller_may_ask_again(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "ROWS", 1)
    looks = list[int]()

    def away_at_the_third(*arguments: Any) -> Any:
        looks.append(1)
        if len(looks) == 3:
            raise DatabaseUnavailableError
        return look(*arguments)

    look = walking._look
    file = books.file()
    for number in range(5):
        books.entry(file, f"e{number}")
    monkeypatch.setattr(walking, "_look", away_at_the_third)

    text = reader.get(ENTRIES).text

    assert [line.split(",")[3] for line in text.splitlines()] == ["reference", "e4", "e3"]
    assert len(rows(reader, ENTRIES)) == 5


def test_a_database_that_is_away_at_the_first_page_is_a_503(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise DatabaseUnavailableError

    monkeypatch.setattr(walking, "_look", away)
    answer = reader.get(ENTRIES)
    assert (answer.status_code, answer.json["type"]) == (503, "/problems/database-unavailable")
    monkeypatch.undo()
    assert rows(reader, ENTRIES) == []


def test_head_reads_nothing(reader: Customer, statements: Statements) -> None:
    with statements() as made:
        answer = reader.client.head(ENTRIES, headers=reader.headers)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert not [each for each in made if "balance_entries" in each]


def test_a_process_streams_so_many_at_a_time_and_others_make_files_all_the_same(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "AT_ONCE", 1)
    books.payout("po_1")
    reading = reader.get(ENTRIES, buffered=False)
    other = staff_of(reader, scope="payouts:read", user_id=uuid4())

    assert other.get(ENTRIES).status_code == 429
    assert other.get(PAYOUTS).status_code == 200
    assert reader.get(PAYOUTS).status_code == 429
    assert reading.data
    assert other.get(ENTRIES).status_code == 200
