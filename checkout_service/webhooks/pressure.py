"""How much is owed: estimated by a thread of its own, so that the letterbox's one statement stays one."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Final

import structlog
from flask import Flask
from sqlalchemy import text

from checkout_service.database import execute
from checkout_service.problems import DatabaseUnavailable, LetterboxFull

_owed = text("""
    SELECT count(*) AS letters, coalesce(sum(octet_length(body)), 0)::bigint AS bytes
    FROM webhook_deliveries WHERE state IN ('received', 'parked')
""")

log = structlog.get_logger(__name__)


class Pressure:
    """Knows, about once a second, whether more letters are owed than the bounds allow."""

    PAUSE: Final = 1.0
    SHARE: Final = 20
    """Counting takes at most a twentieth of the time, however long the queue has grown."""

    def __init__(self, app: Flask, *, max_rows: int, max_bytes: int) -> None:
        self._app = app
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._full = False
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

    def measure(self) -> None:
        """Count once."""
        with self._app.app_context():
            (row,) = execute(_owed)
        full = row.letters >= self._max_rows or row.bytes >= self._max_bytes
        if full != self._full:
            log.warning("letterbox_full" if full else "letterbox_open_again", letters=row.letters, bytes=row.bytes)
        self._full = full

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            started = monotonic()
            try:
                self.measure()
            except DatabaseUnavailable:
                pass  # the letterbox's own statement finds out and says so
            except Exception:
                log.exception("pressure_not_measured")
            pause.wait(max(self.PAUSE, self.SHARE * (monotonic() - started)))


def connect_pressure(app: Flask, *, max_rows: int, max_bytes: int) -> None:
    """Give the app its gauge; the thread starts with the first letter, so it may be made before a fork."""
    app.extensions["pressure"] = Pressure(app, max_rows=max_rows, max_bytes=max_bytes)
