"""Processes that were sent a signal to stop, and stand still."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def until_stopped(pids: Iterable[int]) -> None:
    """Wait until every thread of these processes stands still: a signal to stop may find some that still answer."""
    deadline = time.monotonic() + 60
    for pid in pids:
        while {_state(task) for task in Path(f"/proc/{pid}/task").glob("*")} - {"T", "t", "Z", "X"}:
            assert time.monotonic() < deadline, f"process {pid} goes on"
            time.sleep(0.001)


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def members_of(group: int) -> Iterator[int]:
    """The processes of a process group."""
    for pid in psutil.pids():
        with suppress(ProcessLookupError):
            if os.getpgid(pid) == group:
                yield pid
