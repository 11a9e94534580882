"""Renders every error as a problem document (RFC 9457), and serves a description of each type of problem.

Where the shop's pages are served too, a browser gets the error as a page: see ``pages.base``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from marshmallow import INCLUDE, Schema, fields
from werkzeug.exceptions import HTTPException

from checkout_service.api.callers import public
from checkout_service.api.problems import (
    DatabaseLocked,
    DatabaseUnavailable,
    Invalid,
    NotFound,
    PreconditionFailed,
    Problem,
)
from checkout_service.api.responses import json_answer
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.telemetry import logs

CONTENT_TYPE: Final = "application/problem+json"
MOST_FAULTS: Final = 100
"""So many faults of one request are shown."""

BY_STATUS: Final = {
    400: ("bad-request", "Bad request", "The request cannot be understood."),
    404: ("not-found", "Not found", "There is nothing at this path."),
    405: ("method-not-allowed", "Method not allowed", "This path takes other methods; see the Allow header."),
    408: (
        "request-timeout",
        "Request timeout",
        "The body did not arrive whole in time, so nothing was done: send the request again.",
    ),
    413: ("too-large", "Body too large", "The body is larger than this path takes."),
    415: ("unsupported-media-type", "Unsupported media type", "This path takes application/json."),
    500: (
        "internal-error",
        "Internal error",
        "Something failed on our side. Name the request id when you report it.",
    ),
}
"""What HTTP itself can refuse, by status: slug, title, and what to do about it."""

blueprint = Blueprint("problems", __name__)

ErrorPage = Callable[[dict[str, Any], Mapping[str, str]], Response | None]
_log = structlog.get_logger()


class FaultSchema(Schema):
    """One fault of a request."""

    pointer = fields.String(
        required=True,
        metadata={
            "description": "JSON Pointer (RFC 6901) into the body, or into the query's parameters taken as an object",
            "examples": ["/qty"],
        },
    )
    detail = fields.String(required=True, metadata={"description": "What is wrong with it"})


class ProblemSchema(Schema):
    """A problem document; only for the documentation."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(
        required=True,
        metadata={
            "format": "uri-reference",
            "description": "What kind of problem; stable, and a page of its own",
            "examples": ["/problems/not-found"],
        },
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True, metadata={"minimum": 400, "maximum": 599})
    detail = fields.String(required=True, metadata={"description": "What a person can do about it"})
    instance = fields.String(required=True, metadata={"description": "The path of the request"})
    request_id = fields.String(required=True, metadata={"description": "Also in the X-Request-Id header"})
    errors = fields.List(fields.Nested(FaultSchema), metadata={"description": "Each fault of an invalid request"})


def init_app(app: Flask) -> None:
    """From here on every error is answered as a problem document, whatever is raised."""
    # Set, so that neither debug nor testing mode hands an exception through to the server.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.register_error_handler(Problem, _expected)
    app.register_error_handler(DatabaseUnavailableError, _database_unavailable)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_without_content)
    app.register_blueprint(blueprint)


def slug_of_answer() -> str | None:
    """The slug of the problem that the request at work is answered with; None for any other answer."""
    found: str | None = g.get("problem_slug")
    return found


def document(problem: Problem, *, instance: str, request_id: str) -> dict[str, Any]:
    """The problem document of an expected failure."""
    shown = _document(problem.status, problem.slug, problem.title, problem.detail, instance, request_id)
    if problem.errors:
        shown["errors"] = problem.errors
    return shown | problem.members


def example_of(kind: type[Problem]) -> dict[str, Any]:
    """A problem document of this kind."""
    shown = _document(kind.status, kind.slug, kind.title, kind.default_detail, "/api/…", "…")
    if kind.pointer:
        shown["errors"] = [{"pointer": kind.pointer, "detail": kind.default_detail}]
    if kind is Invalid:
        shown["errors"] = [{"pointer": "/qty", "detail": "Missing data for required field."}]
    return shown | dict(kind.example)


