"""The table of a run, as Markdown, and its place in docs/availability.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.cluster.measure import Outcome
from tests.faults.report import machine

HEADING: Final = "## The last run of `make cluster`"


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A row a scenario, as Markdown."""
    lines = [
        "| scenario | acknowledged | lost | doubled | differing | silent | request | webhook | last applied | held |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for found in outcomes:
        row: list[Any] = [found.name, f"{found.acknowledged:,}", found.lost, found.doubled, found.differing]
        row += [f"{value:.1f} s" for value in (found.silent_s, found.answered_s, found.waited_s, found.last_applied_s)]
        lines.append(f"| {' | '.join(map(str, row))} | {'yes' if found.held else 'NO'} |")
    return lines


def write(path: Path, outcomes: Sequence[Outcome], *, seconds: float) -> None:
    """Put the table in place of what the page says about the last run."""
    before, found, old = path.read_text(encoding="utf-8").partition(f"{HEADING}\n")
    if not found:
        raise ValueError(f"{path} has no heading {HEADING!r}")
    _, following, after = old.partition("\n## ")
    acknowledged = sum(outcome.acknowledged for outcome in outcomes)
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, on {machine()} that the three hosts and their clients share, in",
        f"{seconds / 60:.0f} minutes: {acknowledged:,} webhooks and sessions were acknowledged.",
        "",
        *table(outcomes),
    ]
    path.write_text(before + "\n".join([HEADING, "", *lines, ""]) + following + after, encoding="utf-8")
