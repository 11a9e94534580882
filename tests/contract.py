"""Every answer that the suite sees is held against the API's document: members, types, words, patterns, problem types,
and the headers that clients go by.

An answer that looks like one before is not looked at again: figures, ids and times are all alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache, lru_cache
from typing import Any, Final

import orjson
from flask import Flask, Response, request
from jsonschema import Draft202012Validator

from checkout_service.server.cors import EXPOSED

OF_ANY_PATH: Final = {405, 501}
"""What HTTP itself has a server answer, whatever the path: documented nowhere."""

LARGEST: Final = 64 * 1024
"""Bytes of an answer beyond which its like was seen already."""

found: list[str] = []
"""What the test at work got that is not as documented; conftest looks at it after each test."""

_seen: set[tuple[str, int, bytes]] = set()
_ALIKE: Final = re.compile(rb"[0-9a-f]{4,}|[0-9]+")


def hold_to_document(app: Flask) -> None:
    """From here on the app's answers are compared with its document."""
    checks = _checks_of(app.extensions["openapi"])

    def look(answer: Response) -> Response:
        rule = request.url_rule
        if rule is not None and answer.mimetype in {"application/json", "application/problem+json"}:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            if not answer.direct_passthrough and not answer.is_streamed:
                checks.look(path, request.method.lower(), answer.status_code, answer.get_data())
                checks.look_at_headers(path, request.method.lower(), answer.status_code, answer.headers.keys())
        return answer

    app.after_request_funcs.setdefault(None, []).insert(0, look)  # it runs last: what is answered is final then


@lru_cache(maxsize=8)
def _checks_of(document: bytes) -> _Checks:
    """Read once for all apps that have the same: a test that makes an app of its own waits for none of it."""
    return _Checks(orjson.loads(document))


class _Checks:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._strict = closed(document)

    def look(self, path: str, method: str, status: int, body: bytes) -> None:
        operation = self._document["paths"].get(path, {}).get(method)
        if operation is None or len(body) > LARGEST or status in OF_ANY_PATH:
            return
        key = (f"{method} {path}", status, _ALIKE.sub(b"0", body))
        if key in _seen:
            return
        _seen.add(key)
        validator = self._validator(path, method, str(status))
        if validator is None:
            found.append(f"{method} {path}: {status} is not documented: {body[:300]!r}")
            return
        found.extend(
            f"{method} {path}: {status}: {error.message[:400]} at {list(error.absolute_path)}"
            for error in validator.iter_errors(orjson.loads(body))
        )

    def look_at_headers(self, path: str, method: str, status: int, names: Iterable[str]) -> None:
        """Those that pages of other origins may read are documented: clients go by them."""
        operation = self._document["paths"].get(path, {}).get(method)
        if operation is None or str(status) not in operation["responses"]:
            return
        missing = set(names) & set(EXPOSED) - self._headers(path, method, str(status))
        if missing and status < 400:
            found.append(f"{method} {path}: {status} has headers that are not documented: {sorted(missing)}")

    @cache  # noqa: B019 (as below)
    def _headers(self, path: str, method: str, status: str) -> frozenset[str]:
        return frozenset(self._document["paths"][path][method]["responses"][status].get("headers", ()))

    @cache  # noqa: B019 (an app of a test lives as long as its process)
    def _validator(self, path: str, method: str, status: str) -> Draft202012Validator | None:
        response = self._strict["paths"][path][method]["responses"].get(status)
        if response is None:
            return None
        if "$ref" in response:
            response = self._strict["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        (media,) = response["content"].values()
        return Draft202012Validator({**media["schema"], "components": self._strict["components"]})


def closed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same document, whose objects have the documented members alone."""
    closed = deepcopy(dict(document))
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return closed
