"""What a web process serves on ``MANAGEMENT_PORT``: the probes and the metrics, as on the port of everybody else."""

from __future__ import annotations

from typing import Any

import orjson

from checkout_service.api.problem_documents import CONTENT_TYPE, document, document_of_status
from checkout_service.api.problems import Problem
from checkout_service.health.probes import Probes
from checkout_service.health.scrapes import Scrapes
from checkout_service.server.management import Answer, Request
from checkout_service.telemetry import logs, metrics, request_log

_UNREADABLE = Request("", "", {})


class ManagementPages:
    """The three paths, and a problem document for everything else."""

    def __init__(self, probes: Probes, scrapes: Scrapes) -> None:
        self._probes = probes
        self._scrapes = scrapes

    def answer(self, request: Request | None) -> Answer | None:
        """All but the metrics, which take time."""
        if request is not None and request.path == "/metrics" and request.method in {"GET", "HEAD"}:
            return None
        environ = _begin(request or _UNREADABLE)
        return _end(environ, self._at_once(request))

    def answer_in_time(self, request: Request) -> Answer:
        """The metrics, for who has the token."""
        environ = _begin(request)
        try:
            text = self._scrapes.page(request.headers.get("authorization"))
        except Problem as problem:
            shown = document(problem, instance=request.path, request_id=logs.request_id())
            return _end(environ, _problem(shown, problem.headers))
        return _end(environ, (200, {"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}, text))

    def _at_once(self, request: Request | None) -> Answer:
        if request is None:
            return _of_status(400, "")
        if request.path not in request_log.QUIET:
            return _of_status(404, request.path)
        if request.method not in {"GET", "HEAD"}:
            return _of_status(405, request.path, {"Allow": "GET, HEAD"})
        return self._probes.answer(request.path) or _of_status(404, request.path)


def _begin(request: Request) -> dict[str, Any]:
    environ: dict[str, Any] = {"REQUEST_METHOD": request.method, "PATH_INFO": request.path}
    if "x-request-id" in request.headers:
        environ["HTTP_X_REQUEST_ID"] = request.headers["x-request-id"]
    request_log.begin(environ)
    return environ


def _end(environ: dict[str, Any], answer: Answer) -> Answer:
    status, headers, body = answer
    path = environ["PATH_INFO"]
    request_log.end(environ, route=path if path in request_log.QUIET else "unmatched", status=status)
    return status, {**headers, request_log.REQUEST_ID: logs.request_id()}, body


def _of_status(status: int, path: str, headers: dict[str, str] | None = None) -> Answer:
    return _problem(document_of_status(status, instance=path, request_id=logs.request_id()), headers)


def _problem(shown: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    named = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", **(headers or {})}
    return shown["status"], named, orjson.dumps(shown)
