"""Whether the balances that PayPal's transaction search tells go with its movements: pure.

Each movement may tell its currency's balance after it, so it goes from one balance to another. Movements without a gap
are one way through these, in whatever order they are listed: each begins where another one ends, but for the first.
What is lost, doubled or of another amount leaves one more beginning without an end; where the balance came back to what
it was, it leaves one way that begins in the middle.

Of some rows nobody can tell whether, or when, they moved the balance: pending ones, say. They explain a gap over which
the balance changed by just the sum of their nets (``reports_gaps``), and no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from checkout_service.providers.adapters.paypal.reports_gaps import Moved, gaps_of
from checkout_service.providers.reports import ReportLine
from checkout_service.settlement_words import EntryKind


class Balances:
    """The balances of a window, by currency, as its rows are listed."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Moved, bool]]] = {}
        """Of each currency, and whether it is a reserve."""
        self.compared = 0
        """How many movements told a balance."""
        self.untold = 0
        """How many movements of the window's own time told none."""

    def unsure(self, line: ReportLine) -> None:
        """A row that may have moved the balance, at a time or from a balance that nobody can tell."""
        self._note(line, None)

    def add(self, line: ReportLine, after: Decimal | None, *, updated: datetime | None = None) -> None:
        """A movement, the balance that it left, and when its status changed last, where that is told."""
        if after is None:
            self.untold += 1
        else:
            self.compared += 1
        self._note(line, after, updated)

    def faults(self) -> Iterator[str]:
        """Currencies whose balances have gaps that no unsure row accounts for.

        Whether what is withheld leaves this balance is not documented: it does each time, or never.
        """
        for currency, rows in sorted(self._rows.items()):
            moved = gaps_of([row for row, _ in rows])
            if moved and (stayed := gaps_of([row for row, is_reserve in rows if not is_reserve])):
                yield (
                    f"gaps in the balances in {currency}: {min(moved, stayed)}, and no pending row, or other one that "
                    "tells no balance, is of just that amount: a movement is lost, doubled or changed"
                )
        if self.untold and not self.compared:
            yield "no movement tells a balance, as PayPal's do where nothing is filtered: so nothing proves them"

    def _note(self, line: ReportLine, after: Decimal | None, updated: datetime | None = None) -> None:
        moved = Moved(line.net, after, line.occurred_at, updated or line.occurred_at)
        self._rows.setdefault(line.currency, []).append((moved, line.kind is EntryKind.RESERVE))
