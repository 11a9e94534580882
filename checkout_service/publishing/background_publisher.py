"""Sends tasks from a thread of its own, so that whoever asks for something never waits for the broker.

A message is only a wake-up: the row says what is pending. One that is lost, or dropped because too many wait, costs the
seconds until the sweep sends it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import structlog
from flask import Flask, current_app

from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName
from checkout_service.threads import BackgroundThread

MOST_WAITING: Final = 1000

log = structlog.get_logger(__name__)


class BackgroundPublisher:
    """At most so many messages wait to be sent; the thread starts with the first, so this may be made before a fork."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: deque[tuple[TaskName, tuple[str, ...], str | None]] = deque()
        self._thread = BackgroundThread("background-publisher", self._publish)

    def send(self, task: TaskName, argument: str | None = None, request_id: str | None = None) -> None:
        """Have a worker run the task soon; returns at once and never fails."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((task, () if argument is None else (argument,), request_id))
        else:
            log.warning("task_dropped", task=task.value)
        self._thread.wake()

    def _publish(self) -> Iterator[float | None]:
        """Send what waits, one message a round."""
        while True:
            if self._waiting:
                task, arguments, request_id = self._waiting.popleft()
                try:
                    with self._app.app_context():
                        task_queue().enqueue(task, *arguments, request_id=request_id)
                except QueueUnavailableError as error:
                    log.warning("broker_unavailable", task=task.value, error=str(error))
            yield 0 if self._waiting else None


def connect_background_publisher(app: Flask) -> None:
    """Give the app its background publisher."""
    app.extensions["background_publisher"] = BackgroundPublisher(app)


def background_publisher() -> BackgroundPublisher:
    """The current app's background publisher."""
    found: BackgroundPublisher = current_app.extensions["background_publisher"]
    return found
