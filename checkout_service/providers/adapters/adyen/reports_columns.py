"""The header of Adyen's settlement details report: columns are found by their names, in whatever order they stand.

Adyen adds columns and has changed their order. Only what is used is needed; the rest is kept as names alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from checkout_service.providers.adapters.adyen.reports_times import AMSTERDAM
from checkout_service.providers.reports import UnreadableReportError

_NEEDED: Final = (
    *("Merchant Account", "Psp Reference", "Type", "Modification Reference", "Batch Number"),
    *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Net Currency", "Net Debit (NC)", "Net Credit (NC)"),
)

_FEES: Final = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
"""Together what Adyen keeps. Of blended prices the first alone is filled, else the others."""

ALL_FEES: Final = "Payment Fees (NC)"
"""The sum of those four, in newer files."""

_OPTIONAL: Final = ("Merchant Reference", "Modification Merchant Reference", "Exchange Rate", "DCC Markup (NC)")

_CREATED: Final = (("Creation Date", "TimeZone"), ("Creation Date (AMS)", ""))
_BOOKED: Final = (
    ("Booking Date", "Booking Date TimeZone"),
    ("Booking Date", "TimeZone"),
    ("Booking Date (AMS)", ""),
)

_AGGREGATE: Final = "merchant/company"
_OTHERS: Final = {
    "record type": "the Payment accounting report",
    "account holder": "a report of a balance platform",
}
"""Columns that other reports of Adyen have."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the cells of a row are. ``pick`` takes a row with one empty cell behind it, for the columns that it lacks.

    Its order: merchant account, batch, type, net currency, psp reference, modification reference, merchant reference,
    modification merchant reference, net debit, net credit, gross currency, gross debit, gross credit, rate, commission,
    markup, scheme fees, interchange, payment fees, DCC markup, creation date, its zone, booking date, its zone.
    ``created_zone`` and ``booked_zone`` are what the zones are where their column does not say it.
    """

    names: tuple[str, ...]
    pick: Callable[[Sequence[str]], tuple[str, ...]]
    created_zone: str
    booked_zone: str


def columns_of(header: Sequence[str], line: int) -> Columns:
    """Read a header. Raises UnreadableReportError for one of another report, and for one that lacks what is needed."""
    names = tuple(" ".join(name.split()) for name in header)
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name and name.lower() in places and _is_used(name):
            raise UnreadableReportError(f"the column {name!r} is there twice", line=line)
        places.setdefault(name.lower(), place)
    missing = [name for name in _NEEDED if name.lower() not in places]
    if ALL_FEES.lower() not in places:
        missing += [name for name in _FEES if name.lower() not in places]
    created = _time(places, _CREATED)
    if created is None:
        missing.append("Creation Date and TimeZone")
    if missing or created is None:
        raise UnreadableReportError(_what_it_is(names, missing), line=line)
    booked = _time(places, _BOOKED) or (-1, -1, "")
    found = [
        *("Merchant Account", "Batch Number", "Type", "Net Currency", "Psp Reference", "Modification Reference"),
        *("Merchant Reference", "Modification Merchant Reference", "Net Debit (NC)", "Net Credit (NC)"),
        *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Exchange Rate", *_FEES, ALL_FEES),
        "DCC Markup (NC)",
    ]
    picked = [places.get(name.lower(), -1) for name in found] + [*created[:2], *booked[:2]]
    return Columns(names=names, pick=itemgetter(*picked), created_zone=created[2], booked_zone=booked[2])


def _is_used(name: str) -> bool:
    times = {part for pair in (*_CREATED, *_BOOKED) for part in pair}
    used = {*_NEEDED, *_FEES, ALL_FEES, *_OPTIONAL, *times}
    return name.lower() in {each.lower() for each in used}


def _time(places: dict[str, int], pairs: Sequence[tuple[str, str]]) -> tuple[int, int, str] | None:
    """Where a time and its zone are; the zone itself where the column's name says it."""
    for name, zone in pairs:
        if name.lower() in places and (not zone or zone.lower() in places):
            return places[name.lower()], places[zone.lower()] if zone else -1, "" if zone else AMSTERDAM
    return None


def _what_it_is(names: Sequence[str], missing: Sequence[str]) -> str:
    known = [name.lower() for name in names]
    remedy = "choose the Settlement details report, as CSV"
    if known and known[0] == _AGGREGATE:
        return f"this is the Aggregate settlement details report, which has no payments: {remedy}"
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        return f"the columns are not separated by commas, so a spreadsheet has written this file anew: {remedy}"
    if names and names[0].startswith("<"):
        return "this is a page for a browser, and no report: perhaps of who has to sign in first"
    for name, report in _OTHERS.items():
        if name in known and len(missing) > 3:
            return f"this is {report}: {remedy}"
    return f"this is no settlement details report of Adyen: it has no {', '.join(missing[:4])}"
