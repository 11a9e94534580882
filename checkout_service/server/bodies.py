"""Reads the bodies of requests before they take a slot. Bounded are the bytes, the time, and the bodies on their way.

No thread waits for a body: the server calls when there is more of it. It knows no deadline, so another thread hangs up
on senders that are too slow.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, Final, Protocol

from flask import Flask

from checkout_service.api.problems import TooManyBodies
from checkout_service.at_work import request_at_work
from checkout_service.server.sockets import OwnSockets, peer_port, seconds_unanswered

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

TakePiece = Callable[[bytes], None]
"""Takes the next piece of a body, in any thread; no bytes are the end of it, or of its connection."""


class Pieces(Protocol):
    """A body on its way. What a sender has sent counts against the bounds, not what it declares."""

    def next(self, take: TakePiece, /) -> None:
        """Have ``take`` called with the next piece once that is there, maybe before this returns."""


MOST_PIECES: Final = 4096
"""Pieces of a body: 16 times as many as one of 256 KiB has that comes a KiB at a time. Each takes some 20 µs, so who
sends byte by byte would cost more than anybody else."""


class _FullError(Exception):
    """An inner signal: no more bytes are taken."""


class BodyReader:
    """At most ``readers`` bodies are read at a time, and about ``most_bytes`` held, in this process."""

    def __init__(self, *, readers: int, most_bytes: int) -> None:
        self._most_readings = readers
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._readings: set[_Reading] = set()
        self._bytes = 0

    def take(self, environ: dict[str, Any], then: Callable[[int], None]) -> None:
        """Read the request's body into memory, then call ``then`` with how many bytes are held for it until ``let_go``.

        It is called once, in this thread or in one in which a piece comes. In the environment stands first where the
        ``Pieces`` come from, and then, under the same name, a file of them.

        Marks the request with REFUSED_KEY if there is no room to read its body, and with CLOSES_KEY whenever some of it
        is left unread. Marks it with GONE_KEY if the body ends before its length, or came too slowly or in too many
        pieces: then the request must have no effect. Of a body in chunks the end cannot be told from one that breaks
        off. A body that declares itself larger than its path takes is left unread: the app refuses it by its length.
        """
        most = _bytes_to_read(environ)
        if most:
            _Reading(self, environ, most, then).begin()
            return
        if _declared(environ):
            environ[CLOSES_KEY] = True
        environ["wsgi.input"] = BytesIO()
        then(0)

    def let_go(self, held: int) -> None:
        """Give the bytes back once the request is answered."""
        if held:
            self.hold(-held)

    def late(self, seconds: float) -> set[str]:
        """The ports of senders who have been sending for so long. What they still send has no effect."""
        began = time.monotonic() - seconds
        with self._lock:
            late = [reading for reading in self._readings if reading.since <= began]
            for reading in late:
                reading.is_late = True
        return {reading.port for reading in late}

    def begin(self, reading: _Reading) -> None:
        """Let it be read. Raises ``_FullError``."""
        with self._lock:
            if len(self._readings) >= self._most_readings or self._bytes >= self._most_bytes:
                raise _FullError
            self._readings.add(reading)

    def end(self, reading: _Reading) -> None:
        """It is read no longer, for whatever reason."""
        with self._lock:
            self._readings.discard(reading)

    def hold(self, size: int) -> None:
        """Count so many bytes more. Raises ``_FullError`` where these are too many; they count all the same."""
        with self._lock:
            self._bytes += size
            if size > 0 and self._bytes > self._most_bytes:
                raise _FullError


class _Reading:
    """One body that is being read."""

    def __init__(
        self, body_reader: BodyReader, environ: dict[str, Any], most: int, then: Callable[[int], None]
    ) -> None:
        self.port: str = environ.get("REMOTE_PORT", "")
        self.since = time.monotonic()
        self.is_late = False
        self._body_reader = body_reader
        self._environ = environ
        self._pieces: Pieces = environ["wsgi.input"]
        self._left = most
        self._then = then
        self._body: bytes | bytearray = b""
        self._pieces_taken = 0
        self._held = 0

    def begin(self) -> None:
        """Ask for the first piece, if there is room."""
        try:
            self._body_reader.begin(self)
        except _FullError:
            self._end(is_refused=True)
        else:
            self._ask()

    def _ask(self) -> None:
        try:
            self._pieces.next(self._take)
        except BaseException:
            self._give_up()
            raise

    def _take(self, piece: bytes) -> None:
        """Take what came, of which no more is of use than is left; no bytes are the end."""
        try:
            is_over = not self._add(piece[: self._left])
        except _FullError:
            self._end(is_refused=True)
        except BaseException:
            self._give_up()
            raise
        else:
            if is_over:
                self._end(is_refused=False)
            else:
                self._ask()

    def _add(self, piece: bytes) -> bool:
        """Whether there may be more of use."""
        if not piece:
            return False
        self._left -= len(piece)
        self._pieces_taken += 1
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        self._held += len(piece)  # right before it is counted, so that what is given back was
        self._body_reader.hold(len(piece))
        return self._left > 0 and self._pieces_taken <= MOST_PIECES

    def _end(self, *, is_refused: bool) -> None:
        try:
            self._body_reader.end(self)
            self._leave(bytes(self._body), is_refused=is_refused)
        except BaseException:
            self._give_up()
            raise
        held, self._held = self._held, 0
        self._then(held)

    def _leave(self, body: bytes, *, is_refused: bool) -> None:
        """Leave in the environment what became of it."""
        environ = self._environ
        environ["wsgi.input"] = BytesIO(body)
        if is_refused:
            environ[REFUSED_KEY] = environ[CLOSES_KEY] = True
            return
        environ[_READ_KEY] = body
        if not self._left and "HTTP_TRANSFER_ENCODING" in environ:
            environ[CLOSES_KEY] = True  # it is too large, and there may be more of it
        is_cut = self._left > 0 and self._pieces_taken > MOST_PIECES
        if self.is_late or is_cut or len(body) < _declared(environ):
            environ[GONE_KEY] = True

    def _give_up(self) -> None:
        """Nobody answers it any more but the server, which finds that nobody has."""
        self._body_reader.end(self)
        held, self._held = self._held, 0
        self._body_reader.let_go(held)


def hang_up_on_slow_senders(
    body_reader: BodyReader, sockets: OwnSockets, *, seconds: float = SENT_WITHIN
) -> Iterator[float | None]:
    """Close the connections of senders that are too slow; the rounds of a background thread.

    A request came by the connection from its sender's port, to which nothing was sent since. Another sender's that has
    the same port at another address, and is as idle, may be closed too. An address may be written in several ways.
    """
    while True:
        ports = body_reader.late(seconds)
        for connection in sockets.connections() if ports else ():
            with suppress(OSError):
                if peer_port(connection) in ports and seconds_unanswered(connection) >= seconds:
                    connection.shutdown(socket.SHUT_RDWR)
        yield min(1.0, seconds / 4)


def init_app(app: Flask) -> None:
    """From here on a request whose body there was no room to read is answered 503, whatever its path."""

    @app.before_request
    def refuse() -> None:
        if REFUSED_KEY in request_at_work().environ:
            raise TooManyBodies


def body_as_read(environ: dict[str, Any]) -> bytes | None:
    """The request's body, or one byte more than its path takes; None where the server has not read it."""
    body: bytes | None = environ.get(_READ_KEY)
    return body


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
