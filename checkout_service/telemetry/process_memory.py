"""How much memory the processes of one service take, read at a scrape from /proc; nothing where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from checkout_service.telemetry import metrics

PROC: Final = Path("/proc")

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def siblings() -> int:
    """The process whose children count together with this one: its parent, or itself where it counts for itself."""
    return os.getpid() if metrics.FOLDER is None else os.getppid()


class ProcessMemory(Collector):
    """Gauges of one process and its children: of them one answers for all."""

    def __init__(self, process: str, *, root: Callable[[], int]) -> None:
        """``process`` is the label: web, worker, housekeeping or sender. ``root`` gives the id of the first process."""
        self._process = process
        self._root = root

    def collect(self) -> Iterator[Metric]:
        root = self._root()
        resident = [size for pid in (root, *_children(root)) if (size := _resident(pid)) is not None]
        for name, documentation, value in (
            ("checkout_processes", "Processes of the service that run.", len(resident)),
            (
                "checkout_resident_memory_bytes",
                "Memory of all processes of the service; pages that they share are counted in each.",
                sum(resident),
            ),
            (
                "checkout_largest_process_memory_bytes",
                "Memory of the service's largest process.",
                max(resident, default=0),
            ),
        ):
            gauge = GaugeMetricFamily(name, documentation, labels=["process"])
            if resident:
                gauge.add_metric([self._process], value)
            yield gauge


def _children(pid: int) -> Iterator[int]:
    """Whoever one of the process's threads has started, and who has not ended."""
    for thread in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, thread.read_text().split())


def _resident(pid: int) -> int | None:
    """Bytes; None of a process that has ended, or is about to."""
    with suppress(OSError, IndexError, ValueError):
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE or None
    return None
