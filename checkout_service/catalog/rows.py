"""What a listing of a catalogue file, or of another application's tables, may hold: read strictly, as it is stored.

Written by hand, since there may be a million of them and each refusal must tell a person what to repair.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from checkout_service.catalog.images import parse_images
from checkout_service.catalog.jsonl import BadLineError, Number, check_text, parse_json, quoted, write_json
from checkout_service.money import (
    CURRENCIES,
    KNOWN_CURRENCIES,
    WITHDRAWN,
    InvalidAmountError,
    parse_amount,
    why_withdrawn,
)
from checkout_service.settings.origins import Origins

LONGEST_NAME: Final = 500
LONGEST_DESCRIPTION: Final = 4000
MOST_PRICES: Final = 50
LARGEST_STOCK: Final = 2**31 - 1

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_LISTING = frozenset(
    {"id", "title", "description", "images", "unit_price", "currency", "prices", "stock", "active", "vendor", "school"}
    | {"spec"}
)
_NAMED = frozenset({"id", "name", "attributes"})


class Named(NamedTuple):
    """A vendor, a school or a spec; ``attributes`` is JSON, or None where the line gives none."""

    id: str
    name: str
    attributes: str | None


class ListingRow(NamedTuple):
    """One listing; ``stock`` is None where it is not known. ``images`` and ``prices`` are JSON."""

    id: str
    title: str
    description: str | None
    images: str
    unit_price: Decimal
    currency: str
    prices: str
    stock: int | None
    active: bool
    vendor: Named
    school: Named | None
    spec: Named | None


def parse_line(line: bytes, image_origins: Origins | None = None) -> ListingRow:
    """One line of JSON as a row. Raises BadLineError.

    A line describes its listing in full: one without ``stock`` says that it is not known, one without ``active`` that
    the listing is on sale, one without ``school``, ``spec``, ``description``, ``images`` or ``prices`` that it has
    none. Images are at one of the origins.
    """
    return parse_listing(parse_json(line), image_origins)


def parse_listing(value: Any, image_origins: Origins | None = None) -> ListingRow:
    """The same of a value such as ``parse_json`` gives. Raises BadLineError."""
    listing = _object(value, "the line", _LISTING)
    vendor = _named(listing.get("vendor"), "vendor")
    if vendor is None:
        raise BadLineError("vendor is missing")
    currency = _currency(listing.get("currency"))
    return ListingRow(
        id=_uuid(listing.get("id"), "id"),
        title=_text(listing.get("title"), "title"),
        description=_description(listing.get("description")),
        images=parse_images(listing.get("images"), image_origins),
        unit_price=_price(listing.get("unit_price"), currency, "unit_price"),
        currency=currency,
        prices=_prices(listing.get("prices"), currency),
        stock=_stock(listing.get("stock")),
        active=_active(listing.get("active")),
        vendor=vendor,
        school=_named(listing.get("school"), "school"),
        spec=_named(listing.get("spec"), "spec"),
    )


def _named(value: Any, where: str) -> Named | None:
    if value is None:
        return None
    named = _object(value, where, _NAMED)
    return Named(
        id=_uuid(named.get("id"), f"{where}.id"),
        name=_text(named.get("name"), f"{where}.name"),
        attributes=_attributes(named.get("attributes"), where),
    )


def _object(value: Any, where: str, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadLineError(f"{where} is {_kind(value)}, not an object")
    unknown = value.keys() - known
    if unknown:
        raise BadLineError(f"{where} has the unknown member {quoted(min(unknown))}")
    return value


def _attributes(value: Any, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadLineError(f"{where}.attributes is {_kind(value)}, not an object")
    if value and where != "spec":
        raise BadLineError(f"{where}.attributes: only a spec keeps attributes")
    return write_json(value, f"{where}.attributes")


def _uuid(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadLineError(f"{where} is {_kind(value)}, not a UUID")
    if not _UUID.fullmatch(value):
        raise BadLineError(f"{where} is no UUID such as 018f0000-0000-7000-8000-000000000101")
    return value.lower()


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadLineError(f"{where} is {_kind(value)}, not a text")
    if not value.strip():
        raise BadLineError(f"{where} is empty")
    if len(value) > LONGEST_NAME:
        raise BadLineError(f"{where} is longer than {LONGEST_NAME} characters")
    check_text(value, where)
    return value


def _description(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadLineError(f"description is {_kind(value)}, not a text")
    if len(value) > LONGEST_DESCRIPTION:
        raise BadLineError(f"description is longer than {LONGEST_DESCRIPTION} characters")
    check_text(value, "description")
    return value.strip() or None


def _price(value: Any, currency: str, where: str) -> Decimal:
    text = value.text if isinstance(value, Number) else str(value) if type(value) is int else value
    if not isinstance(text, str):
        raise BadLineError(f'{where} is {_kind(value)}, not an amount such as "240.00"')
    try:
        price = parse_amount(text, currency)
    except InvalidAmountError as error:
        raise BadLineError(f"{where}: {error}") from error
    if not price:
        raise BadLineError(f"{where} is not more than 0")
    return price


def _prices(value: Any, currency: str) -> str:
    """Prices in other currencies than the listing's own, by currency, as JSON.

    Those in a currency that was withdrawn are left out: the shop shows them beside its own, and sells nothing in them.
    """
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise BadLineError(f'prices is {_kind(value)}, not an object such as {{"EUR": "35.00"}}')
    if len(value) > MOST_PRICES:
        raise BadLineError(f"prices has more than {MOST_PRICES} members")
    for name in value:
        if name not in KNOWN_CURRENCIES:
            raise BadLineError(f"prices: {quoted(name)} is no ISO 4217 code such as USD")
        if name == currency:
            raise BadLineError(f"prices: {name} is the listing's own currency, whose price is unit_price")
    sold = {name: price for name, price in value.items() if name in CURRENCIES}
    return write_json({name: str(_price(price, name, f"prices.{name}")) for name, price in sold.items()}, "prices")


def left_out(prices: bytes) -> Sequence[str]:
    """Of JSON with the prices of a row that was taken: in which currencies they were left out."""
    if not any(code.encode() in prices for code in WITHDRAWN):
        return ()
    value = parse_json(prices)
    if "prices" in value:
        value = value["prices"] or {}
    return sorted(WITHDRAWN.keys() & value.keys())


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in CURRENCIES:
        raise BadLineError(f"currency is no ISO 4217 code such as USD{_withdrawn(value)}")
    return value


def _withdrawn(value: Any) -> str:
    why = why_withdrawn(value) if isinstance(value, str) else None
    return f" ({why})" if why else ""


def _stock(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= LARGEST_STOCK:
        raise BadLineError(f"stock is no integer from 0 to {LARGEST_STOCK}")
    return value


def _active(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, bool):
        raise BadLineError(f"active is {_kind(value)}, not true or false")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "missing or null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, Number)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "an array" if isinstance(value, list) else "an object"
