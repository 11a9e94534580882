"""Where balances do not go on, and whether rows without a balance of their own explain that to the cent: pure.

A gap leads from an end, a balance from which nothing is known to go on, to a beginning, one to which nothing is known
to have led. Rows explain it whose nets add up to what lies between; each row explains one gap at most. Those that are
listed where the gap is are looked at first. They may be listed elsewhere, and then few are looked for, since there are
as many sums as one likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

MOST_SUMS: Final = 512
"""Of rows that are listed one after the other."""

MOST_ELSEWHERE: Final = 40
"""Gaps that rows which are listed elsewhere may explain."""

MOST_TOGETHER: Final = 3
"""So many of these that explain one gap together."""

MOST_STEPS: Final = 50_000
"""That are taken to find these. Where that is not enough nothing explains the gap: a person looks."""


class Moved(NamedTuple):
    """What a row moves a balance by, and the balance that it left; None where nobody can tell it, or whether it did.

    ``begun`` is when it began, and ``updated`` when its status changed last: it moved the balance some time between.
    """

    net: Decimal
    after: Decimal | None
    begun: datetime
    updated: datetime

    @property
    def before(self) -> Decimal:
        """The balance that it began with; 0 where nobody can tell it."""
        return Decimal(0) if self.after is None else self.after - self.net


def gaps_of(rows: Sequence[Moved]) -> int:
    """How many gaps the rows of a currency have, as they are listed, where rows without a balance explain not each."""
    gaps = _Gaps(rows)
    if gaps.number == 0:
        return 0 if gaps.is_one_way() or gaps.is_round(rows) else 1
    closed = _Gaps(rows)
    closed.close_where_they_are(rows)
    found = min(closed, gaps, key=lambda each: each.number)
    return 0 if found.are_explained_elsewhere() else max(1, found.number)


class _Gaps:
    """Beginnings and ends, as many of one as of the other, and the nets of rows that explain nothing yet.

    One beginning is that of all movements, and one end theirs: between these there is no gap.
    """

    def __init__(self, rows: Sequence[Moved]) -> None:
        befores = Counter(row.before for row in rows if row.after is not None)
        afters = Counter(row.after for row in rows if row.after is not None)
        self._beginnings = befores - afters
        self._ends = afters - befores
        self._rows = Counter(row.net for row in rows if row.after is None and row.net)
        self._steps = 0
        known = [row for row in rows if row.after is not None]
        begun, updated = [row.begun for row in known], [row.updated for row in known]
        self._firsts = {row.before for row in known if row.begun == min(begun) or row.updated == min(updated)}
        self._lasts = {row.after for row in known if row.begun == max(begun) or row.updated == max(updated)}

    @property
    def number(self) -> int:
        """How many gaps there are."""
        return max(0, self._beginnings.total() - 1)

    def is_one_way(self) -> bool:
        """Whether what has no gap begins with a row that may be the first, or ends with one that may be the last.

        Where all came back to the same balance, a gap in the middle leaves a way that neither begins nor ends there.
        """
        return self._beginnings.total() == 0 or any(self._is_way_from(each) for each in +self._beginnings)

    def _is_way_from(self, beginning: Decimal) -> bool:
        """Whether this may be the beginning of all, or the end that is left may be that of all.

        One of the two is taken for proof: a row that began early may have moved the balance late.
        """
        return beginning in self._firsts or any(end in self._lasts for end in +self._ends)

    def is_round(self, rows: Sequence[Moved]) -> bool:
        """Whether rows that tell no balance lead from its only end to its only beginning."""
        closed = _Gaps(rows)
        closed.close_where_they_are(rows)
        (beginning,) = self._beginnings
        return closed._beginnings.total() == 0 or any(self._ways_to(beginning))

    def close_where_they_are(self, rows: Sequence[Moved]) -> None:
        """Close those that rows explain which are listed there; the list may go on in time, or back."""
        known: list[tuple[Moved, list[Decimal]]] = []
        for row in rows:
            if row.after is not None:
                known.append((row, []))
            elif known and row.net:
                known[-1][1].append(row.net)
        befores, afters = Counter[Decimal](), Counter[Decimal]()
        for (one, between), (other, _) in pairwise(known):
            if not between or one.after == other.before or other.after == one.before:
                continue
            for end, beginning in ((one.after, other.before), (other.after, one.before)):
                if end is not None and (nets := _adding_up(between, beginning - end)) is not None:
                    befores[end] += 1
                    afters[beginning] += 1
                    self._rows.subtract(nets)
                    break
        self._beginnings, self._ends = (
            (self._beginnings + befores) - (self._ends + afters),
            (self._ends + afters) - (self._beginnings + befores),
        )

    def are_explained_elsewhere(self) -> bool:
        """Whether there is none, or each is explained by other rows."""
        if self.number > min(self._rows.total(), MOST_ELSEWHERE):
            return False
        beginnings = sorted(self._beginnings.elements())
        return not beginnings or self._explained(beginnings, first=None)

    def _explained(self, beginnings: Sequence[Decimal], *, first: Decimal | None) -> bool:
        """Whether what leads to each of them is found, but to the first of all: to that one nothing does.

        Many rows explain nearly any sum, and so a way from the end of all to its beginning; then it is a gap in the
        middle that is taken for both, and no times say so.
        """
        if not beginnings:
            return first is not None and self._is_way_from(first)
        if len(beginnings) == 1 and first is None:
            return self._is_way_from(beginnings[0])
        for end, nets in self._ways_to(beginnings[0]):
            self._take(end, nets, 1)
            if self._explained(beginnings[1:], first=first):
                return True
            self._take(end, nets, -1)
            if self._steps > MOST_STEPS:
                return False
        return first is None and self._explained(beginnings[1:], first=beginnings[0])

    def _ways_to(self, beginning: Decimal) -> Iterator[tuple[Decimal, Sequence[Decimal]]]:
        """Ends, and rows that lead from there to this beginning, as few as do it first."""
        ends = [end for end, count in self._ends.items() if count > 0]
        nets = sorted(net for net, count in self._rows.items() if count > 0)
        self._steps += len(ends) + len(nets)
        for number in range(1, MOST_TOGETHER + 1):
            for end in ends:
                for found in self._sums(nets, beginning - end, number):
                    if all(self._rows[net] >= count for net, count in Counter(found).items()):
                        yield end, found

    def _sums(self, nets: Sequence[Decimal], total: Decimal, number: int) -> Iterator[tuple[Decimal, ...]]:
        """So many of these, each perhaps several times, that add up to the total; none beyond MOST_STEPS."""
        self._steps += 1
        if number == 1:
            if self._rows[total] > 0:
                yield (total,)
            return
        for place, net in enumerate(nets):
            if self._steps > MOST_STEPS:
                return
            for others in self._sums(nets[place:], total - net, number - 1):
                yield (net, *others)

    def _take(self, end: Decimal, nets: Sequence[Decimal], times: int) -> None:
        self._ends[end] -= times
        for net in nets:
            self._rows[net] -= times


def _adding_up(nets: Sequence[Decimal], total: Decimal) -> Sequence[Decimal] | None:
    """Those of the nets that add up to the total: all of them, or among the first sums; None where none do."""
    if nets and sum(nets) == total:
        return nets
    sums: dict[Decimal, tuple[Decimal, ...]] = {Decimal(0): ()}
    for net in nets:
        for known, parts in list(sums.items()):
            sums.setdefault(known + net, (*parts, net))
        if total in sums or len(sums) > MOST_SUMS:
            break
    return sums.get(total) or None
