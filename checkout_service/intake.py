"""Reads the bodies of requests before they take a slot, within bounds: on their bytes, and on who waits for a sender.

The server's ``read()`` ends when the bytes are there or the connection is gone: it knows no deadline, so a thread that
reads from a sender who stops is lost until that sender hangs up. So there must always be threads that read nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

from flask import Flask, request

from checkout_service.problems import TooManyBodies

LARGEST_BODY: Final = 64 * 1024
"""Bytes; ample for a cart or a session."""

LARGEST_LETTER: Final = 256 * 1024
LETTERBOX: Final = "/api/payments/webhook"

REFUSED_KEY: Final = "checkout_service.body_refused"

_PIECE: Final = 16 * 1024
"""Bytes read at once: what a sender has sent counts, not what it declares."""


class _FullError(Exception):
    """An inner signal: no more bytes are taken."""


class Intake:
    """At most ``readers`` bodies are read at a time, and about ``most_bytes`` held, in this process."""

    def __init__(self, *, readers: int, most_bytes: int) -> None:
        self._most_readers = readers
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._readers = 0
        self._bytes = 0

    @contextmanager
    def taken(self, environ: dict[str, Any]) -> Iterator[None]:
        """The request's body is in memory within the block, or the request is marked as to be refused.

        A body that declares itself larger than its path takes is left unread: the app refuses it by its length.
        """
        most = _wanted(environ)
        held = 0
        body = BytesIO()
        try:
            try:
                if most:
                    with self._reading():
                        while held < most and (piece := environ["wsgi.input"].read(min(_PIECE, most - held))):
                            held += len(piece)
                            self._hold(len(piece))
                            body.write(piece)
                    body.seek(0)
                    environ["wsgi.input"] = body
            except _FullError:
                environ[REFUSED_KEY] = True
                body.truncate(0)
            yield
        finally:
            self._hold(-held)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            if self._readers >= self._most_readers or self._bytes >= self._most_bytes:
                raise _FullError
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1

    def _hold(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            if size > 0 and self._bytes > self._most_bytes:
                raise _FullError


def init_app(app: Flask) -> None:
    """From here on a request whose body could not be taken is answered 503, whatever it asks for."""

    @app.before_request
    def refuse() -> None:
        if REFUSED_KEY in request.environ:
            raise TooManyBodies


def _wanted(environ: dict[str, Any]) -> int:
    """How many bytes to read: one more than the path takes of a body without a length, none of one too large."""
    most = (LARGEST_LETTER if environ["PATH_INFO"].startswith(LETTERBOX) else LARGEST_BODY) + 1
    if "HTTP_TRANSFER_ENCODING" in environ:
        return most
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdigit() and int(length) <= most else 0
