"""Tables of captures, and of the captures and voids that staff ask for."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, String, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.status import CaptureStatus, RequestStatus

CAPTURE_STATUS = Enum(
    CaptureStatus, name="capture_status", values_callable=lambda kind: [status.value for status in kind]
)
REQUEST_STATUS = Enum(
    RequestStatus, name="request_status", values_callable=lambda kind: [status.value for status in kind]
)


class Capture(Dated, Base):
    """Money that came, by the provider's name for it. Joined: the greatest status and amount.

    The trigger captures_guard (migrations/entries/guards.sql) lets nothing of it move back. captures_tell_of_new and
    captures_tell (migrations/events/entries.sql) write its events.
    """

    __tablename__ = "captures"
    __table_args__ = (
        CheckConstraint("capture_ref <> ''", name="ref_not_empty"),
        CheckConstraint("amount >= 0 AND amount < 'Infinity'", name="amount_not_negative"),
        Index("captures_provider_capture_ref", "provider", "capture_ref", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment that it is of."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    capture_ref: Mapped[str] = mapped_column(Text)
    """The provider's name for it."""
    attempt_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The attempt that it is of; '' where nothing names one."""
    status: Mapped[CaptureStatus] = mapped_column(CAPTURE_STATUS)
    """Where it is in its status order."""
    amount: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """In the major unit: the greatest that was reported, since Stripe's charge is cumulative."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217, as the provider says."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""


class CaptureRequest(Dated, Base):
    """Somebody asked to capture what is authorized. The id is the provider's idempotency key.

    The triggers capture_requests_admit and capture_requests_check_cover (migrations/entries/requests.sql) refuse what
    has no cover, capture_requests_guard (migrations/entries/guards.sql) whatever moves back. capture_requests_tell
    (migrations/events/entries.sql) writes the event of one that failed.
    """

    __tablename__ = "capture_requests"
    __table_args__ = (
        CheckConstraint("amount > 0 AND amount < 'Infinity'", name="amount_positive"),
        CheckConstraint("amount = round(amount, currency_decimals(currency))", name="amount_of_currency"),
        CheckConstraint("status > 'processing' OR next_attempt_at IS NOT NULL", name="outstanding_has_next_attempt"),
        Index("capture_requests_requested_by_idempotency_key", "requested_by", "idempotency_key", unique=True),
        Index("capture_requests_provider_provider_ref", "provider", "provider_ref", unique=True),
        Index("capture_requests_next_attempt_at", "next_attempt_at", postgresql_where=text("status <= 'processing'")),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment that it is of."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    attempt_ref: Mapped[str] = mapped_column(Text)
    """The authorisation that is captured, by the provider's name."""
    provider_ref: Mapped[str | None] = mapped_column(Text)
    """What the provider calls the capture, once that is known."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """In the major unit; where none was named, all that was open."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """As the payment's."""
    final: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether what is authorized besides is released."""
    releases: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """How much that was when this was asked for."""
    status: Mapped[RequestStatus] = mapped_column(REQUEST_STATUS, server_default=text("'requested'"))
    """Where it is in its status order."""
    decline: Mapped[str | None] = mapped_column(Text)
    """Why the provider refused it, in our words."""
    requested_by: Mapped[UUID]
    """Who of the staff."""
    idempotency_key: Mapped[str] = mapped_column(Text)
    """The key of the request."""
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the request."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """How often its provider was asked."""
    sent_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """The moment of the first sending to the provider: from then on it may have made it, whatever we were answered."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    """When it is due, or when its lease ends."""
    detail: Mapped[str | None] = mapped_column(Text)
    """What came of the last attempt."""
    in_doubt: Mapped[bool] = mapped_column(server_default=text("false"))
    """Nobody knows whether the provider made it, and to ask again might make it twice: a person has to look."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that asked for it (W3C traceparent), where that is sampled."""


class Void(Dated, Base):
    """Somebody asked to give back what is authorized and was not captured. The id is the provider's idempotency key.

    The trigger voids_admit (migrations/entries/requests.sql) refuses one without cover, voids_guard
    (migrations/entries/guards.sql) whatever moves back. voids_tell (migrations/events/entries.sql) writes the event of
    one that succeeded.
    """

    __tablename__ = "voids"
    __table_args__ = (
        CheckConstraint("status > 'processing' OR next_attempt_at IS NOT NULL", name="outstanding_has_next_attempt"),
        Index("voids_requested_by_idempotency_key", "requested_by", "idempotency_key", unique=True),
        Index("voids_next_attempt_at", "next_attempt_at", postgresql_where=text("status <= 'processing'")),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment whose authorisations are given back."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    releases: Mapped[Decimal] = mapped_column(Numeric)
    """In the major unit: what was authorized and not captured when this was asked for."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """As the payment's."""
    status: Mapped[RequestStatus] = mapped_column(REQUEST_STATUS, server_default=text("'requested'"))
    """Where it is in its status order."""
    decline: Mapped[str | None] = mapped_column(Text)
    """Why the provider refused it, in our words."""
    requested_by: Mapped[UUID]
    """Who of the staff."""
    idempotency_key: Mapped[str] = mapped_column(Text)
    """The key of the request."""
    request_hash: Mapped[bytes] = mapped_column(BYTEA)
    """SHA-256 of the request."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """How often its provider was asked."""
    sent_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """The moment of the first sending to the provider."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    """When it is due, or when its lease ends."""
    detail: Mapped[str | None] = mapped_column(Text)
    """What came of the last attempt."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that asked for it (W3C traceparent), where that is sampled."""
