"""The few slots in which requests work, the lines before them, and how a request releases its slot while it waits.

A request that finds no slot free waits in a line, not in a thread: threads that wait for the interpreter's lock
slow down those that work, and starve one another. A request that waits for a provider releases its slot. Otherwise a
provider that takes seconds to answer would stop the webhook receiver and everybody else.

Each kind of request has a line of its own and a share of the slots, so that what is costly and anybody may ask for,
a page, keeps nobody from what must not wait, a webhook.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from enum import IntEnum
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

import structlog
from flask import has_request_context, request

from checkout_service.server.slot_threads import SlotThreads

ENVIRON_KEY: Final = "checkout_service.server.slots"
"""Under this key of a request's environment the app finds the share of its server's slots that the request has."""

ROOM_FOR_PROBES: Final = 64
"""So many probes may wait."""

ROW_OF_WEBHOOKS: Final = 8
"""So many webhooks pass what came before them, where no slot is left for them alone; then one other has its turn.

Anybody may send webhooks. Without this a flood of them would keep everybody else from a small server.
"""

log = structlog.get_logger(__name__)

T = TypeVar("T")
Work = Callable[[], None]
_ByKind = tuple[deque[tuple[int, T]], ...]
"""A line for each kind; who waits in it has a number, by which the order in which all came is known."""


class Kind(IntEnum):
    """What a request is, for what it may take of the slots."""

    PROBE = 0
    WEBHOOK = 1
    API = 2
    PAGE = 3
    SEARCH = 4
    """A page for which the catalogue is looked through."""


class TooManyWaitingError(Exception):
    """As many requests as may wait without a slot do so already."""


class Slots:
    """At most ``working`` requests are at work in this process.

    Of these at most half are pages, and pages and API together leave one for webhooks: of 4 slots pages get at most 2,
    and pages and API at most 3. One page at a time is a search. Each has one at least. So where
    there are one or two slots none is left for webhooks, and they go first in the line instead.

    ``waiting`` more may wait for a provider, their slots released, and ``queue`` more of each kind for a slot.
    """

    def __init__(self, *, working: int, waiting: int, queue: int) -> None:
        self._lock = threading.Lock()
        self._free = working
        # How many more of each may be at work. A search counts as a page too, and a page among what is not a webhook.
        self._free_for_searches = 1
        self._free_for_pages = max(1, working // 2)
        self._is_small = working <= 2
        self._free_for_others = working if self._is_small else working - 1
        self._row = 0
        self._numbers = count()
        self._longest = [ROOM_FOR_PROBES if kind is Kind.PROBE else queue for kind in Kind]
        self._lines: _ByKind[Work] = tuple(deque() for _ in Kind)
        self._returning: _ByKind[threading.Lock] = tuple(deque() for _ in Kind)
        self._waits = 0
        """How many wait in all of these."""
        self._waiting = threading.BoundedSemaphore(waiting)
        self._threads = SlotThreads()

    def admit(self, work: Work, kind: Kind) -> bool:
        """Do the work in this thread, and after it the webhooks that came to wait meanwhile; or queue it.

        What else waits is done in other threads: this one is lent, and may not wait for a provider.

        Work of one kind begins in the order in which it came, and so does that of different kinds as far as their
        shares allow; but probes pass all others. False when the line of its kind is full: then nothing will be done.
        """
        with self._lock:
            if not self._has_room(kind):
                return self._queue(work, kind)
            self._take(kind)
        self._work_off(work, kind, is_lent=True)
        return True

    def admit_elsewhere(self, work: Work, kind: Kind) -> bool:
        """As ``admit``, for a thread that must not work itself: another one works where a slot is free.

        False also where the system has no thread to give.
        """
        with self._lock:
            if not self._has_room(kind):
                return self._queue(work, kind)
            self._take(kind)
        try:
            self._threads.begin(partial(self._work_off, work, kind))
        except (RuntimeError, MemoryError):
            # Whoever came to wait for this slot meanwhile finds nobody else.
            if following := self._next(kind):
                self._work_off(*following)
            return False
        return True

    def share(self, kind: Kind) -> Share:
        """What the app is handed with a request of this kind."""
        return Share(self, kind)

    @contextmanager
    def released(self, kind: Kind) -> Iterator[None]:
        """Release this thread's slot, which work of this kind holds, for the length of the block.

        Raises TooManyWaitingError, without waiting.
        """
        if not self._waiting.acquire(blocking=False):
            raise TooManyWaitingError
        try:
            is_released = self._release(kind)
            try:
                yield
            finally:
                if is_released:
                    self._reclaim(kind)
        finally:
            self._waiting.release()

    def _queue(self, work: Work, kind: Kind) -> bool:
        """Put the work at the end of its line, unless that is full; called with the lock held."""
        line = self._lines[kind]
        if len(line) >= self._longest[kind]:
            return False
        line.append((next(self._numbers), work))
        self._waits += 1
        return True

    def _work_off(self, work: Work, kind: Kind, *, is_lent: bool = False) -> None:
        """Work in the slot that this thread holds, until it holds the slot no longer.

        One that is lent hands the slot on for what may wait. Where the system has no other thread, it does that too.
        """
        following: tuple[Work, Kind] | None = work, kind
        is_first = True
        while following is not None:
            work, kind = following
            if is_lent and not is_first and kind is not Kind.WEBHOOK:
                with suppress(RuntimeError, MemoryError):
                    self._threads.begin(partial(self._work_off, work, kind))
                    return
            is_first = False
            # Whatever the work raises must lose neither the slot nor the work that is queued.
            with suppress(BaseException):
                self._done(work)
            following = self._next(kind)

    def _done(self, work: Work) -> None:
        try:
            work()
        except BaseException:
            log.exception("work_failed")

    def _next(self, kind: Kind) -> tuple[Work, Kind] | None:
        """What the holder of a slot does after work of this kind; None once it holds it no longer."""
        with self._lock:
            self._count(kind, 1)
            if not self._waits:
                return None
            # They came before all who are queued, and hold a thread each.
            returning = self._oldest(self._returning)
            if returning is not None:
                self._take(returning)
                self._waits -= 1
                self._returning[returning].popleft()[1].release()
                return None
            following = self._first_in_line()
            if following is None:
                return None
            self._take(following)
            self._waits -= 1
            return self._lines[following].popleft()[1], following

    def _first_in_line(self) -> Kind | None:
        """The kind whose turn it is, if any work that waits has room."""
        if self._lines[Kind.PROBE] and self._free:
            return Kind.PROBE
        oldest = self._oldest(self._lines)
        if self._is_small and oldest is not None and oldest is not Kind.WEBHOOK:
            if self._lines[Kind.WEBHOOK] and self._row < ROW_OF_WEBHOOKS:
                self._row += 1
                return Kind.WEBHOOK
            self._row = 0
        return oldest

    def _oldest(self, lines: _ByKind[Any]) -> Kind | None:
        """The kind whose first came first, of those that have room; called with the lock held."""
        oldest: Kind | None = None
        for kind in Kind:
            line = lines[kind]
            if line and self._has_room(kind) and (oldest is None or line[0][0] < lines[oldest][0][0]):
                oldest = kind
        return oldest

    def _has_room(self, kind: Kind) -> bool:
        # A share may be passed by one, where there was no thread for who was to take a slot: see ``_release``.
        if self._free <= 0:
            return False
        if kind < Kind.API:
            return True
        if self._free_for_others <= 0:
            return False
        if kind is Kind.API:
            return True
        return self._free_for_pages > 0 and (kind is Kind.PAGE or self._free_for_searches > 0)

    def _take(self, kind: Kind) -> None:
        self._count(kind, -1)

    def _count(self, kind: Kind, change: int) -> None:
        self._free += change
        if kind >= Kind.API:
            self._free_for_others += change
            if kind >= Kind.PAGE:
                self._free_for_pages += change
                if kind is Kind.SEARCH:
                    self._free_for_searches += change

    def _release(self, kind: Kind) -> bool:
        """Pass this thread's slot on; False if no thread could be started to take it."""
        following = self._next(kind)
        if following is None:
            return True
        try:
            self._threads.begin(partial(self._work_off, *following))
        except (RuntimeError, MemoryError):
            # The system has no more threads: the line waits for this one, which has its slot as if nothing had been.
            work, next_kind = following
            with self._lock:
                self._count(next_kind, 1)
                self._take(kind)
                self._lines[next_kind].appendleft((0, work))
                self._waits += 1
            return False
        return True

    def _reclaim(self, kind: Kind) -> None:
        """Wait for a slot, before all who are queued."""
        with self._lock:
            if self._has_room(kind):
                self._take(kind)
                return
            turn = threading.Lock()
            turn.acquire()
            self._returning[kind].append((next(self._numbers), turn))
            self._waits += 1
        turn.acquire()


class Share:
    """The slots, as a request of one kind finds them in its environment."""

    def __init__(self, slots: Slots, kind: Kind) -> None:
        self._slots = slots
        self.kind: Final = kind

    def released(self) -> AbstractContextManager[None]:
        """Release the request's slot for the length of a block. Raises TooManyWaitingError, without waiting."""
        return self._slots.released(self.kind)


def released_slot() -> AbstractContextManager[None]:
    """Release the current request's slot for the length of a block; does nothing where the server has no slots.

    Raises TooManyWaitingError, without waiting.
    """
    share = request.environ.get(ENVIRON_KEY) if has_request_context() else None
    return share.released() if isinstance(share, Share) else nullcontext()
