"""Bodies on their way, as the server's body reader has them."""

from __future__ import annotations

from io import BytesIO
from typing import Protocol

from checkout_service.server.bodies import TakePiece

PIECE = 16 * 1024


class Readable(Protocol):
    """What a body is read of; it may take its time."""

    def read(self, size: int, /) -> bytes: ...


class Arriving:
    """A body that comes in pieces, each in the thread that asks for it."""

    def __init__(self, body: bytes | Readable = b"") -> None:
        self._body = BytesIO(body) if isinstance(body, bytes) else body

    def next(self, take: TakePiece, /) -> None:
        take(self._body.read(PIECE))
