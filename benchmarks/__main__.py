"""``python -m benchmarks [figure …] [--quick] [--against COMMIT]``: measures, and prints the tables at the end.

With a commit, figures are measured beside that build, pair by pair.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks import (
    against,
    both,
    catalogue,
    drain,
    end_to_end,
    events,
    growth,
    live,
    memory,
    numbering,
    processor,
    receive,
    replay,
    settlements,
    settlements_beside,
    shop,
    soak,
    start,
    stock,
)
from benchmarks.builds import BuildError, SideError
from benchmarks.load import LoadError
from benchmarks.report import Report, tell
from benchmarks.stand import stand

FIGURES: dict[str, Callable[..., Report]] = {
    "processor": processor.run,
    "receive": receive.run,
    "drain": drain.run,
    "replay": replay.run,
    "both": both.run,
    "end_to_end": end_to_end.run,
    "shop": shop.run,
    "catalogue": catalogue.run,
    "stock": stock.run,
    "numbering": numbering.run,
    "live": live.run,
    "events": events.run,
    "start": start.run,
    "growth": growth.run,
    "settlements": settlements.run,
    "settlements_beside": settlements_beside.run,
    "soak": soak.run,
}

ALONE = ("memory",)
"""Figures that start all of their servers themselves."""

AGAINST = (*against.FIGURES, *ALONE)
"""Those that can be measured beside another commit."""


def main() -> int:
    known = [*FIGURES, *ALONE]
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("figures", nargs="*", metavar="figure", help=f"of {', '.join(known)}; all by default")
    arguments.add_argument("--quick", action="store_true", help="seconds instead of minutes; proves only that it works")
    arguments.add_argument("--against", metavar="COMMIT", help=f"measure {', '.join(AGAINST)} beside that commit")
    given = arguments.parse_args()
    if given.against:
        known = list(AGAINST)
    unknown = [name for name in given.figures if name not in known]
    if unknown:
        arguments.error(f"no such figure: {', '.join(unknown)}")
    # Whoever ends it ends its servers too, and their folders.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    reports: list[Report] = []
    try:
        return measure_all(given.figures or known, reports, against_commit=given.against, quick=given.quick)
    except KeyboardInterrupt:
        sys.stderr.write("stopped by hand\n")
        return 128 + signal.SIGINT
    finally:
        if reports:
            print_tables(reports)


def measure_all(names: Sequence[str], reports: list[Report], *, against_commit: str | None, quick: bool) -> int:
    """Measure one figure after the other, into the list. The exit status: 1 where one could not be measured."""
    for name in names:
        started = time.monotonic()
        tell(f"\n{name} …")
        try:
            reports.append(figure(name, against_commit=against_commit, quick=quick))
        except (LoadError, BuildError, SideError) as error:
            sys.stderr.write(f"{name}: {error}\n")
            return 1
        tell(f"  took {time.monotonic() - started:.0f} s")
    return 0


def print_tables(reports: Sequence[Report]) -> None:
    """Also those of a run that did not come to its end: they took their time."""
    sys.stdout.write(f"\nOn {os.cpu_count()} × {model()}, {platform.system()} {platform.release()}, ")
    sys.stdout.write(f"Python {platform.python_version()}, at {time.strftime('%F %R %Z')}\n\n")
    for report in reports:
        sys.stdout.write(report.table() + "\n")


def figure(name: str, *, against_commit: str | None, quick: bool) -> Report:
    """One figure, by itself or beside a commit. Raises LoadError, BuildError and SideError."""
    if name == "memory":
        return memory.run(commit=against_commit, quick=quick) if against_commit or quick else memory.beside_old()
    if against_commit:
        return against.run(against_commit, (name,), quick=quick)
    return measure(FIGURES[name], quick=quick)


def measure(figure: Callable[..., Report], *, quick: bool) -> Report:
    """A figure on servers of its own, so that none finds what another left."""
    with stand() as servers:
        return figure(servers, quick=quick)


def model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
