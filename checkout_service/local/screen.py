"""What the terminal shows: steps with their time, in colour where a person reads along."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WIDTH = 60


class Screen:
    """Writes to standard output; plain text when that is a file, or when NO_COLOR is set."""

    def __init__(self, *, colour: bool) -> None:
        self._live = sys.stdout.isatty()
        self._colour = colour and self._live

    def title(self, text: str) -> None:
        self.line(f"\n{self.bold(text)}\n")

    def line(self, text: str = "") -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def pair(self, name: str, value: str) -> None:
        self.line(f"  {self.dim(f'{name:<10}')} {value}")

    def problem(self, text: str) -> None:
        self.line(f"{self._paint('31', '✗')} {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """A step that takes a moment. The block may append a remark; one that raises is marked as failed."""
        remarks: list[str] = []
        started = time.perf_counter()
        if self._live:
            sys.stdout.write(f"  … {text}")
            sys.stdout.flush()
        try:
            yield remarks
        except BaseException:
            self._finish(self._paint("31", "✗"), text, remarks, started)
            raise
        self._finish(self._paint("32", "✓"), text, remarks, started)

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        return self._paint("2", text)

    def _finish(self, mark: str, text: str, remarks: list[str], started: float) -> None:
        took = show_seconds(time.perf_counter() - started)
        start = "\r\033[K" if self._live else ""
        padding = " " * max(1, WIDTH - len(text))
        remark = f"  {self.dim('; '.join(remarks))}" if remarks else ""
        self.line(f"{start}  {mark} {text}{padding}{self.dim(f'{took:>8}')}{remark}")

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text


def show_seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
