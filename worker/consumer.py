"""How a worker takes messages: none before its database and its broker can be worked with, and all at once.

**The schema.** A worker of a new release that starts before its migrations have ended would fail with each message. It
waits, says once what for, and takes none; the workers of the old release go on. A database that is away is waited for
alike.

**A broker that takes no writes.** A Redis server that was demoted, or has no memory left, answers and cannot give a
message: it is waited for, too. Each look connects anew, since the address may lead to another server by then.

**No messages for later.** On quorum queues Celery declares 28 queues for those, at every broker that is named, each
time it connects. None of our messages has such a time. While a node of RabbitMQ was down, that step kept a worker that
had moved to another node from its work for half a minute and longer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import sleep
from typing import Any, ClassVar, Final

import psycopg
import structlog
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu import Connection

from checkout_service.database.engine import background_connection, database_names
from checkout_service.database.schema import HEAD, REVISION, what_is_missing
from checkout_service.doctor.reasons import reason
from checkout_service.refused_writes import LostError, RefusalError, refusal
from worker.process import context

PAUSE: Final = 1.0
"""Seconds between two looks at a server that cannot be worked with yet."""

DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


log = structlog.get_logger(__name__)


class PromptConsumer(Consumer):
    """The consumer, which begins with the first broker that answers, once the schema is there."""

    def start(self) -> None:
        """Take messages until the worker ends. Raises WorkerShutdown and WorkerTerminate, as Celery's own does."""
        wait_for_schema(state.maybe_shutdown)
        super().start()

    def connection_for_read(self, heartbeat: float | None = None) -> Connection:
        """A connection to a broker that gives messages, once there is one. Raises as ``start`` does."""
        connection: Connection = super().connection_for_read(heartbeat)
        refused: str | None = None
        while now := _refusal(connection):
            if now != refused:
                log.warning("worker_waits_for_broker", broker=now)
                refused = now
            connection.release()
            state.maybe_shutdown()
            sleep(PAUSE)
            state.maybe_shutdown()
            connection = super().connection_for_read(heartbeat)
        if refused:
            log.info("worker_goes_on")
        return connection

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close what the connection left, as Celery does; after a refusal it is tried again in a while."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, RefusalError):
            sleep(PAUSE)

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type,misc]  # the stubs have it as a variable
        """Celery's steps but for that one."""

        default_steps: ClassVar = [step for step in Consumer.Blueprint.default_steps if step != DELAYED_DELIVERY]


def wait_for_schema(go_on: Callable[[], None]) -> None:
    """Return when the database has the schema of this code or a newer one. Raises what ``go_on`` raises."""
    logged: str | None = None
    while missing := _missing():
        if missing != logged:
            log.warning("worker_waits_for_database", migrations=missing, needed=HEAD)
            logged = missing
        go_on()
        sleep(PAUSE)
        go_on()
    if logged:
        log.info("worker_begins")


def _missing() -> str | None:
    """What keeps this code from working with the database; None if nothing does."""
    try:
        with context().app_context(), background_connection() as connection:
            row, schema = connection.execute(REVISION).fetchone(), database_names().schema
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return "none applied"
    except psycopg.Error as error:
        return f"unknown: {reason(error)}"
    return what_is_missing(row, schema=schema)


def _refusal(connection: Any) -> str | None:
    """Why the broker at the other end takes no writes; None if it takes them, or if nothing is known of it."""
    if connection.transport.driver_type != "redis":
        return None
    try:
        return refusal(connection.default_channel.client)
    except (LostError, OSError):
        return None  # it is lost, which whoever uses it next finds out
