"""Why a server did not answer, in words of our own.

What a driver says holds whatever it took for a host, a port or a name. Of an address that was cut at a mark within the
password that is a part of the password, so none of it is shown.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Final

import psycopg
from amqp.exceptions import AccessRefused, NotAllowed
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

_BY_SQLSTATE: Final = {
    "28P01": "the password is refused",
    "28000": "the user is refused",
    "3D000": "there is no such database",
    "42501": "the user may not",
    "53300": "too many connections",
    "57P03": "it is starting or stopping",
}

_BY_VERIFY_CODE: Final = {
    9: "its certificate is not valid yet",
    10: "its certificate has ended",
    62: "its certificate is another host's",
    64: "its certificate is another host's",
}
"""By OpenSSL's X509_V_ERR."""


def reason(error: BaseException) -> str:
    """Why it failed; nothing of the error's own text."""
    for each in _with_causes(error):
        if found := _reason(each):
            return found
    return f"it cannot be reached ({type(error).__name__})"


def _reason(error: BaseException) -> str | None:
    if isinstance(error, psycopg.Error):
        return _BY_SQLSTATE.get(error.sqlstate or "") or (f"it says {error.sqlstate}" if error.sqlstate else None)
    if isinstance(error, (AuthenticationError, AuthorizationError, AccessRefused)):
        return "user or password are refused"
    if isinstance(error, (NoPermissionError, NotAllowed)):
        return "the user may not"
    if isinstance(error, ResponseError):
        return "it refuses the command"
    if isinstance(error, (TimeoutError, RedisTimeoutError)):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code, "its certificate is of no CA that is known here")
    if isinstance(error, ssl.SSLError):  # whose errno is one of OpenSSL's
        return "TLS fails"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from: the oldest first, since that one knows."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return reversed(chain)
