"""When what failed is tried again, and what an operator sees of why it failed."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

FIRST_DELAY: Final = timedelta(seconds=5)
LONGEST_DELAY: Final = timedelta(minutes=15)


def jittered(delay: timedelta) -> timedelta:
    """Up to a fifth longer, so that what failed together does not come back together."""
    return delay * (1 + random.random() / 5)  # noqa: S311 (spreads load, guards nothing)


def describe(error: Exception) -> str:
    """What an operator sees of an error: its kind and first line, never what the provider sent."""
    cause = getattr(error, "orig", None) or error
    line = (str(cause).splitlines() or [""])[0]
    return f"{type(cause).__name__}: {line[:200]}".rstrip(": ")
