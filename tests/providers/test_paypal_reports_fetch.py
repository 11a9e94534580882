"""PayPal's transaction search: windows, pages, statuses and balances, from a server on this machine."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout_service.providers.adapters.paypal import reports_fetch
from checkout_service.providers.adapters.paypal.reports_fetch import fetch_transactions
from checkout_service.providers.adapters.paypal.reports_stl import read_settlement_report
from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.reports import Report, ReportLine, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus
from tests.providers.proving_reports import NOW, SAMPLES, context_of, fetched, read_whole, served, why_held

SAMPLE: dict[str, Any] = json.loads((SAMPLES / "paypal-api-v1-reporting-transactions.json").read_text())
CREDENTIALS = {"reports_client_id": "reports-client", "reports_secret": "reports-secret"}
START = datetime(2026, 11, 1, tzinfo=UTC)


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


def text(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S+0000")


def info(
    transaction: str,
    value: str,
    at: datetime,
    *,
    code: str = "T0006",
    fee: str | None = None,
    status: str = "S",
    updated: datetime | None = None,
    balance: str | None = None,
    currency: str = "EUR",
) -> dict[str, Any]:
    """A transaction_info."""
    found: dict[str, Any] = {
        "transaction_id": transaction,
        "transaction_event_code": code,
        "transaction_initiation_date": text(at),
        "transaction_updated_date": text(updated or at),
        "transaction_amount": {"currency_code": currency, "value": value},
        "transaction_status": status,
    }
    if fee is not None:
        found["fee_amount"] = {"currency_code": currency, "value": fee}
    if balance is not None:
        found["ending_balance"] = {"currency_code": currency, "value": balance}
    return found


def chained(*movements: dict[str, Any]) -> list[dict[str, Any]]:
    """The same movements, each with the balance that it left."""
    balance = Decimal("500.00")
    for each in movements:
        fee = each.get("fee_amount", {"value": "0"})["value"]
        balance += Decimal(each["transaction_amount"]["value"]) + Decimal(fee)
        each["ending_balance"] = {"currency_code": each["transaction_amount"]["currency_code"], "value": str(balance)}
    return list(movements)


class PayPal:
    """The search as PayPal documents it: both ends of a window are in it, by the date of the last update."""

    def __init__(self, rows: list[dict[str, Any]], *, loaded: datetime = NOW - timedelta(hours=1), most: int = 10_000):
        self.rows = rows
        self.loaded = loaded
        self.most = most
        self.page_size: int | None = None
        self.queries: list[Mapping[str, str]] = []
        self.spoil: Any = None

    def __call__(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, Any]:
        if path == "/v1/oauth2/token":
            assert headers["Authorization"].startswith("Basic ")
            return 200, {"access_token": "A21", "expires_in": 3600}
        assert path == "/v1/reporting/transactions"
        assert headers["Authorization"] == "Bearer A21"
        self.queries.append(query)
        begin, end = moment(query["start_date"]), moment(query["end_date"])
        if end - begin > timedelta(days=31):
            return 400, {"name": "INVALID_REQUEST", "details": [{"issue": "Date range is greater than 31 days"}]}
        if end > self.loaded:
            return 400, {"name": "INVALID_REQUEST", "message": "Data for the given start date is not available."}
        found = [row for row in self.rows if begin <= moment(row["transaction_updated_date"]) <= end]
        if len(found) > self.most:
            return 400, {"name": "RESULTSET_TOO_LARGE", "message": "Result set size is greater than the maximum."}
        size = self.page_size or int(query["page_size"])
        number = int(query["page"])
        body = {
            "account_number": "MADEUPMERCH01",
            "start_date": query["start_date"],
            "end_date": query["end_date"],
            "last_refreshed_datetime": text(self.loaded),
            "page": number,
            "total_items": len(found),
            "total_pages": -(-len(found) // size),
            "transaction_details": [{"transaction_info": row} for row in found[(number - 1) * size : number * size]],
        }
        if self.spoil is not None:
            self.spoil(body, len(self.queries))
        return 200, body


def all_of(paypal: PayPal, **how: Any) -> list[tuple[Report, list[ReportLine]]]:
    with served(paypal) as (base, _):
        return fetched(fetch_transactions, {**CREDENTIALS, "reports_api_base": base}, **how)


def refs(reports: list[tuple[Report, list[ReportLine]]]) -> set[str]:
    return {line.entry_ref for _, lines in reports for line in lines}


def test_the_api_and_the_file_name_the_same_movements_alike() -> None:
    rows = [item["transaction_info"] for item in SAMPLE["transaction_details"]]
    file, of_file = read_whole(
        read_settlement_report,
        (SAMPLES / "paypal-STL-20261126.01.011.CSV").read_bytes(),
        name="STL-20261126.01.011.CSV",
    )

    [(report, lines)] = all_of(PayPal(rows), since=datetime(2026, 11, 26, tzinfo=UTC))

    other = {"section": "", "line": 0, "occurred_local": ""}
    assert [line._replace(**other) for line in lines] == [line._replace(**other) for line in of_file]
    assert report.payouts == file.payouts
    assert why_held(report, lines) == []
    [section] = report.sections
    assert (section.expected, section.complete, section.rows) == (None, False, 3)
    assert "1 of them go from balance to balance" in section.rule


def test_nothing_of_who_paid_is_requested_and_nothing_is_filtered() -> None:
    paypal = PayPal([])

    all_of(paypal, since=NOW - timedelta(days=2))

    [query] = paypal.queries
    assert query == {
        "start_date": "2026-11-25T12:00:00Z",
        "end_date": "2026-11-27T09:00:00Z",
        "fields": "transaction_info",
        "page_size": "500",
        "page": "1",
    }


def test_windows_are_of_at_most_31_days_and_touch() -> None:
    rows = [info(f"T{day}", "1.00", START - timedelta(days=day)) for day in range(0, 100, 7)]
    paypal = PayPal(rows)

    found = all_of(paypal, since=NOW - timedelta(days=100))

    assert len(found) == 4
    assert len(refs(found)) == sum(1 for row in rows if moment(row["transaction_updated_date"]) >= NOW - timedelta(100))
    ends = [(query["start_date"], query["end_date"]) for query in paypal.queries]
    assert all(end == begin for (_, end), (begin, _) in pairwise(ends))
    assert found[-1][0].cursor == "2026-11-27T05:00:00Z"  # what is loaded, less six hours
    assert [report.cursor for report, _ in found[:-1]] == [end for _, end in ends[:-1]]


def test_a_movement_on_the_seam_of_two_windows_has_one_name() -> None:
    since = NOW - timedelta(days=50)
    seam = info("SEAM", "5.00", since + reports_fetch.LONGEST)

    found = all_of(PayPal([seam]), since=since)

    assert [len(lines) for _, lines in found] == [1, 1]
    assert len(refs(found)) == 1


def test_a_window_of_too_many_is_halved_until_all_came() -> None:
    rows = [info(f"T{number}", "1.00", NOW - timedelta(hours=4 + number)) for number in range(40)]

    found = all_of(PayPal(rows, most=7), since=NOW - timedelta(days=3))

    assert len(refs(found)) == 40
    assert all(len(lines) <= 7 for _, lines in found)


def test_more_in_a_minute_than_paypal_lists_is_an_error_and_no_loss() -> None:
    rows = [info(f"T{number}", "1.00", NOW - timedelta(hours=5)) for number in range(9)]

    with pytest.raises(UnreadableReportError, match="in a minute"):
        all_of(PayPal(rows, most=8), since=NOW - timedelta(hours=6))


def test_what_is_not_loaded_yet_is_left_for_the_next_fetch() -> None:
    loaded = NOW - timedelta(hours=20)
    late = info("LATE", "1.00", NOW - timedelta(hours=10))
    paypal = PayPal([info("T1", "1.00", NOW - timedelta(hours=30)), late], loaded=loaded)

    [(first, lines)] = all_of(paypal, since=NOW - timedelta(days=3))

    assert [line.subject_ref for line in lines] == ["T1"]
    assert moment(str(first.cursor)) <= loaded - timedelta(hours=6)
    paypal.loaded = NOW
    again = all_of(paypal, cursor=first.cursor, now=NOW + timedelta(hours=3))
    assert "LATE" in {line.subject_ref for _, lines in again for line in lines}
    assert all_of(PayPal([], loaded=NOW - timedelta(days=30)), cursor=text(NOW - timedelta(days=3))) == []


def test_a_window_of_long_ago_that_is_refused_is_an_error() -> None:
    with pytest.raises(ProviderRefusedError, match="refuses the window"):
        all_of(PayPal([], loaded=NOW - timedelta(days=90)), since=NOW - timedelta(days=60))


def test_older_than_three_years_is_not_requested() -> None:
    paypal = PayPal([])

    all_of(paypal, since=datetime(2001, 1, 1, tzinfo=UTC))

    assert paypal.queries[0]["start_date"] == "2023-11-28T12:00:00Z"


def test_pages_are_read_from_one_on_and_all_of_them() -> None:
    rows = chained(*(info(f"T{number}", "1.00", NOW - timedelta(hours=5, minutes=-number)) for number in range(23)))
    paypal = PayPal(rows)
    paypal.page_size = 5

    [(report, lines)] = all_of(paypal, since=NOW - timedelta(days=1))

    assert [query["page"] for query in paypal.queries] == ["1", "2", "3", "4", "5"]
    assert len(lines) == 23
    assert why_held(report, lines) == []


@pytest.mark.parametrize("what", ["lost", "doubled", "missing page", "other total"])
def test_a_page_that_is_not_of_the_same_state_is_read_anew_and_at_last_an_error(what: str) -> None:
    rows = [info(f"T{number}", "1.00", NOW - timedelta(hours=5, minutes=number)) for number in range(9)]
    paypal = PayPal(rows)
    paypal.page_size = 3

    def spoil(body: dict[str, Any], _: int) -> None:
        if body["page"] == 2:
            match what:
                case "lost":
                    body["transaction_details"].pop()
                case "doubled":
                    body["transaction_details"].append(body["transaction_details"][0])
                case "missing page":
                    body["transaction_details"] = []
                case _:
                    body["total_items"] += 1

    paypal.spoil = spoil
    with pytest.raises(ProviderUnavailableError, match="changed each time"):
        all_of(paypal, since=NOW - timedelta(days=1))

    paypal.queries.clear()
    paypal.spoil = lambda body, requested: spoil(body, requested) if requested <= 2 else None
    assert len(all_of(paypal, since=NOW - timedelta(days=1))[0][1]) == 9


def test_another_page_than_was_requested_is_unreadable() -> None:
    paypal = PayPal([info("T1", "1.00", NOW - timedelta(hours=5))])
    paypal.spoil = lambda body, _: body.update(page=7)

    with pytest.raises(UnreadableReportError, match="another page"):
        all_of(paypal, since=NOW - timedelta(days=1))


@pytest.mark.parametrize("status", ["D", "P", "F"])
def test_what_did_not_succeed_is_no_entry_and_becomes_one_by_the_same_name(status: str) -> None:
    at, later = NOW - timedelta(days=2), NOW - timedelta(hours=9)
    pending = info("T1", "10.00", at, fee="-0.50", status=status)

    assert all_of(PayPal([pending]), since=NOW - timedelta(days=3))[0][1] == []
    done = info("T1", "10.00", at, fee="-0.50", updated=later)
    [line] = all_of(PayPal([done]), since=NOW - timedelta(days=1))[0][1]
    assert (line.net, line.occurred_at) == (Decimal("9.50"), at)
    reversed_later = info("T1", "10.00", at, fee="-0.50", status="V", updated=later)
    [again] = all_of(PayPal([reversed_later]), since=NOW - timedelta(days=1))[0][1]
    assert again.entry_ref == line.entry_ref


def test_a_status_that_nobody_knows_holds_the_window() -> None:
    report, lines = all_of(PayPal([info("T1", "10.00", NOW - timedelta(days=1), status="Q")]))[0]

    assert lines == []
    assert why_held(report, lines) == ["a status of transactions that nobody knows: Q"]


@pytest.mark.parametrize(
    ("status", "paid"), [("S", PayoutStatus.PAID), ("P", PayoutStatus.PENDING), ("V", PayoutStatus.FAILED),
                         ("D", PayoutStatus.FAILED)]
)  # fmt: skip
def test_a_withdrawal_is_a_payout_with_its_status(status: str, paid: PayoutStatus) -> None:
    updated = NOW - timedelta(hours=8)
    row = info("W1", "-80.00", NOW - timedelta(days=1), code="T0400", status=status, updated=updated)
    row["bank_reference_id"] = "BANK-1"

    report, lines = all_of(PayPal([row]))[0]

    [payout] = report.payouts
    assert (payout.status, payout.amount, payout.bank_reference) == (paid, Decimal("80.00"), "BANK-1")
    assert payout.failed_at == (updated if paid is PayoutStatus.FAILED else None)
    assert [line.kind for line in lines] == ([EntryKind.PAYOUT] if status in "SV" else [])


def movements() -> list[dict[str, Any]]:
    at = NOW - timedelta(days=1)
    return chained(
        info("T1", "100.00", at, fee="-2.84"),
        info("T2", "50.00", at),
        info("T3", "-30.00", at + timedelta(minutes=1), code="T1107"),
        info("T4", "-67.16", at + timedelta(minutes=2), code="T0400"),
    )


@given(st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_balances_are_one_way_in_whatever_order_they_are_listed(chance: random.Random) -> None:
    rows = movements()
    chance.shuffle(rows)

    report, lines = all_of(PayPal(rows))[0]

    assert why_held(report, lines) == []
    assert "4 of them" in report.sections[0].rule


@pytest.mark.parametrize("what", ["a cent", "a cent of the fee", "doubled", "lost"])
def test_a_window_whose_balances_have_a_gap_is_held(what: str) -> None:
    rows = movements()
    match what:
        case "a cent":
            rows[1]["transaction_amount"]["value"] = "50.01"
        case "a cent of the fee":
            rows[0]["fee_amount"]["value"] = "-2.83"
            rows = rows[:1] + rows[1:]
            rows.insert(0, chained(info("T0", "1.00", NOW - timedelta(days=1, hours=1)))[0])
            rows[0]["ending_balance"]["value"] = "500.00"
        case "doubled":
            rows.append(rows[1])
        case _:
            del rows[2]

    held = why_held(*all_of(PayPal(rows))[0])

    assert len(held) == (2 if what == "doubled" else 1)
    assert "gaps in the balances in EUR: " in held[-1]


@pytest.mark.parametrize("what", ["without a balance", "with the same one"])
def test_what_is_there_twice_in_a_window_holds_it_whatever_paypal_counts(what: str) -> None:
    """A row that comes on two pages, while another one is left out, leaves the count as it was."""
    rows = movements()
    if what == "without a balance":
        del rows[1]["ending_balance"]
    rows[2] = rows[1]

    assert why_held(*all_of(PayPal(rows))[0])[0].startswith("movements that are there twice")


def test_equal_movements_that_left_two_balances_are_two() -> None:
    at = NOW - timedelta(days=1)
    rows = chained(info("T1", "5.00", at), info("T1", "5.00", at))

    report, lines = all_of(PayPal(rows))[0]

    assert (len(lines), why_held(report, lines)) == (2, [])


def test_what_is_withheld_excuses_no_gap() -> None:
    at = NOW - timedelta(days=1)
    held = info("H", "-5.00", at + timedelta(minutes=1), code="T1110")
    for moves in (True, False):
        rows = movements()[:2]
        held["ending_balance"] = {"currency_code": "EUR", "value": "642.16" if moves else "647.16"}
        assert why_held(*all_of(PayPal([*rows, held]))[0]) == []
        rows[1]["transaction_amount"]["value"] = "50.01"
        assert "gaps in the balances in EUR: 1," in why_held(*all_of(PayPal([*rows, held]))[0])[0]


def test_a_window_without_any_balance_is_held() -> None:
    [report, lines] = all_of(PayPal([info("T1", "5.00", NOW - timedelta(days=1))]))[0]

    assert "nothing proves them" in why_held(report, lines)[0]
    assert report.sections[0].rule.startswith("not proved")


@pytest.mark.parametrize(("code", "value"), [("T1201", "5.00"), ("T1202", "-5.00"), ("T1205", "-5.00")])
def test_a_type_on_the_wrong_side_is_unknown(code: str, value: str) -> None:
    [_, [line]] = all_of(PayPal([info("T1", value, NOW - timedelta(days=1), code=code)]))[0]

    assert (line.kind, line.subject_ref) == (EntryKind.UNKNOWN, "")


def test_no_more_is_claimed_than_balances_tell() -> None:
    rows = movements()
    for row in rows[1:]:
        del row["ending_balance"]
    assert why_held(*all_of(PayPal(rows))[0]) == []

    # A movement of before, which is shown again since it changed, has a balance of its own time.
    old = info("OLD", "7.00", NOW - timedelta(days=60), updated=NOW - timedelta(days=1), balance="1234.00")
    held = info("T5", "-5.00", NOW - timedelta(days=1), code="T1110", balance="547.00")
    assert why_held(*all_of(PayPal([*movements(), old, held]))[0]) == []


@given(st.lists(st.integers(1, 60), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_any_split_into_windows_and_any_order_gives_the_same_names(days: list[int], chance: random.Random) -> None:
    rows = [
        info(f"T{number % 11}", f"{number % 5 + 1}.00", NOW - timedelta(hours=4 + 31 * number), fee="-0.10")
        for number in range(40)
    ]
    whole = refs(all_of(PayPal(list(rows)), since=NOW - timedelta(days=60)))
    chance.shuffle(rows)

    found: set[str] = set()
    for begin in sorted({60, *days}, reverse=True):
        found |= refs(all_of(PayPal(rows, most=chance.choice([3, 9, 10_000])), since=NOW - timedelta(days=begin)))

    assert found == whole
    assert len(whole) == 40


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transaction_id", ""), ("transaction_id", None), ("transaction_id", "\0"), ("transaction_event_code", 6),
        ("transaction_amount", None), ("transaction_amount", {"currency_code": "EUR", "value": 100.5}),
        ("transaction_amount", {"currency_code": "EUR", "value": "1e9"}),
        ("transaction_amount", {"currency_code": "EUR", "value": "9" * 16}),
        ("transaction_amount", {"currency_code": "EUR", "value": "NaN"}),
        ("transaction_amount", {"currency_code": "BTC", "value": "1"}),
        ("transaction_amount", {"currency_code": ["EUR"], "value": "1"}),
        ("fee_amount", {"currency_code": "USD", "value": "-1.00"}),
        ("transaction_initiation_date", "yesterday"), ("transaction_initiation_date", None),
        ("transaction_status", None), ("invoice_id", "x" * 300), ("ending_balance", {"currency_code": "EUR"}),
    ],
)  # fmt: skip
def test_a_transaction_that_cannot_be_read_is_an_error(name: str, value: object) -> None:
    row = {**info("T1", "1.00", NOW - timedelta(days=1)), name: value}

    with pytest.raises(UnreadableReportError):
        all_of(PayPal([row]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("account_number", None), ("total_items", "3"), ("total_items", True), ("total_pages", -1),
     ("transaction_details", None), ("transaction_details", [7]), ("transaction_details", [{}]),
     ("last_refreshed_datetime", "soon")],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_an_error(name: str, value: object) -> None:
    paypal = PayPal([info("T1", "1.00", NOW - timedelta(days=1))])
    paypal.spoil = lambda body, _: body.update({name: value})

    with pytest.raises((UnreadableReportError, ProviderUnavailableError)):
        all_of(paypal)


def test_a_cursor_that_is_no_time_is_an_error() -> None:
    with pytest.raises(UnreadableReportError, match="the cursor"):
        all_of(PayPal([]), cursor="last week")


def test_yen_and_three_decimals_are_as_in_the_file() -> None:
    at = NOW - timedelta(days=1)
    rows = [info("Y", "10000", at, currency="JPY"), info("K", "10.000", at, currency="KWD"),
            info("Z", "500.00", at, currency="JPY")]  # fmt: skip

    lines = all_of(PayPal(rows))[0][1]

    assert [str(line.gross) for line in lines] == ["10000", "10.000", "500"]


def test_a_token_that_was_withdrawn_is_renewed_once_and_a_refused_one_is_an_error() -> None:
    tokens: list[str] = []
    paypal = PayPal([])

    def answer(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, Any]:
        if path == "/v1/oauth2/token":
            tokens.append(f"A{len(tokens)}")
            return 200, {"access_token": tokens[-1], "expires_in": 3600}
        if headers["Authorization"] != "Bearer A1":
            return 401, {"error": "invalid_token"}
        return paypal(path, query, {**headers, "Authorization": "Bearer A21"})

    with served(answer) as (base, _):
        options = {**CREDENTIALS, "reports_api_base": base}
        assert len(fetched(fetch_transactions, options)) == 1
        tokens.append("A9")
        with pytest.raises(ProviderRefusedError) as caught:
            fetched(fetch_transactions, options)
    assert caught.value.reason is Decline.CREDENTIALS


def test_each_window_is_entered_before_the_next_one_is_requested() -> None:
    paypal = PayPal([])
    with served(paypal) as (base, _):
        options = {**CREDENTIALS, "reports_api_base": base}
        reports = iter(fetch_transactions(context_of(options, since=NOW - timedelta(days=70))))
        next(reports)
        assert len(paypal.queries) == 1
        next(reports)
        assert len(paypal.queries) == 2
