"""Each sample of each format proves itself as it is; with a cent changed, a line twice or lost nothing of it enters."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import psycopg
import pytest

from checkout_service.providers.base import ProviderUnavailableError
from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlement_words import BANK, FileState
from checkout_service.settlements.entered import FileOfAnotherError
from checkout_service.settlements.entering import enter
from tests.conftest import Sql
from tests.settlements.banks.samples import DUTCH, PAYOUTS_OF_08
from tests.settlements.entering.spoiling import (
    ADYEN_41,
    ADYEN_42,
    EACH,
    LINES,
    PAYOUTS,
    REFUSED,
    STL,
    File,
    Reports,
    csv_bytes,
    read,
    sample,
)

Settlements = psycopg.Connection[Any]
Books = Counter[tuple[str, str, Decimal, Decimal, str, datetime, str]]


def whole(settlements: Settlements, reports: Reports, provider: str, account: str = "") -> bool:
    """Whether all of it was entered; it stops at what could not be read."""
    try:
        states = [enter(settlements, report, provider=provider, account=account).state for report in reports()]
    except (UnreadableReportError, FileOfAnotherError, ProviderUnavailableError):
        return False
    return all(state is FileState.ENTERED for state in states)


def books(settlements: Settlements) -> Books:
    """All entries, as they are named and amount to."""
    names = "provider, entry_ref, gross, net, currency, occurred_at, payout_ref"
    return Counter(settlements.execute(f"SELECT {names} FROM balance_entries WHERE withdrawn_by IS NULL").fetchall())


@pytest.mark.parametrize("name", EACH)
def test_one_cent_one_line_twice_and_one_line_lost_are_noticed(settlements: Settlements, name: str) -> None:
    each = EACH[name]
    with settlements.transaction(force_rollback=True):
        assert whole(settlements, each.reports, each.provider, each.account)
        assert books(settlements)
    unnoticed, number = [], 0
    for what, reports in each.spoiled():
        number += 1
        with settlements.transaction(force_rollback=True):
            if whole(settlements, reports, each.provider, each.account):
                unnoticed.append(what)
    assert number >= 5
    assert unnoticed == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_only_assumed_is_refused(name: str) -> None:
    with pytest.raises(UnreadableReportError, match="not read before a real file was seen"):
        list(read("mollie", sample(name))())


def in_another_order(file: File) -> bytes:
    """Columns shuffled: of a settlement report those of each movement with the header of its section."""
    rows = file.rows()
    order = list(range(len(rows[0])))
    if rows[0][0] == "RH":
        [header] = [row for row in rows if row[0] == "CH"]
        order = list(range(1, len(header)))
        random.Random(4).shuffle(order)
        order.insert(0, 0)
        return csv_bytes([[row[at] for at in order] if row[0] in ("CH", "SB") else row for row in rows])
    random.Random(4).shuffle(order)
    return csv_bytes([[row[at] for at in order] for row in rows])


def with_line_breaks(file: File) -> bytes:
    """Each cell in quotation marks, and two cells more in each row, of several lines and with a quotation mark."""
    rows = file.rows()
    if rows[0][0] != "RH":
        rows = [[*row, "More" if not at else 'a "b",\r\n2, c\n'] for at, row in enumerate(rows)]
    else:
        custom = next(row for row in rows if row[0] == "CH").index("Custom Field")
        rows = [[*row[:custom], 'a,\n"b"', *row[custom + 1 :]] if row[0] == "SB" else row for row in rows]
    return csv_bytes(rows, quoting=1)


FORMS: dict[str, Callable[[File], bytes]] = {
    "columns in another order": in_another_order,
    "a mark of the byte order": lambda file: b"\xef\xbb\xbf" + file.content.removeprefix(b"\xef\xbb\xbf"),
    "line feeds with carriage returns": lambda file: csv_bytes(file.rows(), lineterminator="\r\n"),
    "line feeds alone": lambda file: csv_bytes(file.rows()),
    "quoted, with line breaks": with_line_breaks,
    "no end of the last line": lambda file: file.content.rstrip(),
}

FILES: dict[str, tuple[str, list[File]]] = {
    "adyen 41": ("adyen", [ADYEN_41]),
    "adyen 42": ("adyen", [ADYEN_42]),
    "stripe": ("stripe", [PAYOUTS, LINES]),
    "paypal": ("paypal", [STL]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FILES)
def test_the_form_of_a_file_changes_nothing_of_what_is_entered(settlements: Settlements, name: str, form: str) -> None:
    provider, files = FILES[name]
    assert whole(settlements, read(provider, *files), provider)
    before = books(settlements)
    others = [File(file.name, FORMS[form](file)) for file in files]
    assert whole(settlements, read(provider, *others), provider), "beside the first one"
    assert books(settlements) == before


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("content", [DUTCH, PAYOUTS_OF_08], ids=["mt940", "camt"])
def test_the_form_of_a_statement_changes_nothing(settlements: Settlements, content: str, mark: str, end: str) -> None:
    assert whole(settlements, read(BANK, File("statement", content.encode())), BANK)
    before = books(settlements)
    other = (mark + content.replace("\n", end)).encode()
    assert whole(settlements, read(BANK, File("other", other)), BANK)
    assert books(settlements) == before


def comma(file: File, *names: str) -> File:
    rows = file.rows()
    places = [rows[0].index(name) for name in names if name in rows[0]]
    swapped = [
        [cell.replace(".", ",") if at in places and number else cell for at, cell in enumerate(row)]
        for number, row in enumerate(rows)
    ]
    return file.with_rows(swapped)


def test_a_comma_is_a_decimal_mark_where_the_provider_writes_one_and_refused_elsewhere(
    settlements: Settlements, sql: Sql
) -> None:
    """Stripe writes either; a spreadsheet that wrote an Adyen file anew may have changed more than that."""
    names = ("gross", "fee", "net", "customer_facing_amount")
    commas = [comma(PAYOUTS, *names), comma(LINES, *names)]
    with settlements.transaction(force_rollback=True):
        assert whole(settlements, read("stripe", PAYOUTS, LINES), "stripe")
        points = books(settlements)
    assert whole(settlements, read("stripe", *commas), "stripe")
    assert books(settlements) == points
    for provider, file in (
        ("adyen", comma(ADYEN_41, "Net Debit (NC)", "Net Credit (NC)")),
        ("paypal", File(STL.name, STL.content.replace(b'"CR",10000', b'"CR","100,00"'))),
        (BANK, File("statement", PAYOUTS_OF_08.replace("49.70", "49,70").encode())),
        (BANK, File("statement", DUTCH.replace("49,70", "49.70").encode())),
    ):
        with pytest.raises(UnreadableReportError, match="line"):
            list(chain.from_iterable(report.lines for report in read(provider, file)()))
    assert len(sql("SELECT FROM settlement_files")) == 2


def of_new_year(file: File, *old_and_new: str) -> File:
    content = file.content.decode()
    for old, new in zip(old_and_new[::2], old_and_new[1::2], strict=True):
        assert old in content
        content = content.replace(old, new)
    return File(file.name, content.encode())


BEFORE_MIDNIGHT = "2026-12-31T23:30:00+00:00"
NEW_YEAR: dict[str, tuple[str, File, str, str]] = {
    "adyen": (
        "adyen",
        of_new_year(ADYEN_41, "2026-11-23 09:12:44,CET", "2027-01-01 00:30:00,CET"),
        BEFORE_MIDNIGHT,
        "2027-01-01 00:30:00 CET",
    ),
    "adyen, booked": (
        "adyen",
        of_new_year(ADYEN_42, "2026-11-27 23:50:00,CET", "2026-12-31 17:30:00,CDT"),
        "2026-12-31T22:30:00+00:00",
        "2026-12-31 17:30:00 CDT",
    ),
    "stripe": (
        "stripe",
        of_new_year(LINES, "2026-11-22 20:40:00,2026-11-22 21:40:00", "2026-12-31 23:30:00,2027-01-01 00:30:00"),
        BEFORE_MIDNIGHT,
        "2027-01-01 00:30:00",
    ),
    "paypal": (
        "paypal",
        of_new_year(STL, "2026/11/26 08:00:30 -0800", "2026/12/31 15:30:00 -0800"),
        BEFORE_MIDNIGHT,
        "2026/12/31 15:30:00 -0800",
    ),
    "paypal, in the new year": (
        "paypal",
        of_new_year(STL, "2026/11/26 08:00:30 -0800", "2026/12/31 16:30:00 -0800"),
        "2027-01-01T00:30:00+00:00",
        "2026/12/31 16:30:00 -0800",
    ),
}


@pytest.mark.parametrize("name", NEW_YEAR)
def test_a_booking_around_new_year_is_of_its_instant_and_keeps_its_own_words(name: str) -> None:
    provider, file, instant, local = NEW_YEAR[name]
    [report] = read(provider, file)()
    first = next(iter(report.lines))
    assert (first.occurred_at, first.occurred_local) == (datetime.fromisoformat(instant).astimezone(UTC), local)
