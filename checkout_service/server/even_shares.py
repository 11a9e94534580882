"""Even shares: of several children that accept from one listener, one with more than its share gives some up.

Who wakes first takes all connections that come at once, and keeps them for as long as their clients do. So one child
may have all the work while another one is idle. A child that had more answers to give than the mean of all says
``Connection: close`` with as many of the next ones as it has connections too many. Their clients open others, and
whoever is idle is quicker to take these. HTTP lets a server do so at any time: a client learns of it with an answer,
and sends nothing more there, unless it sends before it is answered.

Counted are answers, and not what they cost. While a child seems stuck, none gives anything up: a stuck one goes on to
take connections. One whose webhooks wait for their commit is not seen to be: that is the database's doing, for all.
"""

from __future__ import annotations

import mmap
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from math import sqrt
from time import monotonic
from typing import Final

WINDOW: Final = 0.2
"""Seconds after which a child looks at what it had, and at what the others had."""

FROM: Final = 100.0
"""Answers a second below which a child is not busy, and shares may be what they are."""

IDLE_AFTER: Final = 1.0
"""Seconds after which a child that noted nothing answered nothing: it notes with answers, and when it has several
requests at work or no longer has."""

STUCK_WITH: Final = 2
STUCK_AFTER: Final = 2 * WINDOW
"""So many requests at work, of which none is answered for so many seconds, make a child seem stuck. One long one does
not."""

BEYOND_CHANCE: Final = 3.0
"""Standard deviations of a share, where requests come by chance, up to which it counts as even."""

EVEN_FOR: Final = 5
"""Windows in a row with an even share after which the next pause is a short one again."""

HELPED: Final = 0.75
"""What an excess comes to, beside the smallest one before it, where giving up has helped."""

LONGEST_PAUSE: Final = 30.0
"""Seconds between two times that connections are given up, where that helps little: one of them may bring most of the
requests. The first pause is a window, and each is twice as long as the one before."""

_NOTE: Final = struct.Struct("=ddd")
"""When it was, how many answers a second there had been, and how many requests were at work."""


class Rates:
    """How busy each child of a generation is; their master makes it, and they share it.

    Who reads while another one writes may read nothing, and does so once in many windows.
    """

    def __init__(self, children: int) -> None:
        self.children = children
        self._notes = mmap.mmap(-1, children * _NOTE.size)

    def note(self, index: int, rate: float, at_work: int, *, now: float) -> None:
        """This child gives so many answers a second; ``now`` is by the clock that all processes of a host share."""
        _NOTE.pack_into(self._notes, index * _NOTE.size, now, rate, at_work)

    def mean(self, *, now: float) -> float | None:
        """What each would have if all had as many; None while one of them seems stuck."""
        whole = 0.0
        for each in range(self.children):
            noted, rate, at_work = _NOTE.unpack_from(self._notes, each * _NOTE.size)
            if at_work >= STUCK_WITH and now - noted >= STUCK_AFTER:
                return None
            if now - noted < IDLE_AFTER:
                whole += rate
        return whole / self.children


class EvenShare:
    """One child's share, told of each request; for any thread. Nothing here raises: an answer is more than a share."""

    def __init__(self, rates: Rates, index: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._rates = rates
        self._index = index
        self._clock = clock
        self._looking = threading.Lock()
        self._since = clock()
        self._answers = 0
        self._ports: set[str] = set()
        self._at_work = 0
        self._rate, self._noted_at_work = 0.0, 0
        self._noting = threading.Lock()
        self._too_many = 0
        self._pause, self._pauses_until = WINDOW, 0.0
        self._least_excess, self._even_windows = 1.0, 0
        self._note()  # the child before this one may have been killed at work

    def begin(self) -> None:
        """A request begins to be worked on."""
        self._at_work += 1
        if self._at_work >= STUCK_WITH > self._noted_at_work:
            self._note()

    def end(self) -> None:
        """It is answered, or left to be answered later."""
        self._at_work -= 1
        if self._at_work < STUCK_WITH <= self._noted_at_work:
            self._note()

    def gives_up(self, port: str) -> bool:
        """Whether the connection that came from this port is one too many: it ends with this answer."""
        with suppress(Exception):
            self._answers += 1
            self._ports.add(port)
            if self._clock() - self._since >= WINDOW and self._looking.acquire(blocking=False):
                try:
                    self._look(self._clock())
                finally:
                    self._looking.release()
            # Two threads may both find the last one: then one more is given up, which harms nobody.
            if self._too_many > 0:
                self._too_many -= 1
                return True
        return False

    def _note(self, now: float | None = None) -> None:
        with suppress(Exception), self._noting:
            now = self._clock() if now is None else now
            span = now - self._since
            rate = self._answers / span if span >= IDLE_AFTER else self._rate
            while True:
                self._noted_at_work = max(0, self._at_work)
                self._rates.note(self._index, rate, self._noted_at_work, now=now)
                # One of them may have ended meanwhile, and have found nothing noted.
                if self._at_work >= STUCK_WITH or self._noted_at_work < STUCK_WITH:
                    return

    def _look(self, now: float) -> None:
        if now - self._since < WINDOW:
            return  # somebody else has just looked
        answers, connections = self._answers, len(self._ports)
        self._rate = answers / (now - self._since)
        self._answers, self._ports, self._since, self._too_many = 0, set(), now, 0
        self._note(now)
        mean = self._rates.mean(now=now)
        if self._rate < FROM or mean is None:
            return
        excess = 1 - mean / self._rate
        too_many = int(connections * excess)
        if too_many < 1 or excess <= BEYOND_CHANCE * sqrt((1 - 1 / self._rates.children) / answers):
            self._even_windows += 1
            if self._even_windows >= EVEN_FOR:
                self._pause, self._least_excess = WINDOW, 1.0
            return
        self._even_windows = 0
        if now >= self._pauses_until:
            self._too_many = too_many
            self._pause = WINDOW if excess < HELPED * self._least_excess else min(2 * self._pause, LONGEST_PAUSE)
            self._pauses_until, self._least_excess = now + self._pause, min(excess, self._least_excess)
