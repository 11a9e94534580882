"""Answers too large for memory: made piece by piece into a temporary file, and sent of it when they are whole.

The server ends an answer whose making fails midway like one that is whole, and who reads it cannot tell
(findings/granian-body-that-fails-midway-ends-as-if-whole.sh). So nothing is sent before all of it is there: then its
length is known, and a connection that breaks before that is a failure to everybody. Nor does anything wait for a reader
but the file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from checkout_service.server.slots import released_slot

SPOOL_KEY: Final = "checkout_service.server.spool"
"""Under this key of a request's environment the server finds the spool that its answer lies in."""

PIECE: Final = 16 * 1024
"""Bytes that are read of a spool at once."""


class SpoolTooLargeError(Exception):
    """The answer has more bytes than a spool may hold."""


class Spool:
    """A temporary file without a name, which ends with its process at the latest."""

    def __init__(self) -> None:
        """Raises OSError where there is no room for one."""
        self._file = tempfile.TemporaryFile(prefix="checkout-answer-")  # noqa: SIM115 (closed by close)
        self.size = 0
        """Bytes that it holds."""

    def fill(self, pieces: Iterable[bytes], *, most_bytes: int) -> None:
        """Write the pieces. Between them the request's slot is given to whoever waits for one.

        Raises SpoolTooLargeError, OSError, what making a piece raises, and TooManyWaitingError.
        """
        for piece in pieces:
            self.size += len(piece)
            if self.size > most_bytes:
                raise SpoolTooLargeError
            self._file.write(piece)
            with released_slot():
                pass
        self._file.flush()

    def __iter__(self) -> Iterator[bytes]:
        """Its pieces, from the beginning."""
        self._file.seek(0, os.SEEK_SET)
        return iter(partial(self._file.read, PIECE), b"")

    def close(self) -> None:
        """Give its room back."""
        self._file.close()

    def __del__(self) -> None:
        """Where nobody sent it: an answer that was refused at last, or another server than ours."""
        if hasattr(self, "_file"):
            self.close()
