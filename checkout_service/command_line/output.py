"""What a command ends with whose output can be written nowhere: a sentence on standard error, and 1.

A pipe whose reader is gone is no fault of anybody: there click ends the command without a word, and with 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

FAILED: Final = 1


class _Noting:
    """A stream that notes whether it could not be written to: the error itself does not say which file it is of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.has_failed = False

    def write(self, text: str) -> int:
        with self._noting():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._noting():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self.has_failed = True
            raise


@contextmanager
def ending_where_output_fails() -> Iterator[None]:
    """End the process with a sentence where it has no standard output, or one that takes no more, as of a full disk."""
    if sys.stdout is None:
        _say(sys.stderr, "Standard output is closed: nothing was done.")
        sys.exit(FAILED)
    output, errors = _Noting(sys.stdout), None if sys.stderr is None else _Noting(sys.stderr)
    sys.stdout, sys.stderr = cast("TextIO", output), cast("TextIO", errors)
    try:
        yield
    except OSError as error:
        if not output.has_failed and not (errors and errors.has_failed):
            raise
        if output.has_failed:
            _say(sys.stderr, f"Standard output takes no more: {error.strerror}. What was done before stays.")
        for stream in (output, errors):
            # The interpreter tries to write the rest once more when it ends, and complains.
            if stream is not None and stream.has_failed:
                with suppress(OSError), open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
        sys.exit(FAILED)


def _say(errors: TextIO | None, text: str) -> None:
    if errors is not None:
        with suppress(OSError):
            errors.write(f"Error: {text}\n")
            errors.flush()
