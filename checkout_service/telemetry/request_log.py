"""Around every request: its id in and out, its line in the log, its place in the metrics."""

from __future__ import annotations

from time import perf_counter

from flask import Flask, Response, request

from checkout_service.telemetry import logs, metrics

QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked every few seconds by machines: they fill a log and say nothing."""


def init_app(app: Flask) -> None:
    """Must come before everything else that looks at a request, so that a refusal carries its id too."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    environ = request.environ
    environ["checkout.started"] = perf_counter()
    logs.begin(environ.get("HTTP_X_REQUEST_ID"))


def _end(response: Response) -> Response:
    environ = request.environ
    seconds = perf_counter() - environ["checkout.started"]
    rule = request.url_rule
    # The rule, not the path: ids and probes for things that do not exist would make a series each.
    route = rule.rule if rule else "unmatched"
    method = environ["REQUEST_METHOD"]
    status = response.status_code
    response.headers["X-Request-Id"] = logs.request_id()
    metrics.count_request(method, route, status, seconds)
    if route not in QUIET:
        logs.tell_request(method=method, route=route, status=status, seconds=seconds)
    return response
