"""Wakes workers for webhooks that wait, from a thread of its own.

The message is only a wake-up: whatever happens to it, the row is found by the sweep.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from flask import Flask, current_app

from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.threads import BackgroundThread


class Notifier:
    """Rings for webhooks from a thread of its own, so that no customer or provider ever waits for the broker.

    It rings at most every few milliseconds, and only when the wake-up is silent: the task silences it before it claims
    what waits, so a webhook filed before that is claimed and one filed after it rings again.
    """

    PAUSE: Final = 0.005
    SILENT_FOR: Final = 1000
    """Milliseconds after which a lost message no longer keeps the wake-up from ringing."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread = BackgroundThread("notifier", self._notify)
        self._webhook: tuple[str, str | None] = ("", None)

    def notify(self, delivery_id: str, request_id: str | None = None) -> None:
        """Have a worker look at this webhook, and all that wait with it; returns at once and never fails."""
        self._webhook = (delivery_id, request_id)
        self._thread.wake()

    def _notify(self) -> Iterator[float | None]:
        while True:
            delivery_id, request_id = self._webhook
            with self._app.app_context():
                wake_worker(delivery_id, request_id)
            time.sleep(self.PAUSE)
            yield None


def wake_worker(delivery_id: str, request_id: str | None = None) -> None:
    """Enqueue the webhook's task unless a wake-up rings already. A broker that is away is left to the sweep."""
    wake_up = current_app.extensions["cache"]
    if not wake_up.claim(WAKE_UP, milliseconds=Notifier.SILENT_FOR):
        return
    try:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, delivery_id, request_id=request_id)
    except QueueUnavailableError:
        wake_up.release(WAKE_UP)


WAKE_UP: Final = "wake_up"


def connect_notifier(app: Flask) -> None:
    """Give the app its notifier."""
    app.extensions["notifier"] = Notifier(app)


def notifier() -> Notifier:
    """The current app's notifier."""
    found: Notifier = current_app.extensions["notifier"]
    return found
