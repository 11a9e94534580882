"""What an entry of a bank's statement is, in whichever format it came, and the line that is made of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from checkout_service.providers.reports import ReportLine, ReportSection, UnreadableReportError
from checkout_service.settlement_words import EntryKind

LONGEST_DESCRIPTION: Final = 2000
"""Characters. What a bank wrote beyond that is cut: a batch may name thousands."""

PART: Final = " | "
"""Stands between two texts of a description: a text that a bank has cut ends there."""

NO_REFERENCES: Final = frozenset({"NOTPROVIDED", "NONREF", "NOREF"})

_IBAN_SHAPE: Final = re.compile(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_IBAN_COUNTRIES: Final = re.compile(
    "AD|AE|AL|AT|AZ|BA|BE|BG|BH|BI|BR|BY|CH|CR|CY|CZ|DE|DJ|DK|DO|EE|EG|ES|FI|FK|FO|FR|GB|GE|GI|GL|GR|GT|HN|HR|HU|IE|IL|"
    "IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MN|MR|MT|MU|NI|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC|SD|SE|SI|"
    "SK|SM|SO|ST|SV|TL|TN|TR|UA|VA|VG|XK|YE"
)
"""Countries whose accounts are named so: what begins otherwise, as Adyen's TX90…, is a reference."""

_SHORTEST_IBAN: Final = 15
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


@dataclass(slots=True, kw_only=True)
class Booking:
    """One movement on a bank account: ``amount`` is signed as it moves the balance, in the major unit of ``currency``.

    ``booked_at`` is the start of the bank's day in UTC where the bank gives no time; ``booked_local`` are the bank's
    own words, which begin with its date. ``bank_ref`` is the bank's own reference, the same in each statement that has
    the entry; ``entry_number`` counts within a statement. ``place`` is '' of a whole entry, else which part of it.
    """

    account: str
    currency: str
    amount: Decimal
    booked_at: datetime
    booked_local: str
    value_on: date | None
    provider_type: str
    bank_ref: str = ""
    entry_number: str = ""
    place: str = ""
    texts: tuple[str, ...] = ()


def line_of(booking: Booking, *, line: int, section: str) -> ReportLine:
    """The report's line for a booking.

    Its name is made of the account, the bank's reference, the amount, the date and the place in a batch: so statements
    that overlap name an entry alike, in both formats. Without such a reference the section is part of the name, since
    equal entries of one day are two.
    """
    day = booking.booked_local[:10]
    names = (
        ("account", booking.account),
        *(
            (("bank_ref", booking.bank_ref),)
            if booking.bank_ref
            else (("section", section), ("number", booking.entry_number), ("text", " ".join(booking.texts)))
        ),
        ("amount", format(booking.amount.normalize(), "f")),
        ("currency", booking.currency),
        ("day", day),
        ("place", booking.place),
    )
    return ReportLine(
        line=line,
        account=booking.account,
        section=section,
        entry_ref=made_name(names),
        is_made=True,
        kind=EntryKind.BANK,
        provider_type=booking.provider_type,
        gross=booking.amount,
        fee=Decimal(0),
        net=booking.amount,
        currency=booking.currency,
        occurred_at=booking.booked_at,
        occurred_local=booking.booked_local,
        available_on=booking.value_on,
        description=describe(booking.texts),
    )


def made_name(names: Iterable[tuple[str, str]]) -> str:
    """A name of 32 hexadecimal digits, made of these names and values in their order."""
    digest = hashlib.sha256()
    for name, value in names:
        for part in (name.encode(), value.encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(4) + part)
    return digest.digest()[:16].hex()


def describe(texts: Iterable[str]) -> str:
    """One text of several, each once, without control characters and without anybody's account number (IBAN)."""
    kept: dict[str, None] = {}
    for text in texts:
        plain = _IBAN_SHAPE.sub(_without_iban, _CONTROL.sub(" ", text).strip())
        if plain and plain.upper() not in NO_REFERENCES:
            kept.setdefault(plain)
    return PART.join(kept)[:LONGEST_DESCRIPTION]


def is_iban(text: str) -> bool:
    """Whether this is an account number with right check digits (ISO 13616), without blanks."""
    if len(text) < _SHORTEST_IBAN or not _IBAN_COUNTRIES.fullmatch(text[:2]) or not text[2:4].isdecimal():
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def plain_account(text: str) -> str:
    """A bank account as it is compared and kept: no blanks, capitals."""
    return "".join(text.split()).upper()


def checked_account(found: str, named: str, *, line: int | None) -> str:
    """The account of a statement, where the operator may have ``named`` one.

    Raises UnreadableReportError where the statement is of another.
    """
    account = plain_account(found)
    if named and account != plain_account(named):
        raise UnreadableReportError(f"the statement is of account {account}, not of {plain_account(named)}", line=line)
    return account


@dataclass(slots=True, kw_only=True)
class Chain:
    """Statements, or pages of one, that prove themselves together: opening balance + entries = closing balance."""

    account: str
    name: str
    number: int | None = None
    opening: dict[str, Decimal] = field(default_factory=dict)
    closing: dict[str, Decimal] = field(default_factory=dict)
    rows: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)
    """By currency, of what was read so far."""

    @property
    def expected(self) -> Mapping[str, Decimal]:
        """What the entries have to add up to, of each currency that has both balances."""
        return {
            currency: self.closing[currency] - opening
            for currency, opening in self.opening.items()
            if currency in self.closing
        }

    def add(self, currency: str, amount: Decimal) -> None:
        """Counts an entry."""
        self.rows += 1
        self.sums[currency] = self.sums.get(currency, Decimal(0)) + amount

    def section(self, rule: str) -> ReportSection:
        """The section of the report."""
        return ReportSection(
            account=self.account, name=self.name, rule=rule, expected=dict(self.expected), rows=self.rows, complete=True
        )

    def faults(self) -> list[str]:
        """What hinders its proof."""
        expected = self.expected
        lacking = sorted({*self.opening, *self.closing, *self.sums} - set(expected))
        if not expected and not lacking:
            return [f"the statement {self.name} of {self.account} has no opening and closing balance"]
        return [f"the statement {self.name} of {self.account} lacks a balance in {currency}" for currency in lacking]


class Entry(NamedTuple):
    """An entry with its parts. ``is_doubtful``: some banks mean its sign one way, others the other."""

    chain: Chain
    is_doubtful: bool
    bookings: list[Booking]


def gaps(chains: Iterable[Chain]) -> list[str]:
    """Where a statement does not open with what the one of the number before closed with."""
    known = {(chain.account, chain.number): chain for chain in chains if chain.number is not None}
    return [
        f"the statement {chain.name} of {chain.account} does not open in {currency} with what {before.name} closed with"
        for chain in known.values()
        if chain.number is not None and (before := known.get((chain.account, chain.number - 1))) is not None
        for currency, opening in chain.opening.items()
        if currency in before.closing and before.closing[currency] != opening
    ]


def unique_name(name: str, account: str, used: set[tuple[str, str]]) -> str:
    """The name of a section, numbered where this account has one of that name already."""
    found, number = name, 1
    while (account, found) in used:
        number += 1
        found = f"{name} #{number}"
    used.add((account, found))
    return found


def _without_iban(match: re.Match[str]) -> str:
    """The match without the account number that it begins with: text may go on behind it."""
    text = match[0]
    compact = ""
    for end, char in enumerate(text, start=1):
        compact += char if char != " " else ""
        if len(compact) >= _SHORTEST_IBAN and is_iban(compact) and (end == len(text) or not text[end].isalnum()):
            return f"IBAN{text[end:]}"
    return text
