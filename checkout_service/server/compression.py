"""Compresses answers by gzip for clients that take it, in a thread of its own: no slot waits for it.

What an answer holds decides whether it may be compressed (``api.compressing``); here is decided whether this one is.
The thread has so much to do at most, and what is beyond that goes out as it is: a flood makes answers larger and not
later.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import structlog

from checkout_service.api.compressing import COMPRESS_KEY
from checkout_service.telemetry import logs
from checkout_service.threads import BackgroundThread

LEAST: Final = 1024
"""Bytes; what is shorter fits into the packet that it takes anyway."""

LARGEST: Final = 2 * 2**20
"""Bytes; what is longer goes out as it is, so that no answer waits long for the one before it."""

MOST_WAITING: Final = 4 * 2**20
"""Bytes of all answers that wait to be compressed."""

LONGEST_HEADER: Final = 256
"""Characters of an Accept-Encoding that is read; no client needs as many."""

LEVEL: Final = 4
"""Of zlib: 18 KB of a list take 0.09 ms and come to 3.2 KB; level 9 takes five times as long for 3 % less."""

Headers = list[tuple[str, str]]

Answer = tuple[int, Headers, bytes]
"""Status, headers and body."""

Send = Callable[[Answer], None]
"""Sends an answer on its way. Called once."""

log = structlog.get_logger(__name__)


_Entry = tuple[Answer, Send, str]
"""What waits, with the id of its request."""


class Takes(NamedTuple):
    """What a client takes: ``gzip``, and whether an answer that is not compressed is none to it."""

    gzip: bool
    needs: bool


class Compressor:
    """One thread that compresses answers and has them sent, in the order in which they came."""

    def __init__(self, *, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._thread = BackgroundThread("compression", self._rounds)

    def send(self, environ: Mapping[str, Any], answer: Answer, send: Send) -> bool:
        """Have the answer compressed, and sent by ``send``, where its client takes that.

        False where it goes out as it is: the client does not take it, there is no room or no thread. Then ``send`` is
        not called. Returns at once. HEAD is answered without a length: nobody knows it (RFC 9110, section 8.6).
        """
        status, headers, whole = answer
        if environ["REQUEST_METHOD"] == "HEAD":
            if not may_compress(environ, status, headers, _declared(headers)):
                return False
            send((status, _without_length(headers), b""))
            return True
        if not may_compress(environ, status, headers, len(whole)):
            return False
        made = environ[COMPRESS_KEY]
        if isinstance(made, bytes):
            send((status, _as_gzip(headers, len(made)), made))
            return True
        return self._take((answer, send, logs.request_id()))

    def _take(self, entry: _Entry) -> bool:
        length = len(entry[0][2])
        with self._lock:
            if length > LARGEST or self._bytes + length > self._most_waiting:
                return False
            self._waiting.append(entry)
            self._bytes += length
        return self._thread.wake() or not self._taken_back(entry)

    def _taken_back(self, entry: _Entry) -> bool:
        """Whether nobody has begun with it: a thread that is being started may have."""
        with self._lock:
            for place, waiting in enumerate(self._waiting):
                if waiting is entry:
                    del self._waiting[place]
                    self._bytes -= len(entry[0][2])
                    return True
        return False

    def _rounds(self) -> Iterator[float | None]:
        while True:
            while (entry := self._next()) is not None:
                self._do(*entry)
            yield None

    def _next(self) -> _Entry | None:
        with self._lock:
            if not self._waiting:
                return None
            entry = self._waiting.popleft()
            self._bytes -= len(entry[0][2])
            return entry

    @staticmethod
    def _do(answer: Answer, send: Send, request_id: str) -> None:
        logs.begin(request_id)  # whoever sends it may have to refuse, in this thread
        status, headers, whole = answer
        try:
            made = gzipped(whole)
        except Exception:
            log.exception("compression_failed")
        else:
            answer = status, _as_gzip(headers, len(made)), made
        try:
            send(answer)
        except BaseException:
            log.exception("compressed_answer_failed")


def gzipped(whole: bytes) -> bytes:
    """The bytes as gzip has them (RFC 1952)."""
    coder = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return coder.compress(whole) + coder.flush()


def may_compress(environ: Mapping[str, Any], status: int, headers: Headers, length: int) -> bool:
    """Whether this client gets this answer compressed, of which the app has said that it may be.

    A strong ETag names the bytes of an answer, so its bytes stay.
    """
    if COMPRESS_KEY not in environ or status != 200:
        return False
    takes = read_accepted(environ.get("HTTP_ACCEPT_ENCODING", ""))
    if not takes.gzip or (length <= LEAST and not takes.needs) or not length:
        return False
    named = {name.lower(): value for name, value in headers}
    return "content-encoding" not in named and named.get("etag", "W/").startswith("W/")


def read_accepted(header: str) -> Takes:
    """What an Accept-Encoding takes (RFC 9110, section 12.5.3). What is no weight, or too long, takes nothing.

    gzip is left out where the client would rather have the answer as it is, and says so. Where it takes neither, it
    gets the answer as it is, which the section leaves to the server.
    """
    return _read(header) if len(header) <= LONGEST_HEADER else Takes(gzip=False, needs=False)


def _as_gzip(headers: Headers, length: int) -> Headers:
    return [*_without_length(headers), ("Content-Encoding", "gzip"), ("Content-Length", str(length))]


def _without_length(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name.lower() != "content-length"]


def _declared(headers: Headers) -> int:
    return next((int(value) for name, value in headers if name.lower() == "content-length"), 0)


_WEIGHT: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _read(header: str) -> Takes:
    weights: dict[str, float] = {}
    for part in header.split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        weight = _weight(parameters)
        name = coding.lower().removeprefix("x-")
        weights[name] = min(weights.get(name, 1.0), weight)
    any_other = weights.get("*")
    of_gzip = weights.get("gzip", any_other or 0.0)
    of_identity = weights.get("identity", any_other if any_other == 0 else None)
    needs = of_identity == 0
    return Takes(gzip=of_gzip > 0 and (of_identity is None or of_gzip >= of_identity), needs=needs and of_gzip > 0)


def _weight(parameters: list[str]) -> float:
    if not parameters:
        return 1.0
    found = _WEIGHT.fullmatch(parameters[0]) if len(parameters) == 1 else None
    return float(found[1]) if found else 0.0
