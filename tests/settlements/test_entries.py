"""GET /api/admin/balance-entries: filters, their dates and their zone, pages, and what entries are matched with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from checkout_service.settings.values import WebSettings
from checkout_service.settlement_words import EntryKind, MatchState
from checkout_service.settlements import walking
from tests.conftest import Customer, Sql
from tests.settlements.entered import Books

PATH = "/api/admin/balance-entries"


@pytest.fixture
def in_berlin(app: Flask) -> Iterator[None]:
    before: WebSettings = app.extensions["settings"]
    app.extensions["settings"] = replace(before, settlements_timezone="Europe/Berlin")
    yield
    app.extensions["settings"] = before


def references(reader: Customer, **query: Any) -> list[str]:
    answer = reader.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [entry["reference"] for entry in answer.json["data"]]


def test_an_entry_is_shown_with_what_it_is_matched_with(reader: Customer, books: Books) -> None:
    file, payment, capture = books.file(), uuid4(), uuid4()
    payout = books.payout()
    entry = books.entry(
        file,
        "txn_1",
        account="acct_1",
        gross="-52.8",
        fee="0.125",
        net="-52.925",
        customer_amount="7000",
        customer_currency="JPY",
        rate="0.0075430",
        available_on="2026-11-24",
        payout_id=payout,
        payout_ref="po_1",
        about="refund",
        subject_ref="re_1",
        payment_ref="pi_1",
        merchant_ref="order-7",
    )
    undone = books.match("unknown_here", entry)
    books.run("UPDATE settlement_matches SET undone_at = now(), undone_why = 'later' RETURNING id")
    match = books.match(
        "differs",
        entry,
        subject="refund",
        subject_id=capture,
        payment_id=payment,
        amount="-52.8",
        currency="USD",
        amount_here="-7000",
        currency_here="JPY",
        differs=["currency"],
        detail="converted",
        resolved_at="2026-11-30T01:02:03Z",
        resolved_by="ops",
        resolved_why="the rate of that day",
    )

    (shown,) = reader.get(PATH).json["data"]

    assert shown.pop("created_at")
    assert shown == {
        "id": str(entry),
        "provider": "stripe",
        "account": "acct_1",
        "reference": "txn_1",
        "kind": "capture",
        "type": "charge",
        "gross": "-52.80",
        "fee": "0.125",
        "net": "-52.925",
        "currency": "USD",
        "customer_amount": "7000.00",
        "customer_currency": "JPY",
        "rate": "0.0075430",
        "occurred_at": "2026-11-22T23:30:00Z",
        "occurred_local": "2026-11-22 23:30:00",
        "available_on": "2026-11-24",
        "payout_id": str(payout),
        "payout_reference": "po_1",
        "subject": "refund",
        "subject_reference": "re_1",
        "payment_reference": "pi_1",
        "merchant_reference": "order-7",
        "description": None,
        "file_id": str(file),
        "line": 2,
        "withdrawn": False,
        "matches": [
            {
                "id": str(match),
                "state": "differs",
                "payout_id": None,
                "payment_id": str(payment),
                "subject": "refund",
                "subject_id": str(capture),
                "amount": "-52.80",
                "currency": "USD",
                "amount_here": "-7000.00",
                "currency_here": "JPY",
                "differs": ["currency"],
                "detail": "converted",
                "resolved_at": "2026-11-30T01:02:03Z",
            }
        ],
    }
    assert match != undone


def test_each_filter_and_all_together_narrow_the_list(reader: Customer, books: Books) -> None:
    file, payment = books.file(), uuid4()
    payout = books.payout()
    in_it = {"payout_id": payout, "payout_ref": "po_1"}
    first = books.entry(file, "e1", occurred_at="2026-11-01T00:00:00Z", **in_it)
    books.match("matched", first, payment_id=payment)
    second = books.entry(file, "e2", kind="refund", occurred_at="2026-11-02T00:00:00Z", **in_it)
    books.match("unknown_here", second, payment_id=payment)
    third = books.entry(file, "e3", kind="unknown", currency="EUR", occurred_at="2026-11-03T00:00:00Z")
    books.match("unknown_here", third)
    books.entry(file, "e4", provider="adyen", kind="reserve", occurred_at="2026-11-04T00:00:00Z")
    gone = books.entry(file, "e5", occurred_at="2026-11-05T00:00:00Z", withdrawn_by=file)
    books.match("withdrawn", gone)

    assert references(reader) == ["e4", "e3", "e2", "e1"]
    assert references(reader, payout_id=payout) == ["e2", "e1"]
    assert references(reader, payout_id=uuid4()) == []
    assert references(reader, payment_id=payment) == ["e2", "e1"]
    assert references(reader, payment_id=payment, kind="refund") == ["e2"]
    assert references(reader, provider="adyen") == ["e4"]
    assert references(reader, kind="capture") == ["e1"]
    assert references(reader, kind="unknown") == ["e3"]
    assert references(reader, kind="unknown", currency="USD") == []
    assert references(reader, currency="EUR") == ["e3"]
    assert references(reader, match_state="matched") == ["e1"]
    assert references(reader, match_state="unknown_here") == ["e3", "e2"]
    assert references(reader, match_state="unknown_here", payout_id=payout) == ["e2"]
    assert references(reader, match_state="withdrawn") == ["e5"]
    assert references(reader, withdrawn="true") == ["e5"]
    assert references(reader, occurred_since="2026-11-02", occurred_until="2026-11-04T00:00:00Z") == ["e3", "e2"]


def test_every_kind_and_every_state_is_a_filter(reader: Customer, books: Books) -> None:
    """Some are looked for along an index of their own."""
    file = books.file()
    for kind in EntryKind:
        books.match("matched", books.entry(file, kind, kind=kind))
    for state in MatchState:
        if state is not MatchState.MATCHED:
            books.match(state, books.entry(file, f"of {state}"))

    for kind in EntryKind:
        assert kind in references(reader, kind=kind), kind
    # What is missing there has no entry, so that nothing could be listed.
    assert reader.get(PATH, query_string={"match_state": MatchState.MISSING_THERE}).status_code == 422
    for state in set(MatchState) - {MatchState.MISSING_THERE}:
        found = references(reader, match_state=state, limit=100)
        assert set(found) == ({*EntryKind} if state is MatchState.MATCHED else {f"of {state}"}), state


@pytest.mark.usefixtures("in_berlin")
def test_a_day_is_one_in_the_shops_zone(reader: Customer, books: Books) -> None:
    """New Year in Berlin is an hour before that of UTC; and a day in summer begins two hours before."""
    file = books.file()
    for name, moment in (
        ("last", "2026-12-31T22:59:59Z"),
        ("first", "2026-12-31T23:00:00Z"),
        ("summer", "2026-06-30T22:00:00Z"),
        ("spring", "2026-06-30T21:59:59Z"),
    ):
        books.entry(file, name, occurred_at=moment)

    assert references(reader, occurred_since="2027-01-01") == ["first"]
    assert references(reader, occurred_until="2027-01-01", occurred_since="2026-12-31") == ["last"]
    assert references(reader, occurred_since="2026-07-01", occurred_until="2026-07-02") == ["summer"]
    assert references(reader, occurred_since="2027-01-01T00:00:00Z") == []


def test_without_a_zone_a_day_is_one_in_utc(reader: Customer, books: Books) -> None:
    books.entry(books.file(), "last", occurred_at="2026-12-31T23:59:59Z")
    assert references(reader, occurred_since="2027-01-01") == []
    assert references(reader, occurred_until="2027-01-01") == ["last"]


@pytest.mark.parametrize(
    "query",
    [
        *({"occurred_since": text} for text in ("yesterday", "2026-02-30", "2026-11-22 23:30:00", "0000-01-01")),
        {"occurred_until": "2026-11-22T23:30:00"},
        {"match_state": "open"},
        {"kind": "Capture"},
        {"payout_id": "po_1"},
        {"withdrawn": "yes"},
        {"cursor": "eA"},
    ],
)
def test_what_is_no_filter_is_refused(reader: Customer, query: dict[str, str]) -> None:
    assert reader.get(PATH, query_string=query).status_code == 422


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_days_at_the_ends_of_the_calendar_are_answered(reader: Customer, day: str) -> None:
    assert reader.get(PATH, query_string={"occurred_since": day}).status_code in {200, 422}


@pytest.mark.parametrize("query", [{}, {"match_state": "unknown_here"}, {"in_payout": True}, {"kind": "reserve"}])
def test_pages_go_on_where_the_last_one_ended(
    reader: Customer, books: Books, query: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "LOOKED_THROUGH", 3)
    file, payout = books.file(), books.payout()
    kind = query.get("kind", "capture")
    for number in range(11):
        entry = books.entry(file, f"e{number}", kind=kind, payout_id=payout, payout_ref="po_1")
        books.match("unknown_here", entry)
    query = {"payout_id": payout} if query.pop("in_payout", None) else query

    answer = reader.get(PATH, query_string={**query, "limit": 4, "occurred_since": "2026-11-01"})
    seen = [entry["reference"] for entry in answer.json["data"]]
    while link := answer.headers.get("Link"):
        answer = reader.get(link.partition("<")[2].partition(">")[0])
        seen += [entry["reference"] for entry in answer.json["data"]]

    assert seen == [f"e{number}" for number in range(10, -1, -1)]


def test_a_banks_entry_has_a_match_for_each_payout(reader: Customer, books: Books, sql: Sql) -> None:
    first, second = books.payout("po_1"), books.payout("po_2")
    entry = books.entry(books.file(provider="bank"), "B1", provider="bank", account="DE1", kind="bank")
    for payout, amount in ((first, "100.00"), (second, "38.20")):
        books.match("proposed", entry, provider="bank", account="DE1", payout_id=payout, amount=amount, currency="USD")

    (shown,) = reader.get(PATH, query_string={"provider": "bank"}).json["data"]

    assert [(match["payout_id"], match["amount"]) for match in shown["matches"]] == [
        *((str(first), "100.00"), (str(second), "38.20")),
    ]
    assert references(reader, match_state="proposed") == ["B1"]
