"""Calls to an issuer of tokens: so many bytes and so many seconds, whatever the other side does."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import httpx


class IssuerCallError(Exception):
    """The issuer did not answer in time, or with more than the bound. The message holds nothing that was sent there."""


class Answer(NamedTuple):
    """What an issuer answered."""

    status: int
    content: bytes


def call(
    url: str, *, most: int, headers: Mapping[str, str], within: float, form: Mapping[str, str] | None = None
) -> Answer:
    """The answer to a GET, or to a POST of the form, of up to ``most`` bytes. Follows no redirect.

    ``within`` are seconds in all: a limit for each read would let a server that sends a byte now and then go on for
    days.

    Raises IssuerCallError and nothing else.
    """
    try:
        return asyncio.run(_call(url, most, {**headers, "Accept-Encoding": "identity"}, form, within))
    except TimeoutError:
        raise IssuerCallError(f"no whole answer within {within:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, RuntimeError) as error:
        raise IssuerCallError(f"{type(error).__name__}: {error}") from error


async def _call(
    url: str, most: int, headers: Mapping[str, str], form: Mapping[str, str] | None, within: float
) -> Answer:
    # The trust of the system, as anywhere else: an issuer inside may have a certificate of its own house.
    trust = ssl.create_default_context()
    async with asyncio.timeout(within), httpx.AsyncClient(verify=trust, timeout=within) as client:
        method = "GET" if form is None else "POST"
        async with client.stream(method, url, headers=dict(headers), data=form) as answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise IssuerCallError("it is compressed, which was not offered")
            return Answer(answer.status_code, await _read(answer, most))


async def _read(answer: httpx.Response, most: int) -> bytes:
    read = bytearray()
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) > most:
            raise IssuerCallError(f"it is larger than {most} bytes")
    return bytes(read)
