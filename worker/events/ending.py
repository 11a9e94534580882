"""When a run of the sender ends: after its time, slow endpoints first, or soon, where the process is to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final

from worker.events.endpoint import Endpoint
from worker.events.posting import ANSWER_WITHIN

RUN_FOR: Final = 40.0
"""Seconds after which a run claims no further endpoint and gives back the slow ones, so that the next one goes on."""

HAND_OVER: Final = 15.0
"""Seconds after that in which the others are served on, while slow ones come to their end."""

GRACE: Final = 7.0
"""Seconds for what is in flight when the process is to stop; what is not answered by then is sent again."""


class Ending:
    """The end of one run."""

    def __init__(self, run_for: float, is_stopping: Callable[[], bool]) -> None:
        """``is_stopping`` says whether the process is to end."""
        self.is_closing = False
        """Whether nothing more is to be claimed."""
        self._began = monotonic()
        self._run_for = run_for
        self._is_stopping = is_stopping
        self._stop_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be waited for."""
        return self._stop_at is not None and monotonic() >= self._stop_at

    @property
    def is_late(self) -> bool:
        """Whether it takes so long that results which cannot be written are given up: they will be sent again."""
        return monotonic() - self._began > self._run_for + HAND_OVER + ANSWER_WITHIN

    def close(self, endpoints: Iterable[Endpoint]) -> None:
        """Retire those whose turn it is, if it is time."""
        now = monotonic()
        if self._stop_at is None and self._is_stopping():
            self._stop_at = now + GRACE
        self.is_closing = self._stop_at is not None or now - self._began >= self._run_for
        if not self.is_closing:
            return
        every = list(endpoints)
        at_once = self._stop_at is not None or now - self._began >= self._run_for + HAND_OVER
        slow_ones_end = any(endpoint.is_slow and endpoint.in_flight for endpoint in every)
        for endpoint in every:
            if not endpoint.retiring and (at_once or endpoint.is_slow or not slow_ones_end):
                endpoint.retire()
