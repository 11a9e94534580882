"""Reads of carts, one statement each whatever the number of lines."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, cast, func, select

from checkout_service.carts.lines import amount_text, line_columns, show_line
from checkout_service.carts.models import Cart, CartItem
from checkout_service.catalog.models import Listing, School, Spec, Vendor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenLine:
    """One line of a cart at the moment it was read; ``available`` is whether its listing is still on sale."""

    item_id: UUID
    listing_id: UUID
    title: str
    unit_price: Decimal
    currency: str
    qty: int
    line_total: Decimal
    vendor: str
    school: str | None
    spec: str | None
    available: bool

    def as_json(self) -> dict[str, Any]:
        """What was bought, in plain JSON values, for the session that keeps it; alike for alike things."""
        return {
            "listing_id": str(self.listing_id),
            "title": self.title,
            "unit_price": show(self.unit_price, self.currency),
            "currency": self.currency,
            "qty": self.qty,
            "line_total": show(self.line_total, self.currency),
            "vendor": self.vendor,
            "school": self.school,
            "spec": self.spec,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenCart:
    """A cart at the moment it was read, its lines in the order of their listings' ids.

    ``generation`` counts how often it was filled and paid.
    """

    id: UUID
    generation: int
    lines: tuple[FrozenLine, ...]

    @property
    def total_amount(self) -> Decimal:
        """The sum of the lines, whole; says something only where they are of one currency."""
        return sum((line.line_total for line in self.lines), start=Decimal("0.00"))

    @property
    def currency(self) -> str:
        """The currency of the first line, and of all where they are of one; a cart without lines has none."""
        return self.lines[0].currency


def read_cart(*, user_id: UUID, default_currency: str) -> dict[str, Any]:
    """The customer's cart as GET shows it; a customer who never added anything has an empty one without an id.

    Where the lines are of several currencies there is no total: ``total_amount`` and ``currency`` are None.
    """
    rows = execute(_SHOWN_CART, {"user": user_id})
    cart: dict[str, Any] = {"id": None, "items": [], "total_amount": "0.00", "currency": default_currency}
    if not rows:
        return cart
    cart["id"] = rows[0][0]
    if rows[0][1] is None:
        return cart
    cart["items"] = items = [show_line(row[3:]) for row in rows]
    cart["total_amount"] = rows[0][1]
    cart["currency"] = items[0]["listing"]["currency"]
    if rows[0][2]:
        cart["total_amount"] = cart["currency"] = None
    return cart


def cart_for_checkout(*, user_id: UUID, cart_id: UUID) -> FrozenCart | None:
    """The cart's lines as they are at this moment, or None where this customer has no such cart.

    Lines of listings that were taken off sale are among them, marked; amounts are exact and may be larger than one
    amount column holds.
    """
    rows = execute(_FROZEN_CART, {"user": user_id, "cart": cart_id})
    if not rows:
        return None
    # A cart without items is one row, of nulls.
    return FrozenCart(
        id=cart_id, generation=rows[0].generation, lines=tuple(_frozen(row) for row in rows if row.item_id is not None)
    )


def _frozen(row: Any) -> FrozenLine:
    return FrozenLine(
        item_id=row.item_id,
        listing_id=row.listing_id,
        title=row.title,
        unit_price=row.unit_price,
        currency=row.currency,
        qty=row.qty,
        line_total=row.line_total,
        vendor=row.vendor,
        school=row.school,
        spec=row.spec,
        available=row.available,
    )


_PRICE_OF_LINE = Listing.unit_price * CartItem.qty

_SHOWN_CART = Statement(
    select(
        cast(Cart.id, Text),
        amount_text(func.sum(_PRICE_OF_LINE).over()),
        func.min(Listing.currency).over() != func.max(Listing.currency).over(),
        *line_columns(CartItem.id, CartItem.qty),
    )
    .select_from(Cart)
    .outerjoin(CartItem, CartItem.cart_id == Cart.id)
    .outerjoin(Listing, Listing.id == CartItem.listing_id)
    .outerjoin(Vendor, Vendor.id == Listing.vendor_id)
    .outerjoin(School, School.id == Listing.school_id)
    .outerjoin(Spec, Spec.id == Listing.spec_id)
    .where(Cart.user_id == bindparam("user", type_=Uuid()))
    .order_by(CartItem.id),
    named=False,
)

_FROZEN_CART = Statement(
    select(
        Cart.generation,
        CartItem.id.label("item_id"),
        Listing.id.label("listing_id"),
        Listing.title,
        Listing.unit_price,
        Listing.currency,
        CartItem.qty,
        _PRICE_OF_LINE.label("line_total"),
        Vendor.name.label("vendor"),
        School.name.label("school"),
        Spec.name.label("spec"),
        Listing.active.label("available"),
    )
    .select_from(Cart)
    .outerjoin(CartItem, CartItem.cart_id == Cart.id)
    .outerjoin(Listing, Listing.id == CartItem.listing_id)
    .outerjoin(Vendor, Vendor.id == Listing.vendor_id)
    .outerjoin(School, School.id == Listing.school_id)
    .outerjoin(Spec, Spec.id == Listing.spec_id)
    .where(Cart.user_id == bindparam("user", type_=Uuid()), Cart.id == bindparam("cart", type_=Uuid()))
    # Not by when they were put in: the same things in another order are the same purchase.
    .order_by(Listing.id)
)
