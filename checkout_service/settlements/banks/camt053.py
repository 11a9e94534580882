"""camt.053 (ISO 20022), the statement of a bank: versions 02 to 14 of camt.053.001.

The entry (Ntry) is what was booked; only those of status BOOK are. What its details (TxDtls) say of amounts is used
where they are in the entry's currency; instructed amounts never are, since they may be in another one. In version 02
a detail's amount is AmtDtls/TxAmt alone, from 03 on it is its own Amt, which is optional again from 07 on.

Names of people and others' account numbers are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import BinaryIO, Final

from checkout_service.providers.reports import UnreadableReportError
from checkout_service.settlements.banks.bookings import (
    Booking,
    Chain,
    Entry,
    bounded,
    checked_account,
    unique_name,
)
from checkout_service.settlements.banks.camt053_details import (
    SIGNS,
    Detail,
    are_parts,
    contradictions,
    detail_of,
    plain_amount,
    plain_reference,
)
from checkout_service.settlements.banks.xml_elements import Element, Root, elements

_MESSAGE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(camt\.05[0-9])\.001\.([0-9]{2})")
_READ: Final = {f"{version:02}" for version in range(2, 15)}
_NOT_STATEMENTS: Final = {"camt.052": "a report within the day", "camt.054": "a notice of single entries"}

_NAME_LIST: Final = """
    Acct AcctSvcrRef AddtlNtryInf AddtlTxInf Amt AmtDtls Bal BkTxCd BookgDt Btch Cd CdOrPrtry CdtDbtInd CdtrRefInf Ccy
    ClrSysRef Domn Dt DtTm ElctrncSeqNb EndToEndId Fmly IBAN Id InstrId MsgId Ntry NtryDtls NtryRef Othr PgNb PmtInfId
    NbOfTxs Prtry Ref Refs RmtInf RvslInd StmtPgntn Strd Sts SubFmlyCd Tp TtlAmt TxAmt TxDtls TxId Ustrd ValDt
