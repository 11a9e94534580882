"""Mollie's settlements, from a server on this machine: their lists, months and rounding, and what does not add up."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout_service.providers.adapters.mollie import reports_api
from checkout_service.providers.adapters.mollie.reports import fetch_settlements, refuse_file
from checkout_service.providers.adapters.mollie.spec import spec
from checkout_service.providers.base import Decline, ProviderRefusedError
from checkout_service.providers.reports import Report, ReportLine, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus, Subject
from tests.providers.proving_reports import NOW, SAMPLES, context_of, fetched, served, why_held

SAMPLE: dict[str, Any] = json.loads((SAMPLES / "mollie-api-v2-settlement.json").read_text())
BALANCE: dict[str, Any] = json.loads((SAMPLES / "mollie-api-v2-balance-transactions.json").read_text())
TOKEN = "access_madeUp0madeUp0madeUp0"
OURS = "0199f0b0-0000-7000-8000-000000000001"


def eur(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"currency": currency, "value": value}


def payment(ref: str, value: str, *, method: str = "ideal", settled: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "resource": "payment",
        "id": ref,
        "method": method,
        "status": "paid",
        "description": "order of Ann Other",
        "details": {"consumerName": "Ann Other", "consumerAccount": "NL00MADE0000000009"},
        "amount": eur(value),
        "settlementAmount": eur(settled or value),
        "createdAt": "2026-11-23T08:59:00+00:00",
        "paidAt": "2026-11-23T09:00:00+00:00",
        **more,
    }


def part(ref: str, value: str, settled: str, of: str = "tr_madeup1", **more: Any) -> dict[str, Any]:
    """A capture, a refund or a chargeback."""
    return {
        "id": ref,
        "paymentId": of,
        "amount": eur(value),
        "settlementAmount": eur(settled),
        "createdAt": "2026-11-25T14:00:00+00:00",
        "description": "refund of Ann Other",
        **more,
    }


LISTS: dict[str, list[dict[str, Any]]] = {
    "payments": [
        payment("tr_madeup0", "25.00", method="creditcard", metadata={"payment_id": OURS}),
        payment("tr_madeup1", "50.00"),
        payment("tr_madeup2", "50.00"),
    ],
    "captures": [],
    "refunds": [part("re_madeup1", "30.00", "-30.00")],
    "chargebacks": [],
}


class Mollie:
    """An organization's API: lists by pages of a few, each leading on with the id that the next one begins with."""

    def __init__(self, settlement: dict[str, Any] | None = None, **lists: list[dict[str, Any]]) -> None:
        self.settlements = [copy.deepcopy(settlement or SAMPLE)]
        self.lists = copy.deepcopy(LISTS) | lists
        self.balance = copy.deepcopy(BALANCE["_embedded"]["balance_transactions"])
        self.balance_status = 200
        self.page_size = 2
        self.spoil: Any = None

    def __call__(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, Any]:
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        match path.strip("/").split("/"):
            case ["settlements"]:
                return self._page(path, "settlements", self.settlements, query)
            case ["settlements", ref]:
                return 200, next(each for each in self.settlements if each["id"] == ref)
            case ["settlements", _, name]:
                return self._page(path, name, self.lists[name], query)
            case ["balances", "bal_madeup1", "transactions"]:
                if self.balance_status != 200:
                    return self.balance_status, {"status": self.balance_status, "title": "no"}
                return self._page(path, "balance_transactions", self.balance, query)
        raise AssertionError(path)

    def _page(self, path: str, name: str, items: list[Any], query: Mapping[str, str]) -> tuple[int, Any]:
        assert query["limit"] == "250"
        begin = next((at for at, item in enumerate(items) if item["id"] == query.get("from")), 0)
        page, rest = items[begin : begin + self.page_size], items[begin + self.page_size :]
        following = {"href": f"https://api.mollie.com/v2{path}?from={rest[0]['id']}&limit=250"} if rest else None
        body = {"count": len(page), "_embedded": {name: page}, "_links": {"next": following}}
        if self.spoil is not None:
            self.spoil(name, body, query)
        return 200, body


