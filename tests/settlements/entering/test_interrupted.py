"""A file that cannot be read to its end, and a process that is ended in the middle, leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from checkout_service.providers.reports import Report, ReportLine, UnreadableReportError
from checkout_service.settlement_words import EntryKind, FileState
from checkout_service.settlements.entered import FileOfAnotherError
from checkout_service.settlements.entering import enter
from tests.conftest import ROOT, Servers, Sql
from tests.settlements.entering.reports import (
    PROVIDER,
    connect,
    dump,
    line,
    payment,
    payout,
    payouts,
    report,
    section,
    whole,
)

Settlements = psycopg.Connection[Any]

TABLES = (
    "settlement_files",
    "settlement_lines",
    "payouts",
    "balance_entries",
    "settlement_matches",
    "settlement_accounts",
)

ENTER = """
import signal, sys, psycopg
from benchmarks.settlements import report_of
from checkout_service.settlements.entering import enter
connection = psycopg.connect(sys.argv[1], autocommit=True, application_name="settlements-in-the-middle")
# Whoever runs these tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begun", flush=True)
enter(connection, report_of(200_000), provider="stripe", account="")
print("done", flush=True)
"""


def _is_empty(sql: Sql) -> bool:
    return all(not sql(f"SELECT FROM {table} LIMIT 1") for table in TABLES)


@pytest.mark.parametrize(
    "error", [UnreadableReportError("no amount", line=3), KeyboardInterrupt()], ids=["line", "ctrl-c"]
)
def test_what_cannot_be_read_to_its_end_leaves_nothing(
    settlements: Settlements, sql: Sql, error: BaseException
) -> None:
    def broken(lines: Iterator[ReportLine]) -> Iterator[ReportLine]:
        yield from lines
        raise error

    made = report([line(EntryKind.TRANSFER, "1") for _ in range(2)])
    made.lines = broken(made.lines)

    with pytest.raises(type(error)):
        enter(settlements, made, provider=PROVIDER, account="")

    assert _is_empty(sql)
    assert settlements.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"currency": "usd"}, "line 1: names a currency that is none"),
        ({"currency": "U\tS"}, "line 1: names a currency that is none"),
        ({"subject_ref": "a\0b"}, "line 1: has a character NUL"),
        ({"subject_ref": "a\ud800"}, "line 1: has characters that are none"),
        ({"payment_ref": "x" * 2001}, "line 1: its names have more than 2000 bytes"),
        ({"entry_ref": "\u4e00" * 1500}, "line 1: its names have more than 2000 bytes"),
        ({"occurred_at": datetime(1, 1, 1, tzinfo=UTC)}, "line 1: its time is before 2000, or more than a year ahead"),
        (
            {"occurred_at": datetime(9999, 12, 31, tzinfo=UTC)},
            "line 1: its time is before 2000, or more than a year ahead",
        ),
        ({"entry_ref": ""}, "line 1: has no name"),
    ],
)
def test_what_the_database_would_not_take_is_refused_by_its_line(
    settlements: Settlements, sql: Sql, change: dict[str, str], message: str
) -> None:
    with pytest.raises(UnreadableReportError) as refused:
        enter(settlements, report([line(EntryKind.TRANSFER, "1")._replace(**change)]), provider=PROVIDER, account="")

    assert str(refused.value) == message
    assert _is_empty(sql)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1E+30", "1E-30", "9" * 70])
def test_an_amount_that_is_none_is_refused(settlements: Settlements, sql: Sql, amount: str) -> None:
    with pytest.raises(UnreadableReportError, match="line 1: has an amount that is none"):
        enter(
            settlements, report([line(EntryKind.TRANSFER, "1", customer_amount=Decimal(amount))], sections=[]),
            provider=PROVIDER, account="",
        )  # fmt: skip

    assert _is_empty(sql)


def test_hostile_text_is_kept_as_it_is(settlements: Settlements, sql: Sql) -> None:
    text = "a\tb\\N\nc\r\\.\n'\"; DROP TABLE payouts; -- é 漢\u2028"

    enter(
        settlements,
        report([line(EntryKind.TRANSFER, "1E+2", ref=text, description=text, merchant_ref="\\N", provider_type=text)]),
        provider=PROVIDER,
        account="",
    )

    row = sql("SELECT entry_ref, description, merchant_ref, provider_type, gross FROM balance_entries")[0]
    assert tuple(row) == (text, text, "\\N", text, 100)


def test_a_line_of_another_account_is_refused(settlements: Settlements, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "1", account="shop_1"), line(EntryKind.TRANSFER, "1", account="shop_2")]

    with pytest.raises(FileOfAnotherError, match="line 2: is of account shop_2, not of shop_1"):
        enter(settlements, report(lines, sections=[]), provider=PROVIDER, account="shop_1")

    assert _is_empty(sql)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("while_it", ["reads", "writes"])
def test_a_process_that_is_ended_in_the_middle_leaves_nothing(
    servers: Servers, settlements: Settlements, sql: Sql, ended_by: signal.Signals, while_it: str
) -> None:
    payment(sql, captured={"ch_1": "100"})
    with connect(servers) as connection:
        url = psycopg.conninfo.make_conninfo(connection.info.dsn, password=connection.info.password)
    with subprocess.Popen(
        [sys.executable, "-c", ENTER, url],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if while_it == "writes":
            _until(lambda: bool(_backends(sql, "AND query LIKE '%INSERT INTO balance_entries%'")))
        process.send_signal(ended_by)
        assert process.stdout.read() == ""
        assert process.wait(timeout=60) != 0

    # A server process whose client is gone ends with its statement; SIGINT has it canceled before that.
    _until(lambda: not _backends(sql))
    assert _is_empty(sql)
    entered = enter(settlements, report([line(EntryKind.TRANSFER, "1")]), provider=PROVIDER, account="")
    assert entered.state == FileState.ENTERED


def test_of_two_at_once_one_waits_and_both_are_right(servers: Servers, sql: Sql) -> None:
    payment(sql, captured={"ch_1": "60"})
    files = [
        [line(EntryKind.CAPTURE, "100", ref="t1", subject="ch_1"), line(EntryKind.TRANSFER, "1", ref="t3")],
        [line(EntryKind.RELEASE, "-40", ref="t2", subject="ch_1"), line(EntryKind.TRANSFER, "1", ref="t3")],
    ]

    def act(lines: list[ReportLine]) -> int:
        with connect(servers) as connection:
            return enter(connection, report(lines), provider=PROVIDER, account="").new

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(act, files)) == [1, 2]

    assert {row.state for row in sql("SELECT state::text FROM settlement_matches WHERE undone_at IS NULL")} == {
        "matched"
    }
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 3


def test_the_same_file_twice_at_once_is_one(servers: Servers, sql: Sql) -> None:
    lines = [line(EntryKind.TRANSFER, "1", ref=f"t{number}") for number in range(100)]

    def act(_number: int) -> bool:
        with connect(servers) as connection:
            return enter(connection, whole("po_1", lines), provider=PROVIDER, account="").is_known

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(act, range(2))) == [False, True]

    assert payouts(sql) == {"po_1": "reconciled"}
    assert sql("SELECT count(*) AS n FROM balance_entries")[0].n == 100


def test_progress_is_shown_and_a_file_without_lines_is_one(settlements: Settlements, sql: Sql) -> None:
    listed: list[int] = []

    made = Report(form="test", name="empty.csv", lines=iter(()), sha256=bytes(32))
    entered = enter(settlements, made, provider=PROVIDER, account="", progress=listed.append)

    assert (entered.state, entered.rows, listed) == (FileState.ENTERED, 0, [0])
    assert dump(sql) == [[], [], [], []]


def _backends(sql: Sql, more: str = "") -> list[Any]:
    return sql(
        "SELECT pid FROM pg_stat_activity "
        f"WHERE datname = current_database() AND application_name = 'settlements-in-the-middle' {more}"
    )


def _until(holds: Any) -> None:
    ends_at = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payout_ref": ""}, "a payout has no name"),
        ({"amount": Decimal("NaN")}, "payout 'po_1' has an amount that is none"),
        ({"amount": Decimal("1E+999999")}, "payout 'po_1' has an amount that is none"),
        ({"currency": "usd"}, "payout 'po_1' names a currency that is none"),
        ({"bank_reference": "\u4e00" * 700}, "payout 'po_1': its names have more than 2000 bytes"),
        ({"descriptor": "a\0b"}, "payout 'po_1' has a character NUL"),
        ({"failure_code": "a\ud800"}, "payout 'po_1' has characters that are none"),
    ],
)
def test_what_the_database_would_not_take_of_a_payout_is_refused(
    settlements: Settlements, sql: Sql, change: dict[str, str], message: str
) -> None:
    listed = replace(payout("po_1", "1"), **change)

    with pytest.raises(UnreadableReportError) as refused:
        enter(settlements, report([], payouts=[listed], sections=[]), provider=PROVIDER, account="")

    assert str(refused.value) == message
    assert _is_empty(sql)


def test_texts_that_events_show_are_cut(settlements: Settlements, sql: Sql) -> None:
    listed = payout("po_1", "1", descriptor="x" * 2_000_000, failure_code="y" * 2_000_000)
    strange = line(EntryKind.UNKNOWN, "1", ref="t1", provider_type="z" * 1_000_000)

    sections = [section("all", expected={"USD": Decimal(1)})]
    enter(settlements, report([strange], payouts=[listed], sections=sections), provider=PROVIDER, account="")

    row = sql("SELECT length(descriptor) AS descriptor, length(failure_code) AS failure_code FROM payouts")[0]
    assert tuple(row) == (500, 500)
    assert 500 < sql("SELECT max(length(body::text)) AS n FROM events")[0].n < 3000
