"""Files are found by what they are about, and not by how somebody has spelt their names."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from checkout_service.providers.adapters.adyen.reports import read_report
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settlement_words import FileState
from checkout_service.settlements.command_queries import files_called
from checkout_service.settlements.entering import enter
from checkout_service.settlements.fetching import Fetched, fetch_account, fetching
from tests.conftest import Sql
from tests.providers.adyen_reports import SHOP, csv_of, payout, settled
from tests.providers.report_server import ReportServer, serving

Settlements = psycopg.Connection[Any]
POS = "HarbourBooksPOS"


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as server:
        yield server


def batch(number: int, account: str = SHOP, net: str = "10") -> bytes:
    cells = {"batch_number": str(number), "merchant_account": account}
    return csv_of([settled(number, "10", net, **cells), payout("10", **cells)])


def imported(settlements: Settlements, content: bytes, name: str, account: str = "") -> FileState:
    """As ``checkout settlements import`` does it: by the file's own name."""
    report = read_report(io.BytesIO(content), name=name, account=account)
    return enter(settlements, report, provider="adyen", account=account).state


def fetched(settlements: Settlements, sql: Sql, server: ReportServer) -> Fetched:
    sql("UPDATE settlement_accounts SET fetched_at = fetched_at - interval '11 minutes'")
    options = {
        "reports_host": server.origin,
        "reports_accounts": f"{SHOP},{POS}",
        "reports_key": "a key",
        "reports_first_batch": f"{SHOP}:41,{POS}:42",
    }
    account = Account(options={name: Secret(value) for name, value in options.items()})
    beside = partial(psycopg.connect, settlements.info.dsn, autocommit=True)
    with fetching(settlements, beside) as lease:
        return fetch_account(settlements, lease, "adyen", account, since=None)


def put(server: ReportServer, *numbers: int) -> None:
    where = f"/reports/download/MerchantAccount/{SHOP}/settlement_detail_report_batch_"
    server.answers |= {f"{where}{number}.csv": batch(number) for number in numbers}


@pytest.mark.parametrize(
    ("name", "account"), [("settlement_detail_report_batch_42.csv", ""), ("the one of november", SHOP)]
)
def test_a_batch_that_was_imported_by_hand_is_missing_no_more(
    settlements: Settlements, sql: Sql, server: ReportServer, name: str, account: str
) -> None:
    put(server, 41, 43)
    assert f"no report of batch 42 of {SHOP} was entered" in fetched(settlements, sql, server).error
    imported(settlements, batch(42, account=POS), name.replace("42", "of another shop"))
    assert f"batch 42 of {SHOP}" in fetched(settlements, sql, server).error, "each account counts its own batches"
    assert imported(settlements, batch(42, net="9"), name, account) is FileState.HELD
    assert f"batch 42 of {SHOP}" in fetched(settlements, sql, server).error, "nothing of it is entered yet"

    assert imported(settlements, batch(42), name, account) is FileState.ENTERED
    server.paths.clear()
    done = fetched(settlements, sql, server)
    assert (done.error, done.failed, done.files) == ("", [], 0)
    assert not any(path.endswith("batch_42.csv") and SHOP in path for path in server.paths)
    put(server, 44)
    assert fetched(settlements, sql, server).files == 1
    [(cursor,)] = sql("SELECT cursor FROM settlement_accounts WHERE cursor IS NOT NULL")
    assert json.loads(cursor)[SHOP] == {"last": 44, "beyond": []}


def test_a_file_in_two_accounts_names_is_found_by_the_one_that_it_is_about(settlements: Settlements) -> None:
    for account in (SHOP, POS):
        assert imported(settlements, batch(42, account, net="9"), "report.csv") is FileState.HELD
    assert len(files_called(settlements, "report.csv", provider="adyen")) == 2
    [one] = files_called(settlements, "report.csv", account=POS)
    assert one["accounts"] == [POS]
    assert files_called(settlements, "report.csv", account="Nobodys") == []
    assert imported(settlements, batch(43, POS, net="9"), "other.csv", POS) is FileState.HELD
    assert len(files_called(settlements, "other.csv", account=POS)) == 1
