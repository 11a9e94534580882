"""Which stretch of an account a bank's statement is about, and whether two of them may have the same bookings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def gaps_between(own: Stretch, known: Iterable[Stretch]) -> list[str]:
    """Where a statement does not go on from the one of the number before, or the next one not from it."""
    if own.number is None or own.since is None or own.until is None:
        return []
    faults = []
    for each in known:
        if each.number is None or each.since is None or each.until is None or each.place.account != own.place.account:
            continue
        if each.number == own.number - 1 and timedelta(0) <= own.since - each.until <= _LONGEST_GAP:
            before, after = each, own
        elif each.number == own.number + 1 and timedelta(0) <= each.since - own.until <= _LONGEST_GAP:
            before, after = own, each
        else:
            continue
        faults += [
            f"the statement {after.place.name} of {own.place.account} does not open in {currency} with what "
            f"{before.place.name} closed with"
            for currency, opening in after.opening.items()
            if (closing := before.closing(currency)) is not None and closing != opening
        ]
    return faults
