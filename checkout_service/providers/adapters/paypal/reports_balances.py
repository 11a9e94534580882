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
    unsure: int = 0


class Balances:
    """The balances of a window, by currency."""

    def __init__(self) -> None:
        self._ways: dict[str, _Way] = {}

    def unsure(self, currency: str) -> None:
        """A movement that may have moved the balance, at a time or from a balance that nobody can tell."""
        self._ways.setdefault(currency, _Way()).unsure += 1

    def add(self, line: ReportLine, after: Decimal | None) -> None:
        """A movement, and the balance that it left. Whether what is withheld leaves this balance is not documented."""
        if after is None or line.kind is EntryKind.RESERVE:
            self.unsure(line.currency)
            return
        way = self._ways.setdefault(line.currency, _Way())
        way.befores[after - line.net] += 1
        way.afters[after] += 1

    @property
    def compared(self) -> int:
        """How many movements told a balance."""
        return sum(way.afters.total() for way in self._ways.values())

    def faults(self) -> Iterator[str]:
        """Currencies whose balances have more gaps than unsure movements may leave: two each, before and behind."""
        for currency, way in sorted(self._ways.items()):
            beginnings = (way.befores - way.afters).total()
            if beginnings > 1 + 2 * way.unsure:
                yield f"the balances in {currency} have {beginnings - 1} gaps: a movement is lost, doubled or changed"
