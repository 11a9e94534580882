"""JSON answers, written by orjson from plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from flask import Response
from werkzeug.datastructures import Headers

LOCATED: Final = {"Location": {"$ref": "#/components/headers/Location"}}
"""How the document says that an answer has a Location."""

_WITHOUT_BODY: Final = frozenset({204, 304})


class Finished(Response):
    """An answer whose headers are final: its length is known, and its Location is a URI already."""

    _is_to_be_closed = False

    def get_wsgi_headers(self, environ: Any) -> Headers:
        # Werkzeug would copy the headers and parse the Location. Only an answer without a body has headers to lose.
        return super().get_wsgi_headers(environ) if self.status_code in _WITHOUT_BODY else self.headers

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        self._is_to_be_closed = True
        return super().call_on_close(func)

    def get_app_iter(self, environ: Any) -> Iterable[bytes]:
        # Werkzeug would have each part encoded, and something to close: bytes alone need neither.
        body: Any = self.response
        is_bytes = isinstance(body, list) and [*map(type, body)] == [bytes]
        has_body = self.status_code not in _WITHOUT_BODY and environ["REQUEST_METHOD"] != "HEAD"
        return body if is_bytes and has_body and not self._is_to_be_closed else super().get_app_iter(environ)


def json_answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is the payload as JSON. Amounts, ids and times in the payload are strings already."""
    return Finished(orjson.dumps(payload), status=status, headers=headers, content_type="application/json")


def show_time(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC, such as 2026-11-23T04:05:06.123456Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
