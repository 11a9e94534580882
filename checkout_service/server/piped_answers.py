"""Answers in pieces, which Granian takes as fast as their reader does: each goes through a pipe.

Granian's RSGI keeps all that it is given until it is read, whoever reads it slowly. But of a file it reads no more than
its client takes, and a named pipe opens like a file. Who opens one to read waits for who writes, so it cannot be missed
that Granian has, however soon its client hangs up.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from threading import Event
from typing import Any, Final, Protocol

import structlog

OPENED_WITHIN: Final = 10.0
"""Seconds for Granian to open the pipe. It does so at once; or never, where its client went at that very moment."""

_FIRST_PAUSE: Final = 0.0001
_LONGEST_PAUSE: Final = 0.02
"""Seconds between two looks whether it has."""

_FILES: Final = 3
"""What an answer takes: one for Granian, one for us, and one for the moment in which it is given up."""

_PLACE: Final = "/dev/shm"  # noqa: S108 (a folder of our own is made in it)
"""Where names of pipes stand, if there is such a place: a full disk keeps no answer back then."""

log = structlog.get_logger(__name__)


class Taker(Protocol):
    """A request's way back by Granian's RSGI, as far as a pipe needs it."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes, /) -> None: ...

    def response_file(self, status: int, headers: list[tuple[str, str]], file: str, /) -> None: ...

    def client_disconnect(self) -> Any: ...


def check_room() -> None:
    """Raise OSError where this process has not the open files that an answer in pieces takes, Granian's included."""
    _close(_spare_files())


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
        folder = tempfile.mkdtemp(prefix="checkout-answer-", dir=_PLACE if os.access(_PLACE, os.W_OK) else None)
        try:
            writing = _begun(taker, status, headers, os.path.join(folder, "pipe"))
        finally:
            os.rmdir(folder)
        if writing is not None:
            try:
                _write_all(writing, first, pieces)
            finally:
                os.close(writing)
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


def _begun(taker: Taker, status: int, headers: list[tuple[str, str]], path: str) -> int | None:
    """Have the server read a pipe of this name; the end that is written, once it does. None: its client has gone."""
    spare, writing = _spare_files(), None
    try:
        os.mkfifo(path, 0o600)
        try:
            is_gone = Event()
            gone = taker.client_disconnect()
            gone.add_done_callback(lambda _: is_gone.set())
            # It answers 404 where it cannot open it: two are given up, one for it and one for us.
            _close((spare.pop(), spare.pop()))
            taker.response_file(status, headers, path)
            writing = _opened(path, is_gone)
            gone.cancel()
        finally:
            if writing is None:
                _close((spare.pop(),))
                _release_who_waits(path)
            else:
                os.unlink(path)
    finally:
        _close(spare)
    return writing


def _opened(path: str, is_gone: Event) -> int | None:
    until, pause = time.monotonic() + OPENED_WITHIN, _FIRST_PAUSE
    while True:
        try:
            writing = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in _NOT_YET:
                raise
        else:
            os.set_blocking(writing, True)
            return writing
        if is_gone.wait(pause):
            return None
        if time.monotonic() > until:
            log.warning("large_answer_not_opened")
            return None
        pause = min(2 * pause, _LONGEST_PAUSE)


_NOT_YET: Final = frozenset({errno.ENXIO, errno.EMFILE, errno.ENFILE})
"""Nobody reads it yet; or there is no file for it at this moment."""


def _release_who_waits(path: str) -> None:
    """Take the name away. A thread of the server's that waits at it for us goes on, and finds nothing there."""
    writing = None
    for _ in range(100):
        try:
            writing = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            break
        except OSError:
            time.sleep(_LONGEST_PAUSE)
    os.unlink(path)
    if writing is not None:
        os.close(writing)


def _write_all(writing: int, piece: bytes | memoryview, pieces: Any) -> None:
    """Write them as fast as they are read, until they are read no more."""
    with suppress(BrokenPipeError):
        while piece or (piece := _next(pieces)):
            piece = memoryview(piece)[os.write(writing, piece) :]


def _spare_files() -> list[int]:
    taken: list[int] = []
    try:
        while len(taken) < _FILES:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        _close(taken)
        raise
    return taken


def _close(numbers: Iterable[int]) -> None:
    for number in numbers:
        os.close(number)
