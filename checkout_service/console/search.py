"""Understands what somebody typed into the console's one box, by its form alone: nothing is looked up here.

A text may be several things at once (``1042`` is an order's number and an amount), and then it is looked for as all of
them. Days and times are UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from checkout_service.console.filters import LONGEST, UnreadableError, read_id, read_moment, read_sum
from checkout_service.spellings import DAY_PATTERN

LONGEST_RANGE: Final = timedelta(days=3660)

_DAYS: Final = re.compile(rf"({DAY_PATTERN})(?: ?(?:\.\.|–|to) ?({DAY_PATTERN}))?")
_LOOKS_LIKE_DAYS: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What a text may be; None, and '' for a name, where it is nothing of the kind.

    ``since`` and ``until`` are days in UTC; what is of the very ``until`` is not among them. ``name`` is what a
    provider or a token may call something.
    """

    id: UUID | None = None
    number: str | None = None
    email: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    name: str = ""


def read_sought(typed: str) -> Sought:
    """What was typed, read. Raises UnreadableError, with what is said beside the box."""
    text = typed.strip()
    if not text:
        raise UnreadableError("Type something to look for.")
    if len(text) > LONGEST or not text.isprintable():
        raise UnreadableError("This is nothing that could be found.")
    found = read_id(text)
    if found is not None:
        return Sought(id=found, name=text)
    if days := _days(text):
        return Sought(since=days[0], until=days[1])
    amount, currency = _amount(text)
    return Sought(
        number=text if text[-1].isascii() and text[-1].isdigit() else None,
        email=text if "@" in text else None,
        amount=amount,
        currency=currency,
        name=text,
    )


def _days(text: str) -> tuple[datetime, datetime] | None:
    found = _DAYS.fullmatch(text)
    if found is None:
        if _LOOKS_LIKE_DAYS.match(text):
            raise UnreadableError("Write a day in UTC such as 2026-11-25, or two: 2026-11-20..2026-11-25.")
        return None
    try:
        first, last = read_moment(found[1]), read_moment(found[2] or found[1])
    except (ValueError, OverflowError):
        raise UnreadableError("There is no such day.") from None
    if last < first:
        raise UnreadableError("The second day is before the first.")
    if last - first > LONGEST_RANGE:
        raise UnreadableError("These are more than ten years.")
    return first, last + timedelta(days=1)


def _amount(text: str) -> tuple[Decimal | None, str | None]:
    try:
        return read_sum(text)
    except UnreadableError:
        return None, None
