"""What Granian calls for each request, in place of its own WSGI adapter, which would hold a thread until the answer.

Granian's thread reads the body, because it gives the body up when the call returns. The answer may be sent later and
from another thread, so a request that finds no slot free waits in the line and lets go of Granian's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Protocol

import structlog

from checkout_service.draining import Wsgi
from checkout_service.intake import GONE_KEY, Intake
from checkout_service.slots import ENVIRON_KEY, Slots

log = structlog.get_logger(__name__)


class Granian(Protocol):
    """One request's way back to its client; the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None: ...


class Gateway:
    """Serves one WSGI app (PEP 3333) with a few slots, bodies first."""

    def __init__(self, app: Wsgi, *, slots: Slots, intake: Intake) -> None:
        self._app = app
        self._slots = slots
        self._intake = intake
        self._environ = _ENVIRON | {"wsgi.errors": sys.stderr, ENVIRON_KEY: slots}

    def __call__(self, client: Granian, scope: dict[str, Any]) -> None:
        environ = self._environ | scope
        held = self._intake.take(environ)
        self._slots.admit(partial(self._serve, client, environ, held))

    def _serve(self, client: Granian, environ: dict[str, Any], held: int) -> None:
        """Answer one request, whatever happens."""
        try:
            if GONE_KEY in environ:
                client.response_bytes(408, [], b"")
            else:
                self._answer(client, environ)
        except BaseException:
            # Nobody is above us: a panic of the server's own is no reason to lose the slot.
            log.exception("request_failed")
            client.response_bytes(500, [], b"")
        finally:
            self._intake.let_go(held)

    def _answer(self, client: Granian, environ: dict[str, Any]) -> None:
        status, headers = 500, list[tuple[str, str]]()

        def start_response(line: str, named: list[tuple[str, str]], _error: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), named

        body = self._app(environ, start_response)
        if any(name.lower() == "content-length" for name, _ in headers):
            # Whole, as one message to the server in place of one for each piece and one for the end.
            try:
                whole = b"".join(body)
            finally:
                _close(body)
            client.response_bytes(status, headers, whole)
        else:
            client.response_iter(status, headers, _Pieces(body))


class _Pieces:
    """A body of unknown length, as Granian takes it."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        self._pieces = iter(body)

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        _close(self._body)


def _close(body: Iterable[bytes]) -> None:
    if hasattr(body, "close"):
        body.close()


_ENVIRON: Final = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,  # so that werkzeug reads bodies that declare no length
}
