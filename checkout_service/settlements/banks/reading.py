"""Reads a file of a bank: sees what it is, and makes a report of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import BinaryIO, Final, Protocol

from checkout_service.providers.reports import Report, ReportLine, UnreadableReportError
from checkout_service.settlements.banks import camt053, mt940_files, zipped
from checkout_service.settlements.banks.bookings import Chain, Entry, gaps, line_of
from checkout_service.settlements.banks.xml_elements import LARGEST_XML

_RULE: Final = "opening balance + entries = closing balance"
_RULE_OF_FLIPPED: Final = f"{_RULE}; entries marked as doubtful count with the opposite sign, since only so it holds"

_HEAD: Final = 4096
_PIECE: Final = 1 << 20
_ZIP: Final = b"PK\x03\x04"
_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_MT940: Final = re.compile(rb"(?:^|[\r\n])(?:\{1:[^\r\n]*\{4:)?:20:|^\s*\{1:", re.DOTALL)
_DOUBTFUL_XML: Final = re.compile(rb"R\0?v\0?s\0?l\0?I\0?n\0?d")
_DOUBTFUL_MT940: Final = re.compile(rb":61:[0-9 ]{6,10}R?[DC][A-Z]?[\r\n ]{0,2}-", re.IGNORECASE)
_OVERLAP: Final = 64
"""Bytes that one piece has of the one before, so that a mark is found that is cut between them."""


class _ReadEntries(Protocol):
    def __call__(self, finished: Callable[[Chain], None], faults: list[str]) -> Iterator[Entry]: ...


def read_statement(file: BinaryIO, *, name: str, account: str) -> Report:
    """Reads a statement of a bank: camt.053, alone or several in a ZIP, or MT940.

    ``account`` is '' where the file says it. A file of another account is refused, but MT940 of a bank that writes its
    own numbers in place of an IBAN: there it names the account. Amounts are in the major unit, signed as they move the
    balance; days are the bank's.

    Raises UnreadableReportError, at once for a file that is none of these, else while its lines are read.
    """
    file.seek(0)
    head = file.read(_HEAD)
    kind = _kind_of(head)
    digest, is_doubtful = _look_through(file, kind)
    read: _ReadEntries
    if kind == "mt940":
        file.seek(0)
        encoding = mt940_files.encoding_of(file)
        form, read = "mt940", partial(_of_mt940, file, account, encoding)
    elif kind == "zip":
        form, read = _form_of_zip(file), partial(_of_zip, file, account)
    else:
        file.seek(0)
        form, read = camt053.version_of(file), partial(_of_xml, file, account)
    report = Report(form=form, name=name, lines=iter(()), sha256=digest)
    report.lines = _lines(report, read, is_doubtful=is_doubtful)
    return report


def _kind_of(head: bytes) -> str:
    if not head.strip():
        raise UnreadableReportError("the file is empty")
    if head.startswith(_ZIP):
        return "zip"
    plain = head
    for bom in _BOMS:
        plain = plain.removeprefix(bom)
    if plain.replace(b"\0", b"").lstrip().startswith(b"<"):
        return "xml"
    if _MT940.search(plain.replace(b"\0", b"")):
        return "mt940"
    raise UnreadableReportError("this is no statement of a bank: camt.053 (XML, or a ZIP of it) and MT940 are read")


def _look_through(file: BinaryIO, kind: str) -> tuple[bytes, bool]:
    """The SHA-256 of the file, and whether an entry's sign may be read in two ways. Of a ZIP nobody knows that yet."""
    mark = _DOUBTFUL_MT940 if kind == "mt940" else _DOUBTFUL_XML
    digest, size, is_doubtful, before = hashlib.sha256(), 0, kind == "zip", b""
    file.seek(0)
    if kind == "mt940" and file.read(2) in _BOMS:
        # In UTF-16 the mark is looked for by reading it.
        is_doubtful = True
    file.seek(0)
    while piece := file.read(_PIECE):
        size += len(piece)
        if size > LARGEST_XML:
            raise UnreadableReportError(f"the file is larger than {LARGEST_XML >> 20} MiB")
        digest.update(piece)
        is_doubtful = is_doubtful or mark.search(before + piece) is not None
        before = piece[-_OVERLAP:]
    return digest.digest(), is_doubtful


