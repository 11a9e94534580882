"""How much is pending: estimated by a thread of its own, so that the webhook receiver's one statement stays one."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any, Final

import structlog
from flask import Flask
from psycopg import Connection, Error

from checkout_service.api.problems import Unavailable
from checkout_service.database.engine import background_connection

_PENDING: Final = """
    SELECT count(*), coalesce(sum(octet_length(body)), 0)::bigint
    FROM (SELECT body FROM webhook_deliveries WHERE state IN ('received', 'parked') LIMIT %s) AS pending
"""

log = structlog.get_logger(__name__)


class WebhookBacklogFull(Unavailable):
    """The bounds on what is pending are reached: the provider keeps the webhook for a while."""

    slug = "webhook-backlog-full"
    title = "Too many webhooks wait"
    default_detail = "Too many webhooks wait to be processed: deliver this one again later."
    retry_after = 30


class Backpressure:
    """Knows, about once a second, whether more webhooks are pending than the bounds allow."""

    PAUSE: Final = 1.0
    LONGEST: Final = 30.0
    SHARE: Final = 20
    """Counting takes at most a twentieth of the time, however long the queue has grown."""

    SHARE_IN_PEACE: Final = 100
    """And a hundredth while less than half of what is allowed is pending: the other half takes minutes to come."""

    def __init__(self, app: Flask, *, max_rows: int, max_bytes: int) -> None:
        self._app = app
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._full = False
        self._share = self.SHARE
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def check(self) -> None:
        """Raise WebhookBacklogFull while too much is pending; never waits."""
        if self._full:
            raise WebhookBacklogFull
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="backpressure", daemon=True)
                    self._thread.start()

    def measure(self, connection: Connection[Any]) -> None:
        """Count once."""
        webhooks, size = connection.execute(_PENDING, (self._max_rows,)).fetchone() or (0, 0)
        full = webhooks >= self._max_rows or size >= self._max_bytes
        if full != self._full:
            log.warning("webhook_backlog_full" if full else "webhook_backlog_open_again", webhooks=webhooks, bytes=size)
        self._full = full
        self._share = (
            self.SHARE_IN_PEACE if webhooks * 2 < self._max_rows and size * 2 < self._max_bytes else self.SHARE
        )

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
                # The webhook receiver's own statement finds out as well, and says so to the provider.
                if not told:
                    log.warning("pressure_not_measured", error=type(error).__name__)
                told = True
                pause.wait(self.PAUSE)


def connect_backpressure(app: Flask, *, max_rows: int, max_bytes: int) -> None:
    """Give the app its gauge; the thread starts with the first webhook, so it may be made before a fork."""
    app.extensions["backpressure"] = Backpressure(app, max_rows=max_rows, max_bytes=max_bytes)
