"""A Redis cache that fails open: a dead cache costs time, never an answer.

It also holds the claim of the wake-up (``publishing.wake_up``) and the worker's memory of webhooks that it has seen.
For both the database is the truth.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from checkout_service.at_work import app_at_work
from checkout_service.breaker import Breaker, BreakerOpenError
from checkout_service.settings.secret import Secret
from checkout_service.threads import BackgroundThread

ANSWER_WITHIN: Final = 0.2
"""Seconds; a cache that is slower than the database is no cache."""

PAUSE: Final = 0.05
"""Seconds between two rounds of what is put later, so that they are rounds of many."""

MOST_AT_ONCE: Final = 200
MOST_LATER: Final = 2000
"""So much waits to be put; more is forgotten. It is a cache."""

Entry = tuple[Sequence[str], bytes, int]
"""Names, the value that each of them gets, and for how many seconds."""

# One command and one answer for hundreds of names; as commands of their own they cost Python twenty times as much.
# Three arguments an entry: how many of the keys are its, the value, the seconds.
_PUT_EACH: Final = """
    local key = 0
    for entry = 1, #ARGV, 3 do
        for _ = 1, ARGV[entry] do
            key = key + 1
            redis.call('SET', KEYS[key], ARGV[entry + 1], 'EX', ARGV[entry + 2])
        end
    end
