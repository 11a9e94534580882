"""Pairs of turns, one of each side: judged by the ratio within a pair, whose turns saw the same machine.

Where the disk is noisy the rates of two turns that follow each other differ by more than the code could make them; then
what counts is the processor time of one, which a disk hardly changes.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOISY = 1.25
"""How far the largest ratio of rates may be above the smallest, before the disk is taken for noisy."""

NOT_SPENT = frozenset({"rate", "others", "p50", "p99"})
"""What a side tells that is no processor time of the service: how many a second, the share of others, and how long one
took in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """The ratios of all pairs: this side's figure over the other's."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.each)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.each):.2f} to {max(self.each):.2f})"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the pairs say. ``spent`` is processor time of one: below 1 this side is the cheaper one."""

    rate: Ratios
    spent: Ratios
    others: float

    @property
    def is_noisy(self) -> bool:
        return max(self.rate.each) > NOISY * min(self.rate.each)

    @property
    def ratio(self) -> float:
        """The one that counts: how many times as much this side does."""
        return 1 / self.spent.median if self.is_noisy else self.rate.median

    def __str__(self) -> str:
        by = "processor time, since the rates were noisy" if self.is_noisy else "rates"
        return f"by {by}: {self.ratio:.2f}; rates {self.rate}, processor time {self.spent}"


Turn = Mapping[str, float]
"""``rate``, so many a second; µs of one, by group of processes; ``others``, the share of who else was at work."""


def judge(pairs: Sequence[tuple[Turn, Turn]]) -> Judged:
    """Of pairs of this side's turn and the other's. Raises ValueError where there is none."""
    if not pairs:
        raise ValueError("no pair was measured")
    return Judged(
        rate=Ratios(each=tuple(own["rate"] / other["rate"] for own, other in pairs)),
        spent=Ratios(each=tuple(_spent(own) / _spent(other) for own, other in pairs)),
        others=statistics.median(turn.get("others", 0.0) for pair in pairs for turn in pair),
    )


def _spent(turn: Turn) -> float:
    return sum(spent for name, spent in turn.items() if name not in NOT_SPENT)
