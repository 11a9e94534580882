"""The rows of a settlement report, and what stands in a movement's: bounded, whatever the file holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import BinaryIO, Final, NamedTuple

from checkout_service.providers.adapters.paypal.reports_lines import DECIMALS, ZERO, UnlikeError, line_of, reference
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import moment_of
from checkout_service.providers.reports import LARGEST_FILE, LONGEST_LINE, ReportLine, UnreadableReportError

_PIECE: Final = 1 << 16
"""Bytes that are read of the file at once."""

_LONGEST_AMOUNT: Final = 15
"""Digits of minor units: more than any balance has."""

_NEEDED: Final = (
    "transactionid",
    "transactioneventcode",
    "transactioninitiationdate",
    "transactiondebitorcredit",
    "grosstransactionamount",
    "grosstransactioncurrency",
    "feedebitorcredit",
    "feeamount",
    "feecurrency",
)
_MORE: Final = ("invoiceid", "paypalreferenceid", "paypalreferenceidtype", "customfield", "bankreferenceid")
"""Columns that older versions lack, or have by other names."""

Row = tuple[int, Sequence[str]]
"""The number of its line in the file, from 1, and its fields."""


class Rows:
    """The rows of a file, read once; ``digest`` is of its bytes, whole once the last row was read.

    UTF-8 and UTF-16, each with its byte order mark or without. Raises UnreadableReportError for a file or a row that is
    too large, and for bytes that are no text.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._bytes = _Counted(file)
        begin = self._bytes.peeked()
        text = io.TextIOWrapper(io.BufferedReader(self._bytes, _PIECE), encoding=_encoding(begin), newline="")
        self._text = text
        self._pending = 0
        self._reader = csv.reader(self._lines())

    def __iter__(self) -> Iterator[Row]:
        reader = self._reader
        while True:
            try:
                for row in reader:
                    self._pending = 0
                    if row:
                        yield reader.line_num, row
                return
            except UnicodeDecodeError as error:
                problem = f"is no text in {error.encoding}"
                raise UnreadableReportError(problem, line=reader.line_num + 1) from error
            except csv.Error as error:
                raise UnreadableReportError(f"is no row of CSV: {error}", line=reader.line_num) from error

    def digest(self) -> bytes:
        """SHA-256 of what was read."""
        return self._bytes.hash.digest()

    def _lines(self) -> Iterator[str]:
        """Lines as they are, one row's no longer together than a row may be: a quotation mark may open many."""
        while line := self._text.readline(LONGEST_LINE + 1):
            self._pending += len(line)
            if self._pending > LONGEST_LINE:
                problem = f"a row has more than {LONGEST_LINE} characters"
                raise UnreadableReportError(problem, line=self._reader.line_num + 1)
            yield line


class Columns:
    """Where a movement's fields stand, by the names in the header CH: compared without blanks and case, since PayPal
    has written "Transaction  Debit or Credit" with two, with one and without.
    """

    def __init__(self, row: Sequence[str], number: int) -> None:
        names = ["".join(name.split()).casefold() for name in row]
        if lacking := [name for name in _NEEDED if names.count(name) != 1]:
            raise UnreadableReportError(f"the header does not have once each: {', '.join(lacking)}", line=number)
        # A header repeats none of the others either, but what it repeats there is not needed.
        self._needed = tuple(names.index(name) for name in _NEEDED)
        self._more = tuple(names.index(name) if names.count(name) == 1 else -1 for name in _MORE)
        self._width = max(self._needed) + 1

    def movement(self, row: Sequence[str], number: int, account: str, section: str) -> Movement:
        """What a row SB says. Raises UnreadableReportError."""
        if len(row) < self._width:
            raise UnreadableReportError(f"has {len(row)} fields, and the header names more", line=number)
        transaction, code, began, way, amount, currency, fee_way, fee, fee_currency = [row[at] for at in self._needed]
        invoice, refers_to, refers_as, custom, bank = [row[at] if 0 <= at < len(row) else "" for at in self._more]
        if not transaction or not code:
            raise UnreadableReportError("a movement without a transaction ID or an event code", line=number)
        if fee_currency != currency and fee.strip("0"):
            raise UnreadableReportError("the fee is in another currency than the amount", line=number)
        try:
            gross = signed(amount, way, currency)
            charged = -signed(fee, fee_way, currency) if fee else ZERO
            line = line_of(
                line=number,
                account=account,
                section=section,
                transaction=reference(transaction, "Transaction ID"),
                code=reference(code, "Transaction Event Code"),
                at=moment_of(iso(began), "Transaction Initiation Date"),
                local=began,
                gross=gross,
                fee=charged or ZERO,
                currency=currency,
                refers_to=reference(refers_to, "PayPal Reference ID"),
                refers_as=refers_as,
                invoice=reference(invoice, "Invoice ID"),
                custom=custom,
            )
            return Movement(line, reference(bank, "Bank Reference ID"))
        except (UnlikeError, UnreadableError) as error:
            raise UnreadableReportError(str(error), line=number) from error


class Movement(NamedTuple):
    """A movement, and how a bank may show it."""

    line: ReportLine
    bank_reference: str


def signed(amount: str, way: str, currency: str) -> Decimal:
    """An unsigned amount in minor units as it moves the balance, in the major unit. Raises UnlikeError."""
    value = unsigned(amount, currency)
    if way == "CR":
        return value
    if way == "DR":
        return -value if value else value
    if value or way:
        raise UnlikeError("an amount is neither CR nor DR")
    return value


def unsigned(amount: str, currency: str) -> Decimal:
    """The same without a direction."""
    if not amount.isascii() or not amount.isdigit() or len(amount) > _LONGEST_AMOUNT:
        raise UnlikeError("an amount is no whole number of minor units, without a sign or a point")
    places = DECIMALS.get(currency)
    if places is None:
        raise UnlikeError("a currency of which nobody here knows how many decimals PayPal gives it")
    return Decimal(amount).scaleb(-places)


def iso(moment: str) -> str:
    """2026/11/26 08:00:30 -0800 as ISO 8601 writes it; '' for what is not of that form."""
    if len(moment) < 25 or moment[4] not in "/-" or moment[7] not in "/-" or moment[10] != " " or moment[19] != " ":
        return ""
    return f"{moment[:4]}-{moment[5:7]}-{moment[8:10]}T{moment[11:19]}{moment[20:]}"


def _encoding(begin: bytes) -> str:
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if begin[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if begin[:1] == b"\0" else "utf-8-sig"


class _Counted(io.RawIOBase):
    """A file's bytes, as many as a report may have, hashed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begin = b""
        self._left = LARGEST_FILE
        self.hash = sha256()

    def peeked(self) -> bytes:
        """The first bytes, which are read again as well."""
        while len(self._begin) < 4 and (piece := self._file.read(4 - len(self._begin))):
            self._begin += piece
        return self._begin

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer; io gives views
        piece = self._begin or self._file.read(len(buffer))
        self._begin = b""
        self._left -= len(piece)
        if self._left < 0:
            raise UnreadableReportError(f"the file has more than {LARGEST_FILE} bytes")
        self.hash.update(piece)
        buffer[: len(piece)] = piece
        return len(piece)
