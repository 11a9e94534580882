"""The few slots in which requests work, the line before them, and how a request leaves its slot while it waits.

A request that finds no slot free waits in the line, not in a thread: threads that wait for the interpreter's lock cost
those that work, and starve one another. A provider that takes seconds to answer would otherwise hold as many requests
as there are slots, and with them the webhook receiver and everybody else.
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
ROOM_FOR_FIRST: Final = 64

log = structlog.get_logger(__name__)

Work = Callable[[], None]


class TooManyWaitingError(Exception):
    """As many requests as are allowed wait outside already."""


class Slots:
    """At most ``working`` requests at work in this process; ``waiting`` wait for a provider, ``line`` for a slot."""

    def __init__(self, *, working: int, waiting: int, line: int) -> None:
        self._lock = threading.Lock()
        self._free = working
        self._longest = line
        self._line: deque[Work] = deque()
        self._back: deque[threading.Lock] = deque()
        self._waiting = threading.BoundedSemaphore(waiting)

    def admit(self, work: Work, *, first: bool = False) -> bool:
        """Do the work in this thread, and after it whatever came to wait meanwhile; or leave it to who is at work.

        Work is begun in the order in which it came, but for what goes ``first``: for that the line has some room more.
        False, and nothing will be done, when the line is full.
        """
        with self._lock:
            if not self._free:
                if len(self._line) >= self._longest + (ROOM_FOR_FIRST if first else 0):
                    return False
                (self._line.appendleft if first else self._line.append)(work)
                return True
            self._free -= 1
        self._work_off(work)
        return True

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Give the slot to others for the length of the block. Raises TooManyWaitingError, without waiting."""
        if not self._waiting.acquire(blocking=False):
            raise TooManyWaitingError
        try:
            left = self._leave()
            try:
                yield
            finally:
                if left:
                    self._return()
        finally:
            self._waiting.release()

    def _work_off(self, work: Work | None) -> None:
        """Work in the slot that this thread holds, until it is somebody else's or nobody's."""
        while work is not None:
            # The slot and the next in line must not be lost with it; who called may not be there any more.
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
            if self._back:
                # They were here before anybody in the line, and hold a thread each.
                self._back.popleft().release()
                return None
            if self._line:
                return self._line.popleft()
            self._free += 1
            return None

    def _leave(self) -> bool:
        """Pass this thread's slot on; False where nobody could be found to take it."""
        work = self._next()
        if work is None:
            return True
        try:
            threading.Thread(target=self._work_off, args=(work,), name="slot", daemon=True).start()
        except (RuntimeError, MemoryError):
            # The system has no more threads: the line waits for this one.
            with self._lock:
                self._line.appendleft(work)
            return False
        return True

    def _return(self) -> None:
        """Wait for a slot, before all who stand in the line."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._back.append(turn)
        turn.acquire()


def outside() -> AbstractContextManager[None]:
    """The current request's way out of its slot; nothing where the server gives out none."""
    slots = request.environ.get(ENVIRON_KEY) if has_request_context() else None
    return slots.outside() if isinstance(slots, Slots) else nullcontext()
