"""The list of currencies is that of ISO 4217, by another's copy of it; what was withdrawn has a table of its own."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

import pytest
from babel.core import get_global

from checkout_service.money import CURRENCIES, KNOWN_CURRENCIES, WITHDRAWN, decimals, why_withdrawn

PUBLISHED: Final = date(2026, 1, 1)
"""Of the list that ``CURRENCIES`` is."""

BESIDE_CLDR: Final = {"SVC", "VED"}
"""On list one, and nowhere the tender that CLDR counts with."""

FINER_THAN_IN_USE: Final = {
    *("AFN", "ALL", "COP", "HUF", "IDR", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "SOS", "SYP", "YER"),
}
"""The standard gives them decimals; nobody counts in them, so CLDR shows none (or rounds, of HUF, cash)."""


def tender(on: date) -> dict[str, date | None]:
    """What somewhere in the world is legal tender that day, by CLDR, with the last day where one is known."""
    found: dict[str, date | None] = {}
    for entries in get_global("territory_currencies").values():
        for code, begins, ends, is_tender in entries:
            if is_tender and (begins is None or date(*begins) <= on) and (ends is None or on <= date(*ends)):
                found[code] = date(*ends) if ends else None
    return found


def test_the_list_is_what_is_tender_somewhere() -> None:
    # A month later: CLDR counts the weeks in which two were tender.
    ours = CURRENCIES - BESIDE_CLDR

    assert ours == tender(date(2026, 2, 28)).keys()
    assert not WITHDRAWN.keys() & CURRENCIES
    assert {"ANG", "BGN"} == KNOWN_CURRENCIES - CURRENCIES


@pytest.mark.parametrize(("currency", "withdrawal"), WITHDRAWN.items())
def test_what_was_withdrawn_was_tender_until_about_then_and_its_successor_is_on_the_list(
    currency: str, withdrawal: tuple[date, str]
) -> None:
    on, successor = withdrawal
    ends = [
        date(*end)
        for entries in get_global("territory_currencies").values()
        for code, _, end, is_tender in entries
        if code == currency and is_tender and end
    ]
    assert on <= PUBLISHED
    assert 0 <= (max(ends) - on).days < 120
    assert successor in CURRENCIES
    assert why_withdrawn(currency) == f"{currency} was withdrawn on {on}: {successor} took its place"
    assert why_withdrawn(successor) is None


@pytest.mark.parametrize("currency", sorted(KNOWN_CURRENCIES))
def test_decimals_are_the_standards(currency: str) -> None:
    fractions = get_global("currency_fractions")
    shown = fractions.get(currency, fractions["DEFAULT"])[0]

    if currency in FINER_THAN_IN_USE:
        assert shown <= decimals(currency)
    else:
        assert shown == decimals(currency)


def test_the_page_has_the_table_of_what_was_withdrawn() -> None:
    page = (Path(__file__).parent.parent / "docs" / "currencies.md").read_text(encoding="utf-8")

    rows = "\n".join(f"| {code} | {found.on} | {found.successor} |" for code, found in WITHDRAWN.items())
    assert rows in page
