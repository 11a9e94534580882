"""The page of a scrape: made at most once a second, by one process at a time, whoever asks and however often.

Where processes count into one folder they share one page there. Pages of their own would be of different moments, and
a counter would seem to fall from one scrape to the next, which Prometheus takes for a restart.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

FRESH_FOR: Final = 1.0
"""Seconds for which a page serves everybody who asks."""

KEPT_FOR: Final = 30.0
"""Seconds for which a page is shown while somebody makes the next one."""


class BeingMadeError(Exception):
    """Somebody makes the page at this moment, and there is no earlier one to show."""


class _Page(NamedTuple):
    made_at: float
    text: bytes

    def is_of_last(self, seconds: float) -> bool:
        return time.time() - self.made_at < seconds


_NONE: Final = _Page(float("-inf"), b"")


class ScrapePage:
    """One page, made by ``make``. Processes that count together share it in their ``folder``, in a file ``name``."""

    def __init__(self, make: Callable[[], bytes], *, folder: str | None = None, name: str = "web") -> None:
        self._make = make
        self._file = Path(folder) / f"{name}.page" if folder else None
        self._kept = _NONE
        self._making = Lock()

    def text(self) -> bytes:
        """The page, no older than a second, or the one before while somebody makes it. Raises BeingMadeError.

        It takes time only for the one caller that makes the page.
        """
        page = self._newest()
        if page.is_of_last(FRESH_FOR):
            return page.text
        with self._turn() as is_mine:
            if is_mine:
                page = self._newest()  # it may have been made while we came here
                return page.text if page.is_of_last(FRESH_FOR) else self._made()
        if page.is_of_last(KEPT_FOR):
            return page.text
        raise BeingMadeError

    def _made(self) -> bytes:
        text = self._make()
        self._kept = _Page(time.time(), text)
        if self._file:
            fresh = self._file.with_suffix(f".page-{os.getpid()}")
            with suppress(OSError):  # no space left: then each process keeps its own
                fresh.write_bytes(text)
                os.utime(fresh, (self._kept.made_at, self._kept.made_at))
                fresh.replace(self._file)
        return text

    def _newest(self) -> _Page:
        shared = _NONE
        if self._file:
            with suppress(OSError), self._file.open("rb") as file:
                shared = _Page(os.fstat(file.fileno()).st_mtime, file.read())
        now = time.time()
        # One of the future was made before the clock was set back.
        return max((page for page in (self._kept, shared, _NONE) if page.made_at <= now), key=lambda page: page.made_at)

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """Whether it is the caller's turn to make the page; nobody waits for it."""
        if not self._making.acquire(blocking=False):
            yield False
            return
        try:
            with self._turn_among_processes() as is_mine:
                yield is_mine
        finally:
            self._making.release()

    @contextmanager
    def _turn_among_processes(self) -> Iterator[bool]:
        if self._file is None:
            yield True
            return
        lock = os.open(self._file.with_suffix(".making"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # A lock of the process, not of the open file: a child that is forked at this moment inherits the file, and
            # would hold the lock for as long as it lives.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows both
            yield False
        else:
            yield True
        finally:
            os.close(lock)


def is_bearer(authorization: str | None, token: str) -> bool:
    """Whether this Authorization header carries the token; found out in the same time wherever it is wrong."""
    scheme, _, given = (authorization or "").partition(" ")
    # Servers give a header's bytes as Latin-1 (PEP 3333).
    given_bytes = given.strip().encode("latin-1", "replace")
    return scheme.lower() == "bearer" and hmac.compare_digest(given_bytes, token.encode())
