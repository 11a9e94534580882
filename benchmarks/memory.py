"""How much memory all processes take together, beside those of another build: idle after purchases, and after webhooks.

By PSS, in which a page that several processes share is divided among them; other work on the machine does not count.
This tree is measured twice: with a process for each line of the Procfile, and with worker, housekeeping and sender from
one parent, of which each then has a part of what they share.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.builds import Build, BuildError, SideError, name_of_this, of_commit, this
from benchmarks.report import Report, load_average, tell

OLD = "6e664bb"
"""The commit that today's targets are set beside."""

LATER = frozenset({"sender"})
"""Processes that the old build did not have yet: totals are shown with and without them."""

SERVERS = ("postgres", "valkey")
SIDE = Path(__file__).with_name("memory_side.py")
WHEN = {"idle after the purchases": 0.65, "after the webhooks": 0.62}
"""When is looked, in the order of the side's answers, and the share of the old build that is aimed at."""

Look = Mapping[str, int]
"""Bytes by process."""


def run(*, commit: str | None, quick: bool) -> Report:
    """This tree beside that commit; alone where there is none. Raises BuildError and SideError."""
    report = Report(title="Memory of all processes, two web children: PSS")
    report.remark(load_average())
    sides = {"": measure(this(), quick=quick), "from one parent: ": measure(this(), quick=quick, is_together=True)}
    if commit is None:
        old: list[Look] = [{} for _ in WHEN]
    else:
        with of_commit(commit) as build:
            old = measure(build, quick=quick)
    for way, looks in sides.items():
        for (when, target), found, before in zip(WHEN.items(), looks, old, strict=True):
            for name in [*(name for name in found if name not in SERVERS), *SERVERS]:
                floor = _shown(before[name]) if name in before else ""
                report.add(f"{way}{name}, {when}", _shown(found[name]), floor=floor)
            _total(report, f"{way}all of it, {when}", found, before, "")
            _total(report, f"{way}without the sender, {when}", _without(found, LATER), before, f"≤ {target}")
    report.remark(
        f"the floor is the commit {commit}, with the packages of its own lock" if commit else "this tree alone"
    )
    report.remark(f"measured is {name_of_this()}")
    report.remark("PostgreSQL and Valkey stand beside, and are in no sum")
    return report


def beside_old() -> Report:
    """This tree beside the old build, or alone where that cannot be built here. Raises SideError."""
    try:
        return run(commit=OLD, quick=False)
    except BuildError as error:
        tell(f"  {error}\n  measured alone")
        return run(commit=None, quick=False)


def measure(build: Build, *, quick: bool, is_together: bool = False) -> list[Look]:
    """What each process takes at each look. Raises SideError."""
    fewer = {"MEMORY_PURCHASES": "2", "MEMORY_WEBHOOKS": "20", "MEMORY_IDLE": "0.5"} if quick else {}
    done = subprocess.run(
        [str(build.python), "-P", str(SIDE)],
        cwd=build.tree,
        env={"WEB_CONCURRENCY": "2"} | build.environment() | fewer | ({"MEMORY_TOGETHER": "on"} if is_together else {}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SideError(f"{build.name} ended with {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _total(report: Report, figure: str, found: Look, before: Look, target: str) -> None:
    ours, theirs = _added(found), _added(before)
    ratio = ours / theirs if theirs else None
    report.add(figure, _shown(ours), floor=_shown(theirs) if theirs else "", ratio=ratio, target=target)


def _added(found: Look) -> int:
    return sum(bytes_ for name, bytes_ in found.items() if name not in SERVERS)


def _without(found: Look, names: frozenset[str]) -> Look:
    return {name: bytes_ for name, bytes_ in found.items() if name not in names}


def _shown(bytes_: int) -> str:
    return f"{bytes_ / 2**20:,.0f} MiB"
