"""Stripe's balance as a whole, where a payout is one that nobody can list: what moved it, and what it held."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.providers import transport
from checkout_service.providers.adapters.stripe import report_balance
from checkout_service.providers.adapters.stripe.report_api import fetch
from checkout_service.providers.adapters.stripe.report_places import Place, Point, Window, read_place
from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.reports import FetchContext, Report, ReportLine, UnreadableReportError
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settlement_words import EntryKind
from tests.providers.stripe_reports_server import KEY, MADE, NOW, Stripe, movement, payout, serving

LATER = NOW + timedelta(hours=1)
BY_HAND = payout("po_hand", automatic=False, reconciliation_status="not_applicable", status="paid", amount=9000)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
    with serving() as server:
        server.payouts = [BY_HAND]
        server.opening = {"eur": 10000}
        yield server


def run(stripe: Stripe, *, now: datetime = NOW, **context: Any) -> list[tuple[Report, list[ReportLine]]]:
    """The reports that follow the payouts', each with its lines, which are read before the next one is taken."""
    account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(stripe.base)})
    whole: dict[str, Any] = {"account": account, "now": now, "since": None, "cursor": None} | context
    return [(report, list(report.lines)) for report in fetch(FetchContext(**whole)) if report.form == "balance"]


def first_cursor(stripe: Stripe) -> str:
    [(report, _)] = run(stripe)
    assert report.cursor is not None
    return report.cursor


def at(second: int) -> int:
    """So many seconds after the first run."""
    return int(NOW.timestamp()) + second


def nets(lines: list[ReportLine], currency: str = "EUR") -> Decimal:
    return sum((line.net for line in lines if line.currency == currency), Decimal(0))


def test_the_first_run_enters_nothing_and_notes_what_the_balance_was_a_minute_before(stripe: Stripe) -> None:
    stripe.balance = [movement("txn_now", 300, at(-10)), movement("txn_before", 5000, at(-90))]

    [(report, lines)] = run(stripe)

    assert (lines, report.sections, report.payouts) == ([], [], [])
    assert report.cursor is not None
    place = read_place(report.cursor)
    assert place.point == Point(at=at(-60), totals={"EUR": Decimal("150.00")})
    balance = [query for path, query in stripe.queries if path != "/v1/payouts"]
    assert balance == [{"created[gte]": str(at(-60)), "limit": "100"}, {}] * 2


def test_an_account_whose_payouts_can_all_be_listed_has_no_balance_read(stripe: Stripe) -> None:
    stripe.payouts = [payout()]

    assert run(stripe) == []
    assert "/v1/balance" not in {path for path, _ in stripe.queries}
    assert not [query for _, query in stripe.queries if "created[lt]" in query]