"""
_NAMES: Final = frozenset(_NAME_LIST.split())
_DATE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = ("CLBD",)
_INTERIM: Final = "ITBD"


class _KnownError(Exception):
    """Ends the reading of a document once its message is known."""


@dataclass(slots=True)
class _Balance:
    code: str
    currency: str
    amount: Decimal
    on: str


@dataclass(slots=True)
class _Page:
    """A Stmt element, as far as it was read."""

    line: int
    id: str = ""
    number: int | None = None
    page: int = 1
    account: str = ""
    balances: list[_Balance] = field(default_factory=list)


def version_of(file: BinaryIO) -> str:
    """Which message a document is: ``camt.053.001.08``. Raises UnreadableReportError where it is none that is read."""

    def note(root: Root) -> None:
        raise _KnownError(_check(root))

    try:
        for _ in elements(file, check=note, containers=(), names=(), reduce={}):
            pass
    except _KnownError as known:
        return str(known)
    raise UnreadableReportError("the XML is no camt.053")


def entries(
    file: BinaryIO,
    *,
    account: str,
    used: dict[tuple[str, str], int],
    finished: Callable[[Chain], None],
    faults: list[str],
) -> Iterator[Entry]:
    """The booked entries of a document, each with the statement, or the chain of pages, that it is part of.

    ``used`` are the names of statements that this file had before, by account. ``finished`` gets each chain once all of
    it was read. ``faults`` get which entries contradict their details. Raises UnreadableReportError.
    """
    chains = _Chains(account, used, finished)
    for container, element in elements(
        file,
        check=_check,
        containers=("Stmt",),
        names=_NAMES,
        reduce={"TxDtls": detail_of},
    ):
        if not element.name:
            chains.begin(_Page(line=element.line))
        elif container == "Stmt" and element.name == "Ntry":
            if (element.text_at("Sts", "Cd") or element.text_at("Sts")) == "BOOK":
                chain = chains.of_entry()
                booked = _bookings(element, chain, chains.day, faults)
                yield Entry(chain, _is_reversal(element), booked)
        else:
            chains.say(element)
    chains.end()


def _check(root: Root) -> str:
    namespace, _, name = root.root.rpartition(" ")
    match = _MESSAGE.fullmatch(namespace)
    if name != "Document" or match is None:
        raise UnreadableReportError("the XML is no camt.053")
    kind, version = match.groups()
    if kind in _NOT_STATEMENTS:
        raise UnreadableReportError(f"this is {kind}, {_NOT_STATEMENTS[kind]}: statements are camt.053")
    if kind != "camt.053" or root.message != f"{namespace} BkToCstmrStmt":
        raise UnreadableReportError("the XML is no camt.053")
    if version not in _READ:
        raise UnreadableReportError(f"camt.053.001.{version} is not read: versions 02 to 14 are")
    return f"camt.053.001.{version}"


class _Chains:
    """Puts pages into chains, by account and name, while they come."""

    def __init__(self, account: str, used: dict[tuple[str, str], int], finished: Callable[[Chain], None]) -> None:
        self._account = account
        self._finished = finished
        self._used = used
        self._page: _Page | None = None
        self._chain: Chain | None = None
        self._id = ""
        self._balances: list[_Balance] = []
        self._is_placed = False

    def begin(self, page: _Page) -> None:
        self._place()
        self._page, self._is_placed = page, False

    def say(self, element: Element) -> None:
        """What a statement says of itself, before its entries."""
        page = self._page
        if page is None:
            return
        if element.name == "Id":
            page.id = element.text
        elif element.name == "ElctrncSeqNb":
            page.number = int(element.text) if element.text.isdecimal() and len(element.text) <= 18 else None
        elif element.name == "StmtPgntn":
            number = element.text_at("PgNb")
            page.page = int(number) if number.isdecimal() and len(number) <= 5 else 1
        elif element.name == "Acct":
            page.account = element.text_at("Id", "IBAN") or element.text_at("Id", "Othr", "Id")
        elif element.name == "Bal":
            page.balances.append(_balance_of(element))
            if self._is_placed:
                self._balances.append(page.balances[-1])

    def of_entry(self) -> Chain:
        """The chain that the entries of the current page are part of."""
        self._place()
        if self._chain is None:
            raise UnreadableReportError("an entry is part of no statement")
        return self._chain

    @property
    def day(self) -> str:
        """The latest day of the balances so far: of an entry that names none."""
        return max((balance.on for balance in self._balances), default="")

    def end(self) -> None:
        self._place()
        self._finish()

    def _place(self) -> None:
        page = self._page
        if page is None or self._is_placed:
            return
        self._is_placed = True
        # From version 11 on it may be left out.
        if not (page.account or self._account):
            raise UnreadableReportError("a statement names no account", line=page.line)
        account = checked_account(page.account or self._account, self._account, line=page.line)
        chain = self._chain
        is_closed = any(balance.code in _CLOSING for balance in self._balances)
        is_same = chain is not None and (chain.account, self._id) == (account, page.id)
        if is_same and (page.page > 1 or not is_closed):
            self._balances.extend(page.balances)
            return
        self._finish()
        days = sorted(balance.on for balance in page.balances if balance.on)
        name = unique_name(
            " ".join(filter(None, (page.id, days[-1] if days else ""))) or "statement", account, self._used
        )
        self._chain = Chain(account=account, name=name, number=page.number)
        self._id = page.id
        self._balances = list(page.balances)

    def _finish(self) -> None:
        chain, self._chain = self._chain, None
        if chain is None:
            return
        for currency in dict.fromkeys(balance.currency for balance in self._balances):
            own = [balance for balance in self._balances if balance.currency == currency]
            opening = next((found for code in _OPENING if (found := _earliest(own, code))), None)
            closing = next((found for code in _CLOSING if (found := _latest(own, code))), None)
            interim = [balance for balance in own if balance.code == _INTERIM]
            if opening is None and interim and own[0].code == _INTERIM:
                opening = interim.pop(0)
            if closing is None and interim:
                closing = interim[-1]
            if opening is not None:
                chain.opening[currency] = opening.amount
            if closing is not None:
                chain.closing[currency] = closing.amount
                if closing.on:
                    chain.reach(_instant(closing.on, None).date())
        self._finished(chain)


def _earliest(balances: list[_Balance], code: str) -> _Balance | None:
    return min((balance for balance in balances if balance.code == code), key=lambda found: found.on, default=None)


def _latest(balances: list[_Balance], code: str) -> _Balance | None:
    return max(
        (balance for balance in reversed(balances) if balance.code == code), key=lambda found: found.on, default=None
    )


def _balance_of(element: Element) -> _Balance:
    amount, currency = _amount_of(element, element.line)
    day = element.text_at("Dt", "Dt") or element.text_at("Dt", "DtTm")
    return _Balance(
        code=element.text_at("Tp", "CdOrPrtry", "Cd"),
        currency=currency,
        amount=_sign_of(element, element.line) * amount,
        on=day[:10],
    )


def _is_reversal(entry: Element) -> bool:
    return entry.text_at("RvslInd") in {"true", "1"}


def _bookings(entry: Element, chain: Chain, day: str, faults: list[str]) -> Iterator[Booking]:
    """What an entry brought: itself, or its parts, and what is between their sum and it.

    ``day`` is that of its statement, for one that has none. ``faults`` get how it contradicts its details.
    """
    amount, currency = _amount_of(entry, entry.line)
    sign = _sign_of(entry, entry.line)
    total = sign * amount
    words = entry.text_at("BookgDt", "Dt") or entry.text_at("BookgDt", "DtTm")
    value = entry.text_at("ValDt", "Dt") or entry.text_at("ValDt", "DtTm")
    local = words or value or day
    if not local:
        raise UnreadableReportError("an entry has no date of booking, nor has its statement", line=entry.line)
    booked_at = _instant(local, entry.line)
    if value:
        _instant(value, entry.line)
    value_on = date.fromisoformat(value[:10]) if value else None
    groups = entry.all("NtryDtls")
    details = [
        element.value for group in groups for element in group.all("TxDtls") if isinstance(element.value, Detail)
    ]
    faults += [f"line {entry.line}: {fault}" for group in groups for fault in contradictions(group, currency, sign)]
    own_ref = next((each.bank_ref for each in details if each.bank_ref), "")
    bank_ref = plain_reference(entry.text_at("AcctSvcrRef")) or own_ref
    chain.reach(date.fromisoformat(local[:10]))

    def booking(part: Decimal, place: str, texts: tuple[str, ...]) -> Booking:
        return Booking(
            account=chain.account,
            currency=currency,
            amount=part,
            total=total,
            booked_at=booked_at,
            booked_local=local,
            value_on=value_on,
            provider_type=_type_of(entry),
            bank_ref=bank_ref,
            place=place,
            texts=texts,
        )

    # What the bank says of the entry is of the whole: on each part it would make each of them what it names.
    own = (*(found for group in groups if (found := group.text_at("Btch", "PmtInfId"))), entry.text_at("AddtlNtryInf"))
    if not are_parts(entry, details, currency, total, sign):
        yield booking(total, "", bounded(text for texts in (*(each.texts for each in details), own) for text in texts))
        return
    rest = total
    for number, detail in enumerate(details, start=1):
        part = (detail.sign or sign) * (detail.amount or Decimal(0))
        rest -= part
        yield booking(part, str(number), (*detail.texts, *own) if len(details) == 1 else detail.texts)
    if rest:
        yield booking(rest, "rest", ("charges, or what the parts of an entry leave of it",))


def _type_of(entry: Element) -> str:
    domain = (
        entry.text_at("BkTxCd", "Domn", "Cd"),
        entry.text_at("BkTxCd", "Domn", "Fmly", "Cd"),
        entry.text_at("BkTxCd", "Domn", "Fmly", "SubFmlyCd"),
    )
    return "/".join(filter(None, domain)) or entry.text_at("BkTxCd", "Prtry", "Cd")


def _sign_of(element: Element, line: int) -> int:
    text = element.text_at("CdtDbtInd")
    if text not in SIGNS:
        raise UnreadableReportError(f"{element.name} says neither CRDT nor DBIT", line=line)
    return SIGNS[text]


def _amount_of(element: Element, line: int) -> tuple[Decimal, str]:
    found = element.first("Amt")
    if found is None:
        raise UnreadableReportError(f"{element.name} has no amount", line=line)
    return plain_amount(found, line)


def _instant(text: str, line: int | None) -> datetime:
    """The moment, in UTC; a date is its beginning, and what names no zone is read as UTC."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise UnreadableReportError(f"{text[:40]!r} is no date", line=line)
    try:
        day, time, fraction, zone = match.groups()
        # Midnight may be written as the end of a day.
        is_end = time == "24:00:00"
        words = f"{day}T{'00:00:00' if is_end or not time else time}.{(fraction or '')[:6].ljust(6, '0')}"
        moment = datetime.fromisoformat(words).replace(tzinfo=UTC)
        if is_end:
            moment += timedelta(days=1)
        if time and zone and zone != "Z":
            moment = moment.replace(tzinfo=datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").tzinfo)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnreadableReportError(f"{text[:40]!r} is no date", line=line) from None
