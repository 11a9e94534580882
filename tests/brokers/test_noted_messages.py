"""What a worker notes of a message is at the server, though nobody waits for its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection
from redis import Redis

from checkout_service.local.guard import Guard
from checkout_service.local.servers import Valkey, start_valkey
from worker.refusing_brokers import leave_refusing_brokers

NOTED = ("unacked", "unacked_index")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with closing(Guard()) as guard:
        valkey = start_valkey(tmp_path / "valkey", guard=guard, durable=False)
        with valkey.server:
            yield valkey


@pytest.fixture
def server(valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(valkey.url) as server:
        yield server


@pytest.fixture
def some(valkey: Valkey) -> Iterator[Any]:
    """A queue of two messages."""
    leave_refusing_brokers()
    with Connection(valkey.url) as connection, connection.SimpleQueue("some") as queue:
        for message in ("one", "two"):
            queue.put(message)
        yield queue


def noted(server: Redis) -> list[int]:
    unacked, index = NOTED
    return [int(server.hlen(unacked)), int(server.zcard(index))]  # type: ignore[arg-type]  # they may be awaitable


def test_message_is_noted_until_it_is_done(some: Any, server: Redis) -> None:
    message = some.get(timeout=10)
    assert some.channel.qos._noted is not None, "its answer was waited for"
    assert noted(server) == [1, 1]
    second = some.get(timeout=10)
    assert noted(server) == [2, 2]

    message.ack()
    assert noted(server) == [1, 1]
    second.ack()
    assert noted(server) == [0, 0]


def test_message_that_is_not_done_goes_back(some: Any, server: Redis) -> None:
    some.get(timeout=10).requeue()
    assert (server.llen("some"), noted(server)) == (2, [0, 0])

    some.get(timeout=10)
    some.channel.qos.restore_unacked_once()
    assert (server.llen("some"), noted(server)) == (2, [0, 0])


@pytest.mark.parametrize("what", ["the connection", "the note"])
def test_note_that_was_lost_is_sent_once_more(what: str, some: Any, server: Redis) -> None:
    message = some.get(timeout=10)
    connection, pool, *rest = some.channel.qos._noted
    if what == "the connection":
        connection.disconnect()
    else:
        for _ in range(4):
            connection.read_response()
        connection.send_packed_command(
            connection.pack_commands([("MULTI",), ("HSET", "some"), ("ECHO", ""), ("EXEC",)])
        )
    some.channel.qos._noted = (connection, pool, *rest)
    server.delete(*NOTED)

    second = some.get(timeout=10)

    assert noted(server) == [2, 2]
    message.ack()
    second.ack()
    assert noted(server) == [0, 0]
