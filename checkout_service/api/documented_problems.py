"""Which problems an operation may be answered with, as the document says it: by status, each type by its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from checkout_service.api.problem_documents import CONTENT_TYPE, all_kinds, document_of_status, example_of
from checkout_service.api.problems import Problem

PROBLEM: Final = "#/components/schemas/Problem"

_ANYWHERE: Final = (400, 401, 403, 412, 422, 429, 500, 503)
"""What any operation may be answered."""

_OF_BODIES: Final = (408, 413, 415)
"""What those that take a body may be answered besides."""

_BY_HTTP: Final = (400, 408, 413, 415, 500)
"""Of these, what HTTP itself refuses and no class of ours is for."""


def responses_of(kinds: Iterable[type[Problem]], *, takes_body: bool, token: bool = True) -> dict[str, dict[str, Any]]:
    """The responses of an operation that names these problems, and of those that any may be answered, by status.

    Without ``token`` it is for anybody: nothing is said of who is who. A status of which the operation names nothing
    of its own is one of ``common_responses``.
    """
    common = _common()
    by_status: dict[int, list[type[Problem]]] = {}
    for kind in kinds:
        if not kind.everywhere:
            by_status.setdefault(kind.status, []).append(kind)
    statuses = {*_ANYWHERE, *(_OF_BODIES if takes_body else ())} - (set() if token else {401, 403, 412, 422})
    return {
        str(status): _response(status, by_status[status] + common.get(status, []))
        if status in by_status
        else {"$ref": f"#/components/responses/{_name_of_status(status)}"}
        for status in sorted(by_status.keys() | statuses)
    }


def common_responses() -> Iterator[tuple[str, dict[str, Any]]]:
    """What operations have in common, by the name of its component."""
    common = _common()
    for status in sorted((*_ANYWHERE, *_OF_BODIES)):
        yield _name_of_status(status), _response(status, common.get(status, []))


def problem_schemas() -> Iterator[tuple[str, dict[str, Any]]]:
    """The problems that have members of their own, by the name of their schema."""
    for kind in sorted(all_kinds(), key=lambda kind: kind.__name__):
        if kind.example:
            own = {
                "type": "object",
                "description": kind.default_detail,
                "properties": {"type": {"const": _type(kind.slug)}, **_shapes(kind.example)},
                "required": sorted({"type", *kind.example}),
            }
            yield _name(kind), {"allOf": [{"$ref": PROBLEM}, own]}


def _response(status: int, kinds: list[type[Problem]]) -> dict[str, Any]:
    shown = {kind.slug: example_of(kind) for kind in kinds}
    if status in _BY_HTTP:
        by_http = document_of_status(status)
        shown.setdefault(by_http["type"].rpartition("/")[2], by_http)
    plain = [shown[slug]["type"] for slug in shown if slug not in {kind.slug for kind in kinds if kind.example}]
    schema: list[dict[str, Any]] = [{"$ref": f"#/components/schemas/{_name(kind)}"} for kind in kinds if kind.example]
    if plain:
        of_these = {"type": "object", "properties": {"type": {"enum": sorted(plain)}}}
        schema.append({"allOf": [{"$ref": PROBLEM}, of_these]})
    response = {
        "description": " · ".join(dict.fromkeys(found["title"] for found in shown.values())),
        "content": {
            CONTENT_TYPE: {
                "schema": schema[0] if len(schema) == 1 else {"oneOf": schema},
                "examples": {slug: {"value": found} for slug, found in shown.items()},
            }
        },
    }
    return response | {"headers": dict(_HEADERS.get(status, {})) | {"X-Request-Id": _REQUEST_ID}}


_REQUEST_ID: Final = {"$ref": "#/components/headers/X-Request-Id"}

_RETRY_AFTER: Final = {
    "Retry-After": {"description": "Seconds to wait for before the next try.", "schema": {"type": "integer"}}
}

_HEADERS: Final[Mapping[int, dict[str, Any]]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {"description": "RFC 6750: what is wrong with the token.", "schema": {"type": "string"}}
    },
    HTTPStatus.TOO_MANY_REQUESTS: _RETRY_AFTER,
    HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER,
}


def _shapes(members: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of members, by what an example has there: it shows all of them."""
    return {name: _shape(value) for name, value in members.items()}


def _shape(value: Any) -> dict[str, Any]:
    match value:
        case Mapping():
            return {"type": "object", "properties": _shapes(value), "required": sorted(value)}
        case list():
            return {"type": "array", "items": _shape(value[0])}
        case int():
            return {"type": "integer"}
        case _:
            return {"type": "string"}


def _common() -> dict[int, list[type[Problem]]]:
    """What any operation may be answered, by status."""
    found: dict[int, list[type[Problem]]] = {}
    for kind in sorted(all_kinds(), key=lambda kind: kind.slug):
        if kind.everywhere:
            found.setdefault(kind.status, []).append(kind)
    return found


def _name_of_status(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _type(slug: str) -> str:
    return f"/problems/{slug}"


def _name(kind: type[Problem]) -> str:
    return f"{kind.__name__}Problem"
