"""A circuit breaker: after a failure everybody is told at once, and one caller at a time tries again.

The kept libraries for this hold a lock while the trial call runs, so a frozen server would still collect every thread.
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

    @contextmanager
    def guard(self, *failures: type[BaseException]) -> Iterator[None]:
        """Run the body; one of ``failures`` opens the breaker. A normal end closes it, and so does any other error: the
        other side has answered.

        Raises BreakerOpenError without running the body while the breaker is open.
        """
        self._enter()
        try:
            yield
        except failures:
            self._open_until = monotonic() + self._pause
            raise
        except Exception:
            self._open_until = 0.0
            raise
        if self._open_until:
            self._open_until = 0.0

    def _enter(self) -> None:
        if not self._open_until:
            return
        with self._lock:
            if not self._open_until:
                return
            if monotonic() < self._open_until:
                raise BreakerOpenError
            # This caller is the trial; the others keep being refused until it has an answer or the pause is over.
            self._open_until = monotonic() + self._pause
