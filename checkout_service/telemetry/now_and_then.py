"""Whether a line that would repeat with every span is due: once a minute in each process."""

from __future__ import annotations

from time import monotonic
from typing import Final

LOG_EVERY: Final = 60.0
"""Seconds between two lines of a kind."""


class NowAndThen:
    """Says so once in LOG_EVERY. Two threads at once may both be told so: one line more does no harm."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def is_now(self) -> bool:
        """Whether the line is due; whoever hears so writes it."""
        now = monotonic()
        if now - self._last <= LOG_EVERY:
            return False
        self._last = now
        return True
