"""PayPal's settlement report, the STL file that it lays on its SFTP server: read in one pass.

Its first column says what a row is: RH and FH open the report and its file, SH a section (one account, one day), CH
names the columns, SB is a movement, SF has a section's totals of one currency and SC its number of movements; RF and RC
are the same of the whole report, and FF ends the file. (PayPal, "Settlement report specification" 9.0.x.)

The order of the fields in RH and FH was read nowhere, so none of them is used: day and account are SH's, part and
version are the file name's. A file that was renamed is refused until a real one shows where its part stands inside.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO, Final

from checkout_service.providers.adapters.paypal.reports_lines import UnlikeError, Withdrawals, payout_of, reference
from checkout_service.providers.adapters.paypal.reports_rows import Columns, Row, Rows, iso
from checkout_service.providers.adapters.paypal.reports_totals import Totals, count_of
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import moment_of
from checkout_service.providers.reports import Report, ReportLine, ReportSection, UnreadableReportError
from checkout_service.settlement_words import EntryKind, PayoutStatus

_NAME: Final = re.compile(r"STL-\d{8}(?:\.[AHRX])?\.(\d{2})\.(\d{3})\.CSV", re.ASCII | re.IGNORECASE)
"""STL-yyyymmdd.NN.VVV.CSV, NN the part and VVV the version; newer names may have a sign for their window before."""

_MAJOR_NAME: Final = re.compile(r"(?:^|[-_. ])(?:BRR|DRR|BTR|DTR|FTR)(?:[-_. ]|$)|BALANCE|DISBURSEMENT", re.IGNORECASE)
"""In the names of reports in major units (PayPal, "Partner report reference", the sub-family)."""

_MAJOR: Final = (
    "PayPal's Balance and Disbursement reports have other columns, and amounts in major units: import the settlement "
    "report (STL-….CSV), or fetch"
)

_RENAMED: Final = (
    "a settlement report is read under the name that PayPal gives it, STL-yyyymmdd.NN.VVV.CSV: which part of a report "
    "it is stands inside in rows RH and FH alone, whose fields are not documented"
)

_JSON: Final = (
    "this is JSON, as PayPal's API answers, and no file of it is imported: fetch reads that API itself (the settings "
    "PAYPAL_REPORTS_…); of files the settlement report is read (STL-….CSV)"
)

_RULE: Final = "the movements add up to the section's credits less its debits and its fees"

_BEGINNING: Final = 64

_FIRST_PART: Final = "01"

_HEAD: Final = 6
"""Rows that are read at once: one of them is the header, where the file has any movement."""

_MOST_SECTIONS: Final = 10_000
"""Kept in memory until a file's end: far more than a file of real accounts has."""


