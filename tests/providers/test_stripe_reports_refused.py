"""Stripe's report files that cannot be entered: each is refused with the line, and with what to import in its place."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout_service.providers.adapters.stripe import report_rows
from checkout_service.providers.adapters.stripe.report_files import read
from checkout_service.providers.adapters.stripe.report_rows import Seen
from checkout_service.providers.reports import LONGEST_LINE, UnreadableReportError
from tests.providers.stripe_reports import PAYOUTS, RECONCILIATION, csv_of, read_bytes, read_rows, rows_of

OTHERS = {
    "balance.summary": (b"category,description,net_amount,currency\nactivity,x,1.00,eur\n", "this is balance.summary"),
    "a summary": (b"reporting_category,currency,count,gross,fee,net\ncharge,eur,1,1.00,0,1.00\n", "this is a summary"),
    "the account's activity": (
        b"balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category\n",
        "balance_change_from_activity",
    ),
    "connected accounts": (
        b"connected_account,automatic_payout_id,balance_transaction_id,created_utc\n",
        "this is a report of connected accounts",
    ),
    "another export": (b"id,Description,Amount\n", "no report of Stripe's that is known"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_report_is_refused_with_what_to_import(name: str) -> None:
    content, words = OTHERS[name]
    with pytest.raises(UnreadableReportError, match=f"^line 1: .*{words}.*import payout_reconciliation.itemized and"):
        read_bytes(content)


def test_a_line_that_no_payout_has_is_refused_since_nothing_proves_it() -> None:
    rows = rows_of(RECONCILIATION)
    rows[3] |= {"automatic_payout_id": ""}

    with pytest.raises(UnreadableReportError, match=r"^line 5: it has no automatic_payout_id.*ending_balance"):
        read_rows(rows)


@pytest.mark.parametrize("column", ["source_id", "gross", "reporting_category", "currency", "net", "fee"])
def test_a_column_that_is_read_has_to_be_there(column: str) -> None:
    rows = rows_of(RECONCILIATION)
    words = rf"^line 1: payout_reconciliation\.itemized needs the column {column}"

    with pytest.raises(UnreadableReportError, match=words):
        read_rows(rows, [name for name in rows[0] if name != column])


def test_a_time_whose_zone_nobody_names_is_not_taken_for_utc() -> None:
    rows = rows_of(RECONCILIATION)

    with pytest.raises(UnreadableReportError, match="created_utc: created is in a zone that the file does not name"):
        read_rows(rows, [name for name in rows[0] if name != "created_utc"])


def test_a_column_that_is_missing_from_payouts_is_named() -> None:
    rows = rows_of(PAYOUTS)

    with pytest.raises(UnreadableReportError, match=r"payouts\.itemized needs the column reporting_category"):
        read_rows(rows, [name for name in rows[0] if name != "reporting_category"])


HEADER = RECONCILIATION.read_bytes().splitlines(keepends=True)[0]
FIRST = RECONCILIATION.read_bytes().splitlines(keepends=True)[1]

BYTES = {
    "nothing": (b"", r"line 1: the file has no header"),
    "a blank line": (b"\r\n", r"line 1: the file has no header"),
    "a NUL": (HEADER + FIRST.replace(b"order", b"or\0der"), r"line 2: there is a NUL"),
    "UTF-16": ((HEADER + FIRST).decode().encode("utf-16"), r"line 1: "),
    "Latin-1": (HEADER + FIRST.replace(b"order", b"\xfcber"), r"line 2: it is not in UTF-8"),
    "a surrogate": (HEADER + FIRST.replace(b"order", b"\xed\xa0\x80"), r"line 2: it is not in UTF-8"),
    "semicolons": (HEADER.replace(b",", b";"), r"line 1: its columns are parted by ;"),
    "a column twice": (HEADER.replace(b"fee,", b"net,"), r"line 1: the column 'net' is there more than once"),
    "a field too few": (
        HEADER + FIRST.replace(b"charge,", b"", 1),
        r"line 2: the row has 18 fields, and",
    ),
    "a field too many": (HEADER + FIRST.replace(b"eur,", b"eur,,", 1), r"line 2: the row has 20 fields"),
    "a quotation that does not end": (HEADER + FIRST + b'"' + FIRST * 3, r"line 3: no CSV"),
    "words behind a quotation": (HEADER + FIRST.replace(b"order", b'"a"b'), r"line 2: "),
    "carriage returns alone": ((HEADER + FIRST).replace(b"\n", b"\r"), r"line 1: no CSV"),
    "a field that is too long": (HEADER + FIRST.replace(b"order", b"x" * 200_000), r"line 2: no CSV"),
    "a line that is too long": (HEADER + b"x" * (LONGEST_LINE + 1), r"line 2: the row is longer than"),
    "a row that is too long": (
        HEADER + (b'"' + b"xxxxxxxxx\n" * 10_000 + b'",') * 11,
        r"line 2: the row is longer than",
    ),
}


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_are_no_such_file_are_refused_with_the_line(what: str) -> None:
    content, words = BYTES[what]

    with pytest.raises(UnreadableReportError, match=f"^{words}"):
        read_bytes(content)


VALUES = [
    *(("gross", value) for value in ("", "1e2", "NaN", "1_0", "+1.00", "1.", ".5", "1.005", "1,000.00", "(1.00)", "١")),
    *(("gross", value) for value in ("9" * 16 + ".00", "1 000", "--1", "Infinity", "0x10")),
    *(("currency", value) for value in ("", "eu", "euro", "e\nr", "€ur", "1ab")),
    *(
        ("created_utc", value)
        for value in ("", "2026-11-22", "2026-11-22T20:40:00", "2026-13-01 00:00:00", "1795380000")
    ),
    *(("created_utc", value) for value in ("0001-01-01 00:00:00", "9999-12-31 23:59:59", "2026-11-22 24:00:00")),
    *(("available_on_utc", value) for value in ("25.11.2026", "2026-W01-1", "20261125", "2026-11-31")),
    *(("balance_transaction_id", value) for value in ("", "txn 1", "txn_\u200b1", "x" * 256, "=1+1")),
    *(("automatic_payout_id", value) for value in ("po 1", "po_é", "@po")),
    *(("reporting_category", value) for value in ("", "char ge", "<b>")),
    *(("source_id", value) for value in ("ch_1 2", "ch_" + "x" * 300)),
    *(("payment_intent_id", value) for value in ("pi 1", "pi_1\n2")),
    *(("customer_facing_amount", value) for value in ("x", "1.234")),
    ("customer_facing_currency", ""),
]


@pytest.mark.parametrize(("column", "value"), VALUES)
def test_a_value_that_is_none_is_refused_and_not_repeated(column: str, value: str) -> None:
    rows = rows_of(RECONCILIATION)
    rows[1] |= {column: value}

    with pytest.raises(UnreadableReportError) as caught:
        read_rows(rows)

    assert caught.value.line == 3
    assert len(value) < 5 or value not in str(caught.value).partition(", such as")[0]


@pytest.mark.parametrize(
    ("currency", "written", "read_as"),
    [
        ("eur", "100", "100.00"),
        ("eur", "100.5", "100.50"),
        ("eur", "100.5000", "100.50"),
        ("jpy", "100.00", "100"),
        ("JPY", "100", "100"),
        ("kwd", "1.234", "1.234"),
        ("kwd", "1.2", "1.200"),
        ("isk", "100.00", "100"),
        ("mga", "100", "100.00"),
        ("eur", "-0.00", "0.00"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, written: str, read_as: str) -> None:
    (row,) = rows_of(RECONCILIATION)[:1]
    row |= {"currency": currency, "gross": written, "fee": "0", "net": written, "customer_facing_amount": ""}

    ((line,), report) = read_rows([row])

    assert report.faults == []
    assert f"{abs(line.gross)}" == read_as.removeprefix("-")
    assert line.gross == line.net


def test_the_same_digits_are_another_amount_in_another_currency() -> None:
    (row,) = rows_of(RECONCILIATION)[:1]
    row |= {"gross": "100", "fee": "0", "net": "100", "customer_facing_amount": ""}
    yen = row | {"currency": "jpy", "balance_transaction_id": "txn_2"}

    lines, _ = read_rows([row, yen, row | {"balance_transaction_id": "txn_3"}])

    assert [str(line.gross) for line in lines] == ["100.00", "100", "100.00"]
    dinar = row | {"currency": "kwd", "gross": "1.234", "net": "1.234"}
    with pytest.raises(UnreadableReportError, match=r"^line 3: gross has more decimals than EUR"):
        read_rows([dinar, dinar | {"currency": "eur"}])


def test_one_file_has_one_mark_before_its_decimals() -> None:
    rows = rows_of(RECONCILIATION)
    rows[1] |= {"gross": "46,10"}

    with pytest.raises(UnreadableReportError, match=r"^line 3: gross has a , where amounts before have a \."):
        read_rows(rows)


def test_the_hash_is_that_of_the_bytes() -> None:
    content = RECONCILIATION.read_bytes()

    assert read_bytes(content)[1].sha256 == hashlib.sha256(content).digest()
    assert read_bytes(PAYOUTS.read_bytes())[1].sha256 == hashlib.sha256(PAYOUTS.read_bytes()).digest()


@given(content=st.binary(max_size=300), after=st.booleans())
def test_whatever_the_bytes_are_they_are_read_or_refused(content: bytes, after: bool) -> None:
    with suppress(UnreadableReportError):
        read_bytes(HEADER + FIRST + content if after else content)


@given(values=st.lists(st.text(max_size=30), min_size=19, max_size=19))
def test_whatever_the_fields_are_they_are_read_or_refused(values: list[str]) -> None:
    names = list(rows_of(RECONCILIATION)[0])
    with suppress(UnreadableReportError):
        for line in read_bytes(_encoded(csv_of([dict(zip(names, values, strict=True))], names)))[0]:
            assert line.net is not None


def _encoded(content: bytes) -> bytes:
    return content.replace(b"\0", b"")


def test_faults_are_counted_and_not_all_written_down() -> None:
    (row,) = rows_of(RECONCILIATION)[:1]
    rows = [row | {"balance_transaction_id": f"txn_{number}", "net": "1.00"} for number in range(250)]

    _, report = read_rows(rows)

    assert len(report.faults) == 101
    assert report.faults[-1] == "and 150 more"


class Endless(io.RawIOBase):
    """A file of so many rows that is never in memory as a whole."""

    def __init__(self, rows: int) -> None:
        self._rows, self._number = rows, -1

    def readline(self, size: int | None = -1) -> bytes:
        self._number += 1
        if self._number == 0:
            return HEADER
        if self._number > self._rows:
            return b""
        return FIRST.replace(b"txn_made1", b"txn_%d" % self._number)


def test_a_file_is_read_in_little_memory_however_long_it_is() -> None:
    tracemalloc.start()
    try:
        peaks = []
        for rows in (2_000, 20_000):
            tracemalloc.reset_peak()
            report = read(Endless(rows), name="x", account="")  # type: ignore[arg-type]  # all that is read of it
            assert sum(1 for _ in report.lines) == rows
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()

    assert peaks[1] - peaks[0] < 60 * 18_000, peaks


def test_names_that_came_before_are_found_however_many_there_are() -> None:
    seen = Seen()
    for number in range(5_000):
        seen.add(f"txn_{number}", number)
    assert list(seen.doubled()) == []

    for number in (7, 4_999, 7):
        seen.add(f"txn_{number}", 10_000 + number)

    assert sorted(seen.doubled()) == [(7, 10_007), (7, 10_007), (4_999, 14_999)]


def test_a_file_that_is_too_large_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_rows, "LARGEST_FILE", 600)

    with pytest.raises(UnreadableReportError, match=r"^line 3: the file is larger than 600 bytes"):
        read_bytes(RECONCILIATION.read_bytes())
