"""Who of a web process's own processes serves."""

from __future__ import annotations

import psutil


def children_of_web(pid: int) -> list[psutil.Process]:
    """The children of all masters that a supervisor has at this moment."""
    return [child for master in psutil.Process(pid).children() for child in master.children()]
