"""Keeps a worker alive and at work when its Redis broker answers and takes no writes, as one does that was demoted.

kombu (5.7) counts what such a server answers to the errors of a single channel: it stays on the connection, which leads
to no other server, and the error ends the worker's main process. Where the server does not take that a message is done,
the message counts as one at work for good, and a worker that takes one at a time takes no other.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel, Transport
from kombu.transport.virtual import QoS as CountedMessages

from checkout_service.refused_writes import RefusalError
from worker.noted_messages import EarlyQoS


class ForgivingQoS(EarlyQoS):
    """Counts a message as done that the server does not take as done. It comes again, which does no harm."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge the message."""
        try:
            super().ack(delivery_tag)
        except RefusalError:
            CountedMessages.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give the message back, or throw it away."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        except RefusalError:
            CountedMessages.ack(self, delivery_tag)


def leave_refusing_brokers() -> None:
    """Have kombu leave the connection to a Redis server that refuses something, as it leaves one that is lost."""
    kind: Any = Transport
    if RefusalError not in kind.connection_errors:
        kind.connection_errors = (*kind.connection_errors, RefusalError)
    Channel.QoS = ForgivingQoS
