"""Who used the processors meanwhile: each of our groups of processes, and whatever else runs on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from benchmarks.stand import Stand

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(kw_only=True)
class Usage:
    """Shares of all processors together, 0 to 1, by group; filled in when the block ends."""

    shares: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        return ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items() if share >= 0.005)


@contextmanager
def watched(stand: Stand) -> Iterator[Usage]:
    """What was used within the block. Processes that ended within it (wrk) count as this process's children."""
    usage = Usage()
    groups = stand.pids()
    before = {name: spent(pid) for name, pid in groups.items()}
    own, busy, started = _own(), _busy(), time.monotonic()
    try:
        yield usage
    finally:
        usage.seconds = time.monotonic() - started
        whole = usage.seconds * CORES
        used = {name: spent(pid) - before[name] for name, pid in groups.items()}
        used["load"] = _own() - own
        others = _busy() - busy - sum(used.values())
        usage.shares = {name: seconds / whole for name, seconds in used.items()} | {"others": max(0, others) / whole}


def spent(pid: int) -> float:
    """Seconds of processor time of a process and its descendants so far, those that ended included."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
                total += times.children_user + times.children_system
    return total


def resident(pid: int) -> int:
    """Bytes of memory of a process and its descendants, what they share counted for each."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def own_memory(pid: int) -> dict[int, int]:
    """Bytes that each process of a group has for itself alone, by its id: what grows there is a leak."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found[one.pid] = one.memory_full_info().uss
    return found


def _own() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)
