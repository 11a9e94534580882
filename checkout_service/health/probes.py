"""What orchestrators and balancers ask for every few seconds, answered from memory: /livez and /readyz.

A thread looks once a second, and whoever asks is told what it saw last. So an answer costs nothing, however many ask,
and there is no line in which it would have to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

import orjson
import structlog

from checkout_service.api.problem_documents import CONTENT_TYPE, document
from checkout_service.api.problems import Problem
from checkout_service.health.readiness import OK
from checkout_service.telemetry import logs
from checkout_service.threads import BackgroundThread

EVERY: Final = 1.0
"""Seconds from one look to the next."""

FRESH_FOR: Final = 5.0
"""Seconds after which a look no longer counts."""

NEEDED: Final = frozenset({"database", "migrations"})
"""Without these nothing can be served. Without broker or cache webhooks are still stored, and processed later."""

log = structlog.get_logger(__name__)

Look = Callable[[], dict[str, str]]
Answer = tuple[int, dict[str, str], bytes]


class NotReady(Problem):
    """No traffic should come here until this is over."""

    status = 503
    slug = "not-ready"
    title = "Not ready"
    default_detail = "The service cannot do its work right now; see missing."


class NotAlive(Problem):
    """The process answers, and its own threads do not run."""

    status = 503
    slug = "not-alive"
    title = "Not alive"
    default_detail = "A thread that wakes every second has not done so for a while: this process should be restarted."


class _Seen(NamedTuple):
    at: float
    checks: Mapping[str, str]


class Probes:
    """What one process tells of itself. ``start`` it in the process that serves; before that it knows nothing."""

    def __init__(self, look: Look) -> None:
        """``look`` gives each server's state, "ok" or what is wrong with it, within some two seconds."""
        self._look = look
        self._thread = BackgroundThread("readiness", self._rounds)
        self._woke_at = monotonic()
        self._seen: _Seen | None = None
        self._is_ending: Callable[[], bool] = lambda: False

    def start(self, *, is_ending: Callable[[], bool]) -> None:
        """Look from now on. ``is_ending`` tells whether this process has begun to end."""
        self._is_ending = is_ending
        self._woke_at = monotonic()
        self._thread.start()

    def answer(self, path: str) -> Answer | None:
        """Status, headers and body of what a path answers at this moment; None if the path is no probe's.

        Takes no time and no lock, and never raises.
        """
        if path == "/livez":
            return self._live()
        if path == "/readyz":
            return self._ready()
        return None

    def _live(self) -> Answer:
        """200 while the threads of this process run. A server that is away is no reason to end what serves."""
        if monotonic() - self._woke_at > FRESH_FOR:
            return _problem(NotAlive(), "/livez")
        return _answer(200, {"status": "alive"})

    def _ready(self) -> Answer:
        seen = self._seen
        if seen is None or monotonic() - seen.at > FRESH_FOR:
            return _problem(NotReady(checks={}, missing=["checks"]), "/readyz")
        checks = dict(seen.checks)
        if self._is_ending():
            checks["process"] = "ending"
        try:
            return _answer(200, readiness(checks))
        except NotReady as problem:
            return _problem(problem, "/readyz")

    def _rounds(self) -> Iterator[float | None]:
        while True:
            self._woke_at = at = monotonic()
            try:
                self._seen = _Seen(at, self._look())
            except Exception:
                # Alive all the same. Left to the thread, its pauses would grow until it seemed to stand still.
                log.exception("readiness_look_failed")
            yield EVERY


def readiness(checks: Mapping[str, str]) -> dict[str, Any]:
    """What /readyz answers with 200. Raises NotReady while customers cannot be served or webhooks not stored."""
    missing = [name for name, result in checks.items() if result != OK]
    if (NEEDED | {"process"}).intersection(missing):
        raise NotReady(checks=dict(checks), missing=missing)
    return {"status": "ready", "checks": dict(checks), "missing": missing}


def _problem(problem: Problem, path: str) -> Answer:
    return _answer(problem.status, document(problem, instance=path, request_id=logs.request_id()), CONTENT_TYPE)


def _answer(status: int, payload: Mapping[str, Any], content_type: str = "application/json") -> Answer:
    return status, {"Content-Type": content_type, "Cache-Control": "no-store"}, orjson.dumps(payload)
