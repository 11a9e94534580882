"""What the whole document has alike, added once when it is made: versions, how parameters and patterns are written.

Rooms describe what is theirs. What follows from their fields in one way for all is not repeated there, and cannot be
forgotten there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from checkout_service.api.heads import API_VERSION

Json = dict[str, Any]

_RECEIVER: Final = "/api/payments/webhook"

METHODS: Final = ("get", "post", "put", "patch", "delete")

_ID: Final = "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"
_CURSOR: Final = "MjAyNi0xMS0yNVQwNDowNTowNi4xMjM0NTYrMDA6MDAgMzdlYWQ2YjUtZDhhMC01ZGMyLWJhNzMtODExMTVjY2IwMmE0"

_PARAMETERS: Final[dict[str, Json]] = {
    "limit": {"description": "So many rows at most.", "example": 20},
    "wait": {"example": 20},
    "cursor": {"description": "The `next_cursor` of the page before.", "example": _CURSOR},
    "before": {"example": f"1.{_CURSOR}"},
    "provider": {"description": "The provider that sends it.", "example": "stripe"},
    "If-None-Match": {"example": 'W/"5d41402abc4b2a76b9719d911017c592"'},
}
"""What a parameter of this name is like, wherever it stands, if its own field says nothing of it."""


def add_details(document: Json) -> None:
    """Complete the document in place: it has all paths and schemas."""
    for parameter in _parameters(document):
        _describe(parameter)
    _name_versions(document)
    _write_patterns(document)


def _name_versions(document: Json) -> None:
    """A request may name the version, but for webhooks, which their providers send as they do; each answer names it."""
    answers = [*document["components"].get("responses", {}).values()]
    for name, path in document["paths"].items():
        operations = [path[method] for method in METHODS if method in path]
        if not name.startswith(_RECEIVER):
            path.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{API_VERSION}"})
        answers += [answer for operation in operations for answer in operation.get("responses", {}).values()]
    for answer in answers:
        if "$ref" not in answer:
            answer.setdefault("headers", {})[API_VERSION] = {"$ref": f"#/components/headers/{API_VERSION}"}


def _parameters(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.get("parameters", ())
        for method in METHODS:
            yield from path.get(method, {}).get("parameters", ())


def _describe(parameter: Json) -> None:
    """An example for each. None is ever null: an address and a header hold text, and what is left out is not there."""
    schema = parameter["schema"]
    if isinstance(schema.get("type"), list):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
    if "enum" in schema:
        schema["enum"] = [word for word in schema["enum"] if word is not None]
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    if schema.get("format") == "uuid":
        parameter.setdefault("example", _ID)
    for name, value in _PARAMETERS.get(parameter["name"], {}).items():
        if name not in schema:
            parameter.setdefault(name, value)
    # What a field says of itself stands in its schema; of a parameter it is read beside it.
    if "example" in schema:
        parameter["example"] = schema.pop("example")
    elif "enum" in schema:
        parameter.setdefault("example", schema["enum"][0])


def _write_patterns(node: Any) -> None:
    """Patterns as ECMA-262 has them, by which clients read: it knows no ``\\Z``, and its ``$`` is the end of it all."""
    if isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            begun = pattern if pattern.startswith("^") else f"^{pattern}"
            node["pattern"] = f"{begun[:-2]}$" if begun.endswith(r"\Z") else begun
        for value in node.values():
            _write_patterns(value)
    elif isinstance(node, list):
        for value in node:
            _write_patterns(value)
