"""Which answers may be compressed: those of views that are marked, and no other.

Whoever can have text of theirs put beside a secret, and see how long the compressed answer is, finds the secret out, a
character at a time (BREACH). So a view is judged before it is marked: its answers hold no secret and no form's token.
docs/security.md has the table, and a test compares it with the marks. The server compresses (``server.compression``).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final, TypeVar

from flask import Flask, Response, current_app, request

COMPRESS_KEY: Final = "checkout_service.compress"
"""Under this key of a request's environment the server finds that its answer may be compressed: True, or its gzip."""

View = TypeVar("View", bound=Callable[..., Any])

_VARYING: Final = (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED)

_VARY: Final = "Accept-Encoding"


def compressed(view: View) -> View:
    """Mark a view whose answers hold no secret. Put the decorator nearest to the function, below the route."""
    view.is_compressed = True  # type: ignore[attr-defined]  # functions take any attribute
    return view


def is_compressed(app: Flask, endpoint: str) -> bool:
    """Whether the view of an endpoint is marked so."""
    return getattr(app.view_functions[endpoint], "is_compressed", False)


def init_app(app: Flask) -> None:
    """From here on the answers of marked views vary by what their clients take, and the server may compress them."""
    app.after_request(_offer)


def offer(content: bytes) -> None:
    """Of an answer that is always the same: what it is compressed is made once, and kept."""
    request.environ[COMPRESS_KEY] = _gzip(content)


def _offer(answer: Response) -> Response:
    if answer.status_code not in _VARYING:
        return answer
    endpoint = request.endpoint
    if endpoint is None or not is_compressed(current_app, endpoint):
        return answer
    varies = answer.headers.get("Vary")
    answer.headers["Vary"] = f"{varies}, {_VARY}" if varies else _VARY
    if answer.status_code == HTTPStatus.OK:
        request.environ.setdefault(COMPRESS_KEY, True)
    return answer


@lru_cache(maxsize=4)
def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
