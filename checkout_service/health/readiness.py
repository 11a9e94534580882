"""Whether every server that the web tier works with answers, found out within a bounded time."""

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

from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.schema import REVISION, what_is_missing
from checkout_service.publishing.publisher import QueueUnavailableError, task_queue
from checkout_service.settings.values import WebSettings

ANSWER_WITHIN: Final = 1.2
"""Seconds for all checks together. A check without an answer by then has failed."""

OK: Final = "ok"

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
        self._probes: dict[str, Probe] = {
            "database": _probe_database,
            "broker": _probe_broker,
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
        except RedisError:
            return {"cache": "away"}
        return {"cache": OK}


def _probe_database() -> dict[str, str]:
    try:
        rows = execute(_revision)
    except DatabaseUnavailableError:
        return {"database": "away", "migrations": "unknown"}
    except ProgrammingError:
        # No such table, or no right to read it: the first migration grants that.
        return {"database": OK, "migrations": "none applied"}
    return {"database": OK, "migrations": what_is_missing(rows[0].version_num if rows else "") or OK}


def _probe_broker() -> dict[str, str]:
    try:
        task_queue().ping()
    except QueueUnavailableError:
        return {"broker": "away"}
    return {"broker": OK}
