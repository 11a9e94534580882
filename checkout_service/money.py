"""Decimal amounts with an ISO 4217 currency; minor units; never float."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

LARGEST = Decimal("99999999.99")
"""The largest amount of one payment; a longer one is a mistake."""

MOST_DECIMALS = 3
"""Of the smallest unit of any currency here."""

_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED
    VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
"""What new prices, carts and sessions may be in: the currencies of ISO 4217, list one, as its maintenance agency
published it on 2026-01-01 (amendment 180), without funds, metals, units of account and codes for tests."""


class Withdrawal(NamedTuple):
    """Since when a currency is on list one no more, and what took its place."""

    on: date
    successor: str


WITHDRAWN: Final[Mapping[str, Withdrawal]] = {
    "ANG": Withdrawal(date(2025, 3, 31), "XCG"),  # amendment 176: Curaçao and Sint Maarten
    "BGN": Withdrawal(date(2026, 1, 1), "EUR"),  # amendment 180: Bulgaria
}
"""Currencies that earlier releases took and list one has no more. Nothing new is in them; payments of before are read,
captured and refunded, and listings of before are read. What is withdrawn moves from the list above to here."""

KNOWN_CURRENCIES: Final = CURRENCIES | WITHDRAWN.keys()
"""What may be read of before."""


_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE = "BHD IQD JOD KWD LYD OMR TND"
MINOR_UNITS = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(_WITH_THREE.split(), 3)
"""Decimals of the currencies that have other than two (ISO 4217, list one)."""


class InvalidAmountError(ValueError):
    """A text or number that is no amount of money, none of its currency, or more than LARGEST."""


def parse_amount(text: str, currency: str | None = None) -> Decimal:
    """An exact amount from text such as "240" or "33.3", with just the decimals that its currency has.

    Two decimals may always be written: "240.00" is 240 JPY, and "240.50" is none. Without a currency, up to three are
    taken, and whoever learns the currency checks it. Nothing is ever rounded. Raises InvalidAmountError for anything
    that is no plain, finite, non-negative decimal of that size.
    """
    whole, point, fraction = text.partition(".")
    plain = whole.isascii() and whole.isdigit() and (not point or (fraction.isascii() and fraction.isdigit()))
    own = None if currency is None else decimals(currency)
    most = MOST_DECIMALS if own is None else max(2, own)
    if not plain or len(fraction) > most or len(whole) > 20:
        count = "three" if most == MOST_DECIMALS else "two"
        raise InvalidAmountError(f"an amount is digits with at most {count} decimals, such as 240.00")
    amount = Decimal(text)
    if amount > LARGEST:
        raise InvalidAmountError(f"an amount is at most {LARGEST}")
    if currency is None:
        return Decimal(show(amount, None))
    if len(fraction) == own:
        return amount
    if not expressible(amount, currency):
        raise InvalidAmountError(f"{currency} has no such small unit")
    return round(amount, decimals(currency))


def why_withdrawn(currency: str) -> str | None:
    """In words since when it is no currency any more, and what took its place; None of any other."""
    found = WITHDRAWN.get(currency)
    return None if found is None else f"{currency} was withdrawn on {found.on}: {found.successor} took its place"


def expressible(amount: Decimal, currency: str) -> bool:
    """Whether the amount is so many of the currency's smallest units."""
    return amount == round(amount, decimals(currency))


def show(amount: Decimal, currency: str | None) -> str:
    """The amount as the API writes it: two decimals, or three where the currency has three or the amount needs them.

    No exponent, no separators. ``currency`` is None where nothing tells it.
    """
    places = max(2, decimals(currency)) if currency else 2
    return f"{amount:.{places if amount == round(amount, places) else MOST_DECIMALS}f}"


def show_with_currency(amount: Decimal, currency: str | None) -> str:
    """The amount as people read it: "240.00 USD"; without a currency where nothing tells it."""
    return f"{show(amount, currency)} {currency}" if currency else show(amount, currency)


def decimals(currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """How many decimals the smallest unit of a currency has; a provider may differ from ISO 4217."""
    if exceptions and currency in exceptions:
        return exceptions[currency]
    return MINOR_UNITS.get(currency, 2)


def to_minor_units(amount: Decimal, currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """The amount in the currency's smallest unit: 12.50 USD is 1250, 12 JPY is 12, 1.50 KWD is 1500.

    Raises InvalidAmountError for what the currency cannot express, such as 12.50 JPY, however fine a provider counts,
    and for what the provider cannot: it is never rounded.
    """
    scaled = amount.scaleb(decimals(currency, exceptions))
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or not expressible(amount, currency):
        raise InvalidAmountError(f"{currency} has no such small unit")
    return int(scaled)


def from_minor_units(minor: int, currency: str, exceptions: Mapping[str, int] | None = None) -> Decimal:
    """The amount of so many of the currency's smallest units, with the decimals that ISO 4217 gives it.

    Raises InvalidAmountError for a negative number, for more than LARGEST, and where a provider counts in smaller units
    than the currency has and the amount is not whole in those: 1250 at a provider that gives ISK two decimals.
    """
    amount = Decimal(minor).scaleb(-decimals(currency, exceptions)) if 0 <= minor < 10**12 else None
    if amount is None or amount > LARGEST:
        raise InvalidAmountError(f"an amount is at most {LARGEST}")
    if not expressible(amount, currency):
        raise InvalidAmountError(f"{currency} has no such small unit")
    return round(amount, decimals(currency))