def all_of(mollie: Mollie, **how: Any) -> list[tuple[Report, list[ReportLine]]]:
    with served(mollie) as (base, _):
        return fetched(fetch_settlements, {"reports_token": TOKEN, "reports_api_base": base}, **how)


def settlement(ref: str, created: str, status: str = "paidout", **more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SAMPLE), "id": ref, "createdAt": created, "status": status, "balanceId": None, **more}


def test_the_sample_is_its_lists_and_costs_and_a_rounding() -> None:
    [(report, lines)] = all_of(Mollie())

    assert why_held(report, lines) == []
    by_ref = {line.entry_ref: line for line in lines}
    first = by_ref["tr_madeup0"]
    assert (first.kind, first.net, first.about) == (EntryKind.CAPTURE, Decimal("25.00"), Subject.CAPTURE)
    assert (first.subject_ref, first.payment_ref, first.merchant_ref) == ("tr_madeup0", "tr_madeup0", OURS)
    assert (first.occurred_at, first.occurred_local) == (
        datetime(2026, 11, 23, 9, tzinfo=UTC),
        "2026-11-23T09:00:00+00:00",
    )
    refund = by_ref["re_madeup1"]
    assert (refund.kind, refund.net, refund.payment_ref) == (EntryKind.REFUND, Decimal("-30.00"), "tr_madeup1")
    assert refund.customer_amount == Decimal("-30.00")
    assert [(line.kind, line.net) for line in lines[4:]] == [
        (EntryKind.FEE, Decimal("-0.6655")),
        (EntryKind.FEE, Decimal("-0.7744")),
        (EntryKind.ROUNDING, Decimal("-0.0001")),
    ]
    assert sum(line.net for line in lines) == Decimal("93.56")
    [payout] = report.payouts
    assert (payout.payout_ref, payout.amount, payout.status) == ("stl_madeup1", Decimal("93.56"), PayoutStatus.PAID)
    assert (payout.bank_reference, payout.arrival_on, payout.itemized) == ("0000001.2611.27", date(2026, 11, 27), True)
    assert {line.payout_ref for line in lines} == {"stl_madeup1"}
    [section] = report.sections
    assert (section.of_payout, section.complete) == ("stl_madeup1", True)
    assert report.name == "stl_madeup1 paidout"
    assert len(report.sha256) == 32


def test_nothing_of_a_customer_is_kept() -> None:
    [(report, lines)] = all_of(Mollie())

    assert "Ann" not in repr(lines) + repr(report.payouts)
    assert "NL00" not in repr(lines)
    assert {line.description for line in lines if line.about is not Subject.NONE} == {""}


def test_a_cost_is_of_its_month_in_amsterdam_and_no_later_than_its_settlement() -> None:
    costs = [line for line in all_of(Mollie())[0][1] if line.kind is EntryKind.FEE]

    assert [(line.occurred_local, line.occurred_at) for line in costs] == [
        ("2026-10", datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC)),
        ("2026-11", datetime(2026, 11, 27, 5, tzinfo=UTC)),
    ]
    over_new_year = copy.deepcopy(SAMPLE)
    months = SAMPLE["periods"]["2026"]
    over_new_year["periods"] = {"2026": {"12": months["10"]}, "2027": {"01": months["11"]}}
    over_new_year["createdAt"] = "2027-01-02T05:00:00+00:00"
    later = all_of(Mollie(over_new_year), now=datetime(2027, 1, 3, tzinfo=UTC))
    assert [line.occurred_local for line in later[0][1] if line.kind is EntryKind.FEE] == ["2026-12", "2027-01"]
    assert next(line for line in later[0][1] if line.kind is EntryKind.FEE).occurred_at.isoformat() == (
        "2026-12-31T22:59:59+00:00"
    )


