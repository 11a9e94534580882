"""Tables of customers and their carts."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated

LARGEST_QTY = 9999

MOST_LINES = 500
"""Different listings in a cart: all of them are read, and frozen, at once."""


class User(Dated, Base):
    """A customer; the id is the subject of the token, and the row comes with the first cart write."""

    __tablename__ = "users"


class Cart(Dated, Base):
    """The one open cart of a customer."""

    __tablename__ = "carts"
    __table_args__ = (Index("carts_user_id", "user_id", unique=True),)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """Whose it is."""
    generation: Mapped[int] = mapped_column(server_default=text("0"))
    """How often it was filled and paid: sessions belong to one generation, and a payment ends it."""


class CartItem(Dated, Base):
    """One line: a listing and how many of it. A listing that is in a cart cannot be deleted."""

    __tablename__ = "cart_items"
    __table_args__ = (
        CheckConstraint(f"qty BETWEEN 1 AND {LARGEST_QTY}", name="qty_range"),
        Index("idx_cart_listing", "cart_id", "listing_id", unique=True),
    )
    cart_id: Mapped[UUID] = mapped_column(ForeignKey("carts.id", ondelete="CASCADE"))
    """Its cart."""
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="RESTRICT"), index=True)
    """What the customer wants to buy."""
    qty: Mapped[int]
    """How many, 1 to 9999."""
