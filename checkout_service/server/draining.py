"""How a web process ends without losing a request.

A client that keeps a connection open may send on it at the very moment in which we close it, and gets no answer. So
for some seconds every answer says ``Connection: close``, and clients open another connection for their next request.
Then the kernel takes no new connections, and those that have begun are accepted. Only now does the server close idle
connections and finish the others.

All children share one listener. So each goes on to accept until all have come so far, and the supervisor closes it for
all: who connects then is refused at once, even while requests in flight keep the service for long.

Where others accept from the same listener and go on, this process leaves the new connections to them from the
beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from checkout_service.server.closing import ACCEPTED_WITHIN, CLOSED_WITHIN, EMPTIED_WITHIN
from checkout_service.server.sockets import OwnSockets, silent_listener
from checkout_service.threads import BackgroundThread

LINGER: Final = 3.0
"""Seconds in which clients learn that their connections will be closed; skipped when none is open."""

KNOWN_WITHIN: Final = 0.2
"""Seconds in which the service's end is known: a signal to the whole group may reach us before the supervisor."""

log = structlog.get_logger(__name__)


class Drain:
    """The end of one process: it begins once, and every answer after that announces it."""

    def __init__(
        self,
        port: int,
        *,
        listener_ends: Callable[[], bool] = lambda: True,
        stop_accepting: Callable[[], None] = lambda: None,
        drained: Callable[[], None] = lambda: None,
        listener_closes: Callable[[], bool] = lambda: False,
    ) -> None:
        """``listener_ends`` tells whether the listener ends with this process, or another one accepts from it.

        Then ``stop_accepting`` is called as well, for what accepts from other listeners. ``drained`` tells who holds
        the listener that it may be closed, and if it ends, that is waited for, or that ``listener_closes``.
        """
        self._listener_ends = listener_ends
        self._stop_accepting = stop_accepting
        self._drained = drained
        self._listener_closes = listener_closes
        self._silent = silent_listener()
        self._sockets = OwnSockets(port)
        self._begun = threading.Event()
        self._ending = threading.Lock()
        self._finish: Callable[[], object] = self._begun.set
        self._has_lingered = False
        self._has_finished = False
        self._thread = BackgroundThread("drain", self._rounds)

    def has_begun(self) -> bool:
        """Whether this process has begun to end: every connection is closed after its next answer."""
        return self._begun.is_set()

    def begin(self, finish: Callable[[], object]) -> None:
        """Announce the end, then call ``finish`` from another thread. A second call does nothing."""
        if not self._begun.is_set():
            self._begun.set()
            self._finish = finish
            if not self._thread.start():
                self._begin_without_a_thread()

    def skip(self, finish: Callable[[], object]) -> None:
        """Begin to end, and call ``finish`` at once: nobody is told, and nobody waited for."""
        self._begun.set()
        finish()

    def _begin_without_a_thread(self) -> None:
        """End the process in the caller's time, since nobody else will."""
        try:
            self._end()
        except Exception:
            log.exception("drain_failed")
            self._end()

    def _rounds(self) -> Iterator[float | None]:
        self._end()
        yield from ()

    def _end(self) -> None:
        """Linger, then finish. If lingering has raised, the next call only finishes."""
        with self._ending:
            if not self._has_lingered:
                self._has_lingered = True
                self._linger()
            if not self._has_finished:
                self._finish()
                self._has_finished = True

    def _linger(self) -> None:
        began = time.monotonic()
        deadline, until = began + LINGER, began + KNOWN_WITHIN
        while not (ends := self._listener_ends()) and time.monotonic() < until:
            time.sleep(0.02)
        if not ends:
            self._stop_accepting()
            self._sockets.stop_accepting(self._silent)
            time.sleep(ACCEPTED_WITHIN)
        while time.monotonic() < deadline and any(True for _ in self._sockets.connections()):
            time.sleep(0.05)
        listening = self._sockets.listening() if ends else []
        self._drained()
        deadline = began + CLOSED_WITHIN + EMPTIED_WITHIN + KNOWN_WITHIN
        while ends and time.monotonic() < deadline and not self._listener_closes() and self._sockets.listening():
            time.sleep(0.02)
        # A closed one fails each time that the server comes to accept, at once, and it would come to nothing else.
        self._sockets.put_in_place(self._silent, listening)
        time.sleep(ACCEPTED_WITHIN)
