"""One HTTP transport for every provider that is called without an SDK: bounded waits, three errors, no redirects.

A call that may be made twice (it has an idempotency key, or only reads) is tried again within the same bound.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from time import monotonic, sleep
from typing import Any, Final, TypeVar

import httpx

from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError, UnreadableError
from checkout_service.providers.fields import json_object
from checkout_service.providers.refusals import answer_in_short

PIECE_WITHIN, CONNECT_WITHIN, POOL_WITHIN = 8.0, 2.0, 1.0
READ_WITHIN: Final = 10.0
"""Seconds for the whole of a call, its repetitions too, or of all calls within ``bounded``; httpx's own limit is for
each piece of an answer, and pieces may come for ever."""

TRIES: Final = 3
FIRST_PAUSE: Final = 0.2
"""Seconds before the second try; four times as long before the third, and up to half as long again by chance."""

LARGEST_ANSWER: Final = 1_000_000

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
Explain = Callable[[int, dict[str, Any]], Decline | None]
"""Of a provider's own error (a status of 4xx and the object in its body, or {}), which Decline it is; None for the
status's usual one. May raise one of the three errors instead, for what is no refusal at all."""

_USUAL: Final = {
    401: Decline.CREDENTIALS,
    403: Decline.CREDENTIALS,
    404: Decline.UNKNOWN_REFERENCE,
    410: Decline.UNKNOWN_REFERENCE,
}

_GONE: Final = {httpx.codes.NOT_FOUND, httpx.codes.GONE}
"""Another server on the way, or at a wrong base address, answers these as well. Without an object in the body that is
no word of the provider's, and what is taken for one ends news of money for good."""

_NO_OBJECT: Final[dict[str, Any]] = {}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP's basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """The header of a bearer (RFC 6750)."""
    return {"Authorization": f"Bearer {token}"}


Result = TypeVar("Result")

_end: ContextVar[float] = ContextVar("end of what a provider is asked now", default=float("inf"))


@contextmanager
def bounded() -> Iterator[None]:
    """Give all calls within, which answer one question, the time of one call: nobody waits for several in a row."""
    token = _end.set(min(_end.get(), monotonic() + READ_WITHIN))
    try:
        yield
    finally:
        _end.reset(token)


def repeated(attempt: Callable[[], Result], tries: int) -> Result:
    """What the attempt returns, which is made anew after a pause while it ends in LaterError and there is time.

    Credentials that are refused after a try without an answer are ProviderUnavailableError: whoever hears that they
    were refused takes the call for one that was never made, and the first try may have been carried out.
    """
    pause, unanswered = FIRST_PAUSE, False
    while True:
        tries -= 1
        try:
            return attempt()
        except ProviderRefusedError as error:
            if unanswered and error.reason is Decline.CREDENTIALS:
                raise ProviderUnavailableError(f"{error}, after a try without an answer") from error
            raise
        except LaterError as error:
            unanswered = True
            wait = max(error.pause or 0.0, pause * random.uniform(1, 1.5))  # noqa: S311 (spreads load)
            if tries < 1 or monotonic() + wait > _end.get():
                raise
        sleep(wait)
        pause *= 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered, not yet understood."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the provider names them; a date is not worth a second clock."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


