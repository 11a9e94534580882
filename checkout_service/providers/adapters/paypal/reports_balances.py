"""Whether the balances that PayPal's transaction search tells go with its movements: pure.

Each movement may tell its currency's balance after it, so it goes from one balance to another. Movements without a gap
are one way through these, in whatever order they are listed: each begins where another one ends, but for the first.
What is lost, doubled or of another amount leaves one more beginning without an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from checkout_service.providers.reports import ReportLine
from checkout_service.settlement_words import EntryKind


@dataclass(slots=True)
class _Way:
    befores: Counter[Decimal] = field(default_factory=Counter)
    afters: Counter[Decimal] = field(default_factory=Counter)
    reserved_befores: Counter[Decimal] = field(default_factory=Counter)
    reserved_afters: Counter[Decimal] = field(default_factory=Counter)
    unsure: int = 0

    def gaps(self) -> int:
        """Beginnings without an end, but for the first; what is withheld leaves the balance each time, or never."""
        moved = (self.befores + self.reserved_befores) - (self.afters + self.reserved_afters)
        stayed = self.befores - self.afters
        return max(0, min(moved.total(), stayed.total()) - 1)


class Balances:
    """The balances of a window, by currency."""

    def __init__(self) -> None:
        self._ways: dict[str, _Way] = {}
        self.untold = 0
        """How many movements of the window's own time told none."""

    def unsure(self, currency: str) -> None:
        """A movement that may have moved the balance, at a time or from a balance that nobody can tell."""
        self._ways.setdefault(currency, _Way()).unsure += 1

    def add(self, line: ReportLine, after: Decimal | None) -> None:
        """A movement, and the balance that it left. Whether what is withheld leaves this balance is not documented."""
        if after is None:
            self.unsure(line.currency)
            self.untold += 1
            return
        way = self._ways.setdefault(line.currency, _Way())
        is_reserve = line.kind is EntryKind.RESERVE
        (way.reserved_befores if is_reserve else way.befores)[after - line.net] += 1
        (way.reserved_afters if is_reserve else way.afters)[after] += 1

    @property
    def compared(self) -> int:
        """How many movements told a balance."""
        return sum(way.afters.total() for way in self._ways.values())

    def faults(self) -> Iterator[str]:
        """Currencies whose balances have more gaps than unsure movements may leave: two each, before and behind."""
        for currency, way in sorted(self._ways.items()):
            gaps = way.gaps()
            if gaps > 2 * way.unsure:
                yield f"the balances in {currency} have {gaps} gaps: a movement is lost, doubled or changed"
        if self.untold and not self.compared:
            yield "no movement tells a balance, as PayPal's do where nothing is filtered: so nothing proves them"
