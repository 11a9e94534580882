"""Sends large answers in pieces to whoever reads them. Bounded are the bytes, the time, and the readers.

The server holds an answer that it is given whole until its client has read it, and knows no deadline. So a large one is
given to it piece by piece, by a thread that waits for the reader and holds no slot. A small one is held by the server,
and ends with its connection: the kernel gives up on a client that reads nothing (``bound_unread``). One that lies in a
file (``spools``) goes out the same way, and takes memory for its pieces alone; one that is made while it is read
(``streams``), for a page.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import suppress
from math import inf
from typing import Any, Final, Protocol

import structlog

from checkout_service.server import piped_answers
from checkout_service.server.sockets import OwnSockets, bound_unread, peer, unread
from checkout_service.server.spools import PIECE, Spool
from checkout_service.server.streams import PAGE_HELD, Stream

LARGE: Final = 64 * 1024
"""Bytes; a larger answer goes out in pieces."""

READ_WITHIN: Final = 30.0
"""Seconds that a reader has for a large answer, all in all; of a spool or a stream, for each ``_STRETCH``."""

_PIPED: Final = 256 * 1024
"""Bytes that are counted for an answer in a file: what its pipe holds, and what the server has read of that."""

_STRETCH: Final = 2**20
"""Bytes. Such a one may be of any length, and a reader on a slow line may take all of it, at some 35 KB a second."""


Answered = bytes | Spool | Stream

log = structlog.get_logger(__name__)


class TooManyReadersError(Exception):
    """As many large answers as may be read at a time are being read."""


class CallerReadsEnoughError(TooManyReadersError):
    """This caller is reading as many as one may; there may be room for others."""


class Client(Protocol):
    """A request's way back, as far as it takes pieces; returns when all are taken, or when the client has gone."""

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any, /) -> None: ...


class Readers:
    """At most ``readers`` large answers go out at a time from this process, and ``most_bytes`` are held for them.

    The same bytes are held once, however many read them: an asset, a document. At most half of the readers may be such
    others, since anybody may read what everybody reads, and must not keep a customer from what is theirs. Of either
    bound one caller has a quarter, and one answer in any case: a customer who reads slowly keeps no other from theirs.
    """

    def __init__(self, *, readers: int, most_bytes: int) -> None:
        self._most_readers = readers
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._reading: set[_Pieces] = set()
        self._bytes = 0
        self._read_by: dict[int, int] = {}
        """By the identity of the bytes: how many read them."""

    def send(
        self,
        client: Client,
        status: int,
        headers: list[tuple[str, str]],
        whole: Answered,
        *,
        address: str,
        caller: Hashable = None,
    ) -> None:
        """Have a thread send the answer, whose length is among its headers, but for a stream's; returns at once.

        ``caller`` is who asked for it, if that is known. A spool or a stream is closed when it was sent. Raises
        TooManyReadersError, or CallerReadsEnoughError which is one; then nothing was sent, and closing is the caller's.
        """
        pieces = self._begin(whole, address, caller)
        try:
            piped_answers.check_room()
            arguments = (client, status, headers, pieces)
            threading.Thread(target=self._send, args=arguments, name="reader", daemon=True).start()
        except (RuntimeError, MemoryError, OSError) as error:
            self._end(pieces)
            raise TooManyReadersError from error

    def late(self, seconds: float) -> set[str]:
        """The addresses of those who have been reading for so long. They get no further piece."""
        began = time.monotonic() - seconds
        with self._lock:
            late = [pieces for pieces in self._reading if pieces.since <= began]
        for pieces in late:
            pieces.is_late = True
        return {pieces.address for pieces in late}

    def addresses(self) -> set[str]:
        """The addresses of all who are reading."""
        with self._lock:
            return {pieces.address for pieces in self._reading}

    def _send(self, client: Client, status: int, headers: list[tuple[str, str]], pieces: _Pieces) -> None:
        try:
            client.response_iter(status, headers, pieces)
        except BaseException:
            log.exception("large_answer_failed")
        finally:
            self._end(pieces)
            if not isinstance(pieces.whole, bytes):
                pieces.whole.close()

    def _begin(self, whole: Answered, address: str, caller: Hashable) -> _Pieces:
        pieces = _Pieces(whole, address, caller)
        with self._lock:
            self._check_share(caller, pieces.held)
            others = self._read_by.get(id(whole), 0)
            size = 0 if others else pieces.held
            shared = len(self._reading) - len(self._read_by)
            if len(self._reading) >= self._most_readers or self._bytes + size > self._most_bytes:
                raise TooManyReadersError
            if others and shared >= self._most_readers // 2:
                raise TooManyReadersError
            self._reading.add(pieces)
            self._read_by[id(whole)] = others + 1
            self._bytes += size
        return pieces

    def _check_share(self, caller: Hashable, size: int) -> None:
        if caller is None:
            return
        own = [pieces.held for pieces in self._reading if pieces.caller == caller]
        if own and (4 * (len(own) + 1) > self._most_readers or 4 * (sum(own) + size) > self._most_bytes):
            raise CallerReadsEnoughError

    def _end(self, pieces: _Pieces) -> None:
        with self._lock:
            self._reading.discard(pieces)
            identity = id(pieces.whole)
            self._read_by[identity] -= 1
            if not self._read_by[identity]:
                del self._read_by[identity]
                self._bytes -= pieces.held