def read_settlement_report(file: BinaryIO, *, name: str, account: str) -> Report:
    """Read an STL file; ``account`` is '' or the only one that it may be about.

    Its amounts are minor units, with as many decimals as PayPal gives a currency; its times have their offset. Raises
    UnreadableReportError, at once or while lines are read.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        beginning = file.read(_BEGINNING).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        if name.casefold().endswith(".json") or beginning in (b"{", b"["):
            raise UnreadableReportError(_JSON)
        raise UnreadableReportError(_MAJOR if _MAJOR_NAME.search(name) else _RENAMED)
    rows = Rows(file)
    each = iter(rows)
    head: list[Row] = []
    for number, row in each:
        head.append((number, row))
        if head[0][1][0] != "RH":
            raise UnreadableReportError(f"no settlement report begins so, but with a row RH. {_MAJOR}", line=number)
        if row[0] == "CH" or len(head) == _HEAD:
            break
    if not head:
        raise UnreadableReportError("the file is empty")
    columns = next((row[1:] for _, row in head if row[0] == "CH"), ())
    report = Report(form=f"paypal-stl-{found[2]}", name=name, columns=columns, lines=iter(()))
    report.lines = _Reading(report, rows, part=found[1], account=account).lines(chain(head, each))
    return report


class _Reading:
    """A file that is being read: which section is open, and what the whole has counted."""

    def __init__(self, report: Report, rows: Rows, *, part: str, account: str) -> None:
        self._report = report
        self._withdrawals = Withdrawals(report)
        self._rows = rows
        self._part = part
        self._account = account
        self._columns: Columns | None = None
        self._section: tuple[str, str] | None = None
        self._totals = Totals("the section")
        self._names: set[tuple[str, str]] = set()
        self._whole = Totals("the report")
        self._opened: set[str] = set()
        self._has_ended = False

    def lines(self, rows: Iterator[Row]) -> Iterator[ReportLine]:
        number = 0
        for number, row in rows:
            if row[0] == "SB":
                yield self._movement(row, number)
            else:
                self._other(row, number)
        if not self._has_ended:
            raise UnreadableReportError("the file is cut short: its last row is not FF", line=number)
        # Of a part that is not the first, the report's totals are of others too; the first has them where it is alone.
        if self._part == _FIRST_PART and (self._whole.stated or self._whole.stated_rows is not None):
            self._report.faults += self._whole.faults()
        self._report.sha256 = self._rows.digest()

    def _movement(self, row: Sequence[str], number: int) -> ReportLine:
        if self._section is None or self._columns is None:
            raise UnreadableReportError("a movement (SB) without its section (SH) and header (CH)", line=number)
        line, bank_reference = self._columns.movement(row, number, *self._section)
        self._totals.add(line)
        if line.kind is EntryKind.PAYOUT:
            payout = payout_of(line, status=PayoutStatus.PAID, bank_reference=bank_reference)
            try:
                self._withdrawals.add(payout)
            except UnlikeError as error:
                raise UnreadableReportError(str(error), line=number) from error
        return line

    def _other(self, row: Sequence[str], number: int) -> None:
        if self._has_ended:
            raise UnreadableReportError("a row after the last one (FF)", line=number)
        kind, is_open = row[0], self._section is not None
        match kind:
            case "RH" | "FH" if kind not in self._opened and not self._names:
                self._opened.add(kind)
            case "SH":
                self._close()
                self._open(row, number)
            case "CH" if is_open:
                self._columns = Columns(row, number)
                self._report.columns = self._report.columns or row[1:]
            case "SF" if is_open:
                self._totals.read_total(row, number)
            case "SC" if is_open:
                self._totals.read_count(row, number)
            case "RF":
                self._close()
                self._whole.read_total(row, number)
            case "RC":
                self._close()
                self._whole.read_count(row, number)
            case "FF":
                self._close()
                self._has_ended = True
                if (stated := count_of(row, number)) != self._whole.rows:
                    self._report.faults.append(
                        f"the file's count of movements is {stated}, and it has {self._whole.rows}"
                    )
            case _:
                raise UnreadableReportError(f"a row {kind[:20]!r} where none can be", line=number)

    def _open(self, row: Sequence[str], number: int) -> None:
        """A section: from when, until when, of which account; what follows is of partners, and not read."""
        if len(row) < 4 or not row[3]:
            raise UnreadableReportError("a section (SH) without its times and account", line=number)
        try:
            begin, end = (moment_of(iso(value), "a section's time") for value in row[1:3])
            account = reference(row[3], "a section's account")
        except (UnlikeError, UnreadableError) as error:
            raise UnreadableReportError(str(error), line=number) from error
        if self._account not in {"", account}:
            raise UnreadableReportError(f"is about the account {account}, not {self._account}", line=number)
        # Another version of the same part has the same sections: so neither the version nor the file's name is in it.
        section = (account, f"{begin:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ} {self._part}")
        if section in self._names or len(self._names) == _MOST_SECTIONS:
            raise UnreadableReportError("a second section of this account and time, or too many", line=number)
        self._names.add(section)
        self._section, self._totals = section, Totals(f"the section of {account}")

    def _close(self) -> None:
        """Say what the section that was open proves."""
        if self._section is None:
            return
        (account, name), totals = self._section, self._totals
        if totals.stated_rows is None:
            self._report.faults.append(f"{totals.what} has no count (SC): perhaps it goes on in another file")
        self._report.faults += totals.faults()
        self._report.sections.append(
            ReportSection(
                account=account,
                name=name,
                rule=_RULE,
                expected=totals.expected(),
                rows=totals.stated_rows,
                complete=True,
            )
        )
        self._whole.take(totals)
        self._section = None
