"""Sleeps by select: under libfaketime, which shifts the clocks of a scenario's processes, Python's time.sleep fails.

Python imports this file at its start, where its folder is in PYTHONPATH.
"""

from __future__ import annotations

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep
