"""Sends tasks from a thread of its own, so that whoever asks for something never waits for the broker.

A message is only a wake-up: the row says what is pending. One that is lost, or dropped because too many wait, costs the
seconds until the sweep rings.
"""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import Final

import structlog
from flask import Flask, current_app

from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.tasks import TaskName

MOST_WAITING: Final = 1000

log = structlog.get_logger(__name__)


class BackgroundPublisher:
    """At most so many messages wait to be sent; the thread starts with the first, so this may be made before a fork."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._waiting: Queue[tuple[TaskName, str, str | None]] = Queue(MOST_WAITING)
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def send(self, task: TaskName, argument: str, request_id: str | None = None) -> None:
        """Have a worker run the task soon; returns at once and never fails."""
        try:
            self._waiting.put_nowait((task, argument, request_id))
        except Full:
            log.warning("task_dropped", task=task.value)
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="background-publisher", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while True:
            task, argument, request_id = self._waiting.get()
            try:
                with self._app.app_context():
                    task_queue().enqueue(task, argument, request_id=request_id)
            except QueueUnavailableError as error:
                log.warning("broker_unavailable", task=task.value, error=str(error))
            except Exception:
                # Nobody would start this thread again; the sweep rings for what is pending.
                log.exception("task_not_sent", task=task.value)


def connect_background_publisher(app: Flask) -> None:
    """Give the app its background tasks."""
    app.extensions["background_publisher"] = BackgroundPublisher(app)


def background_publisher() -> BackgroundPublisher:
    """The current app's background tasks."""
    found: BackgroundPublisher = current_app.extensions["background_publisher"]
    return found
