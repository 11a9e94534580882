"""``python -m benchmarks [figure …] [--quick]``: measures, and prints the tables at the end."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable

from benchmarks import (
    both,
    catalogue,
    drain,
    end_to_end,
    events,
    growth,
    live,
    numbering,
    processor,
    receive,
    replay,
    settlements,
    shop,
    soak,
    start,
    stock,
)
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
    "soak": soak.run,
}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("figures", nargs="*", metavar="figure", help=f"of {', '.join(FIGURES)}; all by default")
    arguments.add_argument("--quick", action="store_true", help="seconds instead of minutes; proves only that it works")
    given = arguments.parse_args()
    unknown = [name for name in given.figures if name not in FIGURES]
    if unknown:
        arguments.error(f"no such figure: {', '.join(unknown)}")
    reports = []
    for name in given.figures or FIGURES:
        started = time.monotonic()
        tell(f"\n{name} …")
        try:
            reports.append(measure(FIGURES[name], quick=given.quick))
        except LoadError as error:
            sys.stderr.write(f"{name}: {error}\n")
            return 1
        tell(f"  took {time.monotonic() - started:.0f} s")
    sys.stdout.write(f"\nOn {os.cpu_count()} × {model()}, {platform.system()} {platform.release()}, ")
    sys.stdout.write(f"Python {platform.python_version()}, at {time.strftime('%F %R %Z')}\n\n")
    for report in reports:
        sys.stdout.write(report.table() + "\n")
    return 0


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
