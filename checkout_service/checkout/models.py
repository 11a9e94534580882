"""Table of checkout sessions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, ForeignKey, Index, Numeric, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class SessionAddress(Dated, Base):
    """From where a session was opened, so that one address has no more open than some. Erased within about a day.

    There are none where the web tier does not know its callers' addresses (``TRUSTED_PROXIES``).
    """

    __tablename__ = "session_addresses"
    __table_args__ = (Index("session_addresses_address_ends_at", "address", "ends_at"),)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that the session opened."""
    address: Mapped[bytes] = mapped_column(BYTEA)
    """A keyed hash of the address, of IPv6 of its /64. No role of the database has the key."""
    ends_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """When the session ends, or a day after it was opened if earlier. Then the row goes, unless it holds pieces."""


class CheckoutSession(Dated, Base):
    """A cart as it was when the customer began to pay. Never changed, never pruned.

    The trigger checkout_sessions_tell (migrations/events/entries.sql) writes the event that it was opened.
    """

    __tablename__ = "checkout_sessions"
    __table_args__ = (
        CheckConstraint("amount = round(amount, currency_decimals(currency))", name="amount_of_currency"),
        Index("checkout_sessions_user_id_idempotency_key", "user_id", "idempotency_key", unique=True),
        Index("checkout_sessions_payment_id", "payment_id", unique=True),
        # Sessions of one filling of a cart, so that two payments of it are found.
        Index("checkout_sessions_cart_id_generation", "cart_id", "generation"),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """The customer."""
    cart_id: Mapped[UUID] = mapped_column(ForeignKey("carts.id"))
    """The cart that it was made of."""
    generation: Mapped[int | None]
    """The generation of the cart; none of a session from before there were any, which is one of its own."""
    merges: Mapped[int | None]
    """How many guests' carts had gone into the cart when it was read; none of a session of a release before.

    With any, the trigger checkout_sessions_pair (migrations/merges/mates.sql) writes payments that the guests began for
    the same things into ``payment_mates``.
    """
    idempotency_key: Mapped[str] = mapped_column(Text)
    """The customer's key for this purchase."""
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the request, so that the key with another request is refused."""
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that it opened."""
    payment_token: Mapped[str] = mapped_column(Text)
    """What the client pays with at the provider."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """The total that was promised."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217, of all lines."""
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """The cart's lines as they were, with titles and prices."""
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), index=True)
    """Until when it may be paid."""
    held_until: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Until when its holds stay, if nobody pays; none of a session from before there were holds.

    With it the trigger checkout_sessions_prove_holds (migrations/orders/stock.sql) refuses a session whose holds are
    not its lines, and takes those of the older session over that it stands in for.
    """
    also_under_way: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    """Older payments for the same filling of the cart that were under way or authorized when it was opened."""
    buyer: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """``email``, ``name``, ``locale`` and perhaps ``phone`` of who buys, for the order."""
    delivery_address: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Where it is to go, for the order."""
