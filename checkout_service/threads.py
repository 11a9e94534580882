"""Background threads: work that goes on beside requests and tasks, in rounds, whatever becomes of one round.

Every loop of the service runs on this one class: a cache's writer, the publisher, the guards of the web server. Nobody
looks after such a thread, so it looks after itself. A start that fails is tried again, and a round that raises is
logged, counted and followed by another one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final
from weakref import WeakSet

import structlog

from checkout_service.telemetry.metrics import background_thread_errors_total, background_thread_start_failures_total

FIRST_PAUSE: Final = 0.1
"""Seconds between a round that raised and the next one; twice as many after each further one that raises."""

LONGEST_PAUSE: Final = 5.0
"""Seconds; so often at least is work tried that always fails."""

Rounds = Callable[[], Iterator[float | None]]
"""A generator function. It does one round of work, yields, does the next round, and so on.

It yields the seconds until its next round, which ``wake`` cuts short, or None: until somebody wakes it. What it opens
in a ``with`` block stays open from one round to the next, and is closed when a round raises. The work is then begun
anew from the top. A generator that returns is done: its thread ends and is never started again.
"""

log = structlog.get_logger(__name__)


class BackgroundThread:
    """One daemon thread that does its work in rounds; it starts with the first ``wake`` or ``start``.

    Until then nothing runs, so it may be made before a fork. A child process has none of its parent's threads: there
    it starts again, with the child's own first ``wake`` or ``start``.
    """

    def __init__(self, name: str, rounds: Rounds) -> None:
        """``name`` is the thread's, and the label of its metrics; ``rounds`` is called in the thread."""
        self._name = name
        self._rounds = rounds
        self._errors = background_thread_errors_total.labels(name)
        self._start_failures = background_thread_start_failures_total.labels(name)
        self._runs = False  # or is being started, or is done
        self._has_begun = False  # set by the thread itself
        self._woken = threading.Event()
        self._starting = threading.Lock()
        _every_one.add(self)

    def wake(self) -> bool:
        """Have a round begin now, or right after the one that goes on; whether there is a thread to do it.

        Returns at once and never raises. What the caller left for the thread before this call is seen by that round.
        The answer is that of ``start``.
        """
        self._woken.set()
        return self.start()

    def start(self) -> bool:
        """Start the thread unless it runs; whether it does. Cuts no pause short, never waits and never raises.

        If the system has no thread to give, the next call tries again, and so does ``start_again``. The answer is True
        only if the thread is there. It is False while another caller is still starting it, since that may fail.
        """
        if self._has_begun and not _not_started:
            return True
        for other in tuple(_not_started - {self}):
            other._try_to_start()
        return self._try_to_start()

    def _try_to_start(self) -> bool:
        # Who finds the lock taken does not wait: somebody else is starting the thread at this moment, perhaps in vain.
        if not self._starting.acquire(blocking=False):
            return self._has_begun
        try:
            if not self._runs:
                # Set first, since the thread may have come to an end before ``start`` returns.
                self._runs = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            _not_started.discard(self)
        except Exception as error:  # noqa: BLE001 (no more threads, no memory, the interpreter ends: all are survived)
            self._runs = False
            self._report_failed_start(error)
        finally:
            self._starting.release()
        return self._runs

    def _run(self) -> None:
        self._has_begun = True
        pause = FIRST_PAUSE
        is_done = False
        try:
            while not is_done:
                try:
                    self._woken.clear()
                    for seconds in self._rounds():
                        pause = FIRST_PAUSE
                        start_again()
                        self._woken.wait(seconds)
                        self._woken.clear()
                    is_done = True
                except BaseException as error:  # noqa: BLE001 (whatever it is, nobody else goes on with this work)
                    self._report_error(error)
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            if not is_done:
                # Not even the pause was possible, for want of memory.
                self._has_begun = False
                self._runs = False
                _not_started.add(self)

    def _report_error(self, error: BaseException) -> None:
        with suppress(Exception):
            log.error("background_thread_failed", thread=self._name, exc_info=error)
        with suppress(Exception):
            self._errors.inc()

    def _report_failed_start(self, error: Exception) -> None:
        with suppress(Exception):
            if self not in _not_started:  # once, however often it is tried in vain
                log.warning("background_thread_not_started", thread=self._name, error=str(error))
            _not_started.add(self)
        with suppress(Exception):
            self._start_failures.inc()

    def _forget(self) -> None:
        """Be as one that never ran. The locks are new ones, since a fork may have copied the old ones locked."""
        self._runs = False
        self._has_begun = False
        self._woken = threading.Event()
        self._starting = threading.Lock()


def start_again() -> None:
    """Try again each start in this process that failed; costs next to nothing when there is none.

    Every ``wake``, ``start`` and round of any thread does this. Whoever has work that nobody wakes calls it now and
    then as well, from wherever the process is sure to pass.
    """
    if _not_started:
        for thread in tuple(_not_started):
            thread._try_to_start()


_every_one: Final[WeakSet[BackgroundThread]] = WeakSet()
_not_started: Final[set[BackgroundThread]] = set()
"""Those whose last start failed."""


def _forget_the_parents_threads() -> None:
    _not_started.clear()
    for thread in _every_one:
        thread._forget()


os.register_at_fork(after_in_child=_forget_the_parents_threads)