def spoiled_sample(*path: str, value: str) -> dict[str, Any]:
    found = copy.deepcopy(SAMPLE)
    holder: Any = found
    for step in path:
        holder = holder[int(step) if step.isdigit() and isinstance(holder, list) else step]
    assert holder["value"] != value
    holder["value"] = value
    return found


COST = ("periods", "2026", "10", "costs", "0")


@pytest.mark.parametrize(
    ("mollie", "reason"),
    [
        (
            Mollie(spoiled_sample("amount", value="93.57")),
            "the balance paid out 93.56 EUR, and the settlement is 93.57",
        ),
        (Mollie(spoiled_sample("amount", value="93.55")), "the balance paid out 93.56 EUR"),
        (Mollie(spoiled_sample(*COST, "amountGross", value="0.6755")), "net and VAT are not the gross amount"),
        (Mollie(spoiled_sample(*COST, "amountNet", value="0.56")), "net and VAT are not the gross amount"),
        (Mollie(spoiled_sample("periods", "2026", "11", "revenue", "0", "amountGross", value="100.01")), "net and VAT"),
        (Mollie(payments=[*LISTS["payments"][:2], payment("tr_madeup2", "50.01")]), "residue 0.01 EUR"),
        (Mollie(payments=LISTS["payments"][:2]), "residue -50.00 EUR"),
        (Mollie(payments=LISTS["payments"][1:]), "residue -25.00 EUR"),
        (Mollie(payments=[]), "residue -125.00 EUR"),
        (Mollie(payments=[*LISTS["payments"], payment("tr_madeup3", "50.00")]), "residue 50.00 EUR"),
        (Mollie(refunds=[]), "residue 30.00 EUR"),
        (Mollie(refunds=[part("re_madeup1", "30.01", "-30.01")]), "residue -0.01 EUR"),
        (Mollie(chargebacks=[part("chb_1", "5.00", "-5.00")]), "residue -5.00 EUR"),
    ],
)
def test_one_cent_one_line_lost_or_one_too_many_holds_the_settlement(mollie: Mollie, reason: str) -> None:
    held = why_held(*all_of(mollie)[0])

    assert any(reason in each for each in held), held


def test_without_a_balance_that_can_be_read_only_half_a_cent_is_rounding() -> None:
    for amount, is_held in (("93.57", True), ("93.56", False), ("93.55", True)):
        mollie = Mollie({**copy.deepcopy(SAMPLE), "amount": eur(amount)})
        mollie.balance_status = 403

        held = why_held(*all_of(mollie)[0])

        assert bool(held) is is_held, (amount, held)


def test_a_cent_for_each_row_of_costs_is_rounding_where_the_balance_says_so_and_no_more() -> None:
    for amount, is_held in (("93.55", False), ("93.58", False), ("93.53", True)):
        mollie = Mollie({**copy.deepcopy(SAMPLE), "amount": eur(amount)})
        mollie.balance[0]["resultAmount"] = eur(f"-{amount}")

        report, lines = all_of(mollie)[0]

        assert bool(why_held(report, lines)) is is_held, amount
        rounding = [line.net for line in lines if line.kind is EntryKind.ROUNDING]
        assert rounding == ([] if is_held else [Decimal(amount) - Decimal("93.5601")])


def test_a_balance_is_read_once_for_all_settlements_and_no_further_than_it_takes() -> None:
    mollie = Mollie()
    mollie.settlements = [
        {**copy.deepcopy(SAMPLE), "id": f"stl_{day}", "createdAt": f"2026-11-{day}T05:00:00+00:00"}
        for day in (27, 26, 25)
    ]
    mollie.balance = [
        {
            "id": f"baltr_{number}",
            "type": "outgoing-transfer" if number % 10 == 0 else "payment",
            "resultAmount": eur("-93.56"),
            "createdAt": (NOW - timedelta(hours=number)).isoformat(),
            "context": {"settlementId": "stl_25"} if number == 50 else {},
        }
        for number in range(500)
    ]
    with served(mollie) as (base, requested):
        found = fetched(fetch_settlements, {"reports_token": TOKEN, "reports_api_base": base})

    assert [why_held(report, lines) for report, lines in found] == [[], [], []]
    pages = [path for path in requested if path.startswith("/balances")]
    assert len(pages) == len(set(pages))
    assert 30 <= len(pages) <= 45  # two and three days of two an hour and page, of 250


