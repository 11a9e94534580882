"""Amounts, residues and rows of settled money as lines of a terminal; what comes from outside is printable there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from checkout_service.command_options import printable
from checkout_service.settlements.entered import Residue


def amount(value: Decimal | None, currency: str | None) -> str:
    """An amount with its currency, as it is; '' where there is none."""
    return "" if value is None else f"{value:f} {currency or ''}".rstrip()


def moment(value: datetime | None) -> str:
    """A moment in UTC to the second."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def residue_line(residue: Residue) -> str:
    """What a section lacks or has too much: ``payout po_1 EUR: expected 10, found 9 (-1): rule``."""
    about = " ".join(part for part in (residue.account, residue.section, residue.currency) if part)
    expected = "nothing that is known" if residue.expected is None else f"{residue.expected:f}"
    between = "" if residue.expected is None else f" ({residue.found - residue.expected:+f})"
    return printable(f"{about}: expected {expected}, found {residue.found:f}{between}: {residue.rule}")[:1000]


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
