"""A line of a cart as every route shows it: which columns a statement reads for it, and how they become the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, SQLColumnExpression, Text, and_, cast, func, literal_column, not_, or_

from checkout_service.carts.stock import available_pieces
from checkout_service.catalog.models import Listing, ListingPrice, School, Spec, Vendor
from checkout_service.money import WITHDRAWN

PRICE: Final[ColumnElement[Any]] = func.coalesce(ListingPrice.unit_price, Listing.unit_price)
"""What one piece costs, in ``CURRENCY``."""

CURRENCY: Final[ColumnElement[Any]] = func.coalesce(ListingPrice.currency, Listing.currency)
"""The line's, or the listing's own where the line has none, or there is no price in it any more."""

NO_MORE: Final = ", ".join(f"'{currency}'" for currency in WITHDRAWN)
"""The currencies in which nothing is sold any more, as SQL lists them."""


def is_withdrawn(currency: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """Whether nothing is sold in this currency any more."""
    return currency.in_([literal_column(f"'{code}'") for code in WITHDRAWN])


def price_in(currency: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """How ListingPrice is joined to Listing by a line's currency: outer, since mostly it is the listing's own."""
    return and_(ListingPrice.listing_id == Listing.id, ListingPrice.currency == currency, currency != Listing.currency)


def line_columns(
    item_id: SQLColumnExpression[Any], qty: SQLColumnExpression[int], currency: SQLColumnExpression[Any]
) -> list[SQLColumnExpression[Any]]:
    """What ``show_line`` needs of a line, from a statement that joins Listing, ListingPrice, Vendor, School and Spec.

    Its parameter ``user`` is the customer.

    PostgreSQL writes ids and amounts as the texts of the answer: that is exact, and cheaper than objects for Python
    to make and to print.
    """
    return [
        cast(item_id, Text),
        qty,
        amount_text(PRICE * qty),
        and_(Listing.active, or_(currency.is_(None), currency == CURRENCY), not_(is_withdrawn(CURRENCY))),
        cast(Listing.id, Text),
        Listing.title,
        amount_text(PRICE),
        CURRENCY,
        available_pieces(),
        cast(Vendor.id, Text),
        Vendor.name,
        cast(School.id, Text),
        School.name,
        cast(Spec.id, Text),
        Spec.name,
        cast(Spec.attributes, Text),
    ]


def amount_text(amount: SQLColumnExpression[Any]) -> SQLColumnExpression[Any]:
    """An amount in the line's currency, as ``money.show`` writes it."""
    return cast(func.round(amount, func.greatest(2, func.currency_decimals(CURRENCY))), Text)


def show_line(row: Sequence[Any]) -> dict[str, Any]:
    """A line as GET shows it, from the columns of ``line_columns``. The attributes stay the JSON they are."""
    (
        item_id,
        qty,
        line_total,
        is_on_sale,
        listing_id,
        title,
        unit_price,
        currency,
        available,
        vendor_id,
        vendor,
        school_id,
        school,
        spec_id,
        spec,
        attributes,
    ) = row
    return {
        "id": item_id,
        "listing": {
            "id": listing_id,
            "title": title,
            "unit_price": unit_price,
            "currency": currency,
            "available": available,
            "vendor": {"id": vendor_id, "name": vendor},
            "school": None if school_id is None else {"id": school_id, "name": school},
            "spec": None
            if spec_id is None
            else {"id": spec_id, "name": spec, "attributes": orjson.Fragment(attributes)},
        },
        "qty": qty,
        "line_total": line_total,
        "available": is_on_sale,
    }