@pytest.mark.parametrize(
    ("method", "description", "gross", "kind"),
    [
        ("rollingreserve", "Rolling reserve", "-10.00", EntryKind.RESERVE),
        ("rollingreserve", "Rolling reserve", "10.00", EntryKind.RESERVE),
        ("applicationfee", "Application fees", "3.00", EntryKind.ADJUSTMENT),
        ("kickback", "Kickback", "0.50", EntryKind.ADJUSTMENT),
        ("shiftedfee", "Shifted", "-0.50", EntryKind.FEE),
        (None, "Invoice compensation MOL2026.0000000001", "0.0234", EntryKind.ADJUSTMENT),
        ("somethingnew", "Something new", "4.00", EntryKind.UNKNOWN),
    ],
)
def test_revenue_that_no_list_has_is_a_line(method: str | None, description: str, gross: str, kind: EntryKind) -> None:
    held = copy.deepcopy(SAMPLE)
    held["periods"]["2026"]["11"]["revenue"].append(
        {"description": description, "method": method, "count": 1, "amountNet": eur(gross), "amountVat": None,
         "amountGross": eur(gross)}
    )  # fmt: skip
    total = round(Decimal("93.5601") + Decimal(gross), 2)
    held["amount"] = eur(str(total))
    mollie = Mollie(held)
    mollie.balance_status = 403

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    [line] = [each for each in lines if each.provider_type.startswith("revenue")]
    assert (line.kind, line.net, line.description) == (kind, Decimal(gross), description)
    assert line.is_made


def test_a_negative_cost_is_a_fee_that_is_given_back() -> None:
    held = copy.deepcopy(SAMPLE)
    held["periods"]["2026"]["11"]["costs"].append(
        {"description": "Invoice compensation", "method": None, "amountNet": eur("-0.50"), "amountVat": None,
         "amountGross": eur("-0.50")}
    )  # fmt: skip
    held["amount"] = eur("94.06")
    mollie = Mollie(held)
    mollie.balance = []

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    assert [line.net for line in lines if line.kind is EntryKind.FEE][-1] == Decimal("0.50")


def test_captures_are_lines_of_their_own_and_name_their_payment() -> None:
    held = copy.deepcopy(SAMPLE)
    held["periods"]["2026"]["11"]["revenue"].append(
        {"description": "Klarna", "method": "klarna", "count": 2, "amountNet": eur("40.00"), "amountVat": None,
         "amountGross": eur("40.00")}
    )  # fmt: skip
    held["amount"] = eur("133.56")
    captures = [part("cpt_1", "15.00", "15.00", "tr_k"), part("cpt_2", "25.00", "25.00", "tr_k")]
    mollie = Mollie(held, captures=captures)
    mollie.balance = []

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    [first] = [line for line in lines if line.entry_ref == "cpt_1"]
    assert (first.kind, first.subject_ref, first.payment_ref) == (EntryKind.CAPTURE, "cpt_1", "tr_k")
    lost = Mollie(held, captures=captures[:1])
    lost.balance = []
    assert why_held(*all_of(lost)[0]) == ["residue -25.00 EUR"]


def test_what_comes_back_is_another_movement_than_what_went() -> None:
    held = copy.deepcopy(SAMPLE)
    held["amount"] = eur("143.56")
    back = [part("re_madeup1", "30.00", "30.00")]
    won = [part("chb_1", "20.00", "20.00", reversedAt="2026-11-26T10:00:00+00:00")]
    for row, value in ((held["periods"]["2026"]["11"]["revenue"][1], "30.00"),):
        row["amountNet"] = row["amountGross"] = eur(value)
    held["periods"]["2026"]["11"]["revenue"].append(
        {"description": "Chargebacks", "method": "chargeback", "amountNet": eur("20.00"), "amountGross": eur("20.00")}
    )
    held["amount"] = eur("173.56")
    mollie = Mollie(held, refunds=back, chargebacks=won)
    mollie.balance = []

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    found = {line.entry_ref: line for line in lines}
    assert found["re_madeup1:back"].kind is EntryKind.REFUND_FAILURE
    assert found["chb_1:back"].kind is EntryKind.DISPUTE_REVERSAL
    assert found["chb_1:back"].subject_ref == "chb_1"
    assert found["chb_1:back"].occurred_at == datetime(2026, 11, 26, 10, tzinfo=UTC)


