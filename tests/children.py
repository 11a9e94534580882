"""Who of a web process's own processes serves."""

from __future__ import annotations

from contextlib import suppress

import psutil


def children_of_web(pid: int) -> list[psutil.Process]:
    """The children of all masters that a supervisor has at this moment."""
    found: list[psutil.Process] = []
    for master in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found += master.children()
    return found
