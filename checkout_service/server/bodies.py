"""Reads the bodies of requests before they take a slot. Bounded are the bytes, the time, and the threads that wait.

The server's ``read()`` ends when the bytes are there or the connection is gone. It knows no deadline, so a sender who
stops sending would hold its thread until that sender hangs up. Therefore another thread hangs up on senders that are
too slow, and some threads are always left for requests without a body.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

from flask import Flask, request

from checkout_service.api.problems import TooManyBodies
from checkout_service.server.sockets import OwnSockets, peer, seconds_unanswered

LARGEST_BODY: Final = 64 * 1024
"""Bytes; ample for a cart or a session."""

LARGEST_WEBHOOK: Final = 256 * 1024
"""Bytes."""

WEBHOOK_PATH: Final = "/api/payments/webhook"

REFUSED_KEY: Final = "checkout_service.body_refused"
"""Stands in the environment of a request whose body there was no room to read."""

GONE_KEY: Final = "checkout_service.sender_gone"
"""Stands in the environment of a request whose body did not come whole and in time."""

_READ_KEY: Final = "checkout_service.body_read"
"""Under this key of a request's environment stands its body, where that was read to its end."""

CLOSES_KEY: Final = "checkout_service.connection_closes"
"""Stands in the environment of a request whose connection is of no use after its answer, which says so.

The server reads nothing after a body that was left unread, and closes.
"""

SENT_WITHIN: Final = 30.0
"""Seconds that a sender has for a body, after the request's head. Granian gives it as many for the head."""

_PIECE: Final = 16 * 1024
"""Bytes read at once. So what a sender has sent counts against the bounds, not what it declares."""


class _FullError(Exception):
    """An inner signal: no more bytes are taken."""


@dataclass(eq=False)
class _Reader:
    """A body that is being read."""

    address: str
    since: float = field(default_factory=time.monotonic)
    is_late: bool = False


class BodyReader:
    """At most ``readers`` bodies are read at a time, and about ``most_bytes`` held, in this process."""

    def __init__(self, *, readers: int, most_bytes: int) -> None:
        self._most_readers = readers
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._readers: set[_Reader] = set()
        self._bytes = 0

    def take(self, environ: dict[str, Any]) -> int:
        """Read the request's body into memory; how many bytes are held for it until ``let_go``.

        Marks the request with REFUSED_KEY if there is no room to read its body, and with CLOSES_KEY whenever some of it
        is left unread. Marks it with GONE_KEY if the body
        ends before its length or came too slowly: then nobody waits for an answer, and the request must have no
        effect. A body that declares itself larger than its path takes is left unread: the app refuses it by its length.
        """
        most = _bytes_to_read(environ)
        if not most:
            if _declared(environ):
                environ[CLOSES_KEY] = True
            return 0
        body = BytesIO()
        try:
            self._read(environ, most, body)
        except BaseException:
            self.let_go(body.tell())
            raise
        held = body.tell()
        body.seek(0)
        environ["wsgi.input"] = body
        if REFUSED_KEY not in environ:
            environ[_READ_KEY] = body
        return held

    def let_go(self, held: int) -> None:
        """Give the bytes back once the request is answered."""
        if held:
            self._hold(-held)

    def _read(self, environ: dict[str, Any], most: int, body: BytesIO) -> None:
        """Read up to so many bytes, and mark the request if they are of no use."""
        reader = _Reader(environ.get("REMOTE_ADDR", ""))
        try:
            self._begin(reader)
            try:
                read, left = environ["wsgi.input"].read, most
                while left > 0 and (piece := read(min(_PIECE, left))):
                    body.write(piece)
                    left -= len(piece)
                    self._hold(len(piece))
            finally:
                with self._lock:
                    self._readers.remove(reader)
        except _FullError:
            environ[REFUSED_KEY] = environ[CLOSES_KEY] = True
        else:
            if not left and "HTTP_TRANSFER_ENCODING" in environ:
                environ[CLOSES_KEY] = True  # it is too large, and there may be more of it
            if reader.is_late or body.tell() < _declared(environ):
                environ[GONE_KEY] = True

    def late(self, seconds: float) -> set[str]:
        """The addresses of senders who have been sending for so long. What they still send has no effect."""
        began = time.monotonic() - seconds
        with self._lock:
            late = [reader for reader in self._readers if reader.since <= began]
            for reader in late:
                reader.is_late = True
        return {reader.address for reader in late}

    def _begin(self, reader: _Reader) -> None:
        with self._lock:
            if len(self._readers) >= self._most_readers or self._bytes >= self._most_bytes:
                raise _FullError
            self._readers.add(reader)

    def _hold(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            if size > 0 and self._bytes > self._most_bytes:
                raise _FullError


def hang_up_on_slow_senders(
    body_reader: BodyReader, sockets: OwnSockets, *, seconds: float = SENT_WITHIN
) -> Iterator[float | None]:
    """Close the connections of senders that are too slow; the rounds of a background thread.

    The server does not say which connection a request came by. It is one from the sender's address, to which nothing
    was sent since. An idle connection of the same sender may be closed too.
    """
    while True:
        addresses = body_reader.late(seconds)
        for connection in sockets.connections() if addresses else ():
            with suppress(OSError):
                if peer(connection) in addresses and seconds_unanswered(connection) >= seconds:
                    connection.shutdown(socket.SHUT_RDWR)
        yield min(1.0, seconds / 4)


def init_app(app: Flask) -> None:
    """From here on a request whose body there was no room to read is answered 503, whatever its path."""

    @app.before_request
    def refuse() -> None:
        if REFUSED_KEY in request.environ:
            raise TooManyBodies


def body_as_read(environ: dict[str, Any]) -> bytes | None:
    """The request's body, or one byte more than its path takes; None where the server has not read it."""
    body: BytesIO | None = environ.get(_READ_KEY)
    return None if body is None else body.getvalue()


def has_body(environ: dict[str, Any]) -> bool:
    """Whether the request brings a body, or may."""
    return "HTTP_TRANSFER_ENCODING" in environ or _declared(environ) > 0


def _bytes_to_read(environ: dict[str, Any]) -> int:
    """How many bytes to read: 0 of a body that is too large, one more than the path takes if no length is given."""
    most = (LARGEST_WEBHOOK if environ["PATH_INFO"].startswith(WEBHOOK_PATH) else LARGEST_BODY) + 1
    if "HTTP_TRANSFER_ENCODING" in environ:
        return most
    length = _declared(environ)
    return length if length <= most else 0


def _declared(environ: dict[str, Any]) -> int:
    """The length that the sender declares; 0 for a body in chunks, which marks its own end."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return 0
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() else 0
