"""Keeps what background threads write out of a green run, and shows it beside the test that failed.

pytest captures standard error within a test, but not between two of them, and threads go on working there. Loaded by
``-p`` in pyproject.toml, because it has to be in place before pytest's own capturing remembers standard error.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

import pytest


class QuietThreads:
    """Standard error of the whole run: the main thread writes to it, what other threads write is held."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held: list[str] = []
        self.holds = True

    def write(self, text: str) -> int:
        if not self.holds or threading.current_thread() is threading.main_thread():
            return self._stream.write(text)
        self._held.append(text)
        return len(text)

    def taken(self) -> str:
        """What was held since the last time."""
        held, self._held = self._held, []
        return "".join(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_standard_error = QuietThreads(sys.stderr)
sys.stderr = _standard_error  # type: ignore[assignment]  # it is one for all who write


def pytest_configure(config: pytest.Config) -> None:
    """With ``-s`` nothing is captured, so nothing is held either."""
    _standard_error.holds = config.option.capture != "no"


def pytest_runtest_logstart() -> None:
    """What was written before a test has nothing to do with it."""
    _standard_error.taken()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Show what was held beside what pytest captured of a test that failed."""
    report: Any = yield
    if report.failed and (held := _standard_error.taken()):
        report.sections.append(("Written by threads between tests", held))
    return report
