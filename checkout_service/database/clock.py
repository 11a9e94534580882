"""How far this host's clock is from the database's."""

from __future__ import annotations

from time import time
from typing import Final

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

BEAT_CLOCK: Final = "clock:beat"
"""The name in the cache under which workers keep by how many seconds beat's clock is ahead, as text."""

_now = Statement("SELECT extract(epoch FROM clock_timestamp())::float8 AS now")


def seconds_ahead() -> float:
    """By how many seconds this host's clock is ahead of the database's, to half of a round trip.

    Raises DatabaseUnavailableError.
    """
    began = time()
    [row] = execute(_now)
    return (began + time()) / 2 - float(row.now)