def test_what_came_and_went_adds_up_to_the_difference_of_the_balances(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [
        movement("txn_usd2", -700, at(90), currency="usd", type="stripe_fee"),
        movement("txn_usd1", 700, at(80), currency="usd"),
        movement("txn_other", 900, at(70), type="issuing_transaction", balance_type="issuing"),
        movement("txn_hand", -9000, at(60), type="payout", source="po_hand", fee=50),
        movement("txn_back", 4970, at(50), type="payout_failure", source="po_made1"),
        movement("txn_auto", -4970, at(40), type="payout", source="po_made1"),
        movement("txn_ch", 12000, at(30), source="ch_1", fee=320),
    ]
    stripe.queries.clear()
    stripe.largest_page = 2

    [(report, lines)] = run(stripe, now=LATER, cursor=cursor)

    [section] = report.sections
    assert section.expected == {"EUR": Decimal("26.30"), "USD": 0}
    assert (nets(lines), nets(lines, "USD")) == (Decimal("26.30"), 0)
    assert (section.name, section.complete, section.of_payout) == (report.name, True, "")
    assert {line.section for line in lines} == {report.name}
    assert {line.entry_ref: (line.kind, line.payout_ref) for line in lines} == {
        "txn_usd2": (EntryKind.FEE, ""),
        "txn_usd1": (EntryKind.CAPTURE, ""),
        "txn_hand": (EntryKind.PAYOUT, "po_hand"),
        "txn_back": (EntryKind.PAYOUT_REVERSAL, ""),
        "txn_auto": (EntryKind.PAYOUT, "po_made1"),
        "txn_ch": (EntryKind.CAPTURE, ""),
    }
    window = {"created[gte]": str(at(-60)), "created[lt]": str(at(3540)), "expand[0]": "data.source", "limit": "100"}
    assert window in [query for _, query in stripe.queries]
    assert report.cursor is not None
    place = read_place(report.cursor)
    assert place.point == Point(at=at(3540), totals={"EUR": Decimal("126.30")})
    assert [each.name for each in place.windows] == [report.name]
    assert (report.faults, len(report.sha256)) == ([], 32)


def test_a_window_in_which_nothing_moved_is_no_report_and_goes_on(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    assert run(stripe, now=LATER, cursor=cursor) == []
    stripe.balance = [movement("txn_ch", 100, at(30))]

    [(report, lines)] = run(stripe, now=LATER + timedelta(hours=1), cursor=cursor)

    assert [line.entry_ref for line in lines] == ["txn_ch"]
    assert report.name == f"balance {at(-60)}-{at(7140)}"


def test_a_movement_between_the_list_and_the_balance_has_both_read_again(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [movement("txn_ch", 12000, at(30))]
    stripe.moving = [movement("txn_race1", 500, at(3590)), movement("txn_race2", -200, at(3600))]

    [(report, lines)] = run(stripe, now=LATER, cursor=cursor)

    assert report.sections[0].expected == {"EUR": Decimal(120)}
    assert nets(lines) == Decimal(120)
    assert stripe.moving == []


def test_movements_that_amount_to_nothing_between_two_reads_are_seen_by_their_ids(stripe: Stripe) -> None:

    def between(balance: dict[str, Any]) -> tuple[int, Any]:
        stripe.balance.insert(0, movement("txn_race1", 500, at(-5)))
        stripe.moving = [movement("txn_race2", -500, at(-4))]
        return 200, balance

    stripe.answers = {2: between}

    [(report, _)] = run(stripe)

    assert report.cursor is not None
    assert read_place(report.cursor).point == Point(at=at(-60), totals={"EUR": Decimal(100)})
    assert [path for path, _ in stripe.queries].count("/v1/balance") == 4


def test_a_balance_that_does_not_rest_ends_the_run_after_all_else_was_given(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.moving = [movement(f"txn_race{number}", 1, at(3600)) for number in range(50)]
    stripe.payouts = [payout(), BY_HAND]
    account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(stripe.base)})
    reports = fetch(FetchContext(account=account, now=LATER, since=None, cursor=cursor))

    itemized, states = next(reports), next(reports)
    with pytest.raises(ProviderUnavailableError, match="moved each of the 6 times"):
        next(reports)

    assert (itemized.name, states.name) == ("balance_transactions po_made1", "payouts")
    assert read_place(str(states.cursor)).point == read_place(cursor).point


def test_a_key_that_may_not_read_the_balance_holds_nothing_else_up(stripe: Stripe) -> None:
    stripe.answers = {2: lambda page: (403, {"error": {"type": "invalid_request_error"}})}
    account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(stripe.base)})
    reports = fetch(FetchContext(account=account, now=NOW, since=None, cursor=None))

    assert next(reports).name == "payouts"
    with pytest.raises(ProviderRefusedError):
        next(reports)


