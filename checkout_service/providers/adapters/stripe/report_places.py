"""Where the next fetch of Stripe's reports goes on: a time of payouts, and a point of a balance that is followed.

Written as JSON; as seconds alone where no balance is followed. Times are seconds since 1970, in UTC, and amounts are
major units by currency.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from checkout_service.providers.reports import UnreadableReportError

Totals = Mapping[str, Decimal]

_LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the balance held before the second ``at`` began."""

    at: int
    totals: Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What came and went from ``since`` on, before ``until``, and what all of it has to add up to."""

    since: int
    until: int
    expected: Totals

    @property
    def name(self) -> str:
        """Of its report, and of the one section in it."""
        return f"balance {self.since}-{self.until}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``payouts`` is where the list of payouts was read to. ``point`` is None while no balance is followed.

    ``windows`` are those that may not be entered yet: they are listed again.
    """

    payouts: int
    point: Point | None = None
    windows: tuple[Window, ...] = ()

    def written(self) -> str:
        """As ``read_place`` reads it."""
        if self.point is None:
            return str(self.payouts)
        windows = [
            {"since": each.since, "until": each.until, "expected": _written(each.expected)} for each in self.windows
        ]
        point = {"at": self.point.at, "totals": _written(self.point.totals)}
        return json.dumps({"payouts": self.payouts, "point": point, "windows": windows}, sort_keys=True)


def read_place(written: str) -> Place:
    """Raises UnreadableReportError for what is no place."""
    try:
        if not written.startswith("{"):
            return Place(payouts=_second(int(written)))
        found = json.loads(written)
        point = found["point"]
        return Place(
            payouts=_second(found["payouts"]),
            point=Point(at=_second(point["at"]), totals=_read(point["totals"])),
            windows=tuple(
                Window(since=_second(each["since"]), until=_second(each["until"]), expected=_read(each["expected"]))
                for each in found["windows"]
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation, RecursionError):
        raise UnreadableReportError("the place that the last run came to is no time") from None


def _second(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LATEST:
        raise ValueError
    return value


def _written(totals: Totals) -> dict[str, str]:
    return {currency: format(amount, "f") for currency, amount in totals.items()}


def _read(totals: Any) -> dict[str, Decimal]:
    amounts = {str(currency): Decimal(amount) for currency, amount in totals.items()}
    if not all(amount.is_finite() for amount in amounts.values()):
        raise ValueError
    return amounts
