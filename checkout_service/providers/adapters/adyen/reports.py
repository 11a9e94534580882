"""Reads Adyen's settlement details report (CSV): batches of one or several merchant accounts, row by row.

A batch proves itself: over all of its rows net credit less net debit is 0, so what stands beside the payout's own row
adds up to the payout. A batch need not pay out: its payout is 0 then. Batch numbers count per merchant account. (Adyen,
"Settlement details report".)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import BinaryIO, Final, NoReturn

from checkout_service.providers.adapters.adyen.reports_columns import Columns, columns_of
from checkout_service.providers.adapters.adyen.reports_kinds import PAYOUT, TYPES, UNKNOWN
from checkout_service.providers.adapters.adyen.reports_money import ZERO, Money, NoAmountError, amount, fee_of, plain
from checkout_service.providers.adapters.adyen.reports_rows import Lines, rows_of
from checkout_service.providers.adapters.adyen.reports_times import AMSTERDAM, UnknownZoneError, moment
from checkout_service.providers.reports import Report, ReportLine, ReportPayout, ReportSection, UnreadableReportError
from checkout_service.settlement_words import PayoutStatus

FORM: Final = "settlement_details"

MOST_BATCHES: Final = 10_000
"""Of one file, of all its merchant accounts."""

MOST_FAULTS: Final = 20
"""That are named. A file with one is held."""

LONGEST_NAME: Final = 255

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_BATCH: Final = re.compile(r"[0-9]{1,9}")

_AUTOMATIC: Final = "<auto>"
"""What Adyen puts in place of a reference where it captured by itself."""


def read_report(file: BinaryIO, *, name: str, account: str) -> Report:
    """Read a settlement details report; ``account`` is the merchant account that it has to be of, '' for any.

    It is read twice: for the net currencies of its batches, and for its lines. ``payout_ref`` is the number of the
    batch with its net currency behind it ("41 EUR"), since another one may come to it. Raises UnreadableReportError.
    """
    _, columns, rows = _opened(file)
    batches = _currencies(columns, rows, account)
    lines, columns, rows = _opened(file)
    report = Report(form=FORM, name=name, lines=iter(()), columns=columns.names)
    report.lines = _Reading(report, columns, batches).lines(lines, rows)
    return report


def _opened(file: BinaryIO) -> tuple[Lines, Columns, Iterator[tuple[int, list[str]]]]:
    file.seek(0)
    lines = Lines(file)
    rows = rows_of(lines)
    line, header = next(rows, (0, None))
    if header is None:
        raise UnreadableReportError("the file is empty")
    return lines, columns_of(header, line), rows


def _currencies(
    columns: Columns, rows: Iterator[tuple[int, list[str]]], account: str
) -> dict[tuple[str, str], set[str]]:
    """The net currencies of each merchant account and batch; and whether each row is as wide as the header."""
    width = len(columns.names)
    found: dict[tuple[str, str], set[str]] = {}
    for line, row in rows:
        if len(row) != width:
            raise UnreadableReportError(f"{len(row)} cells below a header of {width}", line=line)
        row.append("")
        merchant, batch, _, currency, *_ = columns.pick(row)
        known = found.get((merchant, batch))
        if known is None:
            if len(found) == MOST_BATCHES:
                raise UnreadableReportError(f"more than {MOST_BATCHES} batches", line=line)
            if not merchant or len(merchant) > LONGEST_NAME or not merchant.isprintable():
                raise UnreadableReportError("Merchant Account is no name", line=line)
            if account and merchant != account:
                raise UnreadableReportError(f"of the merchant account {merchant[:80]}, not {account}", line=line)
            if not _BATCH.fullmatch(batch):
                raise UnreadableReportError("Batch Number is no number", line=line)
            known = found[merchant, batch] = set()
        if currency not in known and currency:
            if not _CURRENCY.fullmatch(currency):
                raise UnreadableReportError("Net Currency is not three capitals", line=line)
            known.add(currency)
    return found


@dataclass(slots=True)
class _Batch:
    """What is known of a batch, in one currency, so far: its payout is 0 until a row tells of one."""

    account: str
    currency: str
    payout_ref: str
    section: str
    number: int
    amount: Decimal = ZERO
    issued_at: datetime | None = None
    texts: list[str] = field(default_factory=list)


class _Reading:
    """One pass over the rows. Its report's payouts, sections and faults are whole once ``lines`` has ended."""

    def __init__(self, report: Report, columns: Columns, currencies: dict[tuple[str, str], set[str]]) -> None:
        self._report = report
        self._columns = columns
        self._currencies = currencies
        self._batches: dict[tuple[str, str, str], _Batch] = {}
        self._faults = 0

    def lines(self, lines: Lines, rows: Iterator[tuple[int, list[str]]]) -> Iterator[ReportLine]:
        pick = self._columns.pick
        for line, row in rows:
            row.append("")
            read = self._line(line, pick(row))
            if read is not None:
                yield read
        self._end(lines.sha256())

    def _line(self, line: int, cells: tuple[str, ...]) -> ReportLine | None:
        """A row; None of the payout's own. The order of the cells is that of ``Columns.pick``."""
        merchant, number, type_, currency, psp_ref, modification, ours, ours_too, debit, credit, *rest = cells
        gross_currency, gross_debit, gross_credit, rate_there, *charged = rest[:10]
        created, occurred, local = self._times(line, *rest[10:])
        if len(psp_ref) > LONGEST_NAME or len(modification) > LONGEST_NAME or len(ours) > LONGEST_NAME:
            raise UnreadableReportError(f"a reference has more than {LONGEST_NAME} characters", line=line)
        if not type_ or len(type_) > LONGEST_NAME or not type_.isprintable():
            raise UnreadableReportError("Type is no word", line=line)
        batch = self._batches.get((merchant, number, currency)) or self._batch(line, merchant, number, currency)
        row_type = TYPES.get(type_, UNKNOWN)
        of_payment, is_checked = row_type.of_payment, row_type.is_checked
        gross = rate = None
        try:
            net = amount(credit) - amount(debit)
            if of_payment and (gross_debit or gross_credit):
                if amount(gross_debit) and amount(gross_credit):
                    self._fault(line, "Gross Debit and Gross Credit are both filled")
                gross = (amount(gross_credit) - amount(gross_debit)) or None
                rate = amount(rate_there) or None
            fee = amount(charged[0]) + amount(charged[1]) + amount(charged[2]) + amount(charged[3])
            money = Money(
                net,
                batch.currency,
                gross if is_checked else None,
                gross_currency,
                rate,
                fee,
                amount(charged[4]),
                amount(charged[5]),
                sum(1 for each in charged[:5] if each),
            )
        except NoAmountError:
            self._refuse_amount(line, debit, credit, gross_debit, gross_credit, rate_there, *charged)
        if debit and credit and amount(debit) and amount(credit):
            self._fault(line, "Net Debit and Net Credit are both filled")
        if type_ == PAYOUT:
            if net > ZERO:
                self._fault(line, "MerchantPayout is on the credit side")
            batch.amount -= net
            batch.issued_at = max(batch.issued_at or occurred, occurred)
            if modification and _text(modification) not in batch.texts:
                batch.texts.append(_text(modification))
            return None
        if gross is not None and not _CURRENCY.fullmatch(gross_currency):
            raise UnreadableReportError("Gross Currency is not three capitals", line=line)
        found = fee_of(money)
        if found is None:
            found = fee
            self._fault(line, "gross by the rate less fees is not net")
        is_named = of_payment or (row_type is UNKNOWN and psp_ref != "")
        kind, about = row_type.meaning(net if gross is None else gross)
        # By place: a file has a million of them.
        return ReportLine(
            line,
            merchant,
            batch.section,
            _digest(merchant, batch.payout_ref, type_, psp_ref, modification, created, net, gross, gross_currency),
            True,
            kind,
            type_,
            net + found,
            found,
            net,
            batch.currency,
            occurred,
            local,
            batch.payout_ref,
            None,
            gross,
            None if gross is None else gross_currency,
            rate,
            about,
            (modification or psp_ref) if is_named else "",
            psp_ref,
            "" if ours == _AUTOMATIC else ours,
            "" if is_named or psp_ref else _description(modification, ours_too),
        )

    def _times(
        self, line: int, created: str, zone: str, booked: str, booked_zone: str
    ) -> tuple[datetime, datetime, str]:
        """When the row was made and when it was booked (UTC), and the latter in the file's words."""
        zone = zone or self._columns.created_zone
        try:
            made = moment(created, zone)
            if not booked:
                return made, made, _local(created, zone)
            booked_zone = booked_zone or self._columns.booked_zone or zone
            return made, moment(booked, booked_zone), _local(booked, booked_zone)
        except UnknownZoneError as error:
            raise UnreadableReportError(
                f"the time zone {str(error)[:20]!r} is not known here, or is that of several places: set one as UTC or "
                "CET in the Customer Area",
                line=line,
            ) from error
        except ValueError as error:
            raise UnreadableReportError("a date is not written as 2026-11-23 09:12:44", line=line) from error

    def _batch(self, line: int, merchant: str, number: str, currency: str) -> _Batch:
        """The batch that a row is of; a row without a currency is of the only one that its batch has."""
        currencies = self._currencies[merchant, number]
        if not currency:
            if len(currencies) != 1:
                raise UnreadableReportError("Net Currency is empty", line=line)
            (only,) = currencies
            return self._batches.get((merchant, number, only)) or self._batch(line, merchant, number, only)
        payout_ref = f"{number} {currency}"
        batch = _Batch(merchant, currency, payout_ref, f"batch {payout_ref}", int(number))
        self._batches[merchant, number, currency] = batch
        return batch

    def _refuse_amount(self, line: int, *cells: str) -> NoReturn:
        for cell in cells:
            try:
                amount(cell)
            except NoAmountError as error:
                raise UnreadableReportError(
                    f"{cell[:40]!r} is not an amount: digits with a point before the decimals, never negative",
                    line=line,
                ) from error
        raise UnreadableReportError("an amount is none", line=line)

    def _fault(self, line: int, words: str) -> None:
        self._faults += 1
        if self._faults <= MOST_FAULTS:
            self._report.faults.append(f"line {line}: {words}")

    def _end(self, digest: bytes) -> None:
        report = self._report
        if self._faults > MOST_FAULTS:
            report.faults.append(f"lines that contradict themselves, beside these: {self._faults - MOST_FAULTS}")
        for batch in self._batches.values():
            report.payouts.append(
                ReportPayout(
                    account=batch.account,
                    payout_ref=batch.payout_ref,
                    amount=batch.amount,
                    currency=batch.currency,
                    status=PayoutStatus.PAID,
                    issued_at=batch.issued_at,
                    bank_reference=" | ".join(batch.texts)[:LONGEST_NAME],
                )
            )
            report.sections.append(
                ReportSection(
                    account=batch.account,
                    name=batch.section,
                    rule="net credit less net debit over all rows is 0: what is no payout adds up to the payout",
                    of_payout=batch.payout_ref,
                    number=batch.number,
                )
            )
        report.sha256 = digest


def _digest(
    merchant: str,
    batch: str,
    type_: str,
    psp_ref: str,
    modification: str,
    created: datetime,
    net: Decimal,
    gross: Decimal | None,
    gross_currency: str,
) -> str:
    """What the row is called: made of columns that every version of the report has, never of their places."""
    customers = "" if gross is None else f"{plain(gross)} {gross_currency}"
    names = (
        merchant,
        batch,
        type_,
        psp_ref,
        " ".join(modification.split()),
        created.isoformat(),
        plain(net),
        customers,
    )
    return sha256("\x1f".join(names).encode()).hexdigest()[:32]


def _local(local: str, zone: str) -> str:
    return f"{local} {'Europe/Amsterdam' if zone == AMSTERDAM else zone}"


def _text(value: str) -> str:
    """Words on one line, without what no page can show."""
    return "".join(each if each.isprintable() else " " for each in value).strip()[:LONGEST_NAME]


def _description(modification: str, ours_too: str) -> str:
    """Of a row of the account: both of its texts, as in "Balancetransfer to batch 43"."""
    first, second = _text(modification), _text(ours_too)
    if not second or second == first:
        return first
    return second if second.startswith(first) else f"{first} {second}".strip()[:LONGEST_NAME]
