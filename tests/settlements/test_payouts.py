"""GET /api/admin/payouts and one of them: filters, pages, and what a payout is made of."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from checkout_service.settlement_words import PayoutState
from checkout_service.settlements import queries, walking
from tests.conftest import Customer
from tests.refunding import staff_of
from tests.settlements.entered import Books

PATH = "/api/admin/payouts"


def references(reader: Customer, **query: Any) -> list[str]:
    answer = reader.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [payout["reference"] for payout in answer.json["data"]]


def test_a_payout_is_shown_as_its_provider_has_it_and_how_far_we_are(reader: Customer, books: Books) -> None:
    payout = books.payout(
        "po_1",
        account="acct_1",
        amount="-138.2",
        state="reconciled",
        arrival_on="2026-11-26",
        issued_at="2026-11-24T01:00:00+01:00",
        entries=3,
        gross="200",
        fee="61.8005",
        net="138.1995",
        amount_at_bank="138.20",
        bank_reference="STRIPE 1",
        failed_at="2026-11-27T00:00:00Z",
        failure_code="account_closed",
    )

    answer = reader.get(PATH)

    (shown,) = answer.json["data"]
    assert shown.pop("created_at") == shown.pop("updated_at")
    assert shown == {
        "id": str(payout),
        "provider": "stripe",
        "account": "acct_1",
        "reference": "po_1",
        "amount": "-138.20",
        "currency": "USD",
        "status": "paid",
        "state": "reconciled",
        "itemized": True,
        "issued_at": "2026-11-24T00:00:00Z",
        "arrival_on": "2026-11-26",
        "bank_reference": "STRIPE 1",
        "descriptor": None,
        "failed_at": "2026-11-27T00:00:00Z",
        "failure_code": "account_closed",
        "original_reference": None,
        "entries": 3,
        "gross": "200.00",
        "fee": "61.8005",
        "net": "138.1995",
        "residue": "276.3995",
        "exceptions": 0,
        "amount_at_bank": "138.20",
        "reconciled_at": None,
        "version": 1,
    }
    assert answer.json["has_more"] is False
    assert answer.headers["Cache-Control"] == "private, no-cache"


def test_each_filter_and_all_together_narrow_the_list(reader: Customer, books: Books) -> None:
    books.payout("po_1", state="open", status="pending", arrival_on="2026-11-26")
    books.payout("po_2", provider="adyen", state="unmatched", currency="EUR", arrival_on="2026-11-27")
    books.payout("41", provider="adyen", state="reconciled", bank_reference="TX1XT", arrival_on=None)
    books.payout("po_4", state="by_balance", itemized=False, arrival_on="2026-11-28")
    books.payout("po_5", state="not_paid", status="failed", arrival_on="2026-11-25")

    assert references(reader) == ["po_5", "po_4", "41", "po_2", "po_1"]
    assert references(reader, provider="adyen") == ["41", "po_2"]
    assert [references(reader, state=state) for state in PayoutState] == [
        *(["po_1"], ["po_2"], ["41"], ["po_4"], ["po_5"]),
    ]
    assert references(reader, status="failed") == ["po_5"]
    assert references(reader, currency="EUR") == ["po_2"]
    assert references(reader, arrival_since="2026-11-27") == ["po_4", "po_2"]
    assert references(reader, arrival_since="2026-11-27", arrival_until="2026-11-28") == ["po_2"]
    assert references(reader, reference="TX1XT") == ["41"]
    assert references(reader, reference="po_2", provider="adyen", state="unmatched") == ["po_2"]
    assert references(reader, reference="po_2", state="open") == []
    assert references(reader, state="unmatched", provider="stripe") == []


def test_a_payout_without_a_day_of_arrival_is_found_by_the_day_it_was_made(reader: Customer, books: Books) -> None:
    books.payout("41", provider="adyen", issued_at="2026-11-25T23:30:00Z")
    books.payout("42", provider="adyen", issued_at="2026-11-26T00:30:00+01:00", arrival_on="2026-11-30")
    books.payout("43", provider="adyen")
    assert references(reader, arrival_since="2026-11-25", arrival_until="2026-11-26") == ["41"]
    assert references(reader, arrival_since="2026-11-26") == ["42"]


def test_what_the_bank_shows_is_found_by_its_first_words(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "LOOKED_THROUGH", 2)
    books.payout("41", provider="adyen", bank_reference="TX900000000041XT batch 41, TulipShop")
    for number in range(50, 56):
        books.payout(str(number), provider="adyen", bank_reference=f"STRIPE {number}")

    for named in ("TX900000000041XT", "TX900000000041XT batch", "TX900000000041XT batch 41, TulipShop"):
        assert references(reader, reference=named) == ["41"], named
    for named in ("TX90000000004", "TX900000000041XT batc", "batch", "TulipShop"):
        assert references(reader, reference=named) == [], named
    assert references(reader, reference="STRIPE") == ["55", "54", "53", "52", "51", "50"]
    assert references(reader, reference="STRIPE 51") == ["51"]


@pytest.mark.parametrize(
    ("columns", "residue"),
    [
        ({"net": "138.20", "state": "reconciled"}, "0.00"),
        ({"net": "139.20", "state": "reconciled"}, "1.00"),
        ({"net": "138.199", "state": "unmatched"}, "-0.001"),
        ({"state": "open"}, "-138.20"),
        ({"state": "by_balance", "itemized": False}, None),
        ({"state": "open", "itemized": False}, None),
        ({"state": "not_paid", "status": "failed"}, None),
    ],
)
def test_the_residue_is_what_its_entries_are_too_much(
    reader: Customer, books: Books, columns: dict[str, Any], residue: str | None
) -> None:
    (shown,) = [reader.get(f"{PATH}/{books.payout(**columns)}").json]
    assert shown["residue"] == residue


def test_a_bank_entry_that_a_person_settled_says_so(reader: Customer, books: Books) -> None:
    payout = books.payout()
    entry = books.entry(books.file(provider="bank"), "B1", provider="bank", kind="bank")
    books.match(
        "proposed",
        entry,
        provider="bank",
        payout_id=payout,
        resolved_at="2026-11-01Z",
        resolved_by="x",
        resolved_why="y",
    )
    shown = reader.get(f"{PATH}/{payout}").json
    assert [entry["resolved_at"] for entry in shown["bank_entries"]] == ["2026-11-01T00:00:00Z"]


@pytest.mark.parametrize(
    "query",
    [
        {"state": "paid"},
        {"status": "open"},
        {"currency": "usd"},
        {"arrival_since": "2026-11-31"},
        {"arrival_until": "yesterday"},
        {"arrival_since": "2026-11-26T00:00:00Z"},
        {"provider": "Stripe'"},
        {"reference": ""},
        {"cursor": "x"},
        {"limit": "0"},
        {"payout": "po_1"},
    ],
)
def test_what_is_no_filter_is_refused(reader: Customer, query: dict[str, str]) -> None:
    assert reader.get(PATH, query_string=query).status_code == 422


def test_pages_go_on_where_the_last_one_ended(reader: Customer, books: Books) -> None:
    made = [f"po_{number}" for number in range(7)]
    for reference in made:
        books.payout(reference)

    address, seen = f"{PATH}?limit=3&provider=stripe", list[str]()
    while address:
        answer = reader.get(address)
        seen += [payout["reference"] for payout in answer.json["data"]]
        address = answer.headers.get("Link", "").partition("<")[2].partition(">")[0]
        assert answer.json["has_more"] == bool(address)
        if len(seen) == 3:
            books.payout("po_new")

    assert seen == made[::-1]


def test_a_page_looks_through_a_bounded_number_and_says_that_there_may_be_more(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "LOOKED_THROUGH", 3)
    monkeypatch.setattr(walking, "MOST_LOOKS", 2)
    books.payout("old", provider="adyen")
    for number in range(7):
        books.payout(f"po_{number}")

    first = reader.get(PATH, query_string={"provider": "adyen", "limit": 2}).json
    second = reader.get(PATH, query_string={"provider": "adyen", "limit": 2, "cursor": first["next_cursor"]}).json

    assert (first["data"], first["has_more"]) == ([], True)
    assert [payout["reference"] for payout in second["data"]] == ["old"]
    assert second["has_more"] is False


def test_a_payout_is_its_sums_its_exceptions_its_bank_entries_and_its_files(reader: Customer, books: Books) -> None:
    file, accepted = books.file(), books.file(accepted_by="ops", accepted_why="rounding", name="second.csv")
    payout, other = books.payout("po_1", state="unmatched", entries=4), books.payout("po_2", entries=1)
    in_it = {"payout_id": payout, "payout_ref": "po_1"}
    books.entry(file, "txn_1", **in_it)
    books.entry(file, "txn_2", gross="40", fee="0", net="40", **in_it)
    lost = books.entry(accepted, "txn_3", kind="dispute", gross="-40", fee="20", net="-60", **in_it)
    books.entry(file, "gone", withdrawn_by=accepted, **in_it)
    books.entry(file, "elsewhere", payout_id=other, payout_ref="po_2")
    match = books.match("unknown_here", lost, detail="no payment is called pi_1")
    books.match("matched", books.entry(file, "txn_4", kind="fee", gross="0", fee="1", net="-1", **in_it))
    brought = books.entry(
        books.file(provider="bank"), "B1", provider="bank", account="DE1", kind="bank", gross="150", fee=0, net="150"
    )
    at_bank = books.match("matched", brought, provider="bank", account="DE1", payout_id=payout, amount="138.20")

    shown = reader.get(f"{PATH}/{payout}").json

    assert shown["reference"] == "po_1"
    assert [tuple(each.values()) for each in shown["sums"]] == [
        ("capture", "USD", 2, "240.00", "6.10", "233.90"),
        ("dispute", "USD", 1, "-40.00", "20.00", "-60.00"),
        ("fee", "USD", 1, "0.00", "1.00", "-1.00"),
    ]
    (open_one,) = shown["open_exceptions"]
    assert open_one.pop("created_at")
    assert open_one == {
        "id": str(match),
        "kind": "unknown_here",
        "provider": "stripe",
        "account": None,
        "payout_id": str(payout),
        "count": 1,
        "amount": "-40.00",
        "currency": "USD",
        "payment_id": None,
        "detail": "no payment is called pi_1",
    }
    (entry,) = shown["bank_entries"]
    assert entry.pop("occurred_at")
    assert entry == {
        "id": str(brought),
        "account": "DE1",
        "reference": "B1",
        "state": "matched",
        "amount": "138.20",
        "currency": "USD",
        "entry_amount": "150.00",
        "match_id": str(at_bank),
        "resolved_at": None,
        "detail": None,
    }
    assert [(each["name"], each["was_accepted"]) for each in shown["files"]] == [
        *(("report.csv", False), ("second.csv", True)),
    ]


def test_of_a_very_large_payout_the_sums_by_kind_are_not_made(
    reader: Customer, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SUMMED", 3)
    shown = reader.get(f"{PATH}/{books.payout('po_1', entries=4)}").json
    assert (shown["sums"], shown["files"], shown["entries"]) == (None, None, 4)


def test_there_is_no_payout_that_nobody_entered(reader: Customer) -> None:
    assert reader.get(f"{PATH}/{uuid4()}").status_code == 404


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{UUID(int=1)}", f"{PATH}.csv", "/api/admin/balance-entries"])
def test_other_scopes_open_none_of_it(customer: Customer, path: str) -> None:
    assert customer.get(path).status_code == 403
    answer = staff_of(customer, scope="payments:read orders:read refunds ops").get(path)
    assert (answer.status_code, answer.json["scope"]) == (403, "payouts:read")
