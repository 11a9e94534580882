"""Adyen's reports are fetched by their numbers without a gap, and by names that anybody may have sent."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from checkout_service.providers.adapters.adyen.reports_fetching import MOST_AGAIN, MOST_NOTICES, fetch_reports
from checkout_service.providers.adapters.adyen.spec import spec
from checkout_service.providers.base import ProviderRefusedError
from checkout_service.providers.reports import FetchContext, NotFetched
from checkout_service.settings.option_checks import checks_of
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.adyen_reports import SHOP, csv_of, payout, settled
from tests.providers.report_server import ReportServer, serving

NOW = datetime(2026, 11, 30, tzinfo=UTC)
POS = "HarbourBooksPOS"


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as server:
        yield server


def path(number: object, account: str = SHOP) -> str:
    return f"/reports/download/MerchantAccount/{account}/settlement_detail_report_batch_{number}.csv"


def batch(number: int, account: str = SHOP, day: int = 27) -> bytes:
    cells = {"batch_number": str(number), "merchant_account": account}
    at = {"creation_date": f"2026-11-{day:02} 02:10:00"}
    return csv_of([settled(number, "10", "10", **cells), payout("10", **cells, **at)])


def put(server: ReportServer, *numbers: int, account: str = SHOP) -> None:
    server.answers |= {path(number, account): batch(number, account) for number in numbers}


class Fetching:
    """One fetch after the other, as the command makes them: a report is read, entered, and its cursor kept."""

    def __init__(self, server: ReportServer, **options: str) -> None:
        given = {"reports_host": server.origin, "reports_accounts": SHOP, "reports_key": "a key"} | options
        self.account = Account(options={name: Secret(value) for name, value in given.items()})
        self.server = server
        self.cursor: str | None = None
        self.entered: list[str] = []
        self.imported: list[tuple[str, int]] = []
        """Batches of files that somebody imported, whatever their names."""
        self.failed: dict[str, str] = {}

    def fetch(self, *notices: str, **how: Any) -> list[str]:
        """What was read in this fetch; the paths that were asked for are those of the server."""
        self.server.paths.clear()
        context = FetchContext(
            account=self.account,
            now=NOW,
            since=how.get("since"),
            cursor=self.cursor,
            notices=notices,
            is_entered=lambda name: name in self.entered,
            has_number=self.has_number,
        )
        read = []
        self.failed.clear()
        for report in fetch_reports(context):
            if isinstance(report, NotFetched):
                self.failed[report.name] = str(report.error)
                continue
            list(report.lines)
            read.append(report.name)
            self.entered.append(report.name)
            self.cursor = report.cursor or self.cursor
        return read

    def has_number(self, account: str, number: int) -> bool:
        prefix = name(number, account).removesuffix(".csv")
        return (account, number) in self.imported or any(
            each == f"{prefix}.csv" or each.startswith(f"{prefix}_") for each in self.entered
        )

    def numbers(self) -> list[str]:
        return [each.rpartition("_")[2].removesuffix(".csv") for each in self.server.paths]


def name(number: int, account: str = SHOP) -> str:
    return f"{account}/settlement_detail_report_batch_{number}.csv"


def test_the_next_batches_are_fetched_until_there_are_none(server: ReportServer) -> None:
    put(server, 41, 42, 43)
    fetching = Fetching(server, reports_first_batch="41")

    assert fetching.fetch() == [name(41), name(42), name(43)]
    assert fetching.numbers() == ["41", "42", "43", "44", "45", "46"]
    assert fetching.fetch() == []
    assert fetching.numbers() == ["44", "45", "46"]
    put(server, 44)
    assert fetching.fetch() == [name(44)]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 44, "beyond": []}}


def test_no_batch_is_skipped_and_one_that_is_missing_is_named(server: ReportServer) -> None:
    """The later ones are fetched, once each; the missing one is looked for until it is there."""
    put(server, 41, 43, 44)
    fetching = Fetching(server, reports_first_batch="41")
    with pytest.raises(
        ProviderRefusedError, match=f"no report of batch 42 of {SHOP} was entered, while a later one is there"
    ):
        fetching.fetch()
    assert fetching.entered == [name(41), name(43), name(44)]

    fetching.entered = []  # they do not prove themselves, and are held
    put(server, 45)
    with pytest.raises(ProviderRefusedError, match="batch 42"):
        fetching.fetch()
    assert fetching.entered == [name(45)]
    assert fetching.numbers() == ["42", "45", "46", "47", "48"]

    put(server, 42)
    assert fetching.fetch() == [name(42)]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 45, "beyond": []}}


def test_a_missing_batch_that_somebody_imported_is_missing_no_more(server: ReportServer) -> None:
    put(server, 41, 43)
    fetching = Fetching(server, reports_first_batch="41")
    with pytest.raises(ProviderRefusedError, match="import it"):
        fetching.fetch()

    fetching.imported = [(POS, 42)]
    with pytest.raises(ProviderRefusedError, match=f"batch 42 of {SHOP}"):
        fetching.fetch()
    fetching.imported = [(SHOP, 42)]
    assert fetching.fetch() == []
    assert fetching.numbers() == ["44", "45", "46"]
    put(server, 44)
    assert fetching.fetch() == [name(44)]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 44, "beyond": []}}, "and it stays so"


def test_what_somebody_imported_counts_among_what_is_entered(server: ReportServer) -> None:
    put(server, *range(41, 47))
    fetching = Fetching(server)
    fetching.imported = [(SHOP, number) for number in range(41, 47)]
    assert len(fetching.fetch(*[name(number) for number in range(41, 47)])) == MOST_AGAIN


def test_a_setting_steps_over_what_will_never_be_there(server: ReportServer) -> None:
    put(server, 41, 43)
    fetching = Fetching(server, reports_first_batch="41")
    with pytest.raises(ProviderRefusedError):
        fetching.fetch()
    over = Fetching(server, reports_first_batch="43")
    over.cursor, over.entered = fetching.cursor, fetching.entered

    assert over.fetch() == []
    assert over.numbers() == ["44", "45", "46"]
    back = Fetching(server, reports_first_batch="2")
    back.cursor = json.dumps({SHOP: {"last": 43, "beyond": []}})
    back.fetch()
    assert back.numbers() == ["44", "45", "46"], "one that is earlier than what was fetched changes nothing"


def test_without_a_beginning_the_earliest_that_is_named_is_it(server: ReportServer) -> None:
    put(server, 41, 42, 43)
    fetching = Fetching(server)
    assert fetching.fetch() == []
    assert server.paths == [], "no number is guessed"

    assert fetching.fetch(name(43), name(42)) == [name(42), name(43)]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 43, "beyond": []}}
    put(server, 44)
    assert fetching.fetch() == [name(44)]


def test_a_report_that_is_made_anew_is_fetched_again_where_it_is_named(server: ReportServer) -> None:
    put(server, 41)
    fetching = Fetching(server, reports_first_batch="41")
    fetching.fetch()

    assert fetching.fetch(name(41)) == [name(41)]
    server.answers[path("41_2026-11-27_A1B2")] = batch(41)
    own = f"{SHOP}/settlement_detail_report_batch_41_2026-11-27_A1B2.csv"
    assert fetching.fetch(own) == [own]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 41, "beyond": []}}


HOSTILE = [
    f"{SHOP}/settlement_detail_report_batch_41.csv/../../../../admin",
    f"{SHOP}/../../x/settlement_detail_report_batch_1.csv",
    f"{SHOP}/settlement_detail_report_batch_1.csv?x=settlement_detail_report_batch_1.csv",
    f"{SHOP}/settlement_detail_report_batch_1.csv#",
    f"{SHOP}/settlement_detail_report_batch_%2e%2e.csv",
    f"{SHOP}/settlement_detail_report_batch_1.csv\n",
    f"{SHOP}/settlement_detail_report_batch_1.xlsx",
    f"{SHOP}/payments_accounting_report_2026_11_27.csv",
    f"{SHOP}/settlement_detail_report_batch_{'1' * 300}.csv",
    "https://evil.test/settlement_detail_report_batch_1.csv",
    "SomebodyElseECOM/settlement_detail_report_batch_1.csv",
    "/settlement_detail_report_batch_1.csv",
    "settlement_detail_report_batch_1.csv",
    "",
]


def test_nothing_but_a_name_of_a_report_of_ours_is_fetched(server: ReportServer) -> None:
    assert Fetching(server).fetch(*HOSTILE) == []
    assert server.paths == []


def test_a_flood_of_names_costs_a_few_requests_and_starves_no_number(server: ReportServer) -> None:
    put(server, 41, 42)
    fetching = Fetching(server, reports_first_batch="41")

    assert fetching.fetch(*[name(number) for number in range(900_000, 901_000)]) == [name(41), name(42)]
    assert len(server.paths) == 5 + MOST_NOTICES
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 42, "beyond": []}}, "what is not there moves nothing"


def test_few_that_are_entered_are_fetched_again_however_many_are_named(server: ReportServer) -> None:
    put(server, *range(41, 47))
    fetching = Fetching(server, reports_first_batch="41")
    fetching.fetch()

    assert len(fetching.fetch(*[name(number) for number in range(41, 47)])) == MOST_AGAIN


def test_each_merchant_account_counts_its_own_batches(server: ReportServer) -> None:
    put(server, 41, 42)
    put(server, 7, account=POS)
    fetching = Fetching(server, reports_accounts=f"{SHOP}, {POS}", reports_first_batch=f"{SHOP}:41, {POS}:7")

    assert fetching.fetch() == [name(41), name(42), name(7, POS)]
    assert json.loads(fetching.cursor or "") == {
        SHOP: {"last": 42, "beyond": []},
        POS: {"last": 7, "beyond": []},
    }


def test_since_goes_back_from_the_last_batch_until_one_is_older(server: ReportServer) -> None:
    server.answers |= {path(number): batch(number, day=number - 20) for number in range(41, 46)}
    fetching = Fetching(server, reports_first_batch="41")
    fetching.fetch()

    assert fetching.fetch(since=datetime(2026, 11, 24, tzinfo=UTC)) == [name(45), name(44), name(43)]
    assert json.loads(fetching.cursor or "") == {SHOP: {"last": 45, "beyond": []}}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"X-API-Key": "a key"}),
        ({"reports_key": "", "reports_user": "report@Company.Harbour", "reports_password": "a: word"}, None),
    ],
)
def test_the_credentials_are_a_key_or_a_user(
    server: ReportServer, options: dict[str, str], expected: dict[str, str] | None
) -> None:
    put(server, 41)
    Fetching(server, reports_first_batch="41", **options).fetch()
    sent = server.headers[0]

    if expected:
        assert expected.items() <= sent.items()
        assert "Authorization" not in sent
    else:
        assert b64decode(sent["Authorization"].removeprefix("Basic ")) == b"report@Company.Harbour:a: word"
        assert "X-API-Key" not in sent


def test_credentials_that_are_refused_end_the_account_at_once(server: ReportServer) -> None:
    server.answers[path(41)] = 401
    fetching = Fetching(server, reports_first_batch="41")
    assert fetching.fetch() == []

    assert "status 401" in fetching.failed[name(41)]
    assert (len(server.paths), fetching.entered, fetching.cursor) == (1, [], None)


def test_a_page_in_place_of_a_report_is_refused_and_moves_nothing(server: ReportServer) -> None:
    server.answers[path(41)] = b"<html>Sign in</html>"
    fetching = Fetching(server, reports_first_batch="41")
    assert fetching.fetch() == []

    assert "a page for a browser" in fetching.failed[name(41)]
    assert (fetching.entered, fetching.cursor) == ([], None)


@pytest.mark.parametrize("what", [b"<html>Sign in</html>", 403, 400, 503])
def test_one_that_cannot_be_had_keeps_no_other_batch_and_no_other_account(server: ReportServer, what: Any) -> None:
    put(server, 41, 42)
    put(server, 7, 8, account=POS)
    server.answers[path(41)] = what
    fetching = Fetching(server, reports_accounts=f"{SHOP}, {POS}", reports_first_batch=f"{SHOP}:41, {POS}:7")

    expected = [name(7, POS), name(8, POS)] if what == 403 else [name(42), name(7, POS), name(8, POS)]
    assert fetching.fetch() == expected
    assert list(fetching.failed) == [name(41)]


GOOD = {"reports_host": "https://ca-test.adyen.com", "reports_accounts": SHOP, "reports_key": "AQEyhmfxK"}

WRONG = {
    "http": ({"reports_host": "http://ca-test.adyen.com"}, "reports_host", "is not https"),
    "a path": ({"reports_host": "https://ca-test.adyen.com/reports"}, "reports_host", "is not the address of a server"),
    "a user": ({"reports_host": "https://me@ca-test.adyen.com"}, "reports_host", "is not the address of a server"),
    "no address": ({"reports_host": "ca-test.adyen.com"}, "reports_host", "is not the address of a server"),
    "half an address": ({"reports_host": "https://[::1"}, "reports_host", "is not the address of a server"),
    "two steps up": ({"reports_accounts": ".."}, "reports_accounts", "does not look like"),
    "a step": ({"reports_accounts": "Shop/ECOM"}, "reports_accounts", "does not look like"),
    "a batch of words": ({"reports_first_batch": "first"}, "reports_first_batch", "does not look like"),
    "no way in": ({"reports_key": ""}, "reports_key", "is missing, and so is a user"),
    "two ways in": ({"reports_user": "me", "reports_password": "x"}, "reports_key", "is set beside a user"),
    "half a way in": ({"reports_key": "", "reports_user": "me"}, "reports_password", "is missing"),
    "one batch of two": (
        {"reports_accounts": f"{SHOP},{POS}", "reports_first_batch": "41"},
        "reports_first_batch",
        "is one number",
    ),
    "a batch of nobody": ({"reports_first_batch": f"{POS}:41"}, "reports_first_batch", f"names {POS}, which is not"),
}


def faults(options: dict[str, str]) -> list[tuple[str, str]]:
    assert spec.reports is not None
    form = spec.reports.account
    found = [
        (option, words)
        for option, value in options.items()
        for check in checks_of("adyen", form, option)
        if value and (words := check(value))
    ]
    misfit = form.misfit(options) if form.misfit else None
    return found + ([misfit] if misfit else [])


@pytest.mark.parametrize(("options", "option", "words"), WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_work_are_refused_at_start(options: dict[str, str], option: str, words: str) -> None:
    (found,) = faults(GOOD | options)

    assert found[0] == option
    assert found[1].startswith(words)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reports_host": "http://127.0.0.1:8080"},
        {"reports_host": "https://ca-live.adyen.com/"},
        {"reports_accounts": f"{SHOP}, {POS}", "reports_first_batch": f"{POS}:7"},
        {"reports_first_batch": "41"},
        {"reports_key": "", "reports_user": "report@Company.Harbour", "reports_password": "a word"},
    ],
)
def test_settings_that_work_are_let_pass(options: dict[str, str]) -> None:
    assert faults(GOOD | options) == []
