"""Which stretch of an account a bank's statement is about, and whether two of them may have the same bookings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Any, Final, NamedTuple

_LONGEST_GAP: Final = timedelta(days=40)
"""Between two statements of numbers in a row: numbers begin anew."""


class Place(NamedTuple):
    """A statement: the file and its section."""

    file_id: str
    account: str
    name: str


class Relation(Enum):
    """What two statements are to each other, in one currency."""

    WHOLE = auto()
    """Both are the same stretch: from one balance to the other."""
    SAME = auto()
    """They have bookings in common, where those are named alike."""
    NAMED = auto()
    """They have those in common that the bank's own reference names; else nothing says it."""
    UNCLEAR = auto()
    """Nothing says whether a booking of one is that of the other."""
    APART = auto()
    """They have none in common: one goes on where the other ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A statement's days, both included, and its balances by currency in the major unit.

    ``since`` is None where its reader says nothing of it. ``is_proved`` is False where somebody accepted its file.
    """

    place: Place
    opening: Mapping[str, Decimal]
    expected: Mapping[str, Decimal]
    since: date | None
    until: date | None
    number: int | None
    is_proved: bool

    @classmethod
    def from_json(cls, file_id: object, section: Mapping[str, Any], *, is_proved: bool) -> Stretch:
        """As a file's row has it."""
        days = [date.fromisoformat(found) if (found := section.get(name)) else None for name in ("since", "until")]
        return cls(
            place=Place(str(file_id), section["account"], section["name"]),
            opening={currency: Decimal(found) for currency, found in (section.get("opening") or {}).items()},
            expected={currency: Decimal(found) for currency, found in (section.get("expected") or {}).items()},
            since=days[0],
            until=days[1],
            number=section.get("number"),
            is_proved=is_proved,
        )

    def closing(self, currency: str) -> Decimal | None:
        """The balance at its end, None where it has not both."""
        if currency not in self.opening or currency not in self.expected:
            return None
        return self.opening[currency] + self.expected[currency]


def relation(one: Stretch, other: Stretch, currency: str) -> Relation:
    """What two statements of one account are to each other."""
    if one.since is None or one.until is None or other.since is None or other.until is None:
        return Relation.SAME
    if one.until < other.since or other.until < one.since:
        return Relation.APART
    ends = [(each.opening.get(currency), each.closing(currency)) for each in (one, other)]
    if None in ends[0] or None in ends[1]:
        return Relation.SAME
    (opening, closing), (other_opening, other_closing) = ends
    has_end = opening == other_opening or closing == other_closing
    follows = (closing == other_opening and one.until <= other.since) or (
        other_closing == opening and other.until <= one.since
    )
    if follows and has_end:
        # One of them has brought nothing in sum, so its balances do not say whether it is the other, or comes next.
        return Relation.SAME if one.place.name == other.place.name else Relation.NAMED
    if follows:
        return Relation.APART
    if ends[0] == ends[1]:
        return Relation.WHOLE if one.is_proved and other.is_proved else Relation.SAME
    if has_end or (min(one.until, other.until) - max(one.since, other.since)).days > 0:
        return Relation.SAME
    # Of one day, which is whole in the one that has days on both sides of it.
    day = max(one.since, other.since)
    is_inside = any(each.since < day < each.until for each in (one, other) if each.since and each.until)
    return Relation.SAME if is_inside else Relation.UNCLEAR


def gaps_between(own: Stretch, known: Collection[Stretch]) -> list[str]:
    """Where a statement does not go on from one of the number before, or none of the next number goes on from it.

    A bank may number its days and its months each by themselves, so one that fits is enough; and one that has bookings
    in common, as the same one of another number, is no neighbour.
    """
    if own.number is None or own.since is None or own.until is None:
        return []
    faults = []
    for is_before in (True, False):
        number = own.number - 1 if is_before else own.number + 1
        near = [each for each in known if each.number == number and _is_near(own, each, is_before=is_before)]
        for currency in own.opening:
            ends = [
                (before, after, closing)
                for before, after in ((each, own) if is_before else (own, each) for each in near)
                if currency in after.opening
                and (closing := before.closing(currency)) is not None
                and not _has_common_end(before, after, currency)
            ]
            if ends and not any(closing == after.opening[currency] for _, after, closing in ends):
                before, after, _ = ends[0]
                faults.append(
                    f"the statement {after.place.name} of {own.place.account} does not open in {currency} with what "
                    f"{before.place.name} closed with"
                )
    return faults


class Stretches:
    """Statements of one account, of which those are found that may have bookings in common with one of them.

    A file may have thousands, all of one day, so not each is compared with each.
    """

    def __init__(self) -> None:
        self._all: list[Stretch] = []
        self._by_number: defaultdict[int, list[Stretch]] = defaultdict(list)
        self._by_opening: defaultdict[tuple[str, Decimal], list[Stretch]] = defaultdict(list)
        self._by_closing: defaultdict[tuple[str, Decimal], list[Stretch]] = defaultdict(list)
        self._by_currencies: defaultdict[frozenset[str], list[Stretch]] = defaultdict(list)
        self._others: list[Stretch] = []
        """Those of several days, or without balances: nothing else says with which they may have some in common."""

    def add(self, stretch: Stretch) -> None:
        """One more of the account."""
        self._all.append(stretch)
        if stretch.number is not None:
            self._by_number[stretch.number].append(stretch)
        for currency, opening in stretch.opening.items():
            self._by_opening[currency, opening].append(stretch)
            if (closing := stretch.closing(currency)) is not None:
                self._by_closing[currency, closing].append(stretch)
        self._by_currencies[frozenset(stretch.opening)].append(stretch)
        if _is_long(stretch):
            self._others.append(stretch)

    def neighbours(self, own: Stretch) -> list[Stretch]:
        """Those of the numbers before and behind."""
        if own.number is None:
            return []
        return [*self._by_number.get(own.number - 1, ()), *self._by_number.get(own.number + 1, ())]

    def is_known(self, own: Stretch, currency: str) -> bool:
        """Whether one of them is the same stretch."""
        if currency not in own.opening:
            return False
        alike = self._by_opening.get((currency, own.opening[currency]), ())
        return any(relation(own, each, currency) is Relation.WHOLE for each in alike)

    def in_common(self, own: Stretch, currency: str) -> list[Stretch]:
        """Those that have bookings in common with it in this currency, where those are named alike."""
        closing = own.closing(currency)
        if closing is None or _is_long(own):
            found = self._all
        else:
            alike = {
                each.place: each
                for each in (
                    *self._by_opening.get((currency, own.opening[currency]), ()),
                    *self._by_closing.get((currency, closing), ()),
                    *self._others,
                    *(each for has, without in self._by_currencies.items() if currency not in has for each in without),
                )
            }
            found = list(alike.values())
        return [each for each in found if each.since and relation(own, each, currency) is Relation.SAME]


def _is_long(stretch: Stretch) -> bool:
    return stretch.since != stretch.until or stretch.since is None or set(stretch.opening) != set(stretch.expected)


def _is_near(own: Stretch, each: Stretch, *, is_before: bool) -> bool:
    if own.since is None or own.until is None or each.since is None or each.until is None:
        return False
    gap = own.since - each.until if is_before else each.since - own.until
    return timedelta(0) <= gap <= _LONGEST_GAP


def _has_common_end(before: Stretch, after: Stretch, currency: str) -> bool:
    if before.until is None or after.since is None or before.until < after.since:
        return False
    return before.opening.get(currency) == after.opening.get(currency) or before.closing(currency) == after.closing(
        currency
    )
