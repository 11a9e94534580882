"""What Granian calls for each request, in place of its own WSGI adapter, which would hold a thread until the answer.

Granian's thread reads the body, because it gives the body up when the call returns. The answer may be sent later and
from another thread, so a request that finds no slot free waits in the line and lets go of Granian's thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol

import orjson
import structlog

from checkout_service.api.problem_documents import CONTENT_TYPE, document
from checkout_service.api.problems import Unavailable
from checkout_service.server.bodies import GONE_KEY, BodyReader
from checkout_service.server.draining import Wsgi
from checkout_service.server.slots import ENVIRON_KEY, Slots
from checkout_service.telemetry.metrics import count_request
from checkout_service.telemetry.request_log import QUIET
from checkout_service.threads import start_again

log = structlog.get_logger(__name__)


WAITS_FOR: Final = 10.0
"""Seconds in the line after which a request is answered unread: who sent it has given up, or will."""


class Granian(Protocol):
    """One request's way back to its client; the first answer counts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None: ...


class WsgiAdapter:
    """Serves one WSGI app (PEP 3333) with a few slots, bodies first."""

    def __init__(self, app: Wsgi, *, slots: Slots, body_reader: BodyReader) -> None:
        self._app = app
        self._slots = slots
        self._intake = body_reader
        self._environ = _ENVIRON | {"wsgi.errors": sys.stderr, ENVIRON_KEY: slots}

    def __call__(self, client: Granian, scope: dict[str, Any]) -> None:
        start_again()  # this child's guards may have found the system without threads, and nobody wakes them
        environ: dict[str, Any] = self._environ | scope
        held = self._intake.take(environ)
        if GONE_KEY in environ:
            self._intake.let_go(held)
            count_request(environ["REQUEST_METHOD"], "gone", 408, 0.0)
            client.response_bytes(408, [], b"")
            return
        work = partial(self._serve, client, environ, held, monotonic() + WAITS_FOR)
        # Who asks whether we live must not hear no because many others ask for something.
        if not self._slots.admit(work, first=environ["PATH_INFO"] in QUIET):
            self._intake.let_go(held)
            _refuse(client, environ)

    def _serve(self, client: Granian, environ: dict[str, Any], held: int, until: float) -> None:
        """Answer one request, whatever happens."""
        try:
            if monotonic() > until:
                _refuse(client, environ)
            else:
                self._answer(client, environ)
        except BaseException:
            # Nobody is above us: a panic of the server's own is no reason to lose the slot.
            log.exception("request_failed")
            count_request(environ["REQUEST_METHOD"], "broken", 500, 0.0)
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


def _refuse(client: Granian, environ: dict[str, Any]) -> None:
    """Too many wait: nothing was done, and nothing will be."""
    count_request(environ["REQUEST_METHOD"], "refused", 503, 0.0)
    shown = document(TooManyWaiting(), instance="", request_id="")
    headers = [("Content-Type", CONTENT_TYPE), ("Retry-After", "1"), ("Cache-Control", "no-store")]
    client.response_bytes(503, headers, orjson.dumps({name: value for name, value in shown.items() if value}))


class TooManyWaiting(Unavailable):
    """More requests wait for a slot than can be answered in time."""

    slug = "too-many-waiting"
    title = "Too many requests wait"
    default_detail = "Too many requests wait at this moment; nothing was done with this one: send it again."


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
