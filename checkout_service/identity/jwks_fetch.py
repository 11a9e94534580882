"""Fetches an issuer's JWKS: so many bytes and so many seconds, whatever the other side does."""

from __future__ import annotations

from typing import Final

import httpx

from checkout_service.identity.issuer_calls import IssuerCallError, call

LARGEST: Final = 2**20
"""Bytes."""

WITHIN: Final = 5.0
"""Seconds in all."""

_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json"}


class JwksNotFetchedError(Exception):
    """The issuer did not answer, in time, with a document of a bounded size."""


def fetch_jwks(url: str) -> bytes:
    """The document. Raises JwksNotFetchedError and nothing else; follows no redirect."""
    try:
        answer = call(url, most=LARGEST, headers=_HEADERS, within=WITHIN)
    except IssuerCallError as error:
        raise JwksNotFetchedError(str(error)) from error
    if answer.status != httpx.codes.OK:
        raise JwksNotFetchedError(f"status {answer.status}")
    return answer.content
