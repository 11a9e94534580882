"""How much is owed: estimated by a thread of its own, so that the letterbox's one statement stays one."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any, Final

import structlog
from flask import Flask
from psycopg import Connection, Error

from checkout_service.api.problems import Unavailable
from checkout_service.database.engine import background_connection

_OWED: Final = """
    SELECT count(*), coalesce(sum(octet_length(body)), 0)::bigint
    FROM (SELECT body FROM webhook_deliveries WHERE state IN ('received', 'parked') LIMIT %s) AS owed
"""

log = structlog.get_logger(__name__)


class LetterboxFull(Unavailable):
    """The bounds on what is owed are reached: the provider keeps the letter for a while."""

    slug = "letterbox-full"
    title = "The letterbox is full"
    default_detail = "Too many webhooks wait to be processed: deliver this one again later."
    retry_after = 30


class Pressure:
    """Knows, about once a second, whether more letters are owed than the bounds allow."""

    PAUSE: Final = 1.0
    LONGEST: Final = 30.0
    SHARE: Final = 20
    """Counting takes at most a twentieth of the time, however long the queue has grown."""

    SHARE_IN_PEACE: Final = 100
    """And a hundredth while less than half of what is allowed is owed: the other half takes minutes to come."""

    def __init__(self, app: Flask, *, max_rows: int, max_bytes: int) -> None:
        self._app = app
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._full = False
        self._share = self.SHARE
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raise LetterboxFull while too much is owed; never waits."""
        if self._full:
            raise LetterboxFull
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="pressure", daemon=True)
                    self._thread.start()

    def measure(self, connection: Connection[Any]) -> None:
        """Count once."""
        letters, size = connection.execute(_OWED, (self._max_rows,)).fetchone() or (0, 0)
        full = letters >= self._max_rows or size >= self._max_bytes
        if full != self._full:
            log.warning("letterbox_full" if full else "letterbox_open_again", letters=letters, bytes=size)
        self._full = full
        self._share = self.SHARE_IN_PEACE if letters * 2 < self._max_rows and size * 2 < self._max_bytes else self.SHARE

    def _run(self) -> None:
        pause = threading.Event()
        told = False
        while True:
            try:
                with self._app.app_context(), background_connection() as connection:
                    while True:
                        started = monotonic()
                        self.measure(connection)
                        told = False
                        pause.wait(min(self.LONGEST, max(self.PAUSE, self._share * (monotonic() - started))))
            except Error as error:
                # The letterbox's own statement finds out as well, and says so to the provider.
                if not told:
                    log.warning("pressure_not_measured", error=type(error).__name__)
                told = True
                pause.wait(self.PAUSE)


def connect_pressure(app: Flask, *, max_rows: int, max_bytes: int) -> None:
    """Give the app its gauge; the thread starts with the first letter, so it may be made before a fork."""
    app.extensions["pressure"] = Pressure(app, max_rows=max_rows, max_bytes=max_bytes)
