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
    """Who sells."""

    __tablename__ = "vendors"
    name: Mapped[str] = mapped_column(Text)


class School(Dated, Base):
    """Whom it is for; a listing may do without."""

    __tablename__ = "schools"
    name: Mapped[str] = mapped_column(Text)


class Spec(Dated, Base):
    """What it is, in free attributes; a listing may do without."""

    __tablename__ = "specs"
    name: Mapped[str] = mapped_column(Text)
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))


class Listing(Dated, Base):
    """Something that can be bought, at a price in one currency."""

    __tablename__ = "listings"
    __table_args__ = (
        CheckConstraint("unit_price > 0", name="unit_price_positive"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )
    vendor_id: Mapped[UUID] = mapped_column(ForeignKey("vendors.id"), index=True)
    school_id: Mapped[UUID | None] = mapped_column(ForeignKey("schools.id"), index=True)
    spec_id: Mapped[UUID | None] = mapped_column(ForeignKey("specs.id"), index=True)
    title: Mapped[str] = mapped_column(Text)
    unit_price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    currency: Mapped[str] = mapped_column(CHAR(3))
    stock: Mapped[int | None]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