def _of_xml(file: BinaryIO, account: str, finished: Callable[[Chain], None], faults: list[str]) -> Iterator[Entry]:
    file.seek(0)
    yield from camt053.entries(file, account=account, used={}, finished=finished, faults=faults)


def _of_mt940(
    file: BinaryIO, account: str, encoding: str, finished: Callable[[Chain], None], faults: list[str]
) -> Iterator[Entry]:
    file.seek(0)
    yield from mt940_files.entries(file, account=account, encoding=encoding, used={}, finished=finished, faults=faults)


def _of_zip(file: BinaryIO, account: str, finished: Callable[[Chain], None], faults: list[str]) -> Iterator[Entry]:
    used: dict[tuple[str, str], int] = {}
    for name, member in zipped.members(file):
        try:
            yield from camt053.entries(member, account=account, used=used, finished=finished, faults=faults)
        except UnreadableReportError as error:
            raise UnreadableReportError(f"{name[:100]!r} of the ZIP, {error}") from None


def _form_of_zip(file: BinaryIO) -> str:
    """Which messages its members are. One that is something else makes the whole unreadable."""
    forms: dict[str, None] = {}
    for name, member in zipped.members(file):
        try:
            forms.setdefault(camt053.version_of(member))
        except UnreadableReportError as error:
            raise UnreadableReportError(f"{name[:100]!r} of the ZIP, {error}") from None
    if not forms:
        raise UnreadableReportError("the ZIP is empty")
    return f"{', '.join(forms)} in a ZIP"


def _lines(report: Report, read: _ReadEntries, *, is_doubtful: bool) -> Iterator[ReportLine]:
    """The lines; sections and faults of the report are whole with the last one."""
    flipped = _flipped(read) if is_doubtful else set()
    chains: list[Chain] = []
    number = 0
    for entry in read(chains.append, report.faults):
        chain = entry.chain
        is_flipped = entry.is_doubtful and (chain.account, chain.name) in flipped
        for booking in entry.bookings:
            number += 1
            if is_flipped:
                booking.amount, booking.total = -booking.amount, -booking.total
            chain.add(booking.currency, booking.amount)
            yield line_of(booking, line=number, section=chain.name)
    if not chains:
        raise UnreadableReportError("the file has no statement")
    for chain in chains:
        rule = _RULE_OF_FLIPPED if (chain.account, chain.name) in flipped else _RULE
        report.sections.append(chain.section(rule))
        report.faults.extend(chain.faults())
    report.faults.extend(gaps(chains))


def _flipped(read: _ReadEntries) -> set[tuple[str, str]]:
    """The statements whose balances hold only if entries of a doubtful sign count the other way.

    By ISO 20022 the mark of a reversal says nothing of the sign, which CdtDbtInd is; savings banks were seen that
    write the sign of what is reversed. Some banks write a minus sign behind the mark of debit. So each statement says
    itself, by its balances, which way it is.
    """
    flipped: set[tuple[str, str]] = set()
    doubtful: dict[str, Decimal] = {}
    """Of the statement that is being read, by currency."""

    def decide(chain: Chain) -> None:
        plain = {currency: chain.sums.get(currency, Decimal(0)) for currency in chain.expected}
        other = {currency: amount - 2 * doubtful.get(currency, Decimal(0)) for currency, amount in plain.items()}
        if plain != chain.expected and other == chain.expected:
            flipped.add((chain.account, chain.name))
        doubtful.clear()

    for entry in read(decide, []):
        for booking in entry.bookings:
            entry.chain.add(booking.currency, booking.amount)
            if entry.is_doubtful:
                doubtful[booking.currency] = doubtful.get(booking.currency, Decimal(0)) + booking.amount
    return flipped