def test_a_window_that_was_not_entered_is_listed_again_and_the_same_is_the_same_report(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [movement("txn_ch", 12000, at(30))]
    [(first, _)] = run(stripe, now=LATER, cursor=cursor)
    stripe.balance.insert(0, movement("txn_ch2", 100, at(3700)))
    later = LATER + timedelta(hours=1)

    [(again, _), (second, _)] = run(stripe, now=later, cursor=first.cursor)
    [(alone, _)] = run(stripe, now=later, cursor=first.cursor, is_entered=lambda name: name == first.name)

    assert (again.name, again.sha256, again.cursor) == (first.name, first.sha256, None)
    assert second.name == alone.name == f"balance {at(3540)}-{at(7140)}"
    assert second.sha256 == alone.sha256
    assert [len(read_place(str(report.cursor)).windows) for report in (second, alone)] == [2, 1]


def test_windows_that_are_listed_again_are_a_few(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_balance, "MOST_WINDOWS", 2)
    cursor = first_cursor(stripe)
    for hour in range(1, 5):
        stripe.balance.insert(0, movement(f"txn_{hour}", 100, at(3600 * hour - 100)))
        found = run(stripe, now=NOW + timedelta(hours=hour), cursor=cursor)
        cursor = str(found[-1][0].cursor)

    assert len(found) == 3
    assert len(read_place(cursor).windows) == 2


def test_one_cent_more_is_another_report(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [movement("txn_ch", 12000, at(30))]
    [(before, _)] = run(stripe, now=LATER, cursor=cursor)
    stripe.balance[0] |= {"amount": 12001, "net": 12001}
    [(after, _)] = run(stripe, now=LATER, cursor=cursor)
    stripe.balance[0] |= {"amount": 12002}
    [(contradicts, _)] = run(stripe, now=LATER, cursor=cursor)

    assert before.sha256 != after.sha256
    assert contradicts.faults == ["line 1: net 120.01 is not amount 120.02 less fee 0.00"]


def test_a_run_from_a_day_that_was_named_leaves_the_balance_to_the_next_one(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [movement("txn_ch", 12000, at(30))]

    assert run(stripe, now=LATER, cursor=cursor, since=MADE) == []


def test_a_movement_that_comes_twice_or_of_another_time_ends_the_run(stripe: Stripe) -> None:
    cursor = first_cursor(stripe)
    stripe.balance = [movement("txn_ch", 1, at(30)), movement("txn_2", 2, at(29)), movement("txn_ch", 1, at(28))]
    with pytest.raises(UnreadableReportError, match="a movement is in Stripe's list twice"):
        run(stripe, now=LATER, cursor=cursor)
    stripe.balance = [movement("txn_ch", 1, at(30))]
    number = len(stripe.queries) + 5
    stripe.answers = {number: lambda page: (200, page | {"data": [movement("txn_ch", 1, at(-61))]})}
    with pytest.raises(UnreadableReportError, match="movement 1 is of another time"):
        run(stripe, now=LATER, cursor=cursor)


BROKEN: dict[str, dict[str, Any]] = {
    "of the other mode": {"livemode": True},
    "another object": {"object": "list"},
    "no list": {"pending": None},
    "an amount that is none": {"available": [{"amount": 1.5, "currency": "eur"}]},
    "no currency": {"available": [{"amount": 1, "currency": "e"}]},
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_balance_that_cannot_be_read_ends_the_run(stripe: Stripe, what: str) -> None:
    stripe.answers = {2: lambda balance: (200, balance | BROKEN[what])}

    with pytest.raises(UnreadableReportError):
        run(stripe)


def test_a_place_is_read_as_it_was_written() -> None:
    window = Window(since=1, until=2, expected={"JPY": Decimal(-3)})
    place = Place(payouts=7, point=Point(at=9, totals={"EUR": Decimal("0.10")}), windows=(window,))

    assert read_place(place.written()) == place
    assert read_place(Place(payouts=7).written()) == Place(payouts=7)
    whole = json.loads(place.written())
    for change in ({"payouts": "7"}, {"point": None}, {"point": {"at": -1, "totals": {}}}, {"windows": [{}]}):
        with pytest.raises(UnreadableReportError, match="is no time"):
            read_place(json.dumps(whole | change))
    for written in ("", "{", "[" * 9, "-1", "99999999999999", '{"point": {"at": 1, "totals": {"EUR": "NaN"}}}'):
        with pytest.raises(UnreadableReportError, match="is no time"):
            read_place(written)
