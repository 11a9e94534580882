"""What a settlement report says of its own sums, and whether its movements are that.

A total (SF of a section, RF of the report) is of one currency: credits, debits, and the two sums of fees. Which of
these two comes first is not certain, so the pair is compared as a pair. What follows them, balances whose order nobody
has confirmed, is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from checkout_service.providers.adapters.paypal.reports_lines import ZERO, UnlikeError
from checkout_service.providers.adapters.paypal.reports_rows import unsigned
from checkout_service.providers.reports import ReportLine, UnreadableReportError

_MOST_CURRENCIES: Final = 200


@dataclass(slots=True)
class Sums:
    """Of one currency, in its major unit, without signs."""

    credits: Decimal = ZERO
    debits: Decimal = ZERO
    fees: Decimal = ZERO
    """Charged."""
    fees_back: Decimal = ZERO


@dataclass(slots=True)
class Totals:
    """What was added up of movements, and what rows say that it is."""

    what: str
    rows: int = 0
    found: dict[str, Sums] = field(default_factory=dict)
    stated: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = field(default_factory=dict)
    stated_rows: int | None = None

    def add(self, line: ReportLine) -> None:
        """Count a movement."""
        self.rows += 1
        sums = self.found.get(line.currency)
        if sums is None:
            sums = self.found[line.currency] = Sums()
        if line.gross < ZERO:
            sums.debits -= line.gross
        else:
            sums.credits += line.gross
        if line.fee < ZERO:
            sums.fees_back -= line.fee
        elif line.fee:
            sums.fees += line.fee

    def take(self, other: Totals) -> None:
        """Count what a part of this has counted."""
        self.rows += other.rows
        for currency, part in other.found.items():
            sums = self.found.setdefault(currency, Sums())
            sums.credits += part.credits
            sums.debits += part.debits
            sums.fees += part.fees
            sums.fees_back += part.fees_back

    def read_total(self, row: Sequence[str], number: int) -> None:
        """A row SF or RF. Raises UnreadableReportError."""
        if len(row) < 6 or len(row[1]) != 3:
            raise UnreadableReportError("a total without its currency and four sums", line=number)
        currency = row[1]
        if currency in self.stated or len(self.stated) == _MOST_CURRENCIES:
            raise UnreadableReportError(f"a second total of {currency}, or too many", line=number)
        try:
            came, went, first, second = [unsigned(amount, currency) for amount in row[2:6]]
        except UnlikeError as error:
            raise UnreadableReportError(str(error), line=number) from error
        self.stated[currency] = (came, went, first, second)

    def read_count(self, row: Sequence[str], number: int) -> None:
        """A row SC or RC. Raises UnreadableReportError."""
        if self.stated_rows is not None:
            raise UnreadableReportError("a second count", line=number)
        self.stated_rows = count_of(row, number)

    def expected(self) -> dict[str, Decimal]:
        """What the nets add up to by the totals, by currency; 0 for one that has movements and no total."""
        nets = dict.fromkeys(self.found, ZERO)
        for currency, (came, went, first, second) in self.stated.items():
            sums = self.found.get(currency, Sums())
            found = sums.fees - sums.fees_back
            # Neither order fits where a fee is wrong: then the nearer one, so that the difference is the error.
            fees = min(first - second, second - first, key=lambda fee: abs(fee - found))
            nets[currency] = came - went - fees
        return nets

    def faults(self) -> Iterator[str]:
        """What differs, each in words; a difference of two sums may leave the net as it was."""
        if self.stated_rows is not None and self.stated_rows != self.rows:
            yield f"the count of movements of {self.what} is {self.stated_rows}, and it has {self.rows}"
        for currency in sorted(self.stated.keys() | self.found.keys()):
            sums = self.found.get(currency, Sums())
            stated = self.stated.get(currency)
            if stated is None:
                yield f"{self.what} has movements in {currency}, and no total of them"
                continue
            came, went, *fees = stated
            for name, one, other in (("credits", came, sums.credits), ("debits", went, sums.debits)):
                if one != other:
                    yield f"{self.what} says {name} of {one} {currency}, and they add up to {other}"
            if sorted(fees) != sorted((sums.fees, sums.fees_back)):
                yield (
                    f"{self.what} says fees of {fees[0]} and {fees[1]} {currency}, and they add up to {sums.fees} and, "
                    f"given back, {sums.fees_back}"
                )


def count_of(row: Sequence[str], number: int) -> int:
    """The number of movements that a row SC, RC or FF says. Raises UnreadableReportError."""
    value = row[1] if len(row) > 1 else ""
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise UnreadableReportError("a count that is no number", line=number)
    return int(value)
