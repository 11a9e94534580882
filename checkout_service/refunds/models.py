"""Tables of refunds and of the events behind them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.outcomes import OUTCOME_KNOWN
from checkout_service.payments.status import RefundStatus

STATUS = Enum(RefundStatus, name="refund_status", values_callable=lambda kind: [status.value for status in kind])


class Refund(Dated, Base):
    """Money given back of one capture or attempt. Inserted by the web tier, or by the worker for what others did.

    Triggers of migrations/entries/requests.sql refuse a request without cover: refunds_fill_from_payment at its INSERT,
    and refunds_check_cover before it is first sent. refunds_fold_payment moves the sums of its payment at once.
    refunds_check_pieces and refunds_check_made_for (migrations/pieces/made_for.sql) see to pieces of orders.
    refunds_guard (migrations/baseline/refunds.sql) lets no status move back. refunds_tell_of_new and refunds_tell
    (migrations/events/entries.sql) write its events.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount > 0 AND amount < 'Infinity'", name="amount_positive"),
        CheckConstraint("amount = round(amount, currency_decimals(currency))", name="amount_of_currency"),
        CheckConstraint(
            "num_nulls(requested_by, idempotency_key, request_hash) = 0 OR "
            "num_nonnulls(requested_by, idempotency_key, request_hash) = 0 AND provider_ref IS NOT NULL",
            name="requested_or_reported",
        ),
        CheckConstraint("status > 'processing' OR next_attempt_at IS NOT NULL", name="outstanding_has_next_attempt"),
        Index("refunds_requested_by_idempotency_key_part", "requested_by", "idempotency_key", "part", unique=True),
        Index("refunds_provider_provider_ref", "provider", "provider_ref", unique=True),
        Index("refunds_next_attempt_at", "next_attempt_at", postgresql_where=text("status <= 'processing'")),
        Index("refunds_made_for", "made_for", postgresql_where=text("made_for IS NOT NULL")),
        Index("refunds_failed", "updated_at", postgresql_where=text("status = 'failed'")),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment that it is of."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    provider_ref: Mapped[str | None] = mapped_column(Text)
    """What the provider calls this refund, once that is known."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """In the major unit."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """As the payment's."""
    status: Mapped[RefundStatus] = mapped_column(STATUS, server_default=text("'requested'"))
    """Where it is in its status order."""
    reason: Mapped[str | None] = mapped_column(Text)
    """What staff wrote."""
    decline: Mapped[str | None] = mapped_column(Text)
    """Why the provider refused it, in our words."""
    requested_by: Mapped[UUID | None]
    """Nobody for a refund made in the provider's dashboard; such a one has no key either."""
    idempotency_key: Mapped[str | None] = mapped_column(Text)
    """The key of the request."""
    request_hash: Mapped[bytes | None] = mapped_column(BYTEA)
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
    capture_ref: Mapped[str | None] = mapped_column(Text)
    """The capture that it is of, by the provider's name; none where an attempt is named, or nothing is."""
    attempt_ref: Mapped[str | None] = mapped_column(Text)
    """The attempt that it is of where its money is presumed; '' for the one without a name."""
    part: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """Its number among the rows of one request: one that needs more than one source has is several rows."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that asked for it (W3C traceparent), where that is sampled."""
    named_by_operator: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether ``provider_ref`` is what an operator copied, and no provider has confirmed yet."""
    made_for: Mapped[UUID | None] = mapped_column(ForeignKey("refunds.id"))
    """The refund of ours that has failed here, and that the provider made as this one, as it says by our id, over as
    much: its pieces stay given back. Once it is said, it stays."""


class RefundEvent(Dated, Base):
    """An event that a provider reported of a refund once; the same event of the same refund again is a duplicate."""

    __tablename__ = "refund_events"
    __table_args__ = (
        CheckConstraint(OUTCOME_KNOWN, name="outcome_known"),
        Index("refund_events_provider_event_id_refund_id", "provider", "event_id", "refund_id", unique=True),
    )
    delivery_id: Mapped[UUID | None]
    """The webhook that brought it; none of what a look-up or a backfill told, and the webhook may be pruned."""
    provider: Mapped[str] = mapped_column(Text)
    """The provider's name."""
    event_id: Mapped[str] = mapped_column(Text)
    """The provider's name for the event; made by us for what a look-up found."""
    refund_id: Mapped[UUID] = mapped_column(ForeignKey("refunds.id"), index=True)
    """The refund that it is about."""
    status: Mapped[RefundStatus] = mapped_column(STATUS)
    """The status that it proves."""
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    """What the provider says, in the major unit; none where it says nothing."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217, as the provider says."""
    outcome: Mapped[str] = mapped_column(Text)
    """What it did: applied, stale or mismatch."""
    occurred_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it happened, by the provider's clock."""
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """When we received it."""
