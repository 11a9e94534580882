"""What a lone webhook does not wait for: a log on disk that holds claims of the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from checkout_service.cache import Cache
from checkout_service.local.guard import Guard
from checkout_service.local.servers import Valkey, start_valkey
from checkout_service.settings.secret import Secret

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
