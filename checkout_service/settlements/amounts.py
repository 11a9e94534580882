"""How settled amounts are written: exactly, whatever a provider counts in, and with their sign."""

from __future__ import annotations

from decimal import Decimal

from checkout_service.money import decimals


def show_exactly(amount: Decimal, currency: str) -> str:
    """The amount with two decimals, or as many as its currency has, or as it needs: fees may be parts of a cent.

    No exponent, no separators; a minus before what takes money. migrations/settlements/events.sql does the same.
    """
    _, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise TypeError(f"{amount} is no amount")
    needed = -exponent
    for digit in reversed(digits):
        if digit or needed <= 0:
            break
        needed -= 1
    return f"{amount:.{max(2, decimals(currency), needed)}f}"
