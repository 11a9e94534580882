"""Tables of the catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class Vendor(Dated, Base):
    """Who sells. Written by the owner: ``flask catalog import``."""

    __tablename__ = "vendors"
    name: Mapped[str] = mapped_column(Text)
    """As customers see it."""


class School(Dated, Base):
    """Whom it is for; a listing may do without. Written by the owner."""

    __tablename__ = "schools"
    name: Mapped[str] = mapped_column(Text)
    """As customers see it."""


class Spec(Dated, Base):
    """What it is, in free attributes; a listing may do without. Written by the owner."""

    __tablename__ = "specs"
    name: Mapped[str] = mapped_column(Text)
    """As customers see it."""
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Free text by name: colour, size, pages."""


class Listing(Dated, Base):
    """Something that can be bought, at a price in one currency. Written by the owner."""

    __tablename__ = "listings"
    __table_args__ = (
        CheckConstraint("unit_price > 0", name="unit_price_positive"),
        CheckConstraint("unit_price = round(unit_price, currency_decimals(currency))", name="unit_price_of_currency"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id"), index=True)
    """Who sells it."""
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id"), index=True)
    """Whom it is for."""
    spec_id: Mapped[UUID | None] = mapped_column(ForeignKey("specs.id"), index=True)
    """What it is."""
    title: Mapped[str] = mapped_column(Text)
    """As customers see it."""
    unit_price: Mapped[Decimal] = mapped_column(Numeric)
    """For one piece, in the currency's major unit."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217."""
    stock: Mapped[int | None]
    """Pieces that lie there, with what is reserved of them (``stock_counters``); none where nobody counts."""
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether it can be bought now."""
