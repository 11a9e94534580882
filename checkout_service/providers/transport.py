"""One HTTP transport for every provider that is called without an SDK: bounded waits, three errors, no redirects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from checkout_service.providers.base import ProviderRefusedError, ProviderUnavailableError, UnreadableError

ANSWER_WITHIN: Final = httpx.Timeout(8.0, connect=2.0, pool=1.0)
IN_PROGRESS: Final = 409
LARGEST_ANSWER: Final = 1_000_000


class Transport:
    """Calls below one base address. Thread-safe; connects with the first call, so it may be made before a fork."""

    def __init__(self, base: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._base = base.rstrip("/")
        self._headers = dict(headers or {})
        self._client: httpx.Client | None = None

    def call(self, method: str, path: str, *, json: Any = None, idempotency_key: str | None = None) -> dict[str, Any]:
        """The JSON object that the provider answers. Raises one of the three provider errors and nothing else."""
        headers = dict(self._headers)
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if self._client is None:
            self._client = httpx.Client(timeout=ANSWER_WITHIN, follow_redirects=False)
        try:
            answer = self._client.request(method, self._base + path, json=json, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailableError(f"{type(error).__name__} at {method} {path}") from error
        return _understood(answer, f"{method} {path}")


def _understood(answer: httpx.Response, call: str) -> dict[str, Any]:
    if answer.status_code == IN_PROGRESS:
        raise ProviderUnavailableError(f"{call}: another call with this key is at work", in_progress=True)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise ProviderUnavailableError(f"{call}: status {answer.status_code}")
    if answer.is_client_error:
        raise ProviderRefusedError(f"{call}: status {answer.status_code}")
    if not answer.is_success or len(answer.content) > LARGEST_ANSWER:
        raise UnreadableError(f"{call}: status {answer.status_code}, {len(answer.content)} bytes")
    try:
        body = answer.json()
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{call}: not JSON") from error
    if not isinstance(body, dict):
        raise UnreadableError(f"{call}: not a JSON object")
    return body
