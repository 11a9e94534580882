"""MT940, the statement of SWIFT as banks write it, read by mt-940 with all its options.

Its import name is ``mt940``, and another package of that name on PyPI (``mt940``) owns the same folder: an environment
can have one of them alone.

By its defaults the library counts a reversal of a credit as money that came, puts an account number before a name and
cuts what the bank wrote; the options end that. It logs what it cannot read, writes the second of two entries over a
first one that has no type, and takes a text for the name of a file where there is one: so each field is checked here
before it gets it, some hundred entries at a time.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import StringIO, TextIOWrapper
from typing import IO, Any, BinaryIO, Final, NamedTuple, cast

import mt940

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks.bookings import (
    Booking,
    Chain,
    Entry,
    checked_account,
    is_iban,
    plain_account,
    unique_name,
)
from checkout_service.settlements.banks.mt940_texts import plain_reference, texts_of, without_parties

LARGEST_MT940: Final = 64 * 2**20
"""Bytes of one file."""

_LONGEST_LINE: Final = 4096
_LONGEST_FIELD: Final = 32 * 1024
_MOST_TEXTS: Final = 100
_AT_A_TIME: Final = 200

_FIELD: Final = re.compile(r":(13D?|20|21|25P?|28C?|34F?|60[FM]?|61|62[FM]?|64|65|86|90[CD]?|NS):(.*)", re.DOTALL)
_SWIFT_HEAD: Final = re.compile(r"\{1:[^{}]*\}(?:\{2:([^{}]*)\})?(?:\{3:(?:\{[^{}]*\})*[^{}]*\})?\{4:")
_BALANCE: Final = re.compile(r"[CD][0-9]{6}[A-Z]{3}(?=[0-9,]*[0-9])[0-9]{0,15},?[0-9]{0,5}")
_LINE: Final = re.compile(
    r"(?P<before>[0-9]{6}(?:[0-9]{4}| {4})?R?[DC][A-Z]?)[\n ]?(?P<minus>-)?"
    r"(?P<amount>(?=[0-9,]*[0-9])[0-9]{0,15},?[0-9]{0,5})(?P<type>[A-Z][A-Z0-9 ]{3})(?P<references>[^\n]*)"
    r"(?:\n(?P<more>[^\n]*))?",
    re.IGNORECASE,
)
_BANK_AND_NUMBER: Final = re.compile(r"([0-9]{8})/([0-9]{1,10})")
_NUMBER: Final = re.compile(r"([0-9]{1,10})(?:/([0-9]{1,10}))?")
_IBAN_SHAPE: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_STATEMENT_TAGS: Final = frozenset({"20", "21", "25", "25P", "28", "28C", "60", "60F", "60M"})

# It writes into the log what it cannot read, which is a bank's text.
logging.getLogger("mt940").setLevel(logging.CRITICAL + 1)


class _Field(NamedTuple):
    tag: str
    text: str
    line: int


class _Balance(NamedTuple):
    amount: Decimal
    currency: str
    on: date
    is_final: bool


@dataclass(slots=True)
class _Waiting:
    """An entry that the library has not seen."""

    match: re.Match[str]
    line: int
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Statement:
    """One page, from its :20: on, as far as it was read."""

    head: list[_Field] = field(default_factory=list)
    chain: Chain | None = None
    closing: _Balance | None = None


def encoding_of(file: BinaryIO) -> str:
    """What the bytes are, ``utf-8-sig``, ``latin-1`` or, with its mark, ``utf-16``: banks do not say it."""
    if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(1 << 16):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def entries(
    file: BinaryIO,
    *,
    account: str,
    encoding: str,
    used: dict[tuple[str, str], int],
    finished: Callable[[Chain], None],
    faults: list[str],
) -> Iterator[Entry]:
    """The entries of a file, each with the statement, or the chain of pages, that it is part of.

    ``used`` are the names of statements that there were before, by account. ``finished`` gets each chain once all of it
    was read. ``faults`` get what pages contradict each other in. Raises UnreadableReportError.
    """
    reading = _Reading(account, used, finished, faults)
    for each in _fields(file, encoding):
        yield from reading.take(each)
    yield from reading.end()


def _fields(file: BinaryIO, encoding: str) -> Iterator[_Field]:
    """The fields with the lines that go on with them. What stands outside of statements is passed over."""
    tag, begun_at, size = "", 0, 0
    pieces: list[str] = []
    for number, line in enumerate(_lines(file, encoding), start=1):
        text = line
        head = _SWIFT_HEAD.match(text)
        if head:
            if head[1] is not None and not head[1][1:].startswith("940"):
                raise UnreadableReportError("this is a message of SWIFT other than MT940", line=number)
            text = text[head.end() :]
        if text.strip() in {"-", "-}", ""} or text.startswith("-}"):
            if text.strip():
                if tag:
                    yield _Field(tag, "\n".join(pieces), begun_at)
                tag, pieces = "", []
            continue
        match = _FIELD.fullmatch(text)
        if match:
            if tag:
                yield _Field(tag, "\n".join(pieces), begun_at)
            tag, begun_at, pieces, size = match[1], number, [match[2]], len(match[2])
        elif tag:
            size += len(text) + 1
            if size > _LONGEST_FIELD:
                raise UnreadableReportError(f"the field :{tag}: is too long", line=begun_at)
            pieces.append(text)
    if tag:
        yield _Field(tag, "\n".join(pieces), begun_at)


def _lines(file: BinaryIO, encoding: str) -> Iterator[str]:
    """Lines, which may end in CR, LF or both, without what is behind their last character."""
    text = TextIOWrapper(cast("IO[bytes]", file), encoding=encoding, newline=None)
    number = 0
    try:
        while line := text.readline(_LONGEST_LINE + 2):
            number += 1
            if len(line) > _LONGEST_LINE + 1:
                raise UnreadableReportError(f"it has more than {_LONGEST_LINE} characters", line=number)
            yield line.replace("\x00", "").rstrip()
    except UnicodeError:
        raise UnreadableReportError("its encoding is not read", line=number + 1) from None
    finally:
        text.detach()


class _Reading:
    """The state between two fields."""

    def __init__(
        self, account: str, used: dict[tuple[str, str], int], finished: Callable[[Chain], None], faults: list[str]
    ) -> None:
        self._account = account
        self._used = used
        self._finished = finished
        self._faults = faults
        self._own_account = ""
        """The bank's own name for the account that the operator names."""
        self._statement: _Statement | None = None
        self._waiting: list[_Waiting] = []
        self._chain: Chain | None = None
        self._chain_key: tuple[str, str] = ("", "")
        self._before: _Balance | None = None
        """The balance with which the page before closed."""

    def take(self, each: _Field) -> Iterator[Entry]:
        if each.tag == "20":
            yield from self._end_of_page()
            self._statement = _Statement(head=[each])
            return
        statement = self._statement
        if statement is None:
            return
        if each.tag == "61":
            self._begin_chain(statement, each.line)
            self._waiting.append(_Waiting(_match_line(each), each.line))
            if len(self._waiting) > _AT_A_TIME:
                last = self._waiting.pop()
                yield from self._read()
                self._waiting = [last]
        elif each.tag == "86":
            if self._waiting and statement.closing is None:
                self._waiting[-1].texts.append(each.text)
                if (
                    sum(map(len, self._waiting[-1].texts)) > _LONGEST_FIELD
                    or len(self._waiting[-1].texts) > _MOST_TEXTS
                ):
                    raise UnreadableReportError("the text of an entry is too long", line=each.line)
        elif each.tag in {"62", "62F", "62M"}:
            self._begin_chain(statement, each.line)
            statement.closing = self._balance(each)
        elif each.tag in _STATEMENT_TAGS and statement.chain is None:
            statement.head.append(each)

    def end(self) -> Iterator[Entry]:
        yield from self._end_of_page()
        self._finish()

    def _begin_chain(self, statement: _Statement, line: int) -> None:
        """Once the page's head is whole: goes on with the chain of the page before, or begins another."""
        if statement.chain is not None:
            return
        opening = next((self._balance(each) for each in statement.head if each.tag.startswith("60")), None)
        found = next((each for each in statement.head if each.tag.startswith("25")), None)
        if found is None or not found.text.split("\n")[0].strip():
            raise UnreadableReportError("a statement names no account", line=statement.head[0].line)
        account = self._account_of(found, opening.currency if opening else "")
        number = next((each.text.strip() for each in statement.head if each.tag.startswith("28")), "")
        match = _NUMBER.match(number)
        key = (account, match[1] if match else number)
        before, chain = self._before, self._chain
        if chain is not None and before is not None and not before.is_final and self._chain_key == key:
            if opening is not None and (opening.amount, opening.currency) != (before.amount, before.currency):
                self._faults.append(
                    f"a page of {chain.name} of {account} does not open with what the one before closed with"
                )
            statement.chain = chain
            return
        self._finish()
        if opening is None:
            raise UnreadableReportError("a statement has no opening balance", line=line)
        name = unique_name(" ".join(filter(None, (key[1], opening.on.isoformat()))), account, self._used)
        self._chain = statement.chain = Chain(account=account, name=name, number=int(match[1]) if match else None)
        self._chain_key = key
        self._chain.opening[opening.currency] = opening.amount

    def _account_of(self, found: _Field, currency: str) -> str:
        account = plain_account(found.text.split("\n")[0])
        if currency and account.endswith(currency) and len(account) > len(currency) and not is_iban(account):
            account = account.removesuffix(currency)
        if _IBAN_SHAPE.fullmatch(account) or account == plain_account(self._account):
            return checked_account(account, self._account, line=found.line)
        # The bank's number and the account's, as German banks write them: the operator names the IBAN.
        if not self._account:
            raise UnreadableReportError(
                f"the statement's account is {account}, which is no IBAN: name that with --account, so that each "
                "statement of it, in whatever format, is of the same account",
                line=found.line,
            )
        named = plain_account(self._account)
        numbers = _BANK_AND_NUMBER.fullmatch(account)
        if numbers and named.startswith("DE") and is_iban(named) and named[4:] != numbers[1] + numbers[2].zfill(10):
            raise UnreadableReportError(f"the statement is of {account}, which is not {named}", line=found.line)
        if self._own_account not in {"", account}:
            raise UnreadableReportError(
                f"statements are of {self._own_account} and of {account}, which cannot both be {named}", line=found.line
            )
        self._own_account = account
        return named

    def _balance(self, each: _Field) -> _Balance:
        if not _BALANCE.fullmatch(each.text.strip()):
            raise UnreadableReportError(f":{each.tag}: is no balance", line=each.line)
        text = f":60F:{each.text.strip()}"
        found = _parsed(text, each.line).data["final_opening_balance"]
        return _Balance(found.amount.amount, found.amount.currency, found.date, is_final=not each.tag.endswith("M"))

    def _end_of_page(self) -> Iterator[Entry]:
        statement = self._statement
        if statement is None:
            return
        self._begin_chain(statement, statement.head[0].line)
        yield from self._read()
        if self._chain is not None and statement.closing is not None:
            self._chain.closing[statement.closing.currency] = statement.closing.amount
            self._chain.reach(_day_of(statement.closing.on))
        self._before, self._statement = statement.closing, None

    def _finish(self) -> None:
        chain, self._chain, self._before = self._chain, None, None
        if chain is not None:
            self._finished(chain)

    def _read(self) -> Iterator[Entry]:
        """Has the library read the entries that wait."""
        waiting, self._waiting = self._waiting, []
        chain = self._chain
        if not waiting or chain is None:
            return
        [currency] = chain.opening
        opening = f":60F:C000101{currency}0,\n"
        try:
            parsed = _parsed(opening + "\n".join(map(_written, waiting)), waiting[0].line)
        except UnreadableReportError:
            # Which one it was: each by itself.
            for entry in waiting:
                _parsed(opening + _written(entry), entry.line)
            raise
        if len(parsed.transactions) != len(waiting):
            raise UnreadableReportError("entries cannot be told apart", line=waiting[0].line)
        for entry, found in zip(waiting, parsed.transactions, strict=True):
            booking = _booking(entry, found.data, currency, chain.account)
            chain.reach(date.fromisoformat(booking.booked_local))
            yield Entry(chain, entry.match["minus"] is not None, [booking])


