"""Amounts in Mollie's settlements: signed decimals, of periods with four of them and more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import currency_of, nested

ZERO: Final = Decimal(0)

_VALUE: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,8})?", re.ASCII)


def money_of(holder: Mapping[str, Any], name: str) -> tuple[Decimal, str]:
    """An amount, exact as it is written, and its currency. Raises UnreadableError."""
    amount = nested(holder, name)
    value = amount.get("value")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise UnreadableError(f"{name} is no decimal number")
    return Decimal(value) or ZERO, currency_of(amount.get("currency"))


def money_in(holder: Mapping[str, Any], name: str, currency: str) -> Decimal:
    """The same, which has to be in that currency."""
    value, of = money_of(holder, name)
    if of != currency:
        raise UnreadableError(f"{name} is in {of}, and its settlement in {currency}")
    return value
