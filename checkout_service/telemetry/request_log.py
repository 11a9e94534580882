"""Around every request: its id comes in and goes out, its line goes into the log, its answer is counted.

Flask's requests pass here by ``init_app``. An answer that the server gives by itself passes by ``begin`` and ``end``.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

from flask import Flask, Response, request

from checkout_service.telemetry import logs, metrics

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Paths by which orchestrators and balancers ask how a process is."""

QUIET: Final = PROBES | {"/metrics"}
"""Routes that machines ask for every few seconds. Their lines would fill the log and say nothing."""

REQUEST_ID: Final = "X-Request-Id"

_STARTED: Final = "checkout_service.started"


def init_app(app: Flask) -> None:
    """Must come before everything else that looks at a request, so that a refusal carries its id too."""
    app.before_request(_before)
    app.after_request(_after)


def begin(environ: dict[str, Any], *, since: float | None = None) -> str:
    """Choose the request's id, which all log lines of this thread carry from now on, and note when it began.

    It began now, or at ``since`` by ``time.perf_counter``. The caller's own id is taken if it is harmless text. A
    request that has begun already keeps its id and its beginning.
    """
    if _STARTED in environ:
        return logs.request_id()
    environ[_STARTED] = perf_counter() if since is None else since
    return logs.begin(environ.get("HTTP_X_REQUEST_ID"))


def end(environ: dict[str, Any], *, route: str, status: int) -> None:
    """Count the answer to a request that has begun, and write its line."""
    seconds = perf_counter() - environ[_STARTED]
    method = environ["REQUEST_METHOD"]
    metrics.count_request(method, route, status, seconds)
    if route not in QUIET:
        logs.write_request(method=method, route=route, status=status, seconds=seconds)


def _before() -> None:
    begin(request.environ)


def _after(response: Response) -> Response:
    rule = request.url_rule
    # The rule, not the path: ids, and probes for things that do not exist, would make a series each.
    end(request.environ, route=rule.rule if rule else "unmatched", status=response.status_code)
    response.headers[REQUEST_ID] = logs.request_id()
    return response