def test_a_payment_in_another_currency_says_what_the_customer_paid() -> None:
    dollars = payment("tr_usd", "55.00", amount=eur("55.00", "USD"), settlementAmount=eur("50.00"))
    mollie = Mollie(payments=[*LISTS["payments"][:2], dollars])

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    [line] = [each for each in lines if each.entry_ref == "tr_usd"]
    assert (line.gross, line.currency) == (Decimal("50.00"), "EUR")
    assert (line.customer_amount, line.customer_currency) == (Decimal("55.00"), "USD")
    assert line.rate == Decimal("0.9090909091")


def test_a_payment_without_a_settlement_amount_counts_in_its_own_currency_alone() -> None:
    plain = payment("tr_madeup2", "50.00")
    del plain["settlementAmount"]
    assert why_held(*all_of(Mollie(payments=[*LISTS["payments"][:2], plain]))[0]) == []

    plain["amount"] = eur("50.00", "USD")
    with pytest.raises(UnreadableReportError, match="stl_madeup1: one of the payments says no settlementAmount"):
        all_of(Mollie(payments=[*LISTS["payments"][:2], plain]))


def test_a_negative_settlement_takes_money() -> None:
    held = settlement("stl_minus", "2026-11-20T05:00:00+00:00", amount=eur("-31.44"))
    del held["periods"]["2026"]["11"]["revenue"][0]
    del held["periods"]["2026"]["10"]["revenue"][0]
    mollie = Mollie(held, payments=[])

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    assert report.payouts[0].amount == Decimal("-31.44")


def test_the_open_settlement_is_left_out_and_each_other_status_is_a_word_of_ours() -> None:
    mollie = Mollie()
    created = "2026-11-20T05:00:00+00:00"
    mollie.settlements = [
        {"resource": "settlement", "id": "open", "status": "open", "amount": eur("1.00"), "settledAt": None},
        settlement("stl_p", created, "pending", settledAt=None),
        settlement("stl_b", created, "processing-at-bank"),
        settlement("stl_f", created, "failed"),
        settlement("stl_n", created, "a-new-word"),
    ]

    found = all_of(mollie)

    assert [(report.payouts[0].payout_ref, report.payouts[0].status) for report, _ in found] == [
        ("stl_n", PayoutStatus.PENDING),
        ("stl_f", PayoutStatus.FAILED),
        ("stl_b", PayoutStatus.IN_TRANSIT),
        ("stl_p", PayoutStatus.PENDING),
    ]


def test_what_was_entered_is_fetched_again_only_once_its_status_is_another() -> None:
    entered: set[str] = set()
    mollie = Mollie()
    [(report, lines)] = all_of(mollie, is_entered=entered.__contains__)
    entered.add(report.name)

    assert all_of(mollie, cursor=report.cursor, is_entered=entered.__contains__) == []
    mollie.settlements[0]["status"] = "failed"
    [(again, others)] = all_of(mollie, cursor=report.cursor, is_entered=entered.__contains__)
    assert again.payouts[0].status is PayoutStatus.FAILED
    assert [line.entry_ref for line in others] == [line.entry_ref for line in lines]
    assert others == lines
    assert again.sha256 != report.sha256


def test_an_invoice_that_comes_later_changes_no_name() -> None:
    before = copy.deepcopy(SAMPLE)
    for month in before["periods"]["2026"].values():
        month.pop("invoiceId", None)
        month.pop("invoiceReference", None)

    assert all_of(Mollie(before))[0][1] == all_of(Mollie())[0][1]


def test_settlements_come_oldest_first_and_reach_before_the_cursor() -> None:
    mollie = Mollie()
    mollie.settlements = [
        settlement(f"stl_{age}", (NOW - timedelta(days=age)).isoformat()) for age in (1, 10, 40, 80, 120, 400)
    ]

    def names(**how: Any) -> list[str]:
        return [report.name.split(" ")[0] for report, _ in all_of(mollie, **how)]

    assert names() == ["stl_80", "stl_40", "stl_10", "stl_1"]
    assert names(cursor=(NOW - timedelta(days=1)).isoformat()) == ["stl_40", "stl_10", "stl_1"]
    assert names(since=NOW - timedelta(days=200)) == ["stl_120", "stl_80", "stl_40", "stl_10", "stl_1"]
    assert [report.cursor for report, _ in all_of(mollie)] == [
        (NOW - timedelta(days=age)).isoformat() for age in (80, 40, 10, 1)
    ]


def test_each_settlement_is_entered_before_the_next_one_is_requested() -> None:
    mollie = Mollie()
    mollie.settlements = [settlement(f"stl_{day}", f"2026-11-{day}T05:00:00+00:00") for day in (27, 26)]
    with served(mollie) as (base, requested):
        reports = iter(fetch_settlements(context_of({"reports_token": TOKEN, "reports_api_base": base})))
        first = next(reports)
        assert not any("/payments" in path for path in requested)
        assert next(first.lines).entry_ref == "tr_madeup0"
        assert [path for path in requested if "/payments" in path] == ["/settlements/stl_26/payments?limit=250"]
        assert not any("stl_27" in path for path in requested)


@pytest.mark.parametrize("what", ["skipped", "empty", "loop", "no id", "no address"])
def test_a_page_that_does_not_go_on_where_the_last_one_ended_is_an_error(what: str) -> None:
    def spoil(name: str, body: dict[str, Any], query: Mapping[str, str]) -> None:
        if name != "payments":
            return
        if "from" in query:
            match what:
                case "skipped":
                    body["_embedded"]["payments"] = [payment("tr_other", "1.00")]
                case "empty":
                    body["_embedded"]["payments"] = []
                case "loop":
                    body["_links"] = {"next": {"href": f"https://api.mollie.com/v2/x?from={query['from']}"}}
        elif what == "no id":
            body["_links"] = {"next": {"href": "https://api.mollie.com/v2/x"}}
        elif what == "no address":
            body["_links"] = {"next": {"href": "https://[x"}}

    mollie = Mollie()
    mollie.spoil = spoil
    with pytest.raises(UnreadableReportError, match=r"stl_madeup1: a (page of payments|list leads)"):
        all_of(mollie)


