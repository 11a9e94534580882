"""The one door to Celery: tasks by name, published within a bounded time.

A message is only a bell. Whatever happens to it, the row that it speaks of is found by the sweep.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Any, Final

import structlog
from celery import Celery
from flask import Flask, current_app
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from checkout_service.breaker import Breaker, BreakerOpenError
from checkout_service.settings import Secret

PUBLISH_WITHIN: Final = 0.25
"""Seconds for each of two tries; with a retry and a connect the publish stays well under one second."""

log = structlog.get_logger(__name__)


class TaskName(StrEnum):
    """Every task that the worker registers."""

    PROCESS_WEBHOOK = "webhooks.process"
    SWEEP_WEBHOOKS = "webhooks.sweep"
    PRUNE_WEBHOOKS = "webhooks.prune"
    LOOK_UP_PAYMENTS = "payments.look_up"
    EXPIRE_PAYMENTS = "payments.expire"
    REFUND_PAYMENT = "payments.refund"
    CANCEL_PAYMENT = "payments.cancel"
    SWEEP_PAYMENTS = "payments.sweep"
    CARRY_OUT_ORDERS = "orders.carry_out"
    BACKFILL_PAYMENTS = "payments.backfill"


QUEUE_OF: Final = {
    TaskName.PROCESS_WEBHOOK: "webhooks",
    TaskName.SWEEP_WEBHOOKS: "webhooks",
    TaskName.PRUNE_WEBHOOKS: "housekeeping",
    TaskName.LOOK_UP_PAYMENTS: "payments",
    TaskName.EXPIRE_PAYMENTS: "payments",
    TaskName.REFUND_PAYMENT: "payments",
    TaskName.CANCEL_PAYMENT: "payments",
    TaskName.SWEEP_PAYMENTS: "payments",
    TaskName.CARRY_OUT_ORDERS: "payments",
    TaskName.BACKFILL_PAYMENTS: "payments",
}


class QueueUnavailableError(Exception):
    """The broker did not take the message in time, or failed a moment ago."""


class TaskQueue:
    """Publishes to one broker; connects with the first message, so it may be made before a fork."""

    def __init__(self, broker_url: Secret) -> None:
        url = broker_url.reveal()
        self._celery = Celery(set_as_current=False)
        self._celery.conf.update(
            broker_url=url,
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

    def enqueue(self, task: TaskName, *arguments: str, request_id: str | None = None, watched: bool = False) -> str:
        """Publish one message and return the task's id; raises QueueUnavailableError in well under a second.

        Flower is told of every step of a ``watched`` task; of the others it hears only when they fail.
        """
        headers: dict[str, Any] = {} if watched else {"quiet": True}
        if request_id:
            headers["request_id"] = request_id
        try:
            with self._breaker.guard(OperationalError, OSError):
                sent = self._celery.send_task(
                    task,
                    args=arguments,
                    queue=QUEUE_OF[task],
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

    def ping(self) -> None:
        """Raise QueueUnavailableError unless the broker accepts a connection in time."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailableError(str(error)) from error


class Ringer:
    """Rings for letters from a thread of its own, so that no customer or provider ever waits for the broker.

    It rings at most every few milliseconds, and only when the bell is silent: the task silences it before it claims
    what waits, so a letter filed before that is claimed and one filed after it rings again.
    """

    PAUSE: Final = 0.005
    BELL_FOR: Final = 1000
    """Milliseconds after which a lost message no longer keeps the bell from ringing."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._filed = threading.Event()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None
        self._letter: tuple[str, str | None] = ("", None)

    def ring(self, delivery_id: str, request_id: str | None = None) -> None:
        """Have a worker look at this letter, and all that wait with it; returns at once and never fails."""
        self._letter = (delivery_id, request_id)
        self._filed.set()
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._filed.wait()
            self._filed.clear()
            delivery_id, request_id = self._letter
            try:
                with self._app.app_context():
                    ring_bell(delivery_id, request_id)
            except Exception:
                # Nobody would start this thread again; the sweep rings for what was filed.
                log.exception("bell_not_rung", delivery_id=delivery_id)
            pause.wait(self.PAUSE)


def ring_bell(delivery_id: str, request_id: str | None = None) -> None:
    """Enqueue the letter's task unless a bell rings already. A broker that is away is left to the sweep."""
    bell = current_app.extensions["cache"]
    if not bell.claim(BELL, milliseconds=Ringer.BELL_FOR):
        return
    try:
        task_queue().enqueue(TaskName.PROCESS_WEBHOOK, delivery_id, request_id=request_id)
    except QueueUnavailableError:
        bell.release(BELL)


BELL: Final = "bell"


def connect_queue(app: Flask, broker_url: Secret) -> None:
    """Give the app its way to the broker and its ringer."""
    app.extensions["queue"] = TaskQueue(broker_url)
    app.extensions["ringer"] = Ringer(app)


def task_queue() -> TaskQueue:
    """The current app's way to the broker."""
    found: TaskQueue = current_app.extensions["queue"]
    return found


def ringer() -> Ringer:
    """The current app's ringer."""
    found: Ringer = current_app.extensions["ringer"]
    return found


def queues(broker_url: str) -> list[Queue] | None:
    """The queues, for producers and consumers alike: quorum queues on RabbitMQ, plain lists on Redis.

    On Redis None: Celery then pushes straight to the list, which needs no binding that could be missing.
    """
    if not broker_url.startswith("amqp"):
        return None
    return [
        Queue(name, Exchange(name, "direct"), routing_key=name, queue_arguments={"x-queue-type": "quorum"})
        for name in sorted(set(QUEUE_OF.values()))
    ]


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
