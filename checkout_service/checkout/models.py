"""Table of checkout sessions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, BigInteger, Computed, ForeignKey, Index, Numeric, Text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class CheckoutSession(Dated, Base):
    """A cart as it was when the customer asked to pay; never changed, never pruned."""

    __tablename__ = "checkout_sessions"
    __table_args__ = (
        Index("checkout_sessions_user_id_idempotency_key", "user_id", "idempotency_key", unique=True),
        Index("checkout_sessions_payment_id", "payment_id", unique=True),
        # Finds sessions of one cart with equal lines, so that paying twice for the same things is noticed.
        Index("checkout_sessions_same_cart", "cart_id", "lines_key"),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    cart_id: Mapped[UUID] = mapped_column(ForeignKey("carts.id"))
    idempotency_key: Mapped[str] = mapped_column(Text)
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    payment_token: Mapped[str] = mapped_column(Text)
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    currency: Mapped[str] = mapped_column(CHAR(3))
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    lines_key: Mapped[int] = mapped_column(BigInteger, Computed("checkout_lines_key(lines)", persisted=True))
    """The same for the same listings at the same prices, in whatever order and under whatever titles."""
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), index=True)
