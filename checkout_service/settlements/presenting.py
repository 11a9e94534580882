"""Amounts, residues and rows of settled money as lines of a terminal; what comes from outside is printable there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from checkout_service.command_options import printable
from checkout_service.settlements.amounts import show_exactly
from checkout_service.settlements.entered import Residue


def amount(value: Decimal | None, currency: str | None) -> str:
    """An amount with its currency, exactly; '' where there is none."""
    return "" if value is None else f"{show_exactly(value, currency or '')} {currency or ''}".rstrip()


def number_of(count: int, one: str, several: str = "") -> str:
    """So many of them in words: ``1 line``, ``2 lines``; ``several`` is their name where it is not with an s."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"


def difference(value: Decimal, currency: str) -> str:
    """What was found less what is expected, with its sign: ``+1.00``, ``-0.01``; of rows, where no currency is."""
    if not currency:
        return f"{value:+f}"
    return f"{'+' if value > 0 else ''}{show_exactly(value, currency)}"


def moment(value: datetime | None) -> str:
    """A moment in UTC to the second."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def residue_line(residue: Residue) -> str:
    """What a section lacks or has too much: ``payout po_1 EUR: expected 10, found 9 (-1): rule``."""
    about = " ".join(part for part in (residue.account, residue.section, residue.currency) if part)
    currency = residue.currency
    found = show_exactly(residue.found, currency) if currency else f"{residue.found:f}"
    if residue.expected is None:
        return printable(f"{about}: found {found}, and what is expected is not known ({residue.rule})")[:1000]
    expected = show_exactly(residue.expected, currency) if currency else f"{residue.expected:f}"
    between = difference(residue.found - residue.expected, currency)
    return printable(f"{about}: expected {expected}, found {found} ({between}): {residue.rule}")[:1000]


def residue_of(stored: Mapping[str, Any]) -> str:
    """The residue alone: ``+1.00 EUR``, found less expected; where nobody says what is expected, what was found."""
    currency = str(stored.get("currency") or "")
    expected, found = _number(stored.get("expected")), _number(stored.get("found")) or Decimal(0)
    if expected is None:
        return f"{amount(found, currency)}, of which nothing was known,"
    between = found - expected
    return f"{difference(between, currency)} {currency or ('row' if abs(between) == 1 else 'rows')}"


def stored_residue(stored: Mapping[str, Any]) -> str:
    """The same of one as a file's row has it."""
    expected = _number(stored.get("expected"))
    return residue_line(
        Residue(
            account=str(stored.get("account") or ""),
            section=str(stored.get("section") or ""),
            currency=str(stored.get("currency") or ""),
            expected=expected,
            found=_number(stored.get("found")) or Decimal(0),
            rule=str(stored.get("rule") or ""),
        )
    )


def _number(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
