"""Payouts and entries as CSV: all that the filters let through, complete, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from checkout_service.settlements import export, routes, walking
from checkout_service.settlements.export import ENTRY_HEADER, PAYOUT_HEADER
from checkout_service.settlements.schemas import EntrySchema, PayoutSchema
from tests.conftest import Customer
from tests.settlements.entered import Books

PAYOUTS = "/api/admin/payouts.csv"
ENTRIES = "/api/admin/balance-entries.csv"


def rows(reader: Customer, path: str, **query: Any) -> list[dict[str, str]]:
    answer = reader.get(path, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert answer.text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


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
