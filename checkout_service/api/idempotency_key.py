"""The Idempotency-Key: how it is read, and what it makes of a request.

By draft-ietf-httpapi-idempotency-key-header it is a structured-field string. Many clients send it without quotes, so
both forms are accepted. A key belongs to its caller and to one kind of request: the keys of sessions and of refunds do
not meet.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from flask import Response

from checkout_service.api.problems import MalformedIdempotencyKey, MissingIdempotencyKey
from checkout_service.at_work import request_at_work

_PLAIN = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')

_LONGEST = 2 * 255 + 2
"""Characters of the header: within quotes each may have a backslash before it."""

KEY_PATTERN: Final = r'^(?:[!#-+\--~][!-+\--~]{0,254}|"(?:[!#-\[\]-~]|\\["\\]){1,255}")$'
"""What the document says of the header, as ECMA-262 has it: what ``read_key`` takes, and nothing else."""


def keyed(view: Callable[..., Response]) -> Callable[..., Response]:
    """Read the Idempotency-Key before the body is looked at, and hand it to the view as ``key``."""

    @wraps(view)
    def with_key(*arguments: Any, **named: Any) -> Response:
        return view(*arguments, key=read_key(request_at_work().headers.get("Idempotency-Key")), **named)

    return with_key


def documented(purpose: str) -> dict[str, Any]:
    """The header's entry in the OpenAPI document. We read it by hand, since a missing key has a problem of its own."""
    return {
        "in": "header",
        "name": "Idempotency-Key",
        "required": True,
        "description": "1 to 255 visible ASCII characters, bare (without a comma) or quoted. "
        f"A fresh key for each {purpose}, the same key for each retry of it.",
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST, "pattern": KEY_PATTERN},
        "example": f"3f1c6e0a-{purpose}-1",
    }


REPLAYED: Final = {"Idempotent-Replayed": "true"}
"""The header of an answer that repeats an earlier one."""


def read_key(header: str | None) -> str:
    """The key in the header; raises MissingIdempotencyKey and MalformedIdempotencyKey.

    A header that is there and empty could not be read by the server: it is malformed.
    """
    if header is None:
        raise MissingIdempotencyKey
    text = header.strip()
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    elif "," in text:
        # Two headers arrive so, and one of them is not the key of this request.
        raise MalformedIdempotencyKey
    if not _PLAIN.fullmatch(text):
        raise MalformedIdempotencyKey
    return text


def request_hash(request: Mapping[str, object]) -> bytes:
    """A hash by which two requests with the same key are compared: of JSON values. SHA-256, 32 bytes."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
