"""How many decimals a provider gives a currency: where it differs from ISO 4217, and where one might think it does.

Each line is in the ``spec`` of its provider, with the source that it was read of and the day of reading. Amounts go out
and come in by these alone. docs/currencies.md shows the lines of all providers in one table, which a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, NamedTuple

from checkout_service.money import decimals

LOOKED_UP: Final = ("CLP", "COP", "HUF", "IDR", "ISK", "KWD", "MGA", "MRU", "TWD", "UGX", "XCG", "ZWG")
"""Currencies of which providers differ, or that are new: whoever counts in units of its own says each of them."""

NO_OWN_WORD: Final = "ISO 4217: the provider says nothing that was found"
"""The source where a provider is held to the standard, or does not take the currency at all."""


class MinorUnits(NamedTuple):
    """How many decimals a provider's amounts in a currency have, by ``source``, a page or a package and its version, as
    that was on the day ``read``."""

    currency: str
    decimals: int
    source: str
    read: date


def read_of(source: str, read: date, found: Mapping[str, int]) -> tuple[MinorUnits, ...]:
    """The lines that one source gives."""
    return tuple(MinorUnits(currency, places, source, read) for currency, places in found.items())


def exceptions_of(units: Iterable[MinorUnits]) -> dict[str, int]:
    """The currencies that have other decimals there than in ISO 4217, as the functions of ``fields`` take them."""
    return {line.currency: line.decimals for line in units if line.decimals != decimals(line.currency)}


def table_of(units: Mapping[str, Iterable[MinorUnits]]) -> str:
    """The lines of all providers, by name, as a table in Markdown."""
    rows = ["| provider | currency | decimals | ISO 4217 | by | read |", "|---|---|---|---|---|---|"]
    for provider, lines in units.items():
        for line in sorted(lines):
            there, standard = line.decimals, decimals(line.currency)
            shown = f"**{there}**" if there != standard else str(there)
            rows.append(f"| {provider} | {line.currency} | {shown} | {standard} | {line.source} | {line.read} |")
    return "\n".join(rows)
