"""Downloads a report of a provider into a file: bounded in bytes and in seconds, whatever the server does.

A report may have half a gigabyte, so nothing of it is held in memory. No redirect is followed: the credentials go to
the one host that a setting names.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ssl import SSLError
from threading import Lock, Timer
from time import monotonic
from typing import Any, BinaryIO, Final, Self

import httpx

from checkout_service.providers.base import Decline, ProviderRefusedError, ProviderUnavailableError
from checkout_service.providers.reports import LARGEST_FILE, UnreadableReportError

DOWNLOADED_WITHIN: Final = 600.0
"""Seconds for one report, from the connection to its last byte, whatever of it comes slowly: headers, too."""

PIECE_WITHIN, CONNECT_WITHIN = 30.0, 10.0
"""Seconds without a byte, and until a connection is there."""

PIECE: Final = 1 << 16
"""Bytes that are taken at once, also of what is unpacked: a small answer may unpack to a thousand times as much."""

_TOO_SLOW: Final = "a report did not end in time"

_NOT_THERE: Final = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})
_CREDENTIALS: Final = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
_LATER: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


def download(
    client: httpx.Client,
    url: str,
    *,
    headers: Mapping[str, str],
    into: BinaryIO,
    largest: int = LARGEST_FILE,
    within: float = DOWNLOADED_WITHIN,
) -> bool:
    """Write what the address answers into the file, from where that is; whether there is such a report (404, 410: no).

    ``client`` follows no redirects. The bounds are of what is written, after unpacking, and of all seconds. What was
    written before an error is worth nothing. Raises UnreadableReportError for more than ``largest`` bytes and for a
    coding that nobody asked for, ProviderRefusedError for a status that no repetition changes (credentials, redirects),
    and ProviderUnavailableError for what another day may change. No message holds an address or a credential.
    """
    until = monotonic() + within
    timeout = httpx.Timeout(min(PIECE_WITHIN, within), connect=min(CONNECT_WITHIN, within))
    # A connection of its own: one that is there already would be unknown to whoever has to hang up.
    sent = {"Accept-Encoding": "identity", "Connection": "close", **headers}
    with _HangUp(within) as hang_up:
        options: dict[str, Any] = {"timeout": timeout, "extensions": {"trace": hang_up.note}}
        try:
            with client.stream("GET", url, headers=sent, follow_redirects=False, **options) as answer:
                if answer.status_code in _NOT_THERE:
                    return False
                _check(answer, largest)
                written = 0
                for piece in _pieces(answer, until):
                    written += len(piece)
                    if written > largest:
                        raise UnreadableReportError(f"the report has more than {largest} bytes")
                    into.write(piece)
        except (httpx.HTTPError, httpx.InvalidURL, SSLError, zlib.error) as error:
            how = _TOO_SLOW if hang_up.is_done else f"{type(error).__name__} while a report was downloaded"
            raise ProviderUnavailableError(how) from error
        if hang_up.is_done:  # a body without a length ends where the connection does, and looks whole
            raise ProviderUnavailableError(_TOO_SLOW)
    return True


class _HangUp:
    """Ends the connection of a request after so many seconds, from another thread.

    httpx bounds each read, and headers that come a byte at a time are many reads within one call.
    """

    def __init__(self, seconds: float) -> None:
        self.is_done = False
        self._lock = Lock()
        self._held: socket.socket | None = None
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def note(self, event: str, details: Mapping[str, Any]) -> None:
        """What httpcore tells of a request: its connection is held as it is before TLS, by a copy of its own."""
        if event != "connection.connect_tcp.complete":
            return
        found = details["return_value"].get_extra_info("socket")
        with self._lock:
            if self._held is not None:
                self._held.close()
            self._held = found.dup()
            if self.is_done:
                self._shut_down()

    def _end(self) -> None:
        with self._lock:
            self.is_done = True
            self._shut_down()

    def _shut_down(self) -> None:
        with suppress(OSError):
            if self._held is not None:
                self._held.shutdown(socket.SHUT_RDWR)


def _check(answer: httpx.Response, largest: int) -> None:
    """Raises for an answer that is no report."""
    status = answer.status_code
    if status in _CREDENTIALS:
        raise ProviderRefusedError(
            f"a report was refused with status {status}: the key, or the user and password, of reports are wrong or "
            "have no right to them",
            reason=Decline.CREDENTIALS,
        )
    if 300 <= status < 400:
        raise ProviderRefusedError(
            f"a report was answered with status {status}, which leads elsewhere and is not followed: are user and "
            "password of reports right?"
        )
    if status in _LATER or httpx.codes.is_server_error(status):
        raise ProviderUnavailableError(f"a report was answered with status {status}")
    if status != httpx.codes.OK:
        raise ProviderRefusedError(f"a report was answered with status {status}")
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > largest):
        raise UnreadableReportError(f"the report has more than {largest} bytes")


def _pieces(answer: httpx.Response, until: float) -> Iterator[bytes]:
    """The body, unpacked, in pieces of at most PIECE bytes; httpx would unpack a piece to whatever size it has."""
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"identity", "", "gzip"}:
        raise UnreadableReportError("the report came packed in a way that nobody asked for")
    unpack = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    # As they come: with a size it would wait until so much is there, for ever of one that drips.
    for raw in answer.iter_raw():
        if monotonic() > until:
            raise ProviderUnavailableError(_TOO_SLOW)
        if unpack is None:
            yield raw
            continue
        rest = raw
        while rest and not unpack.eof:
            yield unpack.decompress(rest, PIECE)
            rest = unpack.unconsumed_tail
            if monotonic() > until:
                raise ProviderUnavailableError(_TOO_SLOW)
        if unpack.unused_data:
            raise UnreadableReportError("the report is packed, and something follows it")
    if unpack is not None and not unpack.eof:
        raise ProviderUnavailableError("a report ended too early")
