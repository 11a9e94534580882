"""Tables of customers and their carts."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.spellings import LONGEST_SUBJECT

LARGEST_QTY = 9999

MOST_LINES = 500
"""Different listings in a cart: all of them are read, and frozen, at once."""


def _no_controls(column: str) -> str:
    return rf"{column} !~ '[\u0001-\u001f\u007f-\u009f]'"


class User(Dated, Base):
    """A customer; the row comes with the first cart write.

    The id is the subject of their tokens where that is a UUID. Of any other subject it is computed, and then the row
    keeps what it was computed of (``checkout_service/identity/subjects.py``).
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="issuer_and_subject"),
        CheckConstraint(f"length(issuer) <= {LONGEST_SUBJECT} AND {_no_controls('issuer')}", name="issuer_form"),
        CheckConstraint(
            f"length(subject) BETWEEN 1 AND {LONGEST_SUBJECT} AND {_no_controls('subject')} "
            "AND subject !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'",
            name="subject_form",
        ),
        CheckConstraint("subject IS NULL OR uuid_extract_version(id) IS NOT DISTINCT FROM 5", name="id_of_subject"),
        Index("users_issuer_subject", "issuer", "subject", unique=True, postgresql_where=text("subject IS NOT NULL")),
    )
    issuer: Mapped[str | None] = mapped_column(Text(collation="C"))
    """Who issued the tokens: ``JWT_ISSUER`` as it was, perhaps empty; none where the subject is a UUID."""
    subject: Mapped[str | None] = mapped_column(Text(collation="C"))
    """What the tokens call the customer, byte by byte; none where it is a UUID, which is the id."""


class Cart(Dated, Base):
    """The one open cart of a customer."""

    __tablename__ = "carts"
    __table_args__ = (
        Index("carts_user_id", "user_id", unique=True),
        Index("carts_id_currency", "id", "currency", unique=True),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """Whose it is."""
    generation: Mapped[int] = mapped_column(server_default=text("0"))
    """How often it was filled and paid: sessions belong to one generation, and a payment ends it."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217: in which its lines are priced. The first line sets it, or the customer while there is none."""
    currency_chosen: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the customer set it: then a first line has to have a price in it."""
    merges: Mapped[int] = mapped_column(server_default=text("0"))
    """How many guests' carts went into it, written by ``guest_merge``. Those of before migration 0024 count as one."""


class CartItem(Dated, Base):
    """One line: a listing and how many of it. A listing that is in a cart cannot be deleted."""

    __tablename__ = "cart_items"
    __table_args__ = (
        CheckConstraint(f"qty BETWEEN 1 AND {LARGEST_QTY}", name="qty_range"),
        Index("idx_cart_listing", "cart_id", "listing_id", unique=True),
        ForeignKeyConstraint(["cart_id", "currency"], ["carts.id", "carts.currency"], name="cart_items_currency_fkey"),
    )
    cart_id: Mapped[UUID] = mapped_column(ForeignKey("carts.id", ondelete="CASCADE"))
    """Its cart."""
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="RESTRICT"), index=True)
    """What the customer wants to buy."""
    qty: Mapped[int]
    """How many, 1 to 9999."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """The cart's, as the foreign key has it: what the line costs is the listing's price in it. None in a line that a
    release before wrote, which costs what the listing costs in its own."""
