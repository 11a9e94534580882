"""Notes at Redis which messages a worker has, while it hands them on already.

kombu (5.7) waits for the server's answer to that note before it gives the message to anybody. A broker that writes each
command to its disk before it answers takes half a millisecond and more for it. Here the note is sent, the message goes
its way, and the answer is read before anything else is said of it, or of the next one. A worker that dies before the
note was sent loses the message, as ever; one that dies later does not.
"""

from __future__ import annotations

from contextlib import suppress
from time import time
from typing import Any, Final

from kombu.exceptions import OperationalError
from kombu.transport.redis import QoS, Transport
from kombu.transport.virtual import QoS as CountedMessages
from kombu.utils.json import dumps

_ERRORS: Final[tuple[type[Exception], ...]] = (*Transport.connection_errors, *Transport.channel_errors)


class EarlyQoS(QoS):
    """Counts a message as at work once the note of it is sent."""

    channel: Any
    _noted: tuple[Any, Any, Any, str] | None = None
    """The connection by which the answer comes and its pool, the message, and its tag."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note the message and count it as at work. Raises as kombu does where the broker is away."""
        self._confirm()
        pool = self.channel.pool
        connection = pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(self._note(message, delivery_tag)))
        except _ERRORS:
            _give_back(pool, connection, is_lost=True)
            super().append(message, delivery_tag)
        else:
            self._noted = connection, pool, message, delivery_tag
            CountedMessages.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge the message."""
        self._confirm()
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Give the message back, or throw it away."""
        self._confirm()
        super().reject(delivery_tag, requeue=requeue)

    def restore_unacked(self, client: Any = None) -> Any:
        """Give back all messages that are at work."""
        with suppress(OperationalError, *_ERRORS):
            self._confirm()
        return super().restore_unacked(client)

    def _note(self, message: Any, delivery_tag: str) -> list[tuple[Any, ...]]:
        info, prefix = message.delivery_info, self.channel.global_keyprefix
        noted = dumps([message._raw, info["exchange"], info["routing_key"]])
        return [
            ("MULTI",),
            ("ZADD", prefix + self.unacked_index_key, time(), delivery_tag),
            ("HSET", prefix + self.unacked_key, delivery_tag, noted),
            ("EXEC",),
        ]

    def _confirm(self) -> None:
        """Read the answer to the last note. One that was not taken is sent once more, as kombu does."""
        if self._noted is None:
            return
        (connection, pool, message, delivery_tag), self._noted = self._noted, None
        try:
            answers = [connection.read_response() for _ in range(4)]
            is_lost = any(isinstance(each, Exception) for each in answers[-1] or [None])
        except _ERRORS:
            is_lost = True
        _give_back(pool, connection, is_lost=is_lost)
        if is_lost:
            super().append(message, delivery_tag)


def _give_back(pool: Any, connection: Any, *, is_lost: bool) -> None:
    if is_lost:
        connection.disconnect()
    pool.release(connection)
