"""Around every request: its id comes in and goes out, its line goes into the log, its answer is counted.

Flask's requests pass here by ``init_app``. An answer that the server gives by itself passes by ``begin`` and ``end``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from time import perf_counter
from typing import Any, Final, NamedTuple

from flask import Flask, Response

from checkout_service.at_work import request_at_work
from checkout_service.telemetry import logs, metrics, tracing

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Paths by which orchestrators and balancers ask how a process is."""

QUIET: Final = PROBES | {"/metrics"}
"""Routes that machines ask for every few seconds. Their lines would fill the log and say nothing."""

REQUEST_ID: Final = "X-Request-Id"

KEY_PREFIX: Final = "checkout_service.key_prefix"
"""Under this key of a request's environment its line finds the prefix of the API key that it came with, if it did."""

_STARTED: Final = "checkout_service.started"

_POSTPONED: Final = "checkout_service.postponed"

_ROUTE: Final = "checkout_service.route"

_WAITED: Final = "checkout_service.waited"

_SPAN: Final = "checkout_service.span"


class Begun(NamedTuple):
    """A request that has begun and is answered later, from another thread and with another environment."""

    method: str
    route: str
    request_id: str
    started: float
    key_prefix: str | None = None
    span: Any = None


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
    started = environ[_STARTED] = perf_counter() if since is None else since
    if tracing.is_on():
        if environ.get("PATH_INFO") in QUIET:
            # What another request left in this thread, if its end was never reached, is nothing of this one's.
            tracing.resume_request(None)
        else:
            environ[_SPAN] = tracing.begin_request(environ["REQUEST_METHOD"], environ.get("HTTP_TRACEPARENT"), started)
    return logs.begin(environ.get("HTTP_X_REQUEST_ID"))


def end(environ: dict[str, Any], *, route: str, status: int) -> None:
    """Count the answer to a request that has begun, and write its line.

    How long it took is not counted of one that was kept waiting: that is its client's choice, and no latency of ours.
    """
    seconds = perf_counter() - environ[_STARTED]
    method = environ["REQUEST_METHOD"]
    metrics.count_request(method, route, status, None if _WAITED in environ else seconds)
    if route not in QUIET:
        line = logs.RequestLine(method, route, status, seconds, logs.request_id(), environ.get(KEY_PREFIX))
        logs.write_requests((line,))
    tracing.end_request(environ.pop(_SPAN, None), route=route, method=method, status=status)


def postpone(environ: dict[str, Any], status: int) -> None:
    """Neither count the answer that this request's view makes now nor write its line: it goes out later, if at all.

    An answer of another status than the view's is the app's own, and goes out now.
    """
    environ[_POSTPONED] = status


def interrupt(environ: dict[str, Any]) -> Begun:
    """What ``resume`` takes, of a request whose answer was postponed."""
    method, route = environ["REQUEST_METHOD"], environ[_ROUTE]
    begun = environ.pop(_SPAN, None)
    if begun is not None:
        tracing.resume_request(None)
    return Begun(method, route, logs.request_id(), environ[_STARTED], environ.get(KEY_PREFIX), begun)


def end_together(answered: Iterable[tuple[Begun, int]]) -> None:
    """Count answers that were postponed, and are given at this moment with these statuses, and write their lines.

    As ``resume`` and ``end`` of each, but for their spans, which nobody has resumed. None is of a quiet route: only
    webhooks are postponed so.
    """
    now = perf_counter()
    lines = [
        logs.RequestLine(begun.method, begun.route, status, now - begun.started, begun.request_id, begun.key_prefix)
        for begun, status in answered
    ]
    seconds = defaultdict[tuple[str, str, int], list[float]](list)
    for line in lines:
        seconds[line.method, line.route, line.status].append(line.seconds)
    for (method, route, status), each in seconds.items():
        metrics.count_requests(method, route, status, len(each), each)
    if lines:
        logs.write_requests(lines)


def resume(environ: dict[str, Any], begun: Begun, *, has_waited: bool = True) -> None:
    """Go on with the request in this thread: it has the id and the beginning that it had.

    ``has_waited`` says that its client chose to wait, so that how long it took is no latency of ours.
    """
    environ["REQUEST_METHOD"] = begun.method
    environ[_STARTED] = begun.started
    environ.pop(_POSTPONED, None)
    if has_waited:
        environ[_WAITED] = True
    if begun.key_prefix is not None:
        environ[KEY_PREFIX] = begun.key_prefix
    if begun.span is not None:
        environ[_SPAN] = begun.span
        tracing.resume_request(begun.span)
    logs.begin(begun.request_id)


def _before() -> None:
    begin(request_at_work().environ)


def _after(response: Response) -> Response:
    request, status = request_at_work(), response.status_code
    rule, environ = request.url_rule, request.environ
    # The rule, not the path: ids, and probes for things that do not exist, would make a series each.
    route = rule.rule if rule else "unmatched"
    if environ.get(_POSTPONED) == status:
        environ[_ROUTE] = route
    else:
        end(environ, route=route, status=status)
    response.headers.add(REQUEST_ID, logs.request_id())  # nobody else does: to look for it costs more
    return response
