"""The one door to Celery: tasks by name, published within a bounded time.

A message is only a wake-up. Whatever happens to it, a sweep finds the row that it names.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from celery import Celery
from flask import Flask, current_app
from kombu.exceptions import OperationalError

from checkout_service.breaker import Breaker, BreakerOpenError
from checkout_service.publishing.broker import celery_broker
from checkout_service.publishing.queues import queues
from checkout_service.refused_writes import LostError, refusal
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

PUBLISH_WITHIN: Final = 0.25
"""Seconds for each of two tries; with a retry and a connect the publish stays well under one second."""


_OF_FIRST_MESSAGE: Final = (
    *("celery.app.amqp", "celery.app.events", "celery.app.task", "celery.backends.base", "celery.events"),
    *("celery.loaders.app", "kombu.transport.redis", "encodings.idna"),
)
"""Modules, by their names."""


class QueueUnavailableError(Exception):
    """The broker did not take the message in time, or failed a moment ago."""


class TaskQueue:
    """Publishes to one broker; connects with the first message, so it may be made before a fork."""

    def __init__(self, broker_url: Secret) -> None:
        url = broker_url.reveal()
        self._celery = Celery(set_as_current=False)
        self._celery.conf.update(
            **celery_broker(url),
            broker_transport_options=publisher_options(url),
            broker_pool_limit=4,
            # Nobody would send them while nothing is published, and RabbitMQ would close the connection for it.
            broker_heartbeat=0,
            broker_pool_acquire_timeout=PUBLISH_WITHIN,
            task_queues=queues(url),
            task_ignore_result=True,
            task_serializer="json",
        )
        self._breaker = Breaker(pause=2.0)

    def enqueue(
        self,
        task: TaskName,
        *arguments: str,
        request_id: str | None = None,
        watched: bool = False,
        task_id: str | None = None,
    ) -> str:
        """Publish one message and return the task's id, which is new unless it is given.

        Raises QueueUnavailableError in well under a second. Of a ``watched`` task Flower is sent every step, and of the
        others only the end of one that fails.
        """
        headers: dict[str, Any] = {} if watched else {"quiet": True}
        if request_id:
            headers["request_id"] = request_id
        try:
            with self._breaker.guard(OperationalError, OSError):
                sent = self._celery.send_task(
                    task,
                    args=arguments,
                    queue=task.declaration.queue.value,
                    task_id=task_id,
                    argsrepr=repr(arguments),
                    kwargsrepr="{}",
                    headers=headers or None,
                    confirm_timeout=PUBLISH_WITHIN,
                    retry=True,
                    retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.05, "interval_max": 0.1},
                )
        except (OperationalError, OSError, BreakerOpenError) as error:
            raise QueueUnavailableError(str(error) or "the broker failed a moment ago") from error
        return str(sent.id)

    @property
    def is_away(self) -> bool:
        """Whether the last message was not taken."""
        return self._breaker.is_open

    def ping(self) -> None:
        """Raise QueueUnavailableError unless the broker accepts a connection in time."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error

    def refusal(self) -> str | None:
        """Why a broker that is Redis takes no writes, in words; None if it takes them, and for RabbitMQ.

        Writes one key. Raises QueueUnavailableError if the broker is away.
        """
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
                channel: Any = connection.default_channel
                return refusal(channel.client) if connection.transport.driver_type == "redis" else None
        except (OperationalError, OSError, LostError) as error:
            raise QueueUnavailableError(str(error)) from error


def connect_queue(app: Flask, broker_url: Secret) -> None:
    """Give the app its way to the broker."""
    app.extensions["queue"] = TaskQueue(broker_url)
    app.extensions.setdefault("preloads", []).append(_preload)


def _preload() -> None:
    """Load what the first message needs, of which Celery and kombu load most only then."""
    for name in _OF_FIRST_MESSAGE:
        import_module(name)


def task_queue() -> TaskQueue:
    """The current app's way to the broker."""
    found: TaskQueue = current_app.extensions["queue"]
    return found


def publisher_options(broker_url: str) -> dict[str, Any]:
    """Transport options of a process that publishes: every wait bounded."""
    if broker_url.startswith("amqp"):
        return {
            "confirm_publish": True,
            "connect_timeout": PUBLISH_WITHIN,
            # On the socket itself: closing a connection to a frozen broker would otherwise wait for its farewell.
            "read_timeout": PUBLISH_WITHIN,
            "write_timeout": PUBLISH_WITHIN,
        }
    return {
        "socket_timeout": PUBLISH_WITHIN,
        "socket_connect_timeout": PUBLISH_WITHIN,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "retry_on_timeout": False,
        "priority_steps": [0],
        "max_connections": 16,
    }
