"""Threads for work that may wait. One that has no more of it is kept for a while, since to start one costs as much as a
small answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

RESTS_FOR: Final = 10.0
"""Seconds that a thread is kept without work."""

Job = Callable[[], object]
"""It raises nothing that anybody would look at."""


class SlotThreads:
    """As many threads as there are jobs at work; none before the first job, so it may be made before a fork."""

    def __init__(self, *, rests_for: float = RESTS_FOR) -> None:
        self._rests_for = rests_for
        self._lock = threading.Lock()
        self._resting = 0
        """How many have no job, and none that was put down for them."""
        self._jobs: SimpleQueue[Job] = SimpleQueue()

    def begin(self, job: Job) -> None:
        """Have a thread do it; returns at once.

        Raises RuntimeError or MemoryError where the system has no thread to give. Then nobody does it.
        """
        with self._lock:
            if self._resting:
                self._resting -= 1
                self._jobs.put(job)
                return
        # In a list that is emptied: a thread keeps its arguments for as long as it lives, and with them a request.
        threading.Thread(target=self._work, args=([job],), name="slot", daemon=True).start()

    def _work(self, first: list[Job]) -> None:
        job: Job | None = first.pop()
        while job is not None:
            with suppress(BaseException):
                job()
            job = None  # what it holds is not kept until the next one comes
            job = self._next()

    def _next(self) -> Job | None:
        """The next job of this thread; None: it has rested for long enough."""
        with self._lock:
            self._resting += 1
        with suppress(Empty):
            return self._jobs.get(timeout=self._rests_for)
        with self._lock:
            # One may have been put down for it at this moment.
            with suppress(Empty):
                return self._jobs.get_nowait()
            self._resting -= 1
        return None