"""


# Neither logged nor replicated: a server that writes each command to its disk before it answers would wait for that. A
# server that knows no such thing, or lets no script do it, keeps them like any other.
_OF_THE_MOMENT: Final = "pcall(redis.set_repl, redis.REPL_NONE) "
_CLAIM: Final = f"{_OF_THE_MOMENT} return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1])"
_RELEASE: Final = f"{_OF_THE_MOMENT} return redis.call('DEL', KEYS[1])"


class Cache:
    """A few bytes under a name, for a while. Every method works, with less to say, when the server is away."""

    def __init__(self, url: Secret, deployment: UUID) -> None:
        # Two deployments may share a server, and must not take each other's webhooks for duplicates.
        self._prefix = f"checkout:{deployment.hex[:12]}:"
        # One retry, at once: a pooled connection may have died with the server that has been restarted since.
        self._redis = Redis.from_url(
            url.reveal(),
            socket_timeout=ANSWER_WITHIN,
            socket_connect_timeout=ANSWER_WITHIN,
            retry=Retry(NoBackoff(), 1),
        )
        self._breaker = Breaker()
        self._later: deque[Entry] = deque()
        self._writer = BackgroundThread("cache-writer", self._write)

    @property
    def is_away(self) -> bool:
        """Whether the last command found no server."""
        return self._breaker.is_open

    def get(self, name: str) -> bytes | None:
        """What was put under the name, or None."""
        found: object = self._reached(lambda: self._redis.get(self._prefix + name), otherwise=None)
        return found if isinstance(found, bytes) else None

    def put(self, name: str, value: bytes, *, seconds: int) -> None:
        self._reached(lambda: self._redis.set(self._prefix + name, value, ex=seconds), otherwise=None)

    def put_later(self, names: Sequence[str], value: bytes, *, seconds: int) -> None:
        """Put the value under each name a moment later, from another thread: the caller waits for nothing.

        A server that writes each command to its disk before it answers takes as long for one as for a hundred.
        """
        if len(self._later) >= MOST_LATER:
            return
        self._later.append((names, value, seconds))
        self._writer.wake()

    def put_many(self, names: Sequence[str], value: bytes, *, seconds: int) -> None:
        self._reached(partial(self._put_each, [(names, value, seconds)]), otherwise=None)

    def known(self, names: Sequence[str]) -> set[str]:
        """Which of the names hold something."""
        return set(self.values(names))

    def values(self, names: Sequence[str]) -> dict[str, bytes]:
        """What was put under those of the names that hold something."""
        if not names:
            return {}
        prefixed = [self._prefix + name for name in names]
        values: Any = self._reached(lambda: self._redis.mget(prefixed), otherwise=[None] * len(names))
        return {name: value for name, value in zip(names, values, strict=True) if value is not None}

    def claim(self, name: str, *, milliseconds: int, logged: bool = True) -> bool:
        """Whether this caller is the one to act: True for the first within the time, and whenever nobody can tell.

        Not ``logged`` is for what may be done twice: the claim is gone where the server dies, and waits for no disk.
        """
        key = self._prefix + name
        if not logged:
            return bool(self._reached(lambda: self._redis.eval(_CLAIM, 1, key, str(milliseconds)), otherwise=True))
        return bool(self._reached(lambda: self._redis.set(key, b"1", nx=True, px=milliseconds), otherwise=True))

    def release(self, name: str, *, logged: bool = True) -> None:
        """Let the next caller of ``claim`` be the first again; ``logged`` as that claim was."""
        key = self._prefix + name
        command = partial(self._redis.delete, key) if logged else partial(self._redis.eval, _RELEASE, 1, key)
        self._reached(command, otherwise=None)

    @contextmanager
    def releasing(self, name: str) -> Iterator[None]:
        """The same of one that is not logged, while the block does something else: the command is sent before it, and
        answered when it has ended."""
        sent = None if self._breaker.is_open else self._sent("EVAL", _RELEASE, "1", self._prefix + name)
        try:
            yield
        finally:
            if sent is None or not self._is_answered(sent):
                self.release(name, logged=False)

    def run(self, script: str, names: Sequence[str], arguments: Sequence[int]) -> list[Any] | None:
        """What a script in Lua answers, which sees and changes these names at once; None while the server is away."""
        keys = [self._prefix + name for name in names]
        answer: Any = self._reached(lambda: self._redis.eval(script, len(keys), *keys, *arguments), otherwise=None)
        return answer if isinstance(answer, list) else None

    def _write(self) -> Iterator[float | None]:
        """Put what is to be put later, as much as there is at once."""
        while True:
            if entries := [self._later.popleft() for _ in range(min(len(self._later), MOST_AT_ONCE))]:
                self._reached(partial(self._put_each, entries), otherwise=None)
                time.sleep(PAUSE)
            yield 0 if self._later else None

    def _put_each(self, entries: Sequence[Entry]) -> None:
        keys = [self._prefix + name for names, _, _ in entries for name in names]
        values = [part for names, value, seconds in entries for part in (len(names), value, seconds)]
        self._redis.eval(_PUT_EACH, len(keys), *keys, *values)

    def _sent(self, *command: str) -> Any:
        """A connection on which the command is under way; None where none was to be had."""
        try:
            connection: Any = self._redis.connection_pool.get_connection()
        except RedisError:
            return None
        try:
            connection.send_command(*command)
        except RedisError:
            connection.disconnect()
            self._redis.connection_pool.release(connection)
            return None
        return connection

    def _is_answered(self, connection: Any) -> bool:
        """Whether the command on this connection was done; gives the connection back."""
        try:
            connection.read_response()
        except RedisError:
            connection.disconnect()
            return False
        finally:
            self._redis.connection_pool.release(connection)
        return True

    def _reached(self, command: Callable[[], Any], *, otherwise: Any) -> Any:
        """What the server says, or ``otherwise`` while it is away."""
        try:
            with self._breaker.guard(RedisError):
                return command()
        except ResponseError:
            # It was demoted, say, and answers. The address may lead to another server by then.
            self._redis.connection_pool.disconnect(inuse_connections=False)
            return otherwise
        except (RedisError, BreakerOpenError):
            return otherwise


def connect_cache(app: Flask, url: Secret, *, deployment: UUID) -> None:
    """Give the app its cache; connects with the first use, so it may be called before a fork."""
    app.extensions["cache"] = Cache(url, deployment)


def cache() -> Cache:
    """The current app's cache."""
    found: Cache = app_at_work().extensions["cache"]
    return found
