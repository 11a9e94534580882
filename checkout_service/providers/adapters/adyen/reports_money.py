"""Amounts of Adyen's reports: decimals in the major unit, never signed; and what of a row is a fee."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from checkout_service.money import decimals

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

_AMOUNT: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,12})?")

_RATE_PLACES: Final = 4
"""A rate has at least so many decimals; zeros at its end are not written."""


class NoAmountError(ValueError):
    """A text that is no amount: signed, with a comma, with an exponent."""


@lru_cache(maxsize=8192)
def amount(text: str) -> Decimal:
    """What a cell says; empty is 0. Raises NoAmountError."""
    if not text:
        return ZERO
    if not _AMOUNT.fullmatch(text):
        raise NoAmountError
    return Decimal(text)


def plain(value: Decimal) -> str:
    """The amount without zeros at its end and without an exponent, as one amount is written in one way."""
    return f"{value.normalize():f}"


class Money(NamedTuple):
    """The money of a row: ``net`` in ``currency``; ``gross`` in ``gross_currency``, signed, None where it is not told.

    ``rate`` is from one to the other; None where there is none. ``fee`` is the sum of the four fee columns, of which
    ``parts`` are filled, ``fees`` what Adyen gives as their sum (0 where it does not), ``dcc`` the margin of a dynamic
    currency conversion.
    """

    net: Decimal
    currency: str
    gross: Decimal | None
    gross_currency: str
    rate: Decimal | None
    fee: Decimal
    fees: Decimal
    dcc: Decimal
    parts: int


def fee_of(money: Money) -> Decimal | None:
    """The fee by which gross becomes net, positive where it is charged; None where nothing that the row has does it.

    In one currency it has to be exact. Else the rate and each amount were rounded: a few smallest units are let pass.
    Without a gross amount nothing is compared.
    """
    net, currency, gross, gross_currency, rate, fee, fees, dcc, parts = money
    is_converted = gross_currency != currency or (rate is not None and rate != ONE)
    if gross is None or (is_converted and rate is None):
        return fee or fees
    converted = gross * rate if is_converted and rate is not None else gross
    tolerance = _tolerance(gross, rate, currency, parts) if is_converted and rate is not None else ZERO
    # The four columns alone, or their sum alone, is what was charged: an empty cell is no fee of 0. The nearest, since
    # a converted amount lets several pass; of equal ones the first.
    charged = fee or fees
    possible = (charged, fees or charged, charged - dcc, charged + dcc)
    nearest = min(possible, key=lambda each: abs(converted - each - net))
    return nearest if abs(converted - nearest - net) <= tolerance else None


def _tolerance(gross: Decimal, rate: Decimal, currency: str, parts: int) -> Decimal:
    """How far a converted amount may be off: by what was cut off the rate, and by half of the smallest unit for net and
    for each fee, since all were rounded by themselves."""
    places = max(_RATE_PLACES, -int(rate.as_tuple().exponent))
    return (1 + parts) * ONE.scaleb(-decimals(currency)) / 2 + abs(gross) * ONE.scaleb(-places) / 2
