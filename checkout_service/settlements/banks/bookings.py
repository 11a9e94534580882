"""What an entry of a bank's statement is, in whichever format it came, and the line that is made of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from checkout_service.providers.reports import ReportLine, ReportSection, UnreadableReportError
from checkout_service.settlement_words import EntryKind

LONGEST_DESCRIPTION: Final = 2000
"""Characters. What a bank wrote beyond that is cut: a batch may name thousands."""

PART: Final = " | "
"""Stands between two texts of a description: a text that a bank has cut ends there."""

NO_REFERENCES: Final = frozenset({"NOTPROVIDED", "NONREF", "NOREF"})

BY_REFERENCE: Final = "r"
BY_DAY: Final = "d"
"""How names of entries begin."""

_IBAN_START: Final = re.compile(r"[A-Z]{2} ?[0-9]{2}(?=[ -]?[A-Z0-9])", re.IGNORECASE)
_IBAN_COUNTRIES: Final = re.compile(
    "AD|AE|AL|AT|AZ|BA|BE|BG|BH|BI|BR|BY|CH|CR|CY|CZ|DE|DJ|DK|DO|EE|EG|ES|FI|FK|FO|FR|GB|GE|GI|GL|GR|GT|HN|HR|HU|IE|IL|"
    "IQ|IS|IT|JO|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MC|MD|ME|MK|MN|MR|MT|MU|NI|NL|NO|OM|PK|PL|PS|PT|QA|RO|RS|RU|SA|SC|SD|SE|SI|"
    "SK|SM|SO|ST|SV|TL|TN|TR|UA|VA|VG|XK|YE"
)
"""Countries whose accounts are named so: what begins otherwise, as Adyen's TX90…, is a reference."""

_SHORTEST_IBAN: Final = 15
_LONGEST_IBAN: Final = 34
_CUT_BEHIND: Final = 2 * _LONGEST_IBAN
"""Characters that are looked at beyond what is kept, so that no account number is cut before it is seen."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


@dataclass(slots=True, kw_only=True)
class Booking:
    """One movement on a bank account, or a part of it: ``amount`` is signed as it moves the balance, in the major unit.

    ``booked_at`` is the start of the bank's day in UTC where the bank gives no time; ``booked_local`` are the bank's
    own words, which begin with its date. ``bank_ref`` is the bank's own reference, the same in each statement that has
    the entry. ``place`` is '' of a whole entry, else which part of it, of an entry of ``total``.
    """

    account: str
    currency: str
    amount: Decimal
    booked_at: datetime
    booked_local: str
    value_on: date | None
    provider_type: str
    total: Decimal
    bank_ref: str = ""
    place: str = ""
    texts: tuple[str, ...] = ()


def line_of(booking: Booking, *, line: int, section: str) -> ReportLine:
    """The report's line for a booking.

    Its name is that of its whole entry, and its place in it: so statements that overlap name an entry alike, in either
    format, with details or without. It is made of the account, the amount, and the bank's reference; of the day
    where there is none. Which of several equal ones an entry is comes out when it is entered.
    """
    name = made_name(
        (
            ("account", booking.account),
            ("bank_ref", booking.bank_ref) if booking.bank_ref else ("day", booking.booked_local[:10]),
            ("amount", format(booking.total.normalize(), "f")),
            ("currency", booking.currency),
        )
    )
    # What it is named by is seen: a day is weaker.
    named = f"{BY_REFERENCE if booking.bank_ref else BY_DAY}{name[1:]}"
    return ReportLine(
        line=line,
        account=booking.account,
        section=section,
        entry_ref=f"{named}/{booking.place}" if booking.place else named,
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
    size = 0
    for text in texts:
        if size > LONGEST_DESCRIPTION:
            break
        plain = without_ibans(_CONTROL.sub(" ", text[: LONGEST_DESCRIPTION + _CUT_BEHIND]).strip())
        if plain and plain.upper() not in NO_REFERENCES and plain not in kept:
            kept[plain] = None
            size += len(plain)
    return PART.join(kept)[:LONGEST_DESCRIPTION]


def bounded(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that are not empty, until they are more than a description keeps."""
    kept, size = [], 0
    for text in texts:
        if size > LONGEST_DESCRIPTION:
            break
        if text:
            kept.append(text[: LONGEST_DESCRIPTION + _CUT_BEHIND])
            size += len(text)
    return tuple(kept)


