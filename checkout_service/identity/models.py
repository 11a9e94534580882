"""The tables of API keys and of guests."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class ApiKey(Dated, Base):
    """A key of a program. The key itself is nowhere: it is shown once, when it is made.

    The owner makes and revokes keys. The trigger api_keys_guard lets nothing else of one change, and none come back
    that was revoked (migrations/events/api_keys.sql).
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("length(name) <= 200", name="name_length"),
        CheckConstraint("prefix ~ '^csk_[0-9A-Za-z]{8}$'", name="prefix_form"),
        CheckConstraint("octet_length(hash) = 32", name="hash_length"),
        CheckConstraint("cardinality(scopes) BETWEEN 1 AND 50", name="some_scopes"),
        CheckConstraint("length(created_by) BETWEEN 1 AND 200", name="created_by_length"),
        Index("api_keys_hash", "hash", unique=True),
        Index("api_keys_prefix", "prefix", unique=True),
    )
    name: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """What it is for, in the words of who made it; may be empty."""
    prefix: Mapped[str] = mapped_column(Text)
    """The first 12 characters of the key: by these it is named in lists, logs and the audit."""
    hash: Mapped[bytes] = mapped_column(BYTEA)
    """The SHA-256 of the whole key."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """What it is good for: names of ``Scope``."""
    created_by: Mapped[str] = mapped_column(Text)
    """Who made it."""
    expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """From then on it opens nothing; none if it does not end by itself."""
    revoked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it was taken back, for good; none if it was not."""
    last_used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """About when it was sent last: to a minute, and some uses may be missing."""


class Guest(Dated, Base):
    """Somebody who shops without a token: by the shop's cookie, which holds the id, or by a Cart-Token.

    The row comes with the guest's first cart write, or with ``POST /api/carts``. The trigger guests_guard
    (migrations/guests/guests.sql) has a guest linked to one customer, for good.
    """

    __tablename__ = "guests"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash_length"),
        CheckConstraint("customer_id <> id", name="customer_is_another"),
        CheckConstraint("(customer_id IS NULL) = (linked_at IS NULL)", name="linked_once"),
        CheckConstraint("customer_id IS NOT NULL OR merged_cart_id IS NULL", name="linked_before_merged"),
        Index("guests_token_hash", "token_hash", unique=True, postgresql_where=text("token_hash IS NOT NULL")),
        Index("guests_customer_id", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
        Index("guests_merged_cart_id", "merged_cart_id", postgresql_where=text("merged_cart_id IS NOT NULL")),
        Index("guests_last_used_at_id", "last_used_at", "id", postgresql_where=text("ended_at IS NULL")),
    )
    id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    """The guest's row of users, by which their cart, sessions and payments are found."""
    token_hash: Mapped[bytes | None] = mapped_column(BYTEA)
    """The SHA-256 of the Cart-Token; none of a guest who has the shop's cookie."""
    last_used_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """About when the token was sent last, to an hour, or the cookie was renewed, to a day."""
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    """The customer whom the guest turned out to be, written by ``guest_merge``; none before. For good."""
    linked_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When that was."""
    merged_cart_id: Mapped[UUID | None] = mapped_column(ForeignKey("carts.id", ondelete="SET NULL"))
    """The customer's cart that the guest's went into; none where the customer kept their own as it was."""
    merged_generation: Mapped[int | None]
    """The generation of the guest's cart that went into it. An order of this one, or of an older one that was paid
    in part, takes what it bought out of that cart."""
    into_generation: Mapped[int | None]
    """The generation of the customer's cart then. An order of it or a later one, whose session was opened after the
    merge, has bought what was merged."""
    merge_number: Mapped[int | None]
    """Which of the merges of that cart it was; none of one from before they were counted. Sessions with a lower count
    (``checkout_sessions.merges``) were read before it."""
    capped: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    """The lines that the bounds of carts made smaller, as they were answered."""
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When ``guests_sweep`` took their cart away. The row stays for what a customer sees by it."""
