"""The one spelling of numbers, ids, days and times in texts from outside, and which texts may name somebody.

``int()``, ``UUID()`` and ``fromisoformat()`` take far more than a person means: digits of other scripts, underscores,
braces, weeks. Whoever writes ``2026-W01-1`` or ``１０`` is told so, and does not get something else.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Final
from uuid import UUID

_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
ID_PATTERN: Final = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
DAY_PATTERN: Final = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME_PATTERN: Final = r"[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
OFFSET_PATTERN: Final = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
"""What the document says of them. There are days beside that no month has, and no year 0000."""

_ID: Final = re.compile(ID_PATTERN)
_DAY: Final = re.compile(DAY_PATTERN)
_MOMENT: Final = re.compile(f"{DAY_PATTERN}{TIME_PATTERN}{OFFSET_PATTERN}?")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

LONGEST_SUBJECT: Final = 255
"""Characters of a text by which somebody else names a person, as OpenID Connect Core 1.0 has it of ``sub``."""


def parse_number(text: str) -> int:
    """The whole number that the text says in ASCII digits, perhaps after a minus. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def parse_id(text: str) -> UUID:
    """The UUID in the form of RFC 9562, in whatever case. Raises ValueError."""
    if not _ID.fullmatch(text):
        raise ValueError(f"{text!r} is no UUID")
    return UUID(text)


def fault_of_subject(text: str) -> str | None:
    """What keeps a text from naming somebody, as the end of a sentence about it; None if nothing does.

    It may be any other text, and stays as it is: what looks alike is not the same.
    """
    if not text:
        return "is empty"
    if len(text) > LONGEST_SUBJECT:
        return f"is longer than {LONGEST_SUBJECT} characters"
    if _CONTROL.search(text):
        return "holds a control character"
    if _SURROGATE.search(text):
        return "holds half of a surrogate pair, which is no character"
    return None


def parse_day(text: str) -> datetime:
    """The beginning in UTC of a day such as 2026-12-24. Raises ValueError."""
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} is no day such as 2026-12-24")
    return datetime.combine(date.fromisoformat(text), time(), UTC)


def parse_moment(text: str) -> datetime:
    """A day and a time of it such as 2026-12-24T18:30:00Z, aware where the text has an offset. Raises ValueError.

    It is the form of RFC 3339; the seconds and the offset may be left out, for callers that read such times as UTC.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is no time such as 2026-12-24T18:30:00Z")
    return datetime.fromisoformat(text.upper())
