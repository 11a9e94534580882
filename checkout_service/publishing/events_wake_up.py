"""Wakes the sender of events for those that were just committed, from a thread of its own.

The message is only a wake-up: whatever happens to it, the sender's sweep gives numbers, and finds what is due.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from flask import Flask

from checkout_service.at_work import app_at_work
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.threads import BackgroundThread

WAKE_UP: Final = "wake_sender"
"""The claim: while it holds, a message is on its way, or nobody needs one. The task releases it before it looks."""

CLAIMED_FOR: Final = 1000
"""Milliseconds for which it holds: a message that was lost keeps others back for no longer."""


class EventsNotifier:
    """Wakes the sender from a thread of its own, so that nobody who writes events ever waits for the broker.

    It sends at most one message every few milliseconds, and none while the last one is on its way.
    """

    PAUSE: Final = 0.05

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._thread = BackgroundThread("events-notifier", self._notify)

    def notify(self) -> None:
        """Have the sender give numbers, and send; returns at once and never fails."""
        self._thread.wake()

    def _notify(self) -> Iterator[float | None]:
        while True:
            with self._app.app_context():
                wake_sender()
            time.sleep(self.PAUSE)
            yield None


def wake_sender() -> None:
    """Enqueue the sender's task unless a message is on its way. Where the broker is away, the sweep sends it."""
    claims = app_at_work().extensions["cache"]
    if not claims.claim(WAKE_UP, milliseconds=CLAIMED_FOR, logged=False):
        return
    try:
        task_queue().enqueue(TaskName.SEND_EVENTS)
    except QueueUnavailableError:
        claims.release(WAKE_UP, logged=False)


def connect_events_notifier(app: Flask) -> None:
    """Give the app its notifier of events."""
    app.extensions["events_notifier"] = EventsNotifier(app)


def notify_of_events() -> None:
    """Say that events were committed, which have no numbers yet; returns at once and never fails."""
    notifier: EventsNotifier | None = app_at_work().extensions.get("events_notifier")
    if notifier is not None:  # a worker gives numbers itself
        notifier.notify()
