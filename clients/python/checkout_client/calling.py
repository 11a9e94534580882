"""Sends a request. One with an Idempotency-Key is done once however often it is sent, so it is sent again."""

from __future__ import annotations

from asyncio import sleep as sleep_async
from time import sleep
from typing import Any, Final

import httpx

from checkout_client.client import Client
from checkout_client.errors import CheckoutError, LostCallError

PAUSES: Final = (0.5, 2.0)
"""Seconds before each repetition of a call that got no answer."""

LONGEST_PAUSE: Final = 5.0
"""A 503 whose Retry-After is longer is the caller's to repeat."""

LOST: Final = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpx.DecodingError,
)
"""After these nobody knows whether the service has done what it was to do."""


def call(client: Client, request: dict[str, Any]) -> httpx.Response:
    """The answer. Raises LostCallError where there is none and the request has a key, else httpx's own error."""
    for pause in (*PAUSES, None):
        try:
            response = client.http.request(**request)
        except LOST as error:
            seconds = _after_loss(request, error, pause)
        else:
            if (named := _after(request, response)) is None or pause is None:
                return response
            seconds = named
        sleep(seconds)
    raise AssertionError("the last one is answered or lost")


async def call_async(client: Client, request: dict[str, Any]) -> httpx.Response:
    """As `call`, for programs that use asyncio."""
    for pause in (*PAUSES, None):
        try:
            response = await client.async_http.request(**request)
        except LOST as error:
            seconds = _after_loss(request, error, pause)
        else:
            if (named := _after(request, response)) is None or pause is None:
                return response
            seconds = named
        await sleep_async(seconds)
    raise AssertionError("the last one is answered or lost")


def _after_loss(request: dict[str, Any], error: httpx.RequestError, pause: float | None) -> float:
    key: str | None = request["headers"].get("Idempotency-Key")
    if key is None:
        raise error
    if pause is None:
        raise LostCallError(key) from error
    return pause


def _after(request: dict[str, Any], response: httpx.Response) -> float | None:
    """Seconds after which to repeat an answered request; None where the answer is to be taken."""
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or "Idempotency-Key" not in request["headers"]:
        return None
    seconds = CheckoutError(response, "").retry_after
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_PAUSE else None
