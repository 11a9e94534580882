"""Whether every server that the web tier works with answers and takes writes, found out within a bounded time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import Final

import structlog
from flask import Flask
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from checkout_service.database.engine import database_names, execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.schema import REVISION, what_is_missing
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.refused_writes import refusal
from checkout_service.settings.values import WebSettings

ANSWER_WITHIN: Final = 1.2
"""Seconds for all checks together. A check without an answer by then has failed."""

WRITTEN_EVERY: Final = 1.0
"""Seconds from one key that is written to the next."""

OK: Final = "ok"
AWAY: Final = "away"

_revision = text(REVISION)

log = structlog.get_logger(__name__)

Probe = Callable[[], dict[str, str]]


class Readiness:
    """Checks every server that the web tier works with, all at once and within a bounded time.

    A frozen server holds the one thread that checks it. Further checks of that server wait for this thread's answer.
    """

    def __init__(self, app: Flask, settings: WebSettings) -> None:
        self._app = app
        self._cache = Redis.from_url(
            settings.redis_url.reveal(), socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
        )
        self._cache_writes = _Writes(self._look_at_cache)
        is_one = settings.broker_url == settings.redis_url
        self._broker_writes = self._cache_writes if is_one else _Writes(lambda: task_queue().refusal())
        self._probes: dict[str, Probe] = {
            "database": _probe_database,
            "broker": self._probe_broker,
            "cache": self._probe_cache,
        }
        self._threads = ThreadPoolExecutor(len(self._probes), thread_name_prefix="readiness")
        self._running: dict[str, Future[dict[str, str]]] = {}
        self._lock = Lock()

    def checks(self) -> dict[str, str]:
        """Each server's result: "ok", or what is wrong with it."""
        deadline = monotonic() + ANSWER_WITHIN
        found = dict.fromkeys(("database", "migrations", "broker", "cache"), "unknown")
        for name, future in [(name, self._ask(name)) for name in self._probes]:
            if future is None:
                found[name] = "no thread to ask it"
                continue
            try:
                found |= future.result(max(0.0, deadline - monotonic()))
            except TimeoutError:
                found[name] = "no answer in time"
        return found

    def _ask(self, name: str) -> Future[dict[str, str]] | None:
        """The answer that is under way; None if the system has no thread to give."""
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                try:
                    running = self._running[name] = self._threads.submit(self._run, name)
                except RuntimeError:
                    return None
            return running

    def _run(self, name: str) -> dict[str, str]:
        try:
            with self._app.app_context():
                return self._probes[name]()
        except Exception:
            log.exception("readiness_not_found_out", server=name)
            return {name: "not found out"}

    def _probe_cache(self) -> dict[str, str]:
        try:
            self._cache.ping()
            return {"cache": self._cache_writes.refusal() or OK}
        except RedisError:
            return {"cache": AWAY}

    def _look_at_cache(self) -> str | None:
        if found := refusal(self._cache):
            # The address may lead to another server by the next time.
            self._cache.connection_pool.disconnect(inuse_connections=False)
        return found

    def _probe_broker(self) -> dict[str, str]:
        try:
            task_queue().ping()
            return {"broker": self._broker_writes.refusal() or OK}
        except (QueueUnavailableError, RedisError):
            return {"broker": AWAY}


class _Writes:
    """Why one server takes no writes, looked at once a second, however many ask and how often."""

    def __init__(self, look: Callable[[], str | None]) -> None:
        self._look = look
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._refusal: str | None = None

    def refusal(self) -> str | None:
        """The reason; None if it takes them. Raises what the look raises."""
        with self._lock:
            if monotonic() - self._looked_at >= WRITTEN_EVERY:
                self._looked_at = monotonic()
                self._refusal = self._look()
            return self._refusal


def _probe_database() -> dict[str, str]:
    try:
        rows = execute(_revision)
    except DatabaseUnavailableError:
        return {"database": AWAY, "migrations": "unknown"}
    except ProgrammingError:
        # No such table, or no right to read it: the first migration grants that.
        return {"database": OK, "migrations": "none applied"}
    return {
        "database": OK,
        "migrations": what_is_missing(rows[0] if rows else None, schema=database_names().schema) or OK,
    }
