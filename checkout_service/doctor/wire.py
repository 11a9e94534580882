"""What only the broker knows: the kind of its queues, and the heartbeats of workers with the times of their clocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, time
from typing import Any

from amqp.exceptions import ChannelError
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from checkout_service.publishing.broker import celery_broker
from checkout_service.publishing.publisher import QueueUnavailableError
from checkout_service.publishing.queues import queues
from checkout_service.settings.secret import Secret


def queues_of_another_kind(broker_url: Secret) -> list[str]:
    """On RabbitMQ: our queues that exist and are no quorum queues. Raises QueueUnavailableError."""
    found = []
    for queue in queues(broker_url.reveal()) or ():
        with _connection(broker_url) as (_, connection):
            try:
                queue(connection.default_channel).declare()
            except ChannelError:
                found.append(str(queue.name))
    return found


def worker_clocks(broker_url: Secret, *, listen_for: float) -> dict[str, float]:
    """By how many seconds the clock of each worker is ahead of ours. Raises QueueUnavailableError."""
    ahead: dict[str, float] = {}

    def note(beat: dict[str, Any]) -> None:
        # The heartbeat with the least delay says most about the clock.
        seconds = beat["timestamp"] - time()
        ahead[beat["hostname"]] = max(ahead.get(beat["hostname"], seconds), seconds)

    with _connection(broker_url) as (listener, connection):
        receiver = listener.events.Receiver(connection, handlers={"worker-heartbeat": note})
        until = monotonic() + listen_for
        # The receiver listens on a copy of the connection.
        with receiver.consumer_context(wakeup=True) as (copy, _, _):
            while (left := until - monotonic()) > 0:
                with suppress(TimeoutError):
                    copy.drain_events(timeout=left)
    return ahead


@contextmanager
def _connection(broker_url: Secret) -> Iterator[tuple[Celery, Connection]]:
    """A connection of our own, that may wait longer than a customer's request."""
    listener = Celery(set_as_current=False)
    listener.conf.update(celery_broker(broker_url.reveal()))
    try:
        with listener.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
            yield listener, connection
    except (OperationalError, OSError) as error:
        raise QueueUnavailableError from error
    finally:
        listener.close()
