"""How a web process ends without losing a request.

A client that keeps a connection may send on it at the moment in which it is closed, and gets no answer. So it is told
first: for some seconds every answer says ``Connection: close``, and the client takes its next request elsewhere. Then
nobody new is let in, what has knocked is accepted, and only now does the server close what is idle and finish the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from checkout_service.server.sockets import connections, listeners, take_no_more

LINGER: Final = 3.0
"""Seconds in which who uses a kept connection learns that it will be closed; skipped when none is open."""

ACCEPTED_WITHIN: Final = 0.05
"""Seconds that the server has to accept what was connected when nobody else was let in."""

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Drain:
    """One process's end: begun once, and told to all who are answered meanwhile."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._begun = threading.Event()

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
            threading.Thread(target=self._run, args=(finish,), name="drain", daemon=True).start()

    def _run(self, finish: Callable[[], object]) -> None:
        try:
            deadline = time.monotonic() + LINGER
            while time.monotonic() < deadline and any(True for _ in connections(self._port)):
                time.sleep(0.05)
            for listener in listeners(self._port):
                take_no_more(listener)
            time.sleep(ACCEPTED_WITHIN)
        finally:
            finish()
