"""What a lone webhook does not wait for: a log on disk that holds claims of the moment, and Celery's way to a queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from checkout_service.breaker import Breaker
from checkout_service.cache import Cache
from checkout_service.local.guard import Guard
from checkout_service.local.servers import Valkey, start_valkey
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.apps import _leave_pools

HOLDS = 60_000
"""Milliseconds: nothing waits for it to end by itself."""


@pytest.fixture
def logging_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server that writes each command to its disk."""
    with closing(Guard()) as guard:
        valkey = start_valkey(tmp_path / "logging", guard=guard)
        with valkey.server:
            yield valkey


@pytest.fixture
def logged(logging_valkey: Valkey) -> Iterator[Callable[[], int]]:
    """Bytes that the server has logged."""
    with Redis.from_url(logging_valkey.url) as server:

        def size() -> int:
            found: Any = server.info("persistence")
            return int(found["aof_current_size"])

        yield size


def test_claim_that_is_not_logged_is_a_claim(logging_valkey: Valkey, logged: Callable[[], int]) -> None:
    cache = Cache(Secret(logging_valkey.url), uuid4())
    before = logged()

    assert cache.claim("a", milliseconds=HOLDS, logged=False)
    assert not cache.claim("a", milliseconds=HOLDS, logged=False)
    cache.release("a", logged=False)
    assert cache.claim("a", milliseconds=HOLDS, logged=False)
    with cache.releasing("a"):
        pass
    assert cache.claim("a", milliseconds=HOLDS, logged=False)
    assert logged() == before
    assert not cache.claim("a", milliseconds=HOLDS), "it is one claim for both kinds of callers"

    assert cache.claim("b", milliseconds=HOLDS)
    assert logged() > before
    cache._redis.close()


def test_claim_that_is_not_logged_ends_by_itself(logging_valkey: Valkey) -> None:
    cache = Cache(Secret(logging_valkey.url), uuid4())
    cache.claim("a", milliseconds=HOLDS, logged=False)
    assert 0 < cache._redis.pttl(f"{cache._prefix}a") <= HOLDS
    cache._redis.close()


@pytest.fixture
def queue(own_valkey: Valkey) -> Iterator[TaskQueue]:
    queue = TaskQueue(Secret(own_valkey.url))
    yield queue
    _leave_pools(queue._celery)


@pytest.fixture
def server(own_valkey: Valkey) -> Iterator[Redis]:
    with Redis.from_url(own_valkey.url, decode_responses=True) as server:
        yield server


def test_message_that_is_pushed_is_the_one_that_celery_sends(
    queue: TaskQueue, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_by_celery: list[str] = []
    send_task = queue._celery.send_task

    def noted(name: str, **options: Any) -> Any:
        sent_by_celery.append(options["task_id"])
        return send_task(name, **options)

    monkeypatch.setattr(queue._celery, "send_task", noted)
    ids = [queue.enqueue(TaskName.PROCESS_WEBHOOK, "one", request_id="request") for _ in range(2)]
    found: Any = server.lrange("webhooks", 0, -1)

    first, second = (json.loads(message) for message in reversed(found))
    assert sent_by_celery == ids[:1], "the connection is there by then"
    assert [message["headers"]["id"] for message in (first, second)] == ids
    # Told by neither to anybody: nobody answers, and the arguments stand in the headers.
    of_each = {"headers": ("id", "root_id"), "properties": ("correlation_id", "delivery_tag", "reply_to")}
    for message in (first, second):
        for part, names in of_each.items():
            for name in names:
                message[part].pop(name)
        for name in ("argsrepr", "kwargsrepr"):
            message["properties"].pop(name, None)
    assert second == first


def test_message_is_sent_all_the_same_once_its_connection_is_gone(queue: TaskQueue, server: Redis) -> None:
    for _ in range(2):
        queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")
    server.client_kill_filter(_type="normal", skipme=True)

    queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")

    assert server.llen("webhooks") == 3


def test_server_that_is_away_is_an_unavailable_queue(queue: TaskQueue, own_valkey: Valkey) -> None:
    for _ in range(2):
        queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")
    own_valkey.server.stop()

    with pytest.raises(QueueUnavailableError):
        queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")


def test_where_all_connections_are_taken_the_queue_is_unavailable_and_one_that_is_given_back_is_used(
    queue: TaskQueue, server: Redis
) -> None:
    pool: Any = queue._celery.pool
    with ExitStack() as taken:
        for _ in range(pool.limit):
            taken.enter_context(pool.acquire(block=True))
        with pytest.raises(QueueUnavailableError):
            queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")
    queue._breaker = Breaker()

    queue.enqueue(TaskName.PROCESS_WEBHOOK, "one")

    assert server.llen("webhooks") == 1
