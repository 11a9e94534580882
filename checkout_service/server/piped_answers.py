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

import structlog

OPENED_WITHIN: Final = 30.0
"""Seconds for Granian to open the pipe. It does so at once; or never, where the connection is gone, which it tells."""

_FIRST_PAUSE: Final = 0.0001
_LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks whether it has."""

_FILLS: Final = 48 * 1024
"""Bytes that are in the pipe before the server is told of it. It holds 64 KiB as a rule."""

_PATH: Final = "/dev/fd/{}"

log = structlog.get_logger(__name__)


class Taker(Protocol):
    """A request's way back by Granian's RSGI, as far as a pipe needs it."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str, /) -> None: ...

    def client_disconnect(self) -> Any: ...


def check_room() -> None:
    """Raise OSError where this process has not the open files that an answer in pieces takes, Granian's included."""
    taken = list(os.pipe())
    try:
        taken += os.dup(taken[0]), os.dup(taken[0])
    finally:
        for number in taken:
            os.close(number)


def send(taker: Taker, status: int, headers: list[tuple[str, str]], pieces: Any) -> None:
    """Send the pieces, as ``__next__`` of these gives them, and ``close`` them.

    Returns when the server has taken all of them, or its client has gone. Raises what making a piece raises, and
    OSError where the process has no more files; then nothing was sent.
    """
    try:
        first = _next(pieces)
        if not first:
            taker.response_bytes(status, headers, b"")
            return
        pipe = _Pipe()
        try:
            if pipe.begin(taker, status, headers, first, pieces):
                pipe.go_on(pieces)
        finally:
            pipe.close()
    finally:
        pieces.close()


def _next(pieces: Any) -> bytes:
    """The next piece that has any bytes; none at the end."""
    try:
        while not (piece := pieces.__next__()):
            pass
    except StopIteration:
        return b""
    return bytes(piece)


class _Pipe:
    """The way of one answer. Raises OSError where the process has no more files."""

    def __init__(self) -> None:
        self._spare = -1
        self._reading, self._writing = os.pipe()
        self._rest: bytes | memoryview = b""
        """Of the last piece, what did not fit."""
        try:
            # Granian answers 404 where it cannot open the pipe: this is given up for it.
            self._spare = os.dup(self._reading)
        except OSError:
            self.close()
            raise

    def begin(self, taker: Taker, status: int, headers: list[tuple[str, str]], first: bytes, pieces: Any) -> bool:
        """Fill the pipe and have the server read it; False: its client has gone.

        From then on nobody has the end that is read but the server. So who writes finds out that it reads no more.
        """
        is_gone = Event()
        gone = taker.client_disconnect()
        gone.add_done_callback(lambda _: is_gone.set())
        try:
            written = self._fill(first, pieces)
            os.close(self._spare)
            self._spare = -1
            taker.response_file(status, headers, _PATH.format(self._reading))
            return self._is_opened(written, is_gone)
        finally:
            gone.cancel()

    def go_on(self, pieces: Any) -> None:
        """Write what is left, as fast as it is read, until it is read no more."""
        try:
            piece: bytes | memoryview = self._rest
            while piece or (piece := _next(pieces)):
                piece = memoryview(piece)[os.write(self._writing, piece) :]
        except BrokenPipeError:
            return

    def close(self) -> None:
        """Nothing more comes."""
        for number in (self._writing, self._reading, self._spare):
            if number >= 0:
                os.close(number)

    def _fill(self, first: bytes, pieces: Any) -> int:
        """How many bytes are in it, without waiting for anybody: the server may never read."""
        os.set_blocking(self._writing, False)
        written, piece = 0, memoryview(first)
        try:
            while piece:
                size = os.write(self._writing, piece)
                written, piece = written + size, piece[size:]
                if not piece and written < _FILLS:
                    piece = memoryview(_next(pieces))
        except BlockingIOError:
            pass
        finally:
            os.set_blocking(self._writing, True)
        self._rest = piece
        return written

    def _is_opened(self, written: int, is_gone: Event) -> bool:
        until, pause = time.monotonic() + OPENED_WITHIN, _FIRST_PAUSE
        while _waiting(self._reading) == written:
            if is_gone.wait(pause):
                return False
            if time.monotonic() > until:
                # Its client is there, so it may open the name later. Whatever that leads to by then must be nobody
                # else's answer: this number is never given to another file.
                log.error("large_answer_not_opened")
                with open(os.devnull, "rb") as nothing:
                    os.dup2(nothing.fileno(), self._reading, inheritable=False)
                self._reading = -1
                return False
            pause = min(2 * pause, _LONGEST_PAUSE)
        os.close(self._reading)
        self._reading = -1
        return True


def _waiting(reading: int) -> int:
    """Bytes in the pipe."""
    size = array("i", [0])
    fcntl.ioctl(reading, termios.FIONREAD, size)
    return size[0]
