"""Decimal amounts with an ISO 4217 currency; minor units; never float."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

CENT = Decimal("0.01")
LARGEST = Decimal("99999999.99")
"""The largest amount that numeric(10,2) holds."""

_CODES = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
    IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
    MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
    SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED
    VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217 currencies of everyday use (list one of the standard's maintenance agency, 2026)."""


_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_WITH_THREE = "BHD IQD JOD KWD LYD OMR TND"
MINOR_UNITS = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(_WITH_THREE.split(), 3)
"""Decimals of the currencies that have other than two (ISO 4217, list one)."""


class InvalidAmountError(ValueError):
    """A text or number that is no amount of money with at most two decimals within numeric(10,2)."""


def parse_amount(text: str) -> Decimal:
    """An exact amount from text such as "240" or "33.3", quantized to two decimals.

    PostgreSQL would round 1.235 to 1.24 without a word, so the scale is checked here.
    Raises InvalidAmountError for anything that is no plain, finite, non-negative decimal of that size.
    """
    whole, point, decimals = text.partition(".")
    plain = whole.isascii() and whole.isdigit() and (not point or (decimals.isascii() and decimals.isdigit()))
    if not plain or len(decimals) > 2 or len(whole) > 20:
        raise InvalidAmountError("an amount is digits with at most two decimals, such as 240.00")
    amount = Decimal(text).quantize(CENT)
    if amount > LARGEST:
        raise InvalidAmountError(f"an amount is at most {LARGEST}")
    return amount


def line_total(unit_price: Decimal, qty: int) -> Decimal:
    """The exact price of ``qty`` pieces; may be larger than one amount column holds (see ``fits``)."""
    return (unit_price * qty).quantize(CENT)


def fits(amount: Decimal) -> bool:
    """Whether an amount fits the numeric(10,2) of every amount column."""
    return amount <= LARGEST


def show(amount: Decimal) -> str:
    """The amount as the API writes it: two decimals, no exponent, no separators."""
    return f"{amount:.2f}"


def decimals(currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """How many decimals the smallest unit of a currency has; a provider may differ from ISO 4217."""
    return (exceptions or {}).get(currency, MINOR_UNITS.get(currency, 2))


def to_minor_units(amount: Decimal, currency: str, exceptions: Mapping[str, int] | None = None) -> int:
    """The amount in the currency's smallest unit: 12.50 USD is 1250, 12 JPY is 12, 1.50 KWD is 1500.

    Raises InvalidAmountError for what the currency cannot express, such as 12.50 JPY: it is never rounded.
    """
    scaled = amount.scaleb(decimals(currency, exceptions))
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise InvalidAmountError(f"{currency} has no such small unit")
    return int(scaled)


def from_minor_units(minor: int, currency: str, exceptions: Mapping[str, int] | None = None) -> Decimal:
    """The amount of so many of the currency's smallest units, with two decimals.

    Raises InvalidAmountError for what numeric(10,2) cannot hold: 1.235 KWD, or more than LARGEST.
    """
    amount = Decimal(minor).scaleb(-decimals(currency, exceptions)) if 0 <= minor < 10**12 else None
    if amount is None or amount > LARGEST or amount != amount.quantize(CENT):
        raise InvalidAmountError("an amount is at most 99999999.99, with two decimals")
    return amount.quantize(CENT)
