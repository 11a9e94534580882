"""Time spans as operators write them: 90s, 30m, 2h or 7d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

EXAMPLES: Final = "90s, 30m, 2h or 7d"

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """The time span that a text says: up to six digits and a unit. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found:
        raise ValueError(f"{text!r} is no time span such as {EXAMPLES}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
