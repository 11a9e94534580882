"""The few slots in which requests work, the queue before them, and how a request releases its slot while it waits.

A request that finds no slot free waits in the queue, not in a thread: threads that wait for the interpreter's lock
slow down those that work, and starve one another. A request that waits for a provider releases its slot. Otherwise a
provider that takes seconds to answer would stop the webhook receiver and everybody else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final

import structlog
from flask import has_request_context, request

ENVIRON_KEY: Final = "checkout_service.server.slots"
"""Under this key of a request's environment the app finds the slots of its server."""

ROOM_FOR_FIRST: Final = 64
"""So many more requests may wait in a full queue if they go first: probes."""

log = structlog.get_logger(__name__)

Work = Callable[[], None]


class TooManyWaitingError(Exception):
    """As many requests as may wait without a slot do so already."""


class Slots:
    """At most ``working`` requests are at work in this process.

    ``waiting`` more may wait for a provider, their slots released, and ``queue`` more for a slot.
    """

    def __init__(self, *, working: int, waiting: int, queue: int) -> None:
        self._lock = threading.Lock()
        self._free = working
        self._longest = queue
        self._queue: deque[Work] = deque()
        self._returning: deque[threading.Lock] = deque()
        self._waiting = threading.BoundedSemaphore(waiting)

    def admit(self, work: Work, *, first: bool = False) -> bool:
        """Do the work in this thread, and after it what came to wait meanwhile; or queue it for a thread at work.

        Work begins in the order in which it came. What goes ``first`` passes the others, and finds some more room.
        False when the queue is full: then nothing will be done.
        """
        with self._lock:
            if not self._free:
                if len(self._queue) >= self._longest + (ROOM_FOR_FIRST if first else 0):
                    return False
                (self._queue.appendleft if first else self._queue.append)(work)
                return True
            self._free -= 1
        self._work_off(work)
        return True

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release this thread's slot for the length of the block. Raises TooManyWaitingError, without waiting."""
        if not self._waiting.acquire(blocking=False):
            raise TooManyWaitingError
        try:
            is_released = self._release()
            try:
                yield
            finally:
                if is_released:
                    self._reclaim()
        finally:
            self._waiting.release()

    def _work_off(self, work: Work | None) -> None:
        """Work in the slot that this thread holds, until it holds the slot no longer."""
        while work is not None:
            # Whatever the work raises must lose neither the slot nor the work that is queued.
            with suppress(BaseException):
                self._done(work)
            work = self._next()

    def _done(self, work: Work) -> None:
        try:
            work()
        except BaseException:
            log.exception("work_failed")

    def _next(self) -> Work | None:
        """What the holder of a slot does next; None once it holds it no longer."""
        with self._lock:
            if self._returning:
                # They came before all who are queued, and hold a thread each.
                self._returning.popleft().release()
                return None
            if self._queue:
                return self._queue.popleft()
            self._free += 1
            return None

    def _release(self) -> bool:
        """Pass this thread's slot on; False if no thread could be started to take it."""
        work = self._next()
        if work is None:
            return True
        try:
            threading.Thread(target=self._work_off, args=(work,), name="slot", daemon=True).start()
        except (RuntimeError, MemoryError):
            # The system has no more threads: the queue waits for this one.
            with self._lock:
                self._queue.appendleft(work)
            return False
        return True

    def _reclaim(self) -> None:
        """Wait for a slot, before all who are queued."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._returning.append(turn)
        turn.acquire()


def released_slot() -> AbstractContextManager[None]:
    """Release the current request's slot for the length of a block; does nothing where the server has no slots.

    Raises TooManyWaitingError, without waiting.
    """
    slots = request.environ.get(ENVIRON_KEY) if has_request_context() else None
    return slots.released() if isinstance(slots, Slots) else nullcontext()
