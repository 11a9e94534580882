"""Keeps packages out of a process that uses nothing of them, though they are installed.

redis-py (8.1) loads OpenTelemetry's metrics wherever it finds them, for metrics of its own that nobody turned on: a
tenth of a second of each start, and 8 MB of each process. structlog loads rich, for tracebacks in colours that nobody
is shown: 5 MB, where the lock's tools are installed as well. httpx and Celery load pygments for commands of theirs, and
httpx then rich once more; kombu and flask-smorest load PyYAML, and we have messages and documents as JSON; Celery loads
psutil to tell its own memory: 4 MB of the web, 1 to 4 MB of each other process. So they must not find these.
"""

from __future__ import annotations

import sys
from typing import Final, cast

TRACES: Final = "opentelemetry"
COLOURS: Final = "rich"
UNUSED: Final = ("psutil", "pygments", "yaml")
"""What a process of the service uses nothing of; a command of an operator may."""


def hide(package: str = TRACES) -> None:
    """Have every import of it fail from now on, as if it were not installed; where it is loaded already, do nothing."""
    if package not in sys.modules:
        cast("dict[str, None]", sys.modules)[package] = None


def hide_unused() -> None:
    """Likewise of all that a process of the service uses nothing of."""
    for package in UNUSED:
        hide(package)


def show(package: str = TRACES) -> None:
    """Let it be imported again."""
    if package in sys.modules and cast("dict[str, object]", sys.modules)[package] is None:
        del sys.modules[package]
