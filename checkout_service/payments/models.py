"""Tables of payments and of the events behind them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.outcomes import OUTCOME_KNOWN
from checkout_service.payments.status import PaymentStatus

STATUS = Enum(PaymentStatus, name="payment_status", values_callable=lambda kind: [status.value for status in kind])


class Payment(Dated, Base):
    """One payment at one provider. Inserted by the web tier, moved by the worker's transitions alone."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount >= 0.01", name="amount_positive"),
        CheckConstraint(
            "amount_refunded >= 0 AND amount_refunding >= 0 AND amount_refunded + amount_refunding <= amount",
            name="refunds_fit",
        ),
        Index("idx_payment_provider_ref", "provider_ref", unique=True),
        Index("idx_payment_status_created", "status", "created_at"),
        Index("payments_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("payments_next_look_up_at", "next_look_up_at", postgresql_where=text("next_look_up_at IS NOT NULL")),
        Index("payments_flagged", "id", postgresql_where=text("review_reason IS NOT NULL")),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    provider: Mapped[str] = mapped_column(Text)
    provider_ref: Mapped[str] = mapped_column(Text)
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    currency: Mapped[str] = mapped_column(CHAR(3))
    status: Mapped[PaymentStatus] = mapped_column(STATUS, server_default=text("'pending'"))
    raw_payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    review_reason: Mapped[str | None] = mapped_column(Text)
    next_look_up_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:10:00'::interval)")
    )
    look_ups: Mapped[int] = mapped_column(server_default=text("0"))
    look_up_log: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """The newest questions put to the provider: when ("at"), which ("question") and the answer ("answer")."""
    capture_ref: Mapped[str | None] = mapped_column(Text)
    """What the provider calls the money that came, where that is another name than ``provider_ref``."""
    amount_refunded: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default=text("0"))
    amount_refunding: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default=text("0"))
    """Of refunds requested or under way. Both sums are kept by refunds_update_sums; nobody else may write them."""


class PaymentEvent(Dated, Base):
    """An event that a provider reported once; the same event id a second time is a duplicate."""

    __tablename__ = "payment_events"
    __table_args__ = (
        CheckConstraint(OUTCOME_KNOWN, name="outcome_known"),
        Index("payment_events_provider_event_id", "provider", "event_id", unique=True),
    )
    delivery_id: Mapped[UUID | None]
    provider: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str] = mapped_column(Text)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    status: Mapped[PaymentStatus] = mapped_column(STATUS)
    amount: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    outcome: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


class CancelRequest(Dated, Base):
    """Somebody asked to call a payment off; once each. No next attempt means that nothing is left to do."""

    __tablename__ = "cancel_requests"
    __table_args__ = (
        Index("cancel_requests_payment_id", "payment_id", unique=True),
        Index(
            "cancel_requests_next_attempt_at", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")
        ),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    requested_by: Mapped[UUID]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    detail: Mapped[str | None] = mapped_column(Text)
