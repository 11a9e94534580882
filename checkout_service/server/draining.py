"""How a web process ends without losing a request.

A client that keeps a connection may send on it at the moment in which it is closed, and gets no answer. So it is told
first: for some seconds every answer says ``Connection: close``, and the client takes its next request elsewhere. Then
nobody new is let in, what has knocked is accepted, and only now does the server close what is idle and finish the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import structlog

from checkout_service.server.sockets import OwnSockets, take_no_more
from checkout_service.threads import BackgroundThread

LINGER: Final = 3.0
"""Seconds in which who uses a kept connection learns that it will be closed; skipped when none is open."""

ACCEPTED_WITHIN: Final = 0.05
"""Seconds that the server has to accept what was connected when nobody else was let in."""

log = structlog.get_logger(__name__)

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Drain:
    """One process's end: begun once, and told to all who are answered meanwhile."""

    def __init__(self, port: int) -> None:
        self._sockets = OwnSockets(port)
        self._begun = threading.Event()
        self._ending = threading.Lock()
        self._finish: Callable[[], object] = self._begun.set
        self._has_lingered = False
        self._has_finished = False
        self._thread = BackgroundThread("drain", self._rounds)

    def telling(self, app: Wsgi) -> Wsgi:
        """The same app; once the end has begun, its answers say that the connection closes."""

        def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                closes = [("Connection", "close")] if self._begun.is_set() else []
                return start_response(status, [*headers, *closes], exc_info)

            return app(environ, start)

        return serve

    def begin(self, finish: Callable[[], object]) -> None:
        """Call ``finish`` from another thread once all that can be told was told; the second time, do nothing."""
        if not self._begun.is_set():
            self._begun.set()
            self._finish = finish
            if not self._thread.start():
                self._begin_without_a_thread()

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
        """Linger, then finish. Where the first has raised, the next call does only the second."""
        with self._ending:
            if not self._has_lingered:
                self._has_lingered = True
                self._linger()
            if not self._has_finished:
                self._finish()
                self._has_finished = True

    def _linger(self) -> None:
        deadline = time.monotonic() + LINGER
        while time.monotonic() < deadline and any(True for _ in self._sockets.connections()):
            time.sleep(0.05)
        for listener in self._sockets.listeners():
            try:
                take_no_more(listener)
            except OSError as error:
                # The kernel has a bound on its filters for who is not root. Some who knock now may be cut off.
                log.warning("listener_stays_open", error=str(error))
        time.sleep(ACCEPTED_WITHIN)
