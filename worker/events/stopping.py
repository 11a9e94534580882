"""Whether this worker is to stop: its main process is told by a signal, and its children read it from shared memory.

A task of seconds may be waited for. The sender's goes on as long as there is work, so it has to know.
"""

from __future__ import annotations

import mmap
from typing import Any, Final

from celery.signals import worker_shutting_down

# Made when the main process loads the tasks, so it is the same memory for the children that it forks.
_stopping: Final = mmap.mmap(-1, 1)


def is_stopping() -> bool:
    """Whether the worker ends once its tasks have ended."""
    return _stopping[0] != 0


def set_stopping(stopping: bool) -> None:
    """Have every process of this worker know it."""
    _stopping[0] = stopping


@worker_shutting_down.connect
def _remember(**_: Any) -> None:
    set_stopping(True)
