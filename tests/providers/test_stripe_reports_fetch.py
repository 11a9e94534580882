"""Stripe's payouts by its API: every page or an error, what changed later, and the same answers as the same report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from checkout_service.providers import transport
from checkout_service.providers.adapters.stripe import report_api
from checkout_service.providers.adapters.stripe.report_api import fetch, report_name
from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.reports import FetchContext, Report, ReportLine, UnreadableReportError
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settlement_words import EntryKind, PayoutStatus
from tests.providers.stripe_reports import movements, residues
from tests.providers.stripe_reports_server import KEY, MADE, NOW, Answer, Stripe, payout, serving


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stripe]:
    monkeypatch.setattr(transport, "sleep", lambda seconds: None)
    with serving() as server:
        yield server


class Fetched:
    """What one run gave, each report read before the next one is taken, as it is entered."""

    def __init__(self, stripe: Stripe, *, key: str = KEY, **context: Any) -> None:
        account = Account(options={"reports_key": Secret(key), "reports_base": Secret(stripe.base)})
        whole = {"account": account, "now": NOW, "since": None, "cursor": None} | context
        self.reports: list[Report] = []
        self.lines: dict[str, list[ReportLine]] = {}
        for report in fetch(FetchContext(**whole)):
            self.lines[report.name] = list(report.lines)
            self.reports.append(report)

    @property
    def states(self) -> Report:
        return self.reports[-1]

    @property
    def hashes(self) -> list[tuple[str, bytes]]:
        return [(report.name, report.sha256) for report in self.reports]

    def of(self, ref: str) -> list[ReportLine]:
        return self.lines[report_name(ref)]


def test_a_payout_comes_with_all_that_it_is_made_of_and_adds_up(stripe: Stripe) -> None:
    fetched = Fetched(stripe)

    report, states = fetched.reports
    lines = fetched.of("po_made1")
    assert [line.entry_ref for line in lines] == [f"txn_made{number}" for number in (5, 4, 3, 2, 1)]
    assert EntryKind.PAYOUT not in {line.kind for line in lines}
    assert residues(lines, report, report.payouts) == {}
    assert report.faults == []
    (found,) = report.payouts
    assert (found.payout_ref, found.amount, found.currency) == ("po_made1", Decimal("49.70"), "EUR")
    assert (found.status, found.itemized, found.descriptor) == (PayoutStatus.IN_TRANSIT, True, "TULIP SHOP")
    assert (found.issued_at, f"{found.arrival_on}", found.bank_reference) == (MADE, "2026-11-27", "")
    assert (states.name, states.payouts, states.sections) == ("payouts", [found], [])
    assert fetched.lines["payouts"] == []


def test_a_query_is_what_the_page_of_the_provider_says(stripe: Stripe) -> None:
    Fetched(stripe)

    (first, payouts), (second, balance) = stripe.queries
    assert (first, second) == ("/v1/payouts", "/v1/balance_transactions")
    since = str(int((NOW - report_api.AT_FIRST).timestamp()))
    assert payouts == {"created[gte]": since, "limit": "100", "expand[0]": "data.failure_balance_transaction"}
    assert balance == {"payout": "po_made1", "limit": "100", "expand[0]": "data.source"}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_pages_of_any_size_give_the_same_report(stripe: Stripe, size: int) -> None:
    whole = Fetched(stripe).hashes
    stripe.largest_page = size
    requests_before = len(stripe.queries)

    assert Fetched(stripe).hashes == whole
    assert len(stripe.queries) - requests_before == 1 + -(-6 // size)


def test_the_same_answers_are_the_same_reports_and_one_cent_more_is_another(stripe: Stripe) -> None:
    first, again = Fetched(stripe), Fetched(stripe, now=NOW + timedelta(hours=5))
    assert first.hashes == again.hashes

    stripe.movements["po_made1"][-1] |= {"amount": 10001, "net": 9681}
    other = Fetched(stripe)

    report = other.reports[0]
    assert other.hashes[0] != first.hashes[0]
    assert other.hashes[1] == first.hashes[1]
    assert residues(other.of("po_made1"), report, report.payouts) == {"po_made1": Decimal("0.01")}


def test_a_movement_that_is_lost_is_a_residue_and_one_that_comes_twice_ends_the_run(stripe: Stripe) -> None:
    lost = stripe.movements["po_made1"].pop(3)
    fetched = Fetched(stripe)
    report = fetched.reports[0]
    assert residues(fetched.of("po_made1"), report, report.payouts) == {"po_made1": Decimal("30.00")}

    stripe.movements["po_made1"] = [*movements(), lost]
    with pytest.raises(UnreadableReportError, match="a movement is in Stripe's list twice"):
        Fetched(stripe)


def test_amounts_that_contradict_each_other_are_faults(stripe: Stripe) -> None:
    stripe.movements["po_made1"][-1] |= {"net": 9681}
    stripe.movements["po_made1"][0] |= {"amount": -4971, "net": -4971}

    (report, _) = Fetched(stripe).reports

    assert report.faults == [
        "line 1: the payout's own line has -49.71, and the payout 49.70",
        "line 6: net 96.81 is not amount 100.00 less fee 3.20",
    ]


def test_the_payouts_own_line_may_be_absent_or_shown_with_the_payout_whole(stripe: Stripe) -> None:
    own, *others = movements()
    shown_whole, back = own | {"source": payout(), "id": "txn_another"}, own | {"id": "txn_back", "amount": 4970}
    back |= {"net": 4970, "reporting_category": "payout_reversal", "type": "payout_failure"}
    stripe.payouts = [payout(failure_balance_transaction={"id": "txn_back", "created": 1795660000})]
    for listed in (others, [shown_whole, *others], [own | {"source": None}, back | {"source": None}, *others]):
        stripe.movements["po_made1"] = listed
        fetched = Fetched(stripe)
        report = fetched.reports[0]

        assert len(fetched.of("po_made1")) == 5
        assert residues(fetched.of("po_made1"), report, report.payouts) == {}


def test_a_payment_of_ours_is_named_by_what_we_wrote_beside_its_charge_and_refund(stripe: Stripe) -> None:
    ours = "6a1f0c3f-5f0e-5d7c-9f3b-1d2e4c5a6b7d"
    shapes = {
        "ch_made1": ("charge", 10000, "eur"),
        "ch_made2": ("charge", 5000, "usd"),
        "re_made1": ("refund", 3000, "eur"),
        "du_made1": ("dispute", 4000, "eur"),
    }
    for one in stripe.movements["po_made1"]:
        if one["source"] in shapes:
            name, amount, currency = shapes[one["source"]]
            one["source"] = {"id": one["source"], "object": name, "amount": amount, "currency": currency}
            one["source"] |= {"metadata": {"payment_id": ours if currency == "eur" else "T-1002"}}
            one["source"] |= {"charge": "ch_made1", "payment_intent": {"id": "pi_made1", "object": "payment_intent"}}

    lines = {line.entry_ref: line for line in Fetched(stripe).of("po_made1")}

    assert {ref: line.merchant_ref for ref, line in lines.items()} == {
        "txn_made1": ours,
        "txn_made2": "",
        "txn_made3": ours,
        "txn_made4": "",
        "txn_made5": "",
    }
    assert lines["txn_made2"].customer_amount == Decimal("50.00")
    assert lines["txn_made3"].customer_amount == Decimal("-30.00")
    assert {line.payment_ref for line in lines.values()} == {"pi_made1", ""}


def test_a_payout_that_came_back_in_another_payout_is_a_line_of_that(stripe: Stripe) -> None:
    back = {
        "id": "txn_back",
        "object": "balance_transaction",
        "type": "payout_failure",
        "reporting_category": "payout_reversal",
        "source": "po_before",
        "amount": 8000,
        "fee": 0,
        "net": 8000,
        "currency": "eur",
        "created": 1795600000,
        "available_on": 1795600000,
    }
    stripe.payouts = [payout(amount=12970)]
    stripe.movements["po_made1"].append(back)
    stripe.movements["po_made1"][0] |= {"amount": -12970, "net": -12970}

    fetched = Fetched(stripe)

    report = fetched.reports[0]
    assert fetched.of("po_made1")[-1].kind is EntryKind.PAYOUT_REVERSAL
    assert residues(fetched.of("po_made1"), report, report.payouts) == {}
    assert report.faults == []


def test_only_what_was_not_entered_is_listed_and_the_oldest_first(stripe: Stripe) -> None:
    older, oldest = (int((MADE - timedelta(days=days)).timestamp()) for days in (1, 2))
    stripe.payouts = [payout(), payout("po_older", created=older), payout("po_oldest", created=oldest)]
    stripe.movements |= {"po_older": [], "po_oldest": []}

    fetched = Fetched(stripe, is_entered=lambda name: name == report_name("po_older"))

    assert [report.name for report in fetched.reports] == [
        report_name("po_oldest"),
        report_name("po_made1"),
        "payouts",
    ]
    assert len(fetched.states.payouts) == 3


NOT_LISTED = {
    "not whole yet": {"reconciliation_status": "in_progress"},
    "made by hand": {"automatic": False, "reconciliation_status": "not_applicable"},
    "made by hand, whatever its lines": {"automatic": False, "reconciliation_status": "completed"},
    "made at once": {"automatic": True, "method": "instant", "reconciliation_status": "not_applicable"},
}


@pytest.mark.parametrize("what", NOT_LISTED)
def test_what_nobody_can_list_is_not_requested(stripe: Stripe, what: str) -> None:
    stripe.payouts = [payout(**NOT_LISTED[what])]

    fetched = Fetched(stripe)

    states = fetched.reports[0]
    assert [one.itemized for one in states.payouts] == [what == "not whole yet"]
    assert not [query for _, query in stripe.queries if "payout" in query]


def test_a_payout_that_fails_after_it_was_paid_is_seen_without_its_lines_again(stripe: Stripe) -> None:
    stripe.payouts = [payout(status="paid")]
    first = Fetched(stripe)
    failed_at = NOW - timedelta(hours=1)
    stripe.payouts = [
        payout(
            status="failed",
            failure_code="account_closed",
            failure_balance_transaction={"id": "txn_back", "created": int(failed_at.timestamp())},
            trace_id={"status": "supported", "value": "TRACE-1"},
        )
    ]

    second = Fetched(stripe, cursor=first.states.cursor, is_entered=lambda name: name == report_name("po_made1"))

    assert [one.status for one in first.states.payouts] == [PayoutStatus.PAID]
    (states,) = second.reports
    (found,) = states.payouts
    assert (found.status, found.failed_at, found.failure_code) == (PayoutStatus.FAILED, failed_at, "account_closed")
    assert found.bank_reference == "TRACE-1"
    assert states.sha256 != first.states.sha256


def test_a_payout_that_takes_from_the_bank_is_negative(stripe: Stripe) -> None:
    stripe.payouts = [payout(amount=-1230, original_payout="po_before")]
    stripe.movements["po_made1"] = []

    (found,) = Fetched(stripe).states.payouts

    assert (found.amount, found.original_ref) == (Decimal("-12.30"), "po_before")


def seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def test_the_next_run_begins_where_this_one_came_to_and_two_weeks_before(stripe: Stripe) -> None:
    stripe.payouts = [payout(status="paid")]
    first = Fetched(stripe)
    assert first.states.cursor == seconds(NOW)
    assert first.reports[0].cursor is None

    Fetched(stripe, cursor=first.states.cursor)

    assert stripe.queries[2][1]["created[gte]"] == seconds(NOW - timedelta(days=14))


@pytest.mark.parametrize(
    "open_yet", [{"status": "pending"}, {"status": "in_transit"}, {"reconciliation_status": "in_progress"}], ids=str
)
def test_a_payout_that_is_not_done_holds_the_place_back(stripe: Stripe, open_yet: dict[str, str]) -> None:
    stripe.payouts = [payout(**{"status": "paid"} | open_yet)]

    assert Fetched(stripe).states.cursor == seconds(MADE)
    assert Fetched(stripe, now=MADE + report_api.GIVEN_UP_AFTER, since=MADE).states.cursor == seconds(
        MADE + report_api.GIVEN_UP_AFTER
    )


def test_a_day_that_is_named_goes_before_the_place_and_leaves_no_gap_behind(stripe: Stripe) -> None:
    stripe.payouts = [payout(status="paid")]
    place = NOW - timedelta(days=60)

    earlier = Fetched(stripe, cursor=seconds(place), since=NOW - timedelta(days=90))
    later = Fetched(stripe, cursor=seconds(place), since=NOW - timedelta(days=3))

    assert stripe.queries[0][1]["created[gte]"] == seconds(NOW - timedelta(days=90))
    assert stripe.queries[2][1]["created[gte]"] == seconds(NOW - timedelta(days=3))
    assert (earlier.states.cursor, later.states.cursor) == (seconds(NOW), None)
    with pytest.raises(UnreadableReportError, match="is no time"):
        Fetched(stripe, cursor="x")


def test_a_run_that_read_many_pages_leaves_the_rest_to_the_next(
    stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_api, "PAGES_A_RUN", 2)
    older = MADE - timedelta(days=5)
    stripe.payouts = [payout(status="paid"), payout("po_older", status="paid", created=int(older.timestamp()))]
    stripe.movements["po_older"] = []

    first = Fetched(stripe)

    assert [report.name for report in first.reports] == [report_name("po_older"), "payouts"]
    assert first.states.cursor == seconds(MADE)
    second = Fetched(stripe, cursor=first.states.cursor, is_entered=lambda name: name == report_name("po_older"))
    assert second.reports[0].name == report_name("po_made1")


def test_each_report_is_requested_when_the_one_before_was_read(stripe: Stripe) -> None:
    stripe.payouts = [payout(), payout("po_older", created=int(MADE.timestamp()) - 9)]
    stripe.movements["po_older"] = []
    account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(stripe.base)})

    reports = fetch(FetchContext(account=account, now=NOW, since=None, cursor=None))
    assert stripe.queries == []
    first = next(reports)
    assert len(stripe.queries) == 1
    list(first.lines)
    assert len(stripe.queries) == 2


def refused(status: int, **error: str) -> Callable[[dict[str, Any]], Answer]:
    return lambda page: (status, {"error": error})


def changed(**fields: Any) -> Callable[[dict[str, Any]], Answer]:
    return lambda page: (200, page | fields)


def test_a_page_that_fails_for_a_moment_is_requested_again(stripe: Stripe) -> None:
    whole = Fetched(stripe).hashes
    stripe.queries.clear()
    stripe.answers = {0: refused(429), 2: refused(500), 3: refused(503)}

    assert Fetched(stripe).hashes == whole
    assert len(stripe.queries) == 5


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Answer], type[Exception], str]] = {
    "no answer": (refused(503), ProviderUnavailableError, "status 503"),
    "too many calls": (refused(429), ProviderUnavailableError, "status 429"),
    "a key that may not": (refused(403, type="invalid_request_error"), ProviderRefusedError, "credentials"),
    "an empty page in the middle": (changed(data=[], has_more=True), UnreadableReportError, "is empty"),
    "no word on whether there is more": (changed(has_more=None), UnreadableReportError, "whether there is more"),
    "no list": (changed(data={}), UnreadableReportError, "data is not a list of objects"),
    "an object without an id": (changed(data=[{}], has_more=True), UnreadableReportError, "id is not a printable"),
    "what is no movement": (changed(data=[payout()], has_more=False), UnreadableReportError, "movement 3"),
    "the page before again": (
        lambda page: (200, page | {"data": movements()[:2], "has_more": True}),
        UnreadableReportError,
        "goes round",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_page_that_is_not_to_be_had_ends_the_run_before_the_report_is_whole(stripe: Stripe, what: str) -> None:
    broken, error, words = BROKEN[what]
    stripe.largest_page = 2
    stripe.answers = dict.fromkeys(range(2, 9), broken)
    account = Account(options={"reports_key": Secret(KEY), "reports_base": Secret(stripe.base)})
    reports = fetch(FetchContext(account=account, now=NOW, since=None, cursor=None))

    report = next(reports)
    with pytest.raises(error, match=words):
        list(report.lines)

    assert report.sha256 == b""


def test_an_endless_list_ends(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_api, "MOST_PAGES", 3)
    stripe.largest_page = 1

    with pytest.raises(UnreadableReportError, match="has more than 3 pages"):
        Fetched(stripe)


def test_a_page_that_is_too_large_is_requested_in_parts(stripe: Stripe, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Fetched(stripe).hashes
    stripe.queries.clear()
    stripe.movements["po_made1"] = [one | {"padding": "x" * 300_000} for one in movements()]

    assert Fetched(stripe).hashes == whole
    limits = [query["limit"] for path, query in stripe.queries if path != "/v1/payouts"]
    assert limits == ["100", "50", "25", "12", "6", "3", "3"]


def test_one_object_that_is_too_large_is_an_error(stripe: Stripe) -> None:
    stripe.movements["po_made1"][0] |= {"padding": "x" * 1_100_000}

    with pytest.raises(UnreadableReportError, match="more than 1000000 bytes"):
        Fetched(stripe)


WRONG: dict[str, dict[str, Any]] = {
    "of the other mode": {"livemode": True},
    "a status that nobody knows": {"status": "posted"},
    "an amount that is none": {"amount": "4970"},
    "an id that is none": {"id": "po 1"},
    "another object": {"object": "charge"},
    "no currency": {"currency": "e"},
    "no day": {"arrival_date": None},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_payout_that_cannot_be_read_ends_the_run(stripe: Stripe, what: str) -> None:
    stripe.payouts = [payout(**WRONG[what])]

    with pytest.raises(UnreadableReportError):
        Fetched(stripe)
    assert len(stripe.queries) == 1


def test_a_payout_that_is_listed_twice_ends_the_run(stripe: Stripe) -> None:
    stripe.payouts = [payout(), payout("po_other"), payout()]

    with pytest.raises(UnreadableReportError, match="a payout is in Stripe's list twice"):
        Fetched(stripe)


def test_a_key_that_is_wrong_is_refused_and_nothing_of_it_is_shown(stripe: Stripe) -> None:
    with pytest.raises(ProviderRefusedError) as caught:
        Fetched(stripe, key="rk_test_another")

    assert caught.value.reason is Decline.CREDENTIALS
    assert "rk_test" not in str(caught.value)


def test_the_account_without_payouts_has_one_report_without_any(stripe: Stripe) -> None:
    stripe.payouts = []

    (states,) = Fetched(stripe).reports

    assert (states.payouts, states.cursor) == ([], seconds(NOW))


def test_the_hash_of_the_states_goes_by_each_thing_that_is_entered() -> None:
    listed = report_api._Listed(
        payout=report_api.payout_of(payout(), account=""), created=MADE, is_whole=True, own_refs=frozenset()
    )
    hashes = {report_api._states([listed], cursor=None).sha256}
    for name, value in (("status", PayoutStatus.PAID), ("bank_reference", "T"), ("amount", Decimal(1))):
        other = listed._replace(payout=replace(listed.payout, **{name: value}))  # type: ignore[arg-type]
        hashes.add(report_api._states([other], cursor=None).sha256)

    assert len(hashes) == 4
    assert report_api._states([listed], cursor="1").sha256 in hashes
