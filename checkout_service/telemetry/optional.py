"""Keeps OpenTelemetry out of a process that traces nothing, though it is installed.

redis-py (8.1) loads the SDK's metrics wherever it finds them, for metrics of its own that nobody turned on: a tenth of
a second of each start, and 8 MB of each process. So it must not find them.
"""

from __future__ import annotations

import sys
from typing import Final, cast

_PACKAGE: Final = "opentelemetry"


def hide() -> None:
    """Have every import of it fail from now on, as if it were not installed; where it is loaded already, do nothing."""
    if _PACKAGE not in sys.modules:
        cast("dict[str, None]", sys.modules)[_PACKAGE] = None


def show() -> None:
    """Let it be imported again."""
    if _PACKAGE in sys.modules and cast("dict[str, object]", sys.modules)[_PACKAGE] is None:
        del sys.modules[_PACKAGE]