def _booking(entry: _Waiting, data: dict[str, Any], currency: str, account: str) -> Booking:
    booked_on: date = data.get("entry_date") or data["date"]
    day = _day_of(booked_on)
    customer_ref, _, bank_ref = entry.match["references"].partition("//")
    return Booking(
        account=account,
        currency=currency,
        amount=data["amount"].amount,
        total=data["amount"].amount,
        booked_at=datetime.combine(day, time(), UTC),
        booked_local=day.isoformat(),
        value_on=_day_of(data["date"]),
        provider_type=(data.get("id") or "").strip().upper(),
        bank_ref=plain_reference(bank_ref),
        texts=(*texts_of(data), plain_reference(customer_ref), (entry.match["more"] or "").strip()),
    )


def _day_of(day: date) -> date:
    """The library's own kind of day as a plain one."""
    return date(day.year, day.month, day.day)


def _match_line(each: _Field) -> re.Match[str]:
    """The parts of a field :61:. Raises UnreadableReportError where it is none."""
    match = _LINE.fullmatch(each.text)
    if match is None:
        raise UnreadableReportError(":61: is no entry (date, mark, amount with a comma, type)", line=each.line)
    return match


def _written(entry: _Waiting) -> str:
    """An entry for the library: without a minus sign, which it does not know, and references that it would cut."""
    match = entry.match
    texts = (f":86:{without_parties(text)}".replace("\n:", "\n :") for text in entry.texts)
    return "\n".join((f":61:{match['before']}{match['amount']}{match['type']}", *texts))


def _parsed(text: str, line: int) -> Any:
    """What the library makes of a text. It is given as a file: of a plain text it would ask whether it names one."""
    try:
        return mt940.parse(StringIO(text), options=mt940.Options.all())
    except (RuntimeError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError):
        raise UnreadableReportError("the field cannot be read", line=line) from None
