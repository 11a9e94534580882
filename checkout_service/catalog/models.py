"""Tables of the catalogue."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class Vendor(Dated, Base):
    """Who sells. Written by the owner: ``checkout catalog import``."""

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
        CheckConstraint("length(description) <= 4000", name="description_length"),
        CheckConstraint("jsonb_typeof(images) = 'array' AND jsonb_array_length(images) <= 10", name="images_form"),
        Index(
            "listings_search",
            "search",
            postgresql_using="gin",
            postgresql_where=text("active"),
            postgresql_with={"fastupdate": "off"},
        ),
        Index("listings_newest", text("created_at DESC"), text("id DESC"), postgresql_where=text("active")),
        Index("listings_title_key", "title_key", "id", postgresql_where=text("active")),
        Index("listings_unit_price", "unit_price", "id", postgresql_where=text("active")),
        Index("listings_currency_unit_price", "currency", "unit_price", "id", postgresql_where=text("active")),
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
    description: Mapped[str | None] = mapped_column(Text)
    """Plain text for customers, up to 4,000 characters."""
    images: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """Up to ten of ``{url, alt}``, the first of them on the shelf."""
    search: Mapped[str | None] = mapped_column(TSVECTOR)
    """Its words without accents and case, written by a trigger: weight A those of the title, B those of the names of
    vendor, school and spec."""
    title_key: Mapped[str] = mapped_column(Text(collation="C"))
    """What it is sorted by as a title: 64 characters without accents and case, written by a trigger."""


class ListingPrice(Dated, Base):
    """What a listing costs in a currency other than its own: set by the shop, never computed. Written by the owner.

    The trigger listing_prices_guard (migrations/merges/prices.sql) refuses one in its own. listings_drop_price, beside
    it, deletes one that the listing's new currency would make such.
    """

    __tablename__ = "listing_prices"
    __table_args__ = (
        CheckConstraint("unit_price > 0", name="unit_price_positive"),
        CheckConstraint("unit_price = round(unit_price, currency_decimals(currency))", name="unit_price_of_currency"),
        Index("listing_prices_listing_id_currency", "listing_id", "currency", unique=True),
        Index("listing_prices_currency_unit_price", "currency", "unit_price", "listing_id"),
    )
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    """What costs so much."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217."""
    unit_price: Mapped[Decimal] = mapped_column(Numeric)
    """For one piece, in the currency's major unit."""


class ListingWord(Base):
    """In how many listings a word stands, on sale or not; the empty one is in all of them. Written by triggers.

    A search reads here which of its words finds the fewest. A count that is wrong costs time, and changes no answer.
    """

    __tablename__ = "listing_words"
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    """Without accents and case, up to 64 characters."""
    listings: Mapped[int] = mapped_column(BigInteger)
    """How many."""


class SyncState(StrEnum):
    """How a run of ``catalog sync`` ended. At most one is running."""

    RUNNING = "running"
    """At work, or killed within its lease."""
    DONE = "done"
    """All of the source was read, and what differed was written."""
    PARTIAL = "partial"
    """Its time was over before; the next one goes on."""
    TRIED = "tried"
    """Nothing was to be written (``--dry-run``)."""
    REFUSED = "refused"
    """Nothing was written, since the source is empty, has a key twice, or lacks too much."""
    FAILED = "failed"
    """The source could not be read, or the database failed. What was written before is right."""
    ABANDONED = "abandoned"
    """It was killed, and its lease was over before the next one."""


class CatalogSync(Dated, Base):
    """A run of ``catalog sync``: the last 200 are kept, and those of a day. Written by the owner's functions alone."""

    __tablename__ = "catalog_syncs"
    __table_args__ = (
        CheckConstraint("length(detail) <= 4000", name="detail_length"),
        CheckConstraint("jsonb_typeof(moved) = 'object'", name="moved_is_object"),
        Index("catalog_syncs_running", "state", unique=True, postgresql_where=text("state = 'running'")),
    )
    state: Mapped[SyncState] = mapped_column(
        Enum(SyncState, name="catalog_sync_state", values_callable=lambda kind: [state.value for state in kind]),
        server_default=text("'running'"),
    )
    """How far it is."""
    lease_until: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """When another one may begin, if this one was killed."""
    finished_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it ended; none while it runs."""
    source_rows: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows of the source."""
    added: Mapped[int] = mapped_column(server_default=text("0"))
    """Listings that were new."""
    changed: Mapped[int] = mapped_column(server_default=text("0"))
    """Listings that differed."""
    made_inactive: Mapped[int] = mapped_column(server_default=text("0"))
    """Listings on sale that the source no longer has, or that it says are not."""
    unusable: Mapped[int] = mapped_column(server_default=text("0"))
    """Rows that cannot be a listing."""
    short: Mapped[int] = mapped_column(server_default=text("0"))
    """Listings of which less lies there than is reserved."""
    allowed: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether somebody allowed it to make more inactive, or to move more prices, than the settings do."""
    moved: Mapped[dict[str, int]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Of listings on sale: how many prices became far more or less, or were gone, by their currencies."""
    detail: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Why nothing was changed, or which rows somebody has to look at: the first of them."""


class SourceListing(Dated, Base):
    """That a listing is of the source that ``catalog sync`` reads. Written by the owner's functions alone."""

    __tablename__ = "source_listings"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key_length"),
        Index("source_listings_listing_id", "listing_id", unique=True),
        Index("source_listings_key", "key", unique=True),
    )
    listing_id: Mapped[UUID] = mapped_column(ForeignKey("listings.id", ondelete="CASCADE"))
    """The listing."""
    key: Mapped[str] = mapped_column(Text(collation="C"))
    """What the source calls it: its ``id`` as text."""
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """SHA-256 of its row as it was written; none where the next run looks at it again."""
    listing_updated_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """``listings.updated_at`` by then: where it differs somebody else has changed the listing since."""
