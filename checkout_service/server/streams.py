"""Answers of any length: made page by page while they are read, each page in a slot of its own.

Nothing waits for a slow reader but a page, and a place that the caller bounds. Between two pages others have their
turn. The length is not known before the end, and the server ends an answer that breaks off like one that is whole
(findings/granian-body-that-fails-midway-ends-as-if-whole.sh): so what is streamed has to say in itself where it ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Final

import structlog

from checkout_service.server.slots import Kind, Slots
from checkout_service.telemetry import logs

STREAM_KEY: Final = "checkout_service.server.stream"
"""Under this key of a request's environment the server finds the stream that its answer is."""

PAGE_HELD: Final = 2**20
"""Bytes that are counted for a page of a stream."""

_AGAIN_AFTER: Final = 0.1
"""Seconds between two tries for a slot where the line of its kind is full: a stream may wait, and its reader does."""

log = structlog.get_logger(__name__)


class Stream:
    """The pages of an answer, one at a time. It is closed once, by whoever has sent or refused it."""

    def __init__(self, pages: Generator[bytes], *, context: Callable[[], AbstractContextManager[object]]) -> None:
        """``context`` is entered while a page is made. The first one is made here, in the caller's slot.

        Raises what making it raises.
        """
        self.size = 0
        """Bytes that were made so far."""
        self.at_end: Callable[[], object] = lambda: None
        """Called when it is closed, whatever came of it."""
        self._pages = pages
        self._context = context
        self._slots: Slots | None = None
        self._began = time.monotonic()
        self._request_id = logs.request_id()
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_whole = False
        self._error = ""
        self._first = self._made()

    def work_in(self, slots: Slots) -> None:
        """Make the next pages in these slots."""
        self._slots = slots

    def next_page(self) -> bytes | None:
        """The next page, which may be empty; None at the end, and where no more can be made. One thread may ask."""
        if self._first is not None:
            page, self._first = self._first, None
            return page
        if self._is_whole:
            return None
        try:
            return self._made() if self._slots is None else self._made_in_slot(self._slots)
        except Exception as error:
            self._error = type(error).__name__
            logs.begin(self._request_id)
            log.exception("export_failed")
            return None

    def __iter__(self) -> Iterator[bytes]:
        """Its pages, for a server that has no slots; it is closed at the end of them."""
        try:
            while (page := self.next_page()) is not None:
                yield page
        finally:
            self.close()

    def close(self) -> None:
        """Give its place back, and log what came of it. A second call does nothing."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        try:
            self._pages.close()
            self._log_end()
        finally:
            self.at_end()

    def __del__(self) -> None:
        """Where nobody sent it: an answer that was refused at last, or another server than ours."""
        if hasattr(self, "_first"):
            self.close()

    def _log_end(self) -> None:
        before = logs.request_id()
        logs.begin(self._request_id)
        milliseconds = round((time.monotonic() - self._began) * 1000)
        if self._is_whole:
            log.info("export_sent", bytes=self.size, ms=milliseconds)
        else:
            log.warning("export_cut_short", bytes=self.size, ms=milliseconds, error=self._error or "its reader is gone")
        logs.begin(before)

    def _made(self) -> bytes | None:
        with self._context():
            page = next(self._pages, None)
        if page is None:
            self._is_whole = True
        else:
            self.size += len(page)
        return page

    def _made_in_slot(self, slots: Slots) -> bytes | None:
        made: list[bytes | None] = []
        failed: list[Exception] = []
        is_done = threading.Event()

        def make() -> None:
            try:
                made.append(self._made())
            except Exception as error:  # noqa: BLE001 (it is raised in the thread that waits for it)
                failed.append(error)
            finally:
                is_done.set()

        while not slots.admit_elsewhere(make, Kind.API):
            time.sleep(_AGAIN_AFTER)
        is_done.wait()
        if failed:
            raise failed[0]
        return made[0]
