"""A circuit breaker: after a failure all callers fail at once, and one caller at a time tries again.

The maintained libraries for this hold a lock while the trial call runs, so a frozen server would still hold every
thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class BreakerOpenError(Exception):
    """The other side failed a moment ago; nothing was tried."""


class Breaker:
    """Closed while calls succeed; open for ``pause`` seconds after a failure; then one trial decides."""

    def __init__(self, *, pause: float = 1.0) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._open_until = 0.0
        self._trial = False
        self.succeeded_at = float("-inf")
        """When the last call succeeded, by ``monotonic``."""

    @property
    def is_open(self) -> bool:
        """Whether the last call failed: nobody has succeeded since, be it that the next one is tried or refused."""
        return bool(self._open_until)

    @contextmanager
    def guard(self, *failures: type[BaseException]) -> Iterator[None]:
        """Run the body; one of ``failures`` opens the breaker, a normal end closes it.

        Raises BreakerOpenError without running the body while the breaker is open.
        """
        is_trial = self._enter()
        try:
            yield
        except failures:
            self._open_until = monotonic() + self._pause
            raise
        else:
            self._open_until = 0.0
            self.succeeded_at = monotonic()
        finally:
            if is_trial:
                self._trial = False

    def _enter(self) -> bool:
        """Let the caller pass; whether it is the trial."""
        if not self._open_until:
            return False
        with self._lock:
            if not self._open_until:
                return False
            # The trial may take longer than the pause: until it ends, everybody else is refused.
            if self._trial or monotonic() < self._open_until:
                raise BreakerOpenError
            self._trial = True
            return True
