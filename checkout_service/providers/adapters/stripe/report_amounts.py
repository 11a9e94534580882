"""Amounts, currencies, times and days as Stripe's files write them: major units, and times of UTC without a zone.

Amounts have a point before their decimals or, where the run of the report was set so, a comma: one file has one of
them.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from checkout_service.money import decimals
from checkout_service.providers.adapters.stripe.report_kinds import exact, places_of
from checkout_service.providers.reports import UnreadableReportError

_AMOUNT: Final = re.compile(r"(-?[0-9]{1,15})(?:([.,])([0-9]{1,12}))?")
_SECONDS: Final = 19
"""Characters of ``YYYY-MM-DD HH:MM:SS``."""
_FIRST_YEAR, _LAST_YEAR = 1970, 9000

_MOST_KNOWN: Final = 20_000

_parse = datetime.fromisoformat


class Currency(NamedTuple):
    """A currency as it is written here, with the decimals that it usually has, and the most that it may have."""

    code: str
    places: int
    most: int


@lru_cache(maxsize=1024)
def currency_in(text: str) -> Currency | None:
    """A currency of three characters, in capitals or not; None for anything else."""
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        return None
    code = text.upper()
    return Currency(code, decimals(code), places_of(code))


class Amounts:
    """Reads the amounts of one file, which all have the same mark before their decimals."""

    def __init__(self) -> None:
        self._mark = ""
        self._known: dict[str, Decimal] = {}

    def read(self, text: str, currency: Currency, name: str, line: int) -> Decimal:
        """An exact amount, signed as it is written. Raises UnreadableReportError for what is none of its currency."""
        # Prices and fees come again and again: this is half the time of a file.
        key = currency.code + text
        if (known := self._known.get(key)) is not None:
            return known
        amount = self._read(text, currency, name, line)
        if len(self._known) < _MOST_KNOWN:
            self._known[key] = amount
        return amount

    def _read(self, text: str, currency: Currency, name: str, line: int) -> Decimal:
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise UnreadableReportError(f"{name} is no amount, such as 1234.50", line=line)
        whole, mark, fraction = found.groups()
        if not mark:
            return exact(Decimal(whole), currency.code)
        if mark != self._mark:
            if self._mark:
                raise UnreadableReportError(f"{name} has a {mark} where amounts before have a {self._mark}", line=line)
            self._mark = mark
        if len(fraction) > currency.most:
            fraction = fraction[: currency.most] + fraction[currency.most :].rstrip("0")
            if len(fraction) > currency.most:
                raise UnreadableReportError(f"{name} has more decimals than {currency.code}", line=line)
        amount = Decimal(f"{whole}.{fraction}")
        return amount if len(fraction) == currency.places else exact(amount, currency.code)


def moment_in(text: str, name: str, line: int) -> datetime:
    """A time from ``YYYY-MM-DD HH:MM:SS`` of UTC."""
    # Other forms that the parser takes have other lengths, or other marks at these places.
    if len(text) == _SECONDS and text[10] == " " and text[4] == text[7] == "-" and text[13] == text[16] == ":":
        try:
            moment = _parse(text)
        except ValueError:
            moment = None
        if moment is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            return moment.replace(tzinfo=UTC)
    raise UnreadableReportError(f"{name} is no time, such as 2026-11-22 21:40:00", line=line)


@lru_cache(maxsize=4096)
def _day(text: str) -> date | None:
    head = text[:10]
    if text != head:
        try:
            return moment_in(text, "", 0).date()
        except UnreadableReportError:
            return None
    try:
        day = date.fromisoformat(text) if len(text) == 10 and text[4] == text[7] == "-" else None
    except ValueError:
        return None
    return day if day is not None and _FIRST_YEAR <= day.year <= _LAST_YEAR else None


def day_in(text: str, name: str, line: int) -> date | None:
    """A day from ``YYYY-MM-DD``, or the day of such a time of UTC; None where nothing stands there."""
    if not text:
        return None
    if (day := _day(text)) is not None:
        return day
    raise UnreadableReportError(f"{name} is no day, such as 2026-11-25", line=line)
