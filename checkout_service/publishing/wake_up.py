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
    """Wakes a worker from a thread of its own, so that no customer or provider ever waits for the broker.

    It sends at most one message every few milliseconds, and none while the last one is on its way: that is what the
    claim of the wake-up in the cache says; where that lasts, it is asked for after longer pauses. The task releases it
    before it claims what waits. So a webhook that was stored before that is claimed, and one that is stored after it
    sends a message again.
    """

    PAUSE: Final = 0.005
    LONGER: Final = 0.02
    """Seconds between two looks at the claim; the longer one once it was found taken twice in a row. Workers are busy
    then, or none is there."""

    CLAIMED_FOR: Final = 1000
    """Milliseconds for which the claim holds: a message that was lost keeps others back for no longer."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread = BackgroundThread("notifier", self._notify)
        self._webhook: tuple[str, str | None] = ("", None)

    def notify(self, delivery_id: str, request_id: str | None = None) -> None:
        """Have a worker look at this webhook, and all that wait with it; returns at once and never fails."""
        self._webhook = (delivery_id, request_id)
        self._thread.wake()

    def _notify(self) -> Iterator[float | None]:
        taken = 0
        while True:
            delivery_id, request_id = self._webhook
            with self._app.app_context():
                taken = 0 if wake_worker(delivery_id, request_id) else taken + 1
            time.sleep(self.PAUSE if taken < 2 else self.LONGER)
            yield None


def wake_worker(delivery_id: str, request_id: str | None = None) -> bool:
    """Enqueue the webhook's task unless a message is on its way. Where the broker is away, the sweep sends it.

    Whether no other message was on its way.
    """
    claims = current_app.extensions["cache"]
    if not claims.claim(WAKE_UP, milliseconds=Notifier.CLAIMED_FOR, logged=False):
        return False
    try:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, delivery_id, request_id=request_id)
    except QueueUnavailableError:
        claims.release(WAKE_UP, logged=False)
    return True


WAKE_UP: Final = "wake_up"


def connect_notifier(app: Flask) -> None:
    """Give the app its notifier."""
    app.extensions["notifier"] = Notifier(app)


def notifier() -> Notifier:
    """The current app's notifier."""
    found: Notifier = current_app.extensions["notifier"]
    return found
