"""Even shares: of several children that accept from one listener, one with more than its share gives some up.

Who wakes first takes all connections that come at once, and keeps them for as long as their clients do. So one child
may have all the work while another one is idle. A child that had more requests than the mean of all says
``Connection: close`` on as many of its connections as it has too many. Their clients open others, and whoever is idle
is quicker to take these. Nothing is lost by that: a client learns of it with an answer, before it asks for more.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

WINDOW: Final = 0.2
"""Seconds after which a child looks at what it had, and at what the others had."""

FROM: Final = 100.0
"""Requests a second below which a child is not busy, and shares may be what they are."""

IDLE_AFTER: Final = 1.0
"""Seconds after which a child that noted nothing had nothing: it notes with an answer alone."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between two times that connections are given up, where that changes nothing: one of them may bring most of
the requests, or the other child be frozen. The first pause is a window, and each is twice as long as the one before."""

_NOTE: Final = struct.Struct("=dd")
"""When it was, and how many requests a second there had been."""


class Rates:
    """How many requests a second each child of a generation has; their master makes it, and they share it."""

    def __init__(self, children: int) -> None:
        self.children = children
        self._notes = mmap.mmap(-1, children * _NOTE.size)

    def note(self, index: int, rate: float, *, now: float) -> None:
        """This child has so many; ``now`` is by the clock that all processes of a host share."""
        _NOTE.pack_into(self._notes, index * _NOTE.size, now, rate)

    def mean(self, *, now: float) -> float:
        """What each would have if all had as many."""
        rates = list[float]()
        for index in range(self.children):
            noted, rate = _NOTE.unpack_from(self._notes, index * _NOTE.size)
            rates.append(rate if now - noted < IDLE_AFTER else 0.0)
        return sum(rates) / self.children


class EvenShare:
    """One child's share. ``gives_up`` is called once for each answer, in any thread."""

    def __init__(self, rates: Rates, index: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._rates = rates
        self._index = index
        self._clock = clock
        self._looking = threading.Lock()
        self._since = clock()
        self._answers = 0
        self._ports: set[str] = set()
        self._too_many = 0
        self._pause, self._pauses_until = WINDOW, 0.0

    def gives_up(self, port: str) -> bool:
        """Whether the connection that came from this port is one too many: it ends with this answer."""
        self._answers += 1
        self._ports.add(port)
        now = self._clock()
        if now - self._since >= WINDOW and self._looking.acquire(blocking=False):
            try:
                self._look(now)
            finally:
                self._looking.release()
        # Two threads may both find the last one: then one more is given up, which harms nobody.
        if self._too_many < 1:
            return False
        self._too_many -= 1
        return True

    def _look(self, now: float) -> None:
        rate, connections = self._answers / (now - self._since), len(self._ports)
        self._answers, self._ports, self._since = 0, set(), now
        self._rates.note(self._index, rate, now=now)
        self._too_many = 0
        if rate < FROM:
            return
        too_many = int(connections * (1 - self._rates.mean(now=now) / rate))
        if too_many < 1:
            self._pause = WINDOW
        elif now >= self._pauses_until:
            self._too_many = too_many
            self._pauses_until, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE)
