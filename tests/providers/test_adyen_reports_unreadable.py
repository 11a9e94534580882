"""What is no settlement details report of Adyen, or not one that can be read: refused with its line, never guessed."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import pytest

from checkout_service.providers.adapters.adyen import reports, reports_rows
from checkout_service.providers.adapters.adyen.reports import read_report
from checkout_service.providers.adapters.adyen.reports_times import ZONES
from checkout_service.providers.reports import LONGEST_LINE, UnreadableReportError
from tests.providers.adyen_reports import CLASSIC, OF_2021, OF_A_VENDOR, SHOP, csv_of, payout, read, row, settled


def refusal(content: bytes, **how: Any) -> str:
    with pytest.raises(UnreadableReportError) as caught:
        read(content, **how)
    return str(caught.value)


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


GOOD = csv_of([settled(), payout("98.90")])

OTHERS = {
    "a workbook": (workbook(), "this is a workbook (XLSX) or an archive: choose CSV"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1", "this is a workbook (XLS): choose CSV"),
    "packed": (gzip.compress(GOOD), "the file is packed (gzip)"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "the text is in UTF-16"),
    "a page": (b"<!DOCTYPE html>\n<html><title>Sign in</title></html>", "line 1: this is a page for a browser"),
    "empty": (b"", "the file is empty"),
    "blank": (b"\n\n  \n".replace(b" ", b""), "the file is empty"),
    "the aggregate report": (
        b"Merchant/Company,Start date,End date,Aggregation,Country codes\nHarbour,2026-11-24,2026-11-30,,\n" + GOOD,
        "line 1: this is the Aggregate settlement details report, which has no payments",
    ),
    "the accounting report": (
        b"Company Account,Merchant Account,Psp Reference,Record Type,Main Amount\n",
        "line 1: this is the Payment accounting report",
    ),
    "semicolons": (GOOD.replace(b",", b";"), "line 1: the columns are not separated by commas"),
    "a bank's": (b"Date,Amount\n2026-11-27,5\n", "line 1: this is no settlement details report of Adyen: it has no "),
}


@pytest.mark.parametrize(("content", "words"), OTHERS.values(), ids=OTHERS.keys())
def test_another_file_is_called_by_its_name(content: bytes, words: str) -> None:
    assert refusal(content).startswith(words)


@pytest.mark.parametrize(
    "name",
    [
        *("Merchant Account", "Psp Reference", "Type", "Modification Reference", "Batch Number", "Net Currency"),
        *("Net Debit (NC)", "Net Credit (NC)", "Gross Currency", "Gross Debit (GC)", "Markup (NC)", "Creation Date"),
    ],
)
def test_a_column_that_is_needed_is_missed_by_its_name(name: str) -> None:
    words = refusal(csv_of([settled()], [each for each in CLASSIC if each != name]))

    assert words.startswith("line 1: this is no settlement details report of Adyen: it has no ")
    assert name in words


def test_only_what_is_used_is_needed() -> None:
    needed = [
        each
        for each in CLASSIC
        if not each.startswith(
            ("Reserved", "Company", "Payment Method", "Merchant Ref", "Modification Mer", "Exchange")
        )
    ]
    report, lines = read(csv_of([settled(), payout("98.90")], needed))

    assert (len(lines), report.faults, list(report.columns)) == (1, [], needed)


def test_a_column_that_is_there_twice_is_refused_where_it_counts() -> None:
    assert refusal(csv_of([settled()], [*CLASSIC, "net credit (NC)"])) == (
        "line 1: the column 'net credit (NC)' is there twice"
    )
    assert len(read(csv_of([settled()], [*CLASSIC, "Extra", "Extra"]))[1]) == 1


AMOUNTS = ["-98.90", "98,90", "1.098,90", "1e2", "EUR 5", "NaN", "Infinity", "+5", ".5", "5.", " 5", "9" * 16, "\u0665"]


@pytest.mark.parametrize("text", AMOUNTS)
@pytest.mark.parametrize("column", ["Net Credit (NC)", "Gross Credit (GC)", "Markup (NC)", "Exchange Rate"])
def test_what_is_no_amount_is_never_taken_for_one(text: str, column: str) -> None:
    content = csv_of([settled(1), settled(2) | {column: text}])

    assert refusal(content).startswith(f"line 3: {text[:40]!r} is not an amount")


@pytest.mark.parametrize("text", ["75", "461.5", "0", "0.00", "", "98.90000", "0.123456789"])
def test_amounts_have_as_many_decimals_as_they_like(text: str) -> None:
    assert read(csv_of([row("Fee", net_debit_nc=text)]))[1][0].kind.value == "fee"


CELLS = {
    "no batch": ({"Batch Number": ""}, "Batch Number is no number"),
    "a batch of words": ({"Batch Number": "41a"}, "Batch Number is no number"),
    "a long batch": ({"Batch Number": "4" * 10}, "Batch Number is no number"),
    "no account": ({"Merchant Account": ""}, "Merchant Account is no name"),
    "a currency of five": ({"Net Currency": "EUROS"}, "Net Currency is not three capitals"),
    "a small one": ({"Net Currency": "eur"}, "Net Currency is not three capitals"),
    "a gross one": ({"Gross Currency": ""}, "Gross Currency is not three capitals"),
    "no type": ({"Type": ""}, "Type is no word"),
    "a type of two lines": ({"Type": "Sett\nled"}, "Type is no word"),
    "a long reference": ({"Psp Reference": "P" * 256}, "a reference has more than 255 characters"),
    "no date": ({"Creation Date": ""}, "a date is not written as 2026-11-23 09:12:44"),
    "a serial date": ({"Creation Date": "46349.3838"}, "a date is not written as 2026-11-23 09:12:44"),
    "another country's date": ({"Creation Date": "23/11/2026 09:12:44"}, "a date is not written as"),
    "no such day": ({"Creation Date": "2026-02-30 09:12:44"}, "a date is not written as"),
    "a date with its own zone": ({"Creation Date": "2026-11-23 09:12:44+01:00"}, "a date is not written as"),
    "a year that is none": ({"Creation Date": "0026-11-23 09:12:44"}, "a date is not written as"),
    "no zone": ({"TimeZone": ""}, "the time zone '' is not known here"),
    "a zone of two places": (
        {"TimeZone": "CST"},
        "the time zone 'CST' is not known here, or is that of several places",
    ),
    "a zone of nowhere": ({"TimeZone": "Europe/Berlin"}, "the time zone 'Europe/Berlin' is not known here"),
}


@pytest.mark.parametrize(("cells", "words"), CELLS.values(), ids=CELLS.keys())
def test_a_cell_that_says_nothing_is_refused_with_its_line(cells: dict[str, str], words: str) -> None:
    assert refusal(csv_of([settled(1), settled(2) | cells])).startswith(f"line 3: {words}")


def test_the_net_currency_is_that_of_the_batch_where_a_row_has_none() -> None:
    nothing = row("Fee", net_currency="", net_debit_nc="1")

    assert [line.currency for line in read(csv_of([nothing, settled()]))[1]] == ["EUR", "EUR"]
    assert refusal(csv_of([nothing])) == "line 2: Net Currency is empty"
    assert refusal(csv_of([nothing, settled(), settled(2, net_currency="USD")])) == "line 2: Net Currency is empty"


SHAPES = {
    "a short row": (GOOD.replace(b",,,,,,,\n", b"\n", 1), "line 2: 23 cells below a header of 30"),
    "a long row": (
        GOOD.replace(b"\n", b",\n").replace(b"Reserved10,", b"Reserved10"),
        "line 2: 31 cells below a header",
    ),
    "a zero byte": (GOOD.replace(b"Settled", b"Sett\0led"), "line 2: a zero byte"),
    "no UTF-8": (GOOD.replace(b"HarbourBooks,", b"Harbour\xffBooks,"), "line 2: not in UTF-8"),
    "a quote that never ends": (GOOD.replace(b"Settled", b'"Settled'), "line 2: not as CSV is written"),
    "a quote in the middle": (GOOD.replace(b"HarbourBooks,", b'"Harbour"Books,'), "line 2: not as CSV is written"),
    "a line without end": (GOOD + b"x" * (LONGEST_LINE + 1), f"line 4: longer than {LONGEST_LINE} bytes"),
    "a long cell": (GOOD + b'"' + b"xx\n" * 100_000, "line 4: not as CSV is written (field larger than"),
}


@pytest.mark.parametrize(("content", "words"), SHAPES.values(), ids=SHAPES.keys())
def test_a_line_that_is_none_is_refused(content: bytes, words: str) -> None:
    assert refusal(content).startswith(words)


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_rows, "LARGEST_FILE", 10_000)
    content = csv_of([settled(number) for number in range(100)])

    assert "the file has more than 10000 bytes" in refusal(content)


def test_a_file_of_nothing_but_batches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is kept until the file's end."""
    monkeypatch.setattr(reports, "MOST_BATCHES", 10)

    assert refusal(csv_of([settled(1, batch_number=str(number)) for number in range(1, 12)])) == (
        "line 12: more than 10 batches"
    )


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_mark_blank_lines_quotes_and_either_end_of_a_line_change_nothing(ends: str) -> None:
    """A public test file has blank lines before its header and between its rows."""
    rows = csv_of([settled(), row("Fee", net_debit_nc="1", modification_reference='of "both",\nparts')]).decode()
    quoted = rows.replace("2026-11-23 09:12:44", '"2026-11-23 09:12:44"')
    content = "\ufeff\n\n" + quoted.replace("\nHarbourBooks,", "\n\n,,\nHarbourBooks,")
    report, lines = read(content.replace("\n", ends).encode())

    assert report.columns == tuple(CLASSIC)
    assert [line.line for line in lines] == [6, 9]
    assert lines[1].description.replace("  ", " ") == 'of "both", parts'


