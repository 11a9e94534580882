"""Answers in pieces, which Granian takes as fast as their reader does: each goes through a pipe.

Granian's RSGI keeps all that it is given until it is read, whoever reads it slowly. But of a file it reads no more than
its client takes, and a pipe can be opened like a file.
"""

from __future__ import annotations

import fcntl
import os
import termios
import time
from array import array
from threading import Event
from typing import Any, Final, Protocol

OPENED_WITHIN: Final = 30.0
"""Seconds for Granian to open the pipe. It does so at once, or never: then the connection is gone, which it tells."""

_LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks whether it has."""

_PATH: Final = "/dev/fd/{}"


class Taker(Protocol):
    """A request's way back by Granian's RSGI, as far as a pipe needs it."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str, /) -> None: ...

    def client_disconnect(self) -> Any: ...


def send(taker: Taker, status: int, headers: list[tuple[str, str]], pieces: Any) -> None:
    """Send the pieces, as ``__next__`` of these gives them, and ``close`` them.

    Returns when the server has taken all of them, or its client has gone. Raises what making a piece raises, and
    OSError where the process has no more files; then nothing was sent.
    """
    try:
        first = _first(pieces)
        if not first:
            taker.response_bytes(status, headers, b"")
            return
        reading, writing = os.pipe()
        try:
            try:
                is_taken = _begin(taker, status, headers, first, (reading, writing))
            finally:
                # From here on nobody has this end but the server: who writes finds out that it reads no more.
                os.close(reading)
            if is_taken is not None:
                _write_all(writing, first[is_taken:], pieces)
        finally:
            os.close(writing)
    finally:
        pieces.close()


def _first(pieces: Any) -> bytes:
    """The first piece that has any bytes; none at the end."""
    try:
        while not (piece := pieces.__next__()):
            pass
    except StopIteration:
        return b""
    return bytes(piece)


def _begin(
    taker: Taker, status: int, headers: list[tuple[str, str]], first: bytes, pipe: tuple[int, int]
) -> int | None:
    """Have the server read the pipe; how much of the first piece is in it by then. None: its client has gone."""
    reading, writing = pipe
    is_gone = Event()
    gone = taker.client_disconnect()
    gone.add_done_callback(lambda _: is_gone.set())
    os.set_blocking(writing, False)  # it may have less room than a piece, and nobody may ever read
    written = os.write(writing, first)
    os.set_blocking(writing, True)
    taker.response_file(status, headers, _PATH.format(reading))
    try:
        until, pause = time.monotonic() + OPENED_WITHIN, 0.0005
        while _waiting(reading) == written:
            if is_gone.wait(pause) or time.monotonic() > until:
                return None
            pause = min(2 * pause, _LONGEST_PAUSE)
        return written
    finally:
        gone.cancel()


def _waiting(reading: int) -> int:
    """Bytes in the pipe."""
    size = array("i", [0])
    fcntl.ioctl(reading, termios.FIONREAD, size)
    return size[0]


def _write_all(writing: int, rest: bytes, pieces: Any) -> None:
    try:
        _write(writing, rest)
        while True:
            _write(writing, pieces.__next__())
    except (StopIteration, BrokenPipeError):
        return


def _write(writing: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(writing, view) :]
