"""Rounds that take turns, their medians, and the table at the end."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure: what was measured, the service's value, the floor's if it has one, and what was aimed at."""

    figure: str
    value: str
    floor: str = ""
    ratio: float | None = None
    target: str = ""

    def cells(self) -> list[str]:
        return [self.figure, self.value, self.floor, "" if self.ratio is None else f"{self.ratio:.2f}", self.target]


@dataclass(kw_only=True)
class Report:
    """What a figure found."""

    title: str
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, figure: str, value: str, *, floor: str = "", ratio: float | None = None, target: str = "") -> None:
        self.lines.append(Line(figure=figure, value=value, floor=floor, ratio=ratio, target=target))
        shown = "  ".join(cell for cell in self.lines[-1].cells()[1:] if cell)
        tell(f"  {figure}: {shown}")

    def remark(self, text: str) -> None:
        self.remarks.append(text)
        tell(f"  {text}")

    def table(self) -> str:
        """As a table of Markdown, which reads well in a terminal too."""
        rows = [["figure", "service", "floor", "ratio", "target"], *(line.cells() for line in self.lines)]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        shown = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
        ]
        shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"### {self.title}", "", *shown, "", *(f"- {remark}" for remark in self.remarks), ""])


def tell(text: str) -> None:
    """Progress goes to standard error; standard output holds the tables."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def in_turns(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each side, the sides taking turns A B A B."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            found[name].append(measure())
    return {name: statistics.median(values) for name, values in found.items()}


def load_average() -> str:
    return f"load average {os.getloadavg()[0]:.2f} before"


def per_second(rate: float) -> str:
    return f"{rate:,.0f} /s"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
