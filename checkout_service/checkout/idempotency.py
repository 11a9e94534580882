"""The Idempotency-Key: how it is read, and what it makes of a request.

draft-ietf-httpapi-idempotency-key-header: a structured-field string. Clients send it bare as well, so both are taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from uuid import UUID, uuid5

from checkout_service.problems import MalformedIdempotencyKey, MissingIdempotencyKey

_BARE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')


def read_key(header: str | None) -> str:
    """The key in the header; raises MissingIdempotencyKey and MalformedIdempotencyKey."""
    if header is None or not header.strip():
        raise MissingIdempotencyKey
    text = header.strip()
    if text.startswith('"'):
        quoted = _QUOTED.fullmatch(text)
        text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    if not _BARE.fullmatch(text):
        raise MalformedIdempotencyKey
    return text


def payment_id_for(*, namespace: UUID, user_id: UUID, key: str) -> UUID:
    """The payment's id, which twins and retries after a crash compute alike (RFC 9562 version 5)."""
    return uuid5(namespace, f"{user_id}:{key}")


def request_hash(request: dict[str, str | None]) -> bytes:
    """What tells one request from another under the same key."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).digest()
