"""Finds what of a document of the API would break who was built by an earlier one: rules of our own.

No tool that is kept reads OpenAPI 3.1. A request may carry at least what it might before, and an answer holds at most
what was announced: so schemas are compared in the direction in which they are sent. New words in an answer's enum, new
members, statuses, operations and problem types are no break: clients leave alone what they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from checkout_service.api.document_details import METHODS

Json = Mapping[str, Any]

BOUNDS: Final = [f"{end}{of}" for end in ("min", "max") for of in ("imum", "Length", "Items", "Properties")]


def breaking_changes(old: Json, new: Json) -> list[str]:
    """Each break on a line: where, and what. Events are answers, as they are sent by us."""
    comparison = _Comparison(old, new)
    return sorted({*comparison.of_operations("paths"), *comparison.of_operations("webhooks")})


class _Comparison:
    def __init__(self, old: Json, new: Json) -> None:
        self._old, self._new = old, new

    def of_operations(self, place: str) -> Iterator[str]:
        for path, before in self._old.get(place, {}).items():
            after = self._new.get(place, {}).get(path, {})
            for method in (method for method in METHODS if method in before):
                where, was, now = f"{method} {path}", before[method], after.get(method, {})
                if not now or was.get("operationId", "") not in {"", now.get("operationId")}:  # webhooks had none
                    yield f"{where}: operation gone"
                elif place == "webhooks":
                    yield from self._of_contents(where, was["requestBody"], now["requestBody"], "answer")
                else:
                    yield from self._of_parameters(where, (before, after), method)
                    yield from self._of_body(f"{where} body", was.get("requestBody", {}), now.get("requestBody", {}))
                    yield from self._of_answers(where, was["responses"], now["responses"])

    def _of_parameters(self, where: str, paths: tuple[Json, Json], method: str) -> Iterator[str]:
        before, after = (
            {
                (found["in"], found["name"]): found
                for raw in chain(path.get("parameters", ()), path[method].get("parameters", ()))
                if (found := _resolved(document, raw))
            }
            for document, path in zip((self._old, self._new), paths, strict=True)
        )
        for key in before.keys() | after.keys():
            named = f"{where} {key[0]} {key[1]}"
            if key not in after:
                yield f"{named}: parameter gone"
                continue
            if after[key].get("required") and not before.get(key, {}).get("required"):
                yield f"{named}: newly required"
            if key in before:
                yield from self._of_schemas(named, before[key]["schema"], after[key]["schema"], "request")

    def _of_body(self, where: str, before: Json, after: Json) -> Iterator[str]:
        if after.get("required") and not before.get("required"):
            yield f"{where}: newly required"
        yield from self._of_contents(where, before, after, "request")

    def _of_answers(self, where: str, before: Json, after: Json) -> Iterator[str]:
        for status, raw in before.items():
            if status not in after:
                yield f"{where} {status}: status gone"
                continue
            was, answer = _resolved(self._old, raw), _resolved(self._new, after[status])
            for header in was.get("headers", {}).keys() - answer.get("headers", {}).keys():
                yield f"{where} {status} header {header}: member gone"
            yield from self._of_contents(f"{where} {status}", was, answer, "answer" if status < "400" else "problem")

    def _of_contents(self, where: str, before: Json, after: Json, way: str) -> Iterator[str]:
        for media, was in before.get("content", {}).items():
            if media not in after.get("content", {}):
                yield f"{where} {media}: media type gone"
            elif "schema" in was:
                yield from self._of_schemas(where, was["schema"], after["content"][media].get("schema", {}), way)

    def _of_schemas(self, where: str, before: Json, after: Json, way: str) -> Iterator[str]:
        """Each alternative of before has one of now that breaks nothing; the nearest says what it breaks."""
        old, new = _alternatives(self._old, before), _alternatives(self._new, after)
        if _nullable(new) and not _nullable(old) and way != "request":
            yield f"{where}: newly null"
        if _nullable(old) and not _nullable(new) and way == "request":
            yield f"{where}: type narrowed: null"
        old, new = ([each for each in found if each.get("type") != "null"] for found in (old, new))
        if way == "problem":  # told apart by their types, of which there may be more at any time
            old, new = _by_type(old), _by_type(new)
        for each in old:
            yield from self._nearest(where, [(each, other) for other in new], way)
        if way == "answer" and len(new) > 1:
            for other in new:
                if any("gone" not in found for found in self._nearest(where, [(each, other) for each in old], way)):
                    yield f"{where}: type widened: another alternative"

    def _nearest(self, where: str, pairs: list[tuple[Json, Json]], way: str) -> list[str]:
        way = "answer" if way == "problem" else way
        breaks = [list(self._of_objects(where, *pair, way)) for pair in pairs]
        return min(breaks, key=len, default=[f"{where}: type narrowed: none is left"])

    def _of_objects(self, where: str, old: Json, new: Json, way: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for member in before.keys() - after.keys():
            yield f"{where}.{member}: member gone"
        for member in sorted(before.keys() & after.keys()):
            yield from self._of_schemas(f"{where}.{member}", before[member], after[member], way)
        was, now = set(old.get("required", ())), set(new.get("required", ()))
        for member in now - was if way == "request" else was - now:
            yield f"{where}.{member}: {'newly' if way == 'request' else 'no longer'} required"
        yield from self._of_values(where, old, new, way)
        if "items" in old or ("items" in new and way == "request"):
            yield from self._of_schemas(f"{where}[]", old.get("items", {}), new.get("items", {}), way)

    @staticmethod
    def _of_values(where: str, old: Json, new: Json, way: str) -> Iterator[str]:
        was, now = _words(old), _words(new)
        if was is not None and now is not None:
            for word in was - now:
                yield f"{where} {word}: enum value gone"
        # In a request the new schema may refuse nothing that the old one took, in an answer the other way round.
        narrow, wide, change = (new, old, "narrowed") if way == "request" else (old, new, "widened")
        kinds, others = _kinds(narrow), _kinds(wide)
        if kinds is not None and (others is None or others - kinds):
            yield f"{where}: type {change}"
        if _words(narrow) is not None and _words(wide) is None:
            yield f"{where}: type {change}: any word"
        for name in ("pattern", "format"):
            if name in narrow and narrow[name] != wide.get(name):
                yield f"{where}: type {change}: {name}"
        for name in BOUNDS:
            sign = -1 if name.startswith("max") else 1
            if name in narrow and (name not in wide or sign * narrow[name] > sign * wide[name]):
                yield f"{where}: type {change}: {name}"


def _resolved(document: Json, node: Json) -> Json:
    """What a node is, wherever it is written down, with what stands beside the reference."""
    while "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = _merged(found, {name: value for name, value in node.items() if name != "$ref"})
    return node


def _merged(one: Json, other: Json) -> Json:
    """Both at once."""
    made = {**one, **other}
    if "properties" in one and "properties" in other:
        ours, theirs = one["properties"], other["properties"]
        made["properties"] = {name: _merged(ours.get(name, {}), theirs.get(name, {})) for name in ours.keys() | theirs}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        made["required"] = one["required"] + other["required"]
    return made


def _alternatives(document: Json, schema: Json) -> list[Json]:
    """The plain schemas of which a value fits one."""
    schema = _resolved(document, schema)
    for name in ("oneOf", "anyOf"):
        if name in schema:
            return [plain for each in schema[name] for plain in _alternatives(document, each)]
    parts = [_alternatives(document, each)[0] for each in schema.get("allOf", ())]
    for part in parts:
        schema = _merged(schema, part)
    return [{name: value for name, value in schema.items() if name != "allOf"}]


def _by_type(problems: list[Json]) -> list[Json]:
    """One for each type, so that one may get members of its own."""
    return [
        _merged(problem, {"properties": {"type": {"enum": [word]}}})
        for problem in problems
        for word in sorted(_words(problem.get("properties", {}).get("type", {})) or ("",))
    ]


def _nullable(schemas: list[Json]) -> bool:
    return any("null" in schema.get("type", ()) for schema in schemas)


def _kinds(schema: Json) -> set[str] | None:
    """The types that a value may have; None for any. A whole number is a number."""
    if "type" not in schema:
        return None
    kinds = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
    return (kinds | ({"integer"} if "number" in kinds else set())) - {"null"}


def _words(schema: Json) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return {word for word in schema["enum"] if word is not None} if "enum" in schema else None
