"""This tree beside another commit, pair by pair: each with servers of its own and the packages of its own lock."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.beside import Round, Side, in_pairs
from benchmarks.builds import name_of_this, of_commit, this
from benchmarks.pairs import judge
from benchmarks.report import Report, load_average, per_second

FIGURES = ("receive", "receive-64", "drain", "sessions")
"""Those that the old build has as well; ``memory`` is measured by itself."""

ROUNDS = 7


def run(commit: str, figures: tuple[str, ...], *, quick: bool) -> Report:
    """The medians of the ratios of all pairs. Raises BuildError and SideError."""
    report = Report(title=f"Beside the commit {commit}, pair by pair")
    report.remark(f"measured is {name_of_this()}; {load_average()}")
    with of_commit(commit) as build, ExitStack() as ends:
        sides = {"this": Side(this()), "other": Side(build)}
        for side in sides.values():
            ends.callback(side.end)
        for figure in figures:
            found, bystanders = in_pairs(figure, sides, rounds=1 if quick else ROUNDS)
            judged = judge([(one["this"], one["other"]) for one in found])
            rates = {name: per_second(middle([one[name]["rate"] for one in found])) for name in sides}
            report.add(figure, rates["this"], floor=rates["other"], ratio=judged.ratio)
            for name in sides:
                report.remark(f"{figure}, µs of one, {name}: {spent(name, found)}")
            report.remark(f"{figure}: {judged}; {bystanders}; in all {judged.others:.0%}")
    report.remark(f"the floor is the commit {commit}; {load_average()} the end")
    return report


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def spent(name: str, found: list[Round]) -> str:
    """Microseconds of processor time of one, by group, medians."""
    groups = [group for group in found[0][name] if group not in {"rate", "others"}]
    medians = {group: middle([one[name][group] for one in found]) for group in groups}
    return ", ".join(f"{group} {value:,.0f}" for group, value in medians.items() if value > 1)
