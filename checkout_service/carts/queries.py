"""Reads of carts, one statement each whatever the number of lines."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, cast, func, select

from checkout_service.carts.lines import CURRENCY, PRICE, amount_text, line_columns, price_in, show_line
from checkout_service.carts.models import Cart, CartItem
from checkout_service.catalog.models import Listing, ListingPrice, School, Spec, Vendor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement


def read_cart(*, user_id: UUID, default_currency: str) -> dict[str, Any]:
    """The customer's cart as GET shows it; a customer who never added anything has an empty one without an id.

    Where the lines are of several currencies there is no total: ``total_amount`` and ``currency`` are None.
    """
    rows = execute(_SHOWN_CART, {"user": user_id})
    cart: dict[str, Any] = {"id": None, "items": [], "total_amount": "0.00", "currency": default_currency}
    if not rows:
        return cart
    cart["id"] = rows[0][0]
    cart["currency"] = rows[0][3] or default_currency
    if rows[0][1] is None:
        return cart
    cart["items"] = items = [show_line(row[4:]) for row in rows]
    cart["total_amount"] = rows[0][1]
    cart["currency"] = items[0]["listing"]["currency"]
    if rows[0][2]:
        cart["total_amount"] = cart["currency"] = None
    return cart


_PRICE_OF_LINE = PRICE * CartItem.qty

_SHOWN_CART = Statement(
    select(
        cast(Cart.id, Text),
        amount_text(func.sum(_PRICE_OF_LINE).over()),
        func.min(CURRENCY).over() != func.max(CURRENCY).over(),
        Cart.currency,
        *line_columns(CartItem.id, CartItem.qty, CartItem.currency),
    )
    .select_from(Cart)
    .outerjoin(CartItem, CartItem.cart_id == Cart.id)
    .outerjoin(Listing, Listing.id == CartItem.listing_id)
    .outerjoin(ListingPrice, price_in(CartItem.currency))
    .outerjoin(Vendor, Vendor.id == Listing.vendor_id)
    .outerjoin(School, School.id == Listing.school_id)
    .outerjoin(Spec, Spec.id == Listing.spec_id)
    .where(Cart.user_id == bindparam("user", type_=Uuid()))
    .order_by(CartItem.id),
    named=False,
)
