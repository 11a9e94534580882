"""How much is pending: estimated by a thread of its own, so that the webhook receiver's one statement stays one."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any, Final

import structlog
from flask import Flask
from psycopg import Connection, Error

from checkout_service.api.problems import Unavailable
from checkout_service.database.engine import background_connection
from checkout_service.threads import BackgroundThread

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

    STALE_AFTER: Final = 30.0
    """Seconds for which a count that is overdue still keeps webhooks out; then they are let in, whatever it said.

    What keeps it from counting may last, and a webhook that cannot be kept is refused by its own statement.
    """

    def __init__(self, app: Flask, *, max_rows: int, max_bytes: int) -> None:
        self._app = app
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._is_full = False
        self._full_until = 0.0
        self._thread = BackgroundThread("backpressure", self._measure_again)

    def check(self) -> None:
        """Raise WebhookBacklogFull while too much is pending; never waits."""
        self._thread.start()
        if self._full_until and monotonic() < self._full_until:
            raise WebhookBacklogFull

    def measure(self, connection: Connection[Any]) -> float:
        """Count once; the seconds until the next count."""
        started = monotonic()
        webhooks, size = connection.execute(_PENDING, (self._max_rows,)).fetchone() or (0, 0)
        took = monotonic() - started
        is_full = webhooks >= self._max_rows or size >= self._max_bytes
        if is_full != self._is_full:
            log.warning(
                "webhook_backlog_full" if is_full else "webhook_backlog_open_again", webhooks=webhooks, bytes=size
            )
        is_quiet = webhooks * 2 < self._max_rows and size * 2 < self._max_bytes
        share = self.SHARE_IN_PEACE if is_quiet else self.SHARE
        pause = min(self.LONGEST, max(self.PAUSE, share * took))
        self._is_full = is_full
        self._full_until = monotonic() + pause + self.STALE_AFTER if is_full else 0.0
        return pause

    def _measure_again(self) -> Iterator[float | None]:
        """Count for as long as the connection holds, then by another one."""
        was_reported = False
        while True:
            try:
                with self._app.app_context(), background_connection() as connection:
                    while True:
                        pause = self.measure(connection)
                        was_reported = False
                        yield pause
            except Error as error:
                # The webhook receiver's own statement finds out as well, and says so to the provider.
                if not was_reported:
                    log.warning("backpressure_not_measured", error=type(error).__name__)
                was_reported = True
                yield self.PAUSE


def connect_backpressure(app: Flask, *, max_rows: int, max_bytes: int) -> None:
    """Give the app its gauge; the thread starts with the first webhook, so it may be made before a fork."""
    app.extensions["backpressure"] = Backpressure(app, max_rows=max_rows, max_bytes=max_bytes)
