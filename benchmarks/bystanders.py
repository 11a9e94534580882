"""Whose processes used the processors meanwhile, of those that are not ours: by name, as shares of all processors."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

from benchmarks.usage import CORES

NAMED = 3
"""So many of them are named."""


@dataclass(kw_only=True)
class Bystanders:
    """Shares of all processors together, 0 to 1, by the name of the program; filled in when the block ends."""

    shares: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        named = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.most_common(NAMED) if share >= 0.005)
        return f"others used {self.shares.total():.0%} of the processors" + (f": {named}" if named else "")


@contextmanager
def watching() -> Iterator[Bystanders]:
    """Who else worked within the block. This process, what it started, and the kernel's threads are left out.

    What began and ended within the block is not seen by its name; ``usage.watched`` counts it among others.
    """
    found = Bystanders()
    before, began = _spent(), time.monotonic()
    try:
        yield found
    finally:
        whole = (time.monotonic() - began) * CORES
        ours = {os.getpid(), *(one.pid for one in psutil.Process().children(recursive=True))}
        for (pid, name), seconds in _spent().items():
            used = seconds - before.get((pid, name), seconds)
            if pid not in ours and used > 0:
                found.shares[name] += used / whole


def _spent() -> Mapping[tuple[int, str], float]:
    """Seconds of processor time so far, by id and name."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process.pid, process.name()] = times.user + times.system
    return found
