"""What beat logs of messages that it could not send: one line a while, not two tracebacks for each of them.

While its broker is away, or takes no writes, that were some 200 lines a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

from celery.beat import SchedulingError

AGAIN_AFTER: Final = 10.0
"""Seconds after which the next failure is logged."""


class FailuresOnceAWhile(logging.Filter):
    """Lets the first failure to send through, as one line, and the next ones once a while, with their number."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._now = now
        self._logged_at = float("-inf")
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, SchedulingError):
            return True
        if self._now() - self._logged_at < AGAIN_AFTER:
            self._left_out += 1
            return False
        record.msg, record.args = "%s (%d more before it)", (error, self._left_out)
        record.exc_info = None
        self._logged_at = self._now()
        self._left_out = 0
        return True


def log_failures_once_a_while() -> None:
    """Have this process log so of beat, from now on."""
    logger = logging.getLogger("celery.beat")
    if not any(isinstance(one, FailuresOnceAWhile) for one in logger.filters):
        logger.addFilter(FailuresOnceAWhile())