def test_a_file_of_another_merchant_account_is_refused_where_one_was_named() -> None:
    assert len(read(GOOD, account=SHOP)[1]) == 1
    assert refusal(GOOD, account="HarbourBooksPOS") == f"line 2: of the merchant account {SHOP}, not HarbourBooksPOS"


TIMES = {
    "2026-12-31 23:30:00 CET": "2026-12-31T22:30:00",
    "2027-01-01 00:30:00 CET": "2026-12-31T23:30:00",
    "2026-07-01 00:30:00 CEST": "2026-06-30T22:30:00",
    "2026-07-01 00:30:00 CET": "2026-06-30T23:30:00",  # at its word
    "2026-12-31 16:30:00 PST": "2027-01-01T00:30:00",
    "2026-05-20 00:06:43 PDT": "2026-05-20T07:06:43",
    "2026-12-31 19:30:00 EST": "2027-01-01T00:30:00",
    "2026-07-01 00:30:00 BST": "2026-06-30T23:30:00",
    "2027-01-01 00:30:00 GMT": "2027-01-01T00:30:00",
    "2027-01-01 08:30:00 ACDT": "2026-12-31T22:00:00",
    "2027-01-01 12:30:00 NZDT": "2026-12-31T23:30:00",
}


@pytest.mark.parametrize(("local", "instant"), TIMES.items())
def test_a_time_is_an_instant_by_the_abbreviation_beside_it(local: str, instant: str) -> None:
    day, hour, zone = local.split()
    (line,) = read(csv_of([row("Fee", net_debit_nc="1", creation_date=f"{day} {hour}", timezone=zone)]))[1]

    assert line.occurred_at.isoformat() == f"{instant}+00:00"
    assert line.occurred_local == local, "the year of the books is the source's own"