def test_where_a_list_leads_on_to_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(_: str, body: dict[str, Any], __: Mapping[str, str]) -> None:
        if body["_links"]["next"]:
            body["_links"]["next"]["href"] = body["_links"]["next"]["href"].replace("api.mollie.com", "evil.test")

    mollie = Mollie()
    mollie.spoil = spoil
    assert why_held(*all_of(mollie)[0]) == []

    monkeypatch.setattr(reports_api, "_MOST_PAGES", 1)
    with pytest.raises(UnreadableReportError, match="does not end"):
        all_of(mollie)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("amount",), None), (("amount",), {"currency": "EUR", "value": 93.56}),
        (("amount",), {"currency": "EUR", "value": "NaN"}), (("amount",), {"currency": "EURO", "value": "1.00"}),
        (("createdAt",), "soon"), (("settledAt",), "soon"), (("reference",), "\0"), (("status",), None),
        (("periods",), "none"), (("periods", "2026"), 7), (("periods", "26"), {"10": {}}),
        (("periods", "2026", "13"), {}), (("periods", "2026", "10"), "x"),
        (("periods", "2026", "10", "costs"), [7]), (("periods", "2026", "10", "costs"), None),
        (("periods", "2026", "10", "costs", 0, "method"), 7),
        (("periods", "2026", "10", "costs", 0, "description"), "x\ny"),
        (("periods", "2026", "10", "costs", 0, "amountGross"), {"currency": "USD", "value": "1.00"}),
        (("periods", "2026", "10", "costs", 0, "amountGross"), {"currency": "EUR", "value": "9" * 16}),
        (("id",), "stl_../x"), (("id",), 7),
    ],
)  # fmt: skip
def test_a_settlement_that_cannot_be_read_is_an_error(path: tuple[str | int, ...], value: object) -> None:
    held = copy.deepcopy(SAMPLE)
    holder: Any = held
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value

    with pytest.raises(UnreadableReportError):
        all_of(Mollie(held))


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", None), ("amount", None), ("settlementAmount", {"currency": "EUR", "value": "1e9"}),
     ("settlementAmount", {"currency": "USD", "value": "1.00"}), ("createdAt", None), ("paymentId", None)],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_an_error(name: str, value: object) -> None:
    with pytest.raises(UnreadableReportError):
        all_of(Mollie(refunds=[{**part("re_1", "30.00", "-30.00"), name: value}]))


def test_empty_months_may_be_empty_lists_as_php_writes_them() -> None:
    held = {**copy.deepcopy(SAMPLE), "periods": [], "amount": eur("0.00"), "balanceId": None}

    report, lines = all_of(Mollie(held, payments=[], refunds=[]))[0]

    assert (lines, why_held(report, lines)) == ([], [])


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_may_not_read_settlements_is_an_error(status: int) -> None:
    def answer(*_: object) -> tuple[int, Any]:
        return status, {"status": status, "title": "Unauthorized"}

    with served(answer) as (base, _), pytest.raises(ProviderRefusedError) as caught:
        fetched(fetch_settlements, {"reports_token": TOKEN, "reports_api_base": base})
    assert caught.value.reason is Decline.CREDENTIALS


@given(st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=10, deadline=None)
def test_any_order_and_pages_of_any_size_give_the_same_lines(chance: random.Random, size: int) -> None:
    mollie = Mollie()
    mollie.page_size = size
    for items in mollie.lists.values():
        chance.shuffle(items)
    months = list(mollie.settlements[0]["periods"]["2026"].items())
    chance.shuffle(months)
    mollie.settlements[0]["periods"]["2026"] = dict(months)

    report, lines = all_of(mollie)[0]

    assert why_held(report, lines) == []
    plain = {line._replace(line=0) for line in lines}
    assert plain == {line._replace(line=0) for line in all_of(Mollie())[0][1]}


@pytest.mark.parametrize(
    ("name", "data", "word"),
    [
        ("mollie-export-settlement.csv", None, "documented nowhere"),
        ("export.sta", None, "MT940"),
        ("export.txt", b":20:X\n", "MT940"),
        ("export.cod", b"0000027112600105        ", "CODA"),
        ("export.xml", b"\xef\xbb\xbf<?xml version='1.0'?>", "CAMT.053"),
        ("", b"", "documented nowhere"),
    ],
)
def test_each_file_of_mollies_is_refused_in_words(name: str, data: bytes | None, word: str) -> None:
    sample = "mollie-export-settlement.COLUMNS-ASSUMED.csv" if name.endswith(".csv") else (
        "mollie-export-mt940.ASSUMED-FROM-HELP-ARTICLE.sta"
    )  # fmt: skip
    content = data if data is not None else (SAMPLES / sample).read_bytes()

    with pytest.raises(UnreadableReportError, match=word):
        refuse_file(io.BytesIO(content), name=name, account="")


def test_a_key_of_a_profile_is_no_token_of_an_organization() -> None:
    assert spec.reports is not None
    check = spec.reports.account.checks["reports_token"]

    assert check(TOKEN) is None
    assert check("live_madeUp0madeUp0madeUp0") is not None
    assert "cut short" in str(check("access_"))
