"""Tables of stock: a counter for each listing whose pieces are counted, and the holds that reserve them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class HoldState(StrEnum):
    """How far a hold is. One that ended is deleted."""

    HELD = "held"
    """For a payment that may come, until its end."""
    SOLD = "sold"
    """For an order, until its pieces are fulfilled or the order is canceled."""


class StockCounter(Dated, Base):
    """What lies there of a listing, and how much of it is reserved; available is the difference.

    The trigger listings_carry_stock (migrations/orders/stock.sql) carries ``listings.stock`` to it, so that holds do
    not lock listings. Written by the owner's functions alone.
    """

    __tablename__ = "stock_counters"
    __table_args__ = (
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("reserved >= 0", name="reserved_not_negative"),
        {"postgresql_with": {"fillfactor": 50}},
    )
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"), unique=False)
    """The listing."""
    stock: Mapped[int | None]
    """Pieces that lie there; none where nobody counts (any more)."""
    reserved: Mapped[int] = mapped_column(server_default=text("0"))
    """Pieces that are held, or sold and not fulfilled: the sum of its holds' ``reserved``."""


Index("stock_counters_listing_id", StockCounter.listing_id, unique=True)


class Hold(Dated, Base):
    """Pieces of one listing that are reserved for one payment. Written by the owner's functions alone.

    It comes before its payment, and names no other table by a key: a thousand holds of a listing would lock its row.
    """

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("qty > 0", name="qty_positive"),
        CheckConstraint("reserved BETWEEN 0 AND qty", name="reserved_of_qty"),
        CheckConstraint("(state = 'held') = (until IS NOT NULL)", name="held_have_end"),
        CheckConstraint("state = 'held' OR reserved = qty AND instead_of IS NULL", name="sold_are_whole"),
        Index("holds_payment_id_listing_id", "payment_id", "listing_id", unique=True),
        Index("holds_until", "until", postgresql_where=text("state = 'held'")),
        Index("holds_user_id", "user_id", postgresql_where=text("user_id IS NOT NULL")),
    )
    payment_id: Mapped[UUID]
    """The payment that it is for, opened or about to be."""
    listing_id: Mapped[UUID] = mapped_column(index=True)
    """What is held."""
    user_id: Mapped[UUID | None]
    """Whose it is while it is held, since one customer holds so many pieces at most; none of what is sold."""
    qty: Mapped[int]
    """How many pieces."""
    reserved: Mapped[int]
    """How many of them it reserves: less than ``qty`` only while another one does in its place."""
    state: Mapped[HoldState] = mapped_column(
        Enum(HoldState, name="hold_state", values_callable=lambda kind: [state.value for state in kind]),
        server_default=text("'held'"),
    )
    """Held or sold."""
    until: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it ends, if nobody pays and no session keeps it longer (``held_until``): ``holds_sweep`` looks at it then.
    None of what is sold."""
    instead_of: Mapped[UUID | None]
    """The older payment whose holds it is about to take over: they reserve for it until its session is there."""
