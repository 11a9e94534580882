"""One HTTP transport for every provider that is called without an SDK: bounded waits, three errors, no redirects."""

from __future__ import annotations

from collections.abc import Mapping
from json import loads
from threading import Lock
from time import monotonic
from typing import Any, Final

import httpx

from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError, UnreadableError

ANSWER_WITHIN: Final = httpx.Timeout(8.0, connect=2.0, pool=1.0)
READ_WITHIN: Final = 10.0
"""Seconds for the whole of a call; httpx's own limit is for each piece of it, and pieces may come for ever."""

IN_PROGRESS: Final = 409
LARGEST_ANSWER: Final = 1_000_000


class Transport:
    """Calls below one base address. Thread-safe; connects with the first call, so it may be made before a fork."""

    def __init__(self, base: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._base = base.rstrip("/")
        self._headers = dict(headers or {})
        self._client: httpx.Client | None = None
        self._start = Lock()

    def call(self, method: str, path: str, *, json: Any = None, idempotency_key: str | None = None) -> dict[str, Any]:
        """The JSON object that the provider answers. Raises one of the three provider errors and nothing else."""
        headers = dict(self._headers)
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        call = f"{method} {path}"
        until = monotonic() + READ_WITHIN
        try:
            with self._connected().stream(method, self._base + path, json=json, headers=headers) as answer:
                return _understood(answer.status_code, _read(answer, call, until), call)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailableError(f"{type(error).__name__} at {call}") from error

    def _connected(self) -> httpx.Client:
        with self._start:
            if self._client is None:
                self._client = httpx.Client(timeout=ANSWER_WITHIN, follow_redirects=False)
            return self._client


def _read(answer: httpx.Response, call: str, until: float) -> bytes:
    """The answer's body, as long as it is no larger and no slower than an answer is."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER:
            raise UnreadableError(f"{call}: status {answer.status_code}, more than {LARGEST_ANSWER} bytes")
        if monotonic() > until:
            raise ProviderUnavailableError(f"{call}: the answer did not end in time")
    return bytes(body)


def _understood(status: int, content: bytes, call: str) -> dict[str, Any]:
    if status == IN_PROGRESS:
        raise ProviderUnavailableError(f"{call}: another call with this key is at work", in_progress=True)
    if status == httpx.codes.TOO_MANY_REQUESTS or httpx.codes.is_server_error(status):
        raise ProviderUnavailableError(f"{call}: status {status}")
    if httpx.codes.is_client_error(status):
        raise ProviderRefusedError(f"{call}: status {status}")
    if not httpx.codes.is_success(status):
        raise UnreadableError(f"{call}: status {status}")
    try:
        body = loads(content)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{call}: not JSON") from error
    if not isinstance(body, dict):
        raise UnreadableError(f"{call}: not a JSON object")
    return body