def without_ibans(text: str) -> str:
    """The text with ``IBAN`` in place of each account number of right check digits, however it is written."""
    pieces, begun, start = [], 0, 0
    while match := _IBAN_START.search(text, start):
        start = match.start() + 1
        end = _end_of_iban(text, match.start())
        if end:
            pieces += [text[begun : match.start()], "IBAN"]
            begun = start = end
    return "".join((*pieces, text[begun:]))


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
    since: date | None = None
    until: date | None = None
    """Its days: those of its entries, and that on which it closes."""
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

    def reach(self, day: date) -> None:
        """Takes a day in."""
        self.since = day if self.since is None else min(self.since, day)
        self.until = day if self.until is None else max(self.until, day)

    def section(self, rule: str) -> ReportSection:
        """The section of the report."""
        return ReportSection(
            account=self.account,
            name=self.name,
            rule=rule,
            expected=dict(self.expected),
            rows=self.rows,
            # Another statement may have its name, and pages may come one by one: what it lacks is not gone.
            complete=False,
            opening=dict(self.opening),
            since=self.since,
            until=self.until,
            number=self.number,
        )

    def faults(self) -> list[str]:
        """What hinders its proof."""
        expected = self.expected
        lacking = sorted({*self.opening, *self.closing, *self.sums} - set(expected))
        if not expected and not lacking:
            return [f"the statement {self.name} of {self.account} has no opening and closing balance"]
        return [f"the statement {self.name} of {self.account} lacks a balance in {currency}" for currency in lacking]


class Entry(NamedTuple):
    """An entry with its parts, once. ``is_doubtful``: some banks mean its sign one way, others the other."""

    chain: Chain
    is_doubtful: bool
    bookings: Iterable[Booking]


def gaps(chains: Iterable[Chain]) -> list[str]:
    """Where a statement does not open with what the one before, of the number before, closed with.

    Another one of that number may fit, since days and months may be numbered each by themselves; and the same statement
    under two numbers is no gap.
    """
    by_account: dict[str, list[Chain]] = {}
    for chain in chains:
        if chain.number is not None and chain.until is not None:
            by_account.setdefault(chain.account, []).append(chain)
    # A file may have hundreds of thousands, so none is looked for among all others.
    closings = {
        (chain.account, chain.number, currency, closing)
        for own in by_account.values()
        for chain in own
        for currency, closing in chain.closing.items()
    }
    return [
        f"the statement {chain.name} of {chain.account} does not open in {currency} with what {before.name} closed with"
        for own in by_account.values()
        # Numbers begin anew each year.
        for before, chain in pairwise(sorted(own, key=lambda each: (each.until or date.min, each.number or 0)))
        if chain.number == (before.number or 0) + 1
        for currency, opening in chain.opening.items()
        if currency in before.closing
        and before.closing[currency] != opening
        and (before.opening.get(currency), before.closing[currency]) != (opening, chain.closing.get(currency))
        and (chain.account, before.number, currency, opening) not in closings
    ]


def unique_name(name: str, account: str, used: dict[tuple[str, str], int]) -> str:
    """The name of a section, numbered where this account has one of that name already.

    ``used`` has the last number of each name, and is empty at first: a file may call all its statements alike.
    """
    found, number = name, used.get((account, name), 1)
    while (account, found) in used:
        number += 1
        found = f"{name} #{number}"
    used[account, name] = number
    used.setdefault((account, found), 1)
    return found


def _end_of_iban(text: str, start: int) -> int:
    """Where the account number ends that begins there, the longest one; 0 where there is none."""
    compact, found = "", 0
    for at in range(start, min(len(text), start + _CUT_BEHIND)):
        char = text[at]
        if char.isascii() and char.isalnum():
            compact += char.upper()
        elif char not in " -":
            break
        else:
            continue
        if len(compact) > _LONGEST_IBAN:
            break
        if is_iban(compact):
            found = at + 1
    return found