def test_the_time_of_the_booking_counts_where_it_is_there_and_names_nothing() -> None:
    """A report that is made anew may have it as a new column."""
    booked = {"booking_date": "2027-01-01 00:10:00", "booking_date_timezone": "CET"}
    before = row("Fee", net_debit_nc="1", creation_date="2026-12-30 10:00:00")
    (old,) = read(csv_of([before]))[1]
    (new,) = read(csv_of([before | row("Fee", **booked, creation_date="2026-12-30 10:00:00")], OF_2021))[1]

    assert (new.occurred_at.isoformat(), new.occurred_local) == ("2026-12-31T23:10:00+00:00", "2027-01-01 00:10:00 CET")
    assert new.entry_ref == old.entry_ref


def test_the_times_of_amsterdam_have_a_column_without_a_zone() -> None:
    columns = [name for name in OF_A_VENDOR if name not in {"Creation Date", "TimeZone"}]
    for local, instant in (("2027-01-01 00:30:00", "2026-12-31T23:30"), ("2026-07-01 00:30:00", "2026-06-30T22:30")):
        (line,) = read(csv_of([row("Fee", net_debit_nc="1", creation_date_ams=local)], columns))[1]
        assert line.occurred_at.isoformat() == f"{instant}:00+00:00"
        assert line.occurred_local == f"{local} Europe/Amsterdam"
    assert "CST" not in ZONES


def test_no_text_of_a_customers_row_is_kept() -> None:
    (line,) = read(csv_of([settled() | {"Modification Merchant Reference": "Ann Ash, ann@ash.test"}]))[1]

    assert (line.description, line.merchant_ref) == ("", f"adyen_{1:032x}")


def test_a_file_that_is_read_twice_says_the_same() -> None:
    file = io.BytesIO(GOOD)
    first = read_report(file, name="", account="")
    lines = list(first.lines)
    second = read_report(file, name="", account="")

    assert list(second.lines) == lines
    assert (second.sha256, second.payouts) == (first.sha256, first.payouts)