def document_of_status(status: int, *, instance: str = "/api/…", request_id: str = "…") -> dict[str, Any]:
    """The problem document of an error that only an HTTP status names."""
    name = HTTPStatus(status).phrase
    slug, title, detail = BY_STATUS.get(status) or (_slug(name), name, HTTPStatus(status).description or name)
    return _document(status, slug, title, detail, instance, request_id)


def pointers(messages: Any) -> list[dict[str, str]]:
    """webargs' messages, nested by location and member, as a flat list: where (by JSON Pointer) and what."""
    found: list[dict[str, str]] = []
    for inner in messages.values() if isinstance(messages, Mapping) else [messages]:
        for path, detail in _flattened(inner):
            pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
            found.append({"pointer": pointer, "detail": detail})
    # A body can consist of thousands of unknown members; nobody reads so many faults.
    return found[:MOST_FAULTS]


@blueprint.get("/problems/<slug>")
@public
def show_kind(slug: str) -> Response:
    """Describe one type of problem."""
    kind = _kinds().get(slug)
    if kind is None:
        raise NotFound("There is no such type of problem.")
    status, title, detail = kind
    shown = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail}
    return json_answer(shown, headers={"Cache-Control": "public, no-cache"})


def _expected(problem: Problem) -> Response:
    if problem.status >= 500:
        _log.warning("problem", type=problem.slug, status=problem.status, cause=repr(problem.__cause__ or problem))
    return _respond(document(problem, instance=request.path, request_id=logs.request_id()), problem.headers)


def _database_unavailable(error: DatabaseUnavailableError) -> Response:
    problem = DatabaseLocked() if isinstance(error, DatabaseLockedError) else DatabaseUnavailable()
    problem.__cause__ = error.__cause__ or error
    return _expected(problem)


def _http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    if status == 422 and (messages := getattr(error, "data", {}).get("messages")):
        return _expected(Invalid(errors=pointers(messages)))
    shown = _of_status(status)
    # A description given where the exception was raised says more than ours; that of its class does not.
    if error.description and error.description != type(error).description:
        shown["detail"] = error.description
    return _respond(shown, {name: value for name, value in error.get_headers() if name.lower() != "content-type"})


def _without_content(answer: Response) -> Response:
    """Werkzeug answers an If-Match that is not met with 412 and the very content: the problem goes in its place."""
    if answer.status_code != PreconditionFailed.status or answer.mimetype == CONTENT_TYPE or "problem_slug" in g:
        return answer
    answer.close()
    return _expected(PreconditionFailed())


def _unexpected(error: Exception) -> Response:
    _log.error("unexpected_error", method=request.method, path=request.path, exc_info=error)
    return _respond(_of_status(500))


def _of_status(status: int) -> dict[str, Any]:
    return document_of_status(status, instance=request.path, request_id=logs.request_id())


def _respond(shown: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    g.problem_slug = shown["type"].rpartition("/")[2]
    # Where pages are served, whoever asked for a page gets one.
    as_page: ErrorPage | None = current_app.extensions.get("error_page")
    if as_page is not None and (page := as_page(shown, headers or {})) is not None:
        return page
    return Response(orjson.dumps(shown), status=shown["status"], headers=headers, content_type=CONTENT_TYPE)


def _document(status: int, slug: str, title: str, detail: str, instance: str, request_id: str) -> dict[str, Any]:
    return {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
    }


def all_kinds() -> Iterator[type[Problem]]:
    """Every kind of problem of ours, of the rooms that are loaded."""
    waiting = list(Problem.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        yield kind


def _kinds() -> dict[str, tuple[int, str, str]]:
    """Every type of problem that the service can answer with, by its slug: status, title, detail."""
    kinds = {slug: (status, title, detail) for status, (slug, title, detail) in BY_STATUS.items()}
    return kinds | {kind.slug: (kind.status, kind.title, kind.default_detail) for kind in all_kinds()}


def _slug(name: str) -> str:
    return "-".join(name.lower().replace("'", "").split())


def _flattened(messages: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, Mapping):
        for step, inner in messages.items():
            # marshmallow's name for what concerns an object as a whole
            yield from _flattened(inner, path if step == "_schema" else (*path, str(step)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flattened(inner, path)
    else:
        yield path, str(messages)
