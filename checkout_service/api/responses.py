"""JSON answers, written by orjson from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from flask import Response
from werkzeug.datastructures import Headers

LOCATED: Final = {"Location": {"$ref": "#/components/headers/Location"}}
"""How the document says that an answer has a Location."""


class Finished(Response):
    """An answer whose headers are final: its length is known, and its Location is a URI already."""

    def get_wsgi_headers(self, environ: Any) -> Headers:
        # Werkzeug would copy the headers and parse the Location. Only an answer without a body has headers to lose.
        return super().get_wsgi_headers(environ) if self.status_code in {204, 304} else self.headers


def json_answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer whose body is the payload as JSON. Amounts, ids and times in the payload are strings already."""
    return Finished(orjson.dumps(payload), status=status, headers=headers, content_type="application/json")


def show_time(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC, such as 2026-11-23T04:05:06.123456Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
