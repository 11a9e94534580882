"""Says who made a connection to PostgreSQL that was dropped while it was open.

The garbage collector finds it much later, so psycopg's warning fails a test of another file. Loaded by ``-p`` in
pyproject.toml.
"""

from __future__ import annotations

import os
import warnings
from traceback import extract_stack
from typing import Any, Final

import psycopg

FRAMES: Final = 40
"""Of the stack: they reach from the pool to the lines of a test."""

_begin: Final = psycopg.Connection.__init__


def _note(connection: psycopg.Connection[Any], *arguments: Any, **named: Any) -> None:
    _begin(connection, *arguments, **named)
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in extract_stack(limit=FRAMES)[:-1]]
    test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
    vars(connection)["made"] = f"in {test}, {' '.join(places)}"


def _tell(connection: psycopg.Connection[Any]) -> None:
    if (made := vars(connection).get("made")) and not connection.closed:
        warnings.warn(
            f"{object.__repr__(connection)} was deleted while still open, made {made}", ResourceWarning, stacklevel=2
        )


psycopg.Connection.__init__ = _note  # type: ignore[method-assign]
psycopg.Connection.__del__ = _tell  # type: ignore[method-assign]