class LaterError(ProviderUnavailableError):
    """Unavailable, and perhaps the provider said for how long."""

    def __init__(self, message: str, *, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class TooLargeError(UnreadableError):
    """The answer is larger than is read. Of a list, a shorter page may be read."""


class Transport:
    """Calls below one base address. Thread-safe; connects with the first call, so it may be made before a fork.

    ``headers`` go with every call, made anew for each try if they are a function. ``key_header`` is what the provider
    calls the idempotency key.
    """

    def __init__(
        self,
        base: str,
        *,
        headers: Headers | None = None,
        explain: Explain | None = None,
        key_header: str = "Idempotency-Key",
        tries: int = TRIES,
    ) -> None:
        self._base = base.rstrip("/")
        self._headers = headers or {}
        self._explain = explain
        self._key_header = key_header
        self._tries = tries
        self._client: httpx.Client | None = None
        self._start = Lock()

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        largest: int = LARGEST_ANSWER,
    ) -> dict[str, Any]:
        """The JSON object that the provider answers, floats as Decimal; {} where it answers nothing.

        Raises one of the three provider errors and nothing else: TooLargeError for more than ``largest`` bytes.
        """
        call = f"{method} {path}"
        own = dict(headers or {})
        if idempotency_key is not None:
            own[self._key_header] = idempotency_key

        def attempt() -> dict[str, Any]:
            common = self._headers() if callable(self._headers) else self._headers
            sent = {"headers": {**common, **own}, "json": json, "data": form}
            answer = self.exchange(method, self._base + path, call, largest, **sent)
            return self._understood(answer, call)

        with bounded():
            return repeated(attempt, self._tries if idempotency_key is not None or method == "GET" else 1)

    def exchange(
        self,
        method: str,
        url: str,
        call: str,
        largest: int = LARGEST_ANSWER,
        *,
        headers: Mapping[str, str],
        **content: Any,
    ) -> Answer:
        """One request within ``bounded``, and whatever is answered to it; ``call`` names it in errors."""
        left = _end.get() - monotonic()
        timeout = httpx.Timeout(min(PIECE_WITHIN, left), connect=min(CONNECT_WITHIN, left), pool=POOL_WITHIN)
        if left <= 0:
            raise ProviderUnavailableError(f"{call}: no time was left for it")
        try:
            with self._connected().stream(method, url, headers=headers, timeout=timeout, **content) as answer:
                return Answer(answer.status_code, answer.headers, _read(answer, call, _end.get(), largest))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LaterError(f"{type(error).__name__} at {call}") from error
        except UnicodeEncodeError as error:
            raise UnreadableError("a reference is not ASCII, and no header can hold it") from error

    def _understood(self, answer: Answer, call: str) -> dict[str, Any]:
        status = answer.status
        if httpx.codes.is_client_error(status):
            error = _error_body(answer.content)
            reason = self._explain(status, error) if self._explain else None
            if reason is None and status == httpx.codes.CONFLICT:
                raise ProviderUnavailableError(f"{call}: another call with this key is at work", in_progress=True)
            if reason is None and status in {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}:
                raise LaterError(f"{call}: status {status}", pause=answer.retry_after)
            if reason is None and status in _GONE and error is _NO_OBJECT:
                raise UnreadableError(f"{call}: status {status} without an object that says so")
            reason = reason or _USUAL.get(status, Decline.OTHER)
            message = f"{call}: status {status}, {reason.value}"
            raise ProviderRefusedError(message, reason=reason, answer=answer_in_short(status, error))
        if httpx.codes.is_server_error(status):
            raise LaterError(f"{call}: status {status}", pause=answer.retry_after)
        if not httpx.codes.is_success(status):
            raise UnreadableError(f"{call}: status {status}")
        if status == httpx.codes.NO_CONTENT or (status == httpx.codes.ACCEPTED and not answer.content):
            return {}
        try:
            return json_object(answer.content)
        except UnreadableError as error:
            raise UnreadableError(f"{call}: {error}") from error

    def _connected(self) -> httpx.Client:
        with self._start:
            if self._client is None:
                self._client = httpx.Client(follow_redirects=False)
            return self._client


def _read(answer: httpx.Response, call: str, until: float, largest: int) -> bytes:
    """The answer's body, as long as it is no larger and no slower than an answer is."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > largest:
            raise TooLargeError(f"{call}: status {answer.status_code}, more than {largest} bytes")
        if monotonic() > until:
            raise ProviderUnavailableError(f"{call}: the answer did not end in time")
    return bytes(body)


def _error_body(content: bytes) -> dict[str, Any]:
    try:
        return json_object(content)
    except UnreadableError:
        return _NO_OBJECT