class _Pieces:
    """A large answer as the server takes it: the next piece once it has room for one."""

    def __init__(self, whole: Answered, address: str, caller: Hashable) -> None:
        self.whole = whole
        self.address = address
        self.caller = caller
        self.since = time.monotonic()
        self.is_late = False
        self.held = _PIPED if isinstance(whole, Spool) else PAGE_HELD if isinstance(whole, Stream) else len(whole)
        """Bytes of memory."""
        self._pieces = self._of(whole)
        self._sent = 0

    def __next__(self) -> bytes:
        if self.is_late:
            # The server misses the rest of the length that was declared, and closes the connection; of a stream, its
            # reader misses the end.
            raise StopIteration
        piece = next(self._pieces)
        self._sent += len(piece)
        if not isinstance(self.whole, bytes) and self._sent >= _STRETCH:
            self.since, self._sent = time.monotonic(), 0
        return piece

    def close(self) -> None:
        """Called at the end."""

    def _of(self, whole: Answered) -> Iterator[bytes]:
        if isinstance(whole, Spool):
            return iter(whole)
        return self._streamed(whole) if isinstance(whole, Stream) else _cut(whole)

    def _streamed(self, stream: Stream) -> Iterator[bytes]:
        while True:
            # What making a page takes is no time of the reader's.
            since, began = self.since, time.monotonic()
            self.since = inf
            page = stream.next_page()
            self.since = since + time.monotonic() - began
            if page is None:
                return
            yield from _cut(page)


def _cut(whole: bytes) -> Iterator[bytes]:
    return (whole[start : start + PIECE] for start in range(0, len(whole), PIECE))


def hang_up_on_slow_readers(
    readers: Readers, sockets: OwnSockets, *, seconds: float = READ_WITHIN
) -> Iterator[float | None]:
    """Close the connections of readers that are too slow; the rounds of a background thread.

    The server does not say which connection an answer goes out by. It is one to the reader's address, on which at every
    look for so long something was sent and not yet read. First of all the listeners bound what the kernel holds.
    """
    while sys.platform == "linux" and not _bound_listeners(sockets):
        yield 0.05
    waiting: dict[tuple[Any, ...], float] = {}
    while True:
        addresses, late, now = readers.addresses(), readers.late(seconds), time.monotonic()
        before, waiting = waiting, {}
        for connection in sockets.connections() if addresses else ():
            with suppress(OSError):
                if peer(connection) not in addresses or not unread(connection):
                    continue
                name = connection.getpeername()
                waiting[name] = before.get(name, now)
                # It may have been seen first some moments after its reader began.
                if peer(connection) in late and now - waiting[name] >= 0.9 * seconds:
                    connection.shutdown(socket.SHUT_RDWR)
        yield min(1.0, seconds / 20)


def _bound_listeners(sockets: OwnSockets) -> bool:
    """Whether there are any yet: the server opens them some moments after it has loaded us."""
    found = False
    for listener in sockets.listeners():
        bound_unread(listener, seconds=READ_WITHIN)
        found = True
    return found
