"""Fetches an issuer's JWKS: so many bytes and so many seconds, whatever the other side does."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import httpx

LARGEST: Final = 2**20
"""Bytes."""

WITHIN: Final = 5.0
"""Seconds in all. A limit for each read would let a server that sends a byte now and then go on for days."""


class JwksNotFetchedError(Exception):
    """The issuer did not answer, in time, with a document of a bounded size."""


def fetch_jwks(url: str) -> bytes:
    """The document. Raises JwksNotFetchedError and nothing else; follows no redirect."""
    try:
        return asyncio.run(_fetch(url))
    except TimeoutError:
        raise JwksNotFetchedError(f"no whole answer within {WITHIN:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, RuntimeError) as error:
        raise JwksNotFetchedError(f"{type(error).__name__}: {error}") from error


async def _fetch(url: str) -> bytes:
    # The trust of the system, as anywhere else: an issuer inside may have a certificate of its own house.
    trust = ssl.create_default_context()
    async with asyncio.timeout(WITHIN), httpx.AsyncClient(verify=trust, timeout=WITHIN) as client:
        headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
        async with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code != httpx.codes.OK:
                raise JwksNotFetchedError(f"status {answer.status_code}")
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise JwksNotFetchedError("it is compressed, which was not offered")
            return await _read(answer)


async def _read(answer: httpx.Response) -> bytes:
    read = bytearray()
    async for piece in answer.aiter_raw():
        read += piece
        if len(read) > LARGEST:
            raise JwksNotFetchedError(f"it is larger than {LARGEST} bytes")
    return bytes(read)
