"""Tables of payments and of the events behind them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.outcomes import OUTCOME_KNOWN
from checkout_service.payments.status import PaymentStatus

STATUS = Enum(PaymentStatus, name="payment_status", values_callable=lambda kind: [status.value for status in kind])


class Payment(Dated, Base):
    """One payment at one provider. Inserted by the web tier; everything that moves is computed of its entries.

    Status, sums, reasons, version and what is next to them are written by the function payments_fold alone
    (migrations/entries/fold.sql), which worker/transitions calls. The trigger payments_guard
    (migrations/baseline/payments.sql) keeps what a payment is.
    """

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount > 0 AND amount < 'Infinity'", name="amount_positive"),
        CheckConstraint("amount = round(amount, currency_decimals(currency))", name="amount_of_currency"),
        CheckConstraint("closed IN ('failed', 'expired', 'canceled')", name="closed_unpaid"),
        Index("idx_payment_provider_ref", "provider", "provider_ref", unique=True),
        Index("idx_payment_status_created", "status", "created_at"),
        Index("payments_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("payments_created_at_id", "created_at", "id"),
        Index("payments_amount_currency_created_at_id", "amount", "currency", "created_at", "id"),
        Index("payments_updated_at_id", "updated_at", "id"),
        Index(
            "payments_provider_next_look_up_at",
            "provider",
            "next_look_up_at",
            postgresql_where=text("next_look_up_at IS NOT NULL"),
        ),
        Index("payments_flagged", "id", postgresql_where=text("review_reason IS NOT NULL")),
        Index("payments_flagged_created_at_id", "created_at", "id", postgresql_where=text("review_reason IS NOT NULL")),
        Index("payments_open", "user_id", "created_at", postgresql_where=text("status = 'pending' AND NOT under_way")),
        Index("payments_under_way", "id", postgresql_where=text("under_way")),
        Index("payments_authorized", "id", postgresql_where=text("amount_authorized > 0 AND closed IS NULL")),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    """The customer."""
    provider: Mapped[str] = mapped_column(Text)
    """The provider's name."""
    provider_ref: Mapped[str] = mapped_column(Text)
    """What every webhook about it carries."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """What is to be paid, in the major unit."""
    currency: Mapped[str] = mapped_column(CHAR(3))
    """ISO 4217."""
    status: Mapped[PaymentStatus] = mapped_column(STATUS, server_default=text("'pending'"))
    """What became of it, computed of its entries: it may go back, when a dispute that was lost is won."""
    raw_payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What the provider's newest event that moved it says: allowed members alone, no card."""
    review_reason: Mapped[str | None] = mapped_column(Text)
    """Why a person has to look at it, computed: reasons in alphabetical order, with commas between."""
    next_look_up_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:10:00'::interval)")
    )
    """When its provider is asked about it next; none if never."""
    look_ups: Mapped[int] = mapped_column(server_default=text("0"))
    """How often it was asked."""
    look_up_log: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """The newest questions put to the provider: when ("at"), which ("question") and the answer ("answer")."""
    capture_ref: Mapped[str | None] = mapped_column(Text)
    """The name by which the release before entries knew the money. Nobody reads or writes it any more: a later release
    drops it."""
    amount_refunded: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """Of refunds that succeeded."""
    amount_refunding: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """Of refunds requested or under way."""
    amount_captured: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """Money that came, by captures or presumed, even if it went again."""
    amount_lost: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """Money that went again by disputes and undone captures."""
    amount_blocked: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """What open disputes hold back from refunds, and did not take yet."""
    amount_authorized: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
    """Promised by open authorisations, without what was captured of them."""
    amount_accepted: Mapped[Decimal | None] = mapped_column(Numeric)
    """What an operator accepted in place of ``amount``; none if nobody did."""
    under_way: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether some attempt to pay is under way, whatever the status is."""
    first_paid_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it first became paid: set once. Of one that was paid before 0014, when it was changed last before that."""
    closed: Mapped[PaymentStatus | None] = mapped_column(STATUS)
    """How the provider closed the whole payment unpaid: failed, expired or canceled; none if it did not."""
    looked_up_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """The newest time at which its provider was asked and named no attempt under way."""
    version: Mapped[int] = mapped_column(server_default=text("0"))
    """Counts the changes of status, sums and reasons."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that opened it (W3C traceparent), where that is sampled."""


class PaymentMate(Dated, Base):
    """Two payments for the same things in two carts that a merge made one, each pair from both sides. Never changed.

    One is a guest's, begun before the merge, the other of a session that the customer opened after it. The trigger
    checkout_sessions_pair (migrations/merges/mates.sql) writes them. Where money comes for both they are paid twice, as
    two payments of one filling of a cart are, which stand in no table.
    """

    __tablename__ = "payment_mates"
    __table_args__ = (
        CheckConstraint("payment_id <> mate_id", name="are_two"),
        Index("payment_mates_payment_id_mate_id", "payment_id", "mate_id", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """One of the two."""
    mate_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The other."""


class LookUpAfterRestore(Dated, Base):
    """A payment about which its provider has to be asked since a restore (``checkout after-restore``).

    Until the answer is recorded, or an operator lets it go, the triggers refunds_wait_for_look_up and
    capture_requests_wait_for_look_up (migrations/restores/look_ups.sql) refuse requests.
    """

    __tablename__ = "look_ups_after_restore"
    __table_args__ = (
        Index("look_ups_after_restore_payment_id", "payment_id", unique=True),
        Index(
            "look_ups_after_restore_provider_due_at",
            "provider",
            "due_at",
            postgresql_where=text("answered_at IS NULL"),
        ),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment; once each."""
    provider: Mapped[str] = mapped_column(Text)
    """Its provider, so that each is asked in a lane of its own."""
    due_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """When it is asked about, or once more where a run took it and did not come to an end."""
    answered_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it was answered by a provider that cannot tell what was given back: an operator lets it go."""


class PaymentEvent(Dated, Base):
    """An event that a provider reported once; the same event id a second time is a duplicate."""

    __tablename__ = "payment_events"
    __table_args__ = (
        CheckConstraint(OUTCOME_KNOWN, name="outcome_known"),
        Index("payment_events_provider_event_id", "provider", "event_id", unique=True),
    )
    delivery_id: Mapped[UUID | None]
    """The webhook that brought it; none of what a look-up or a backfill told, and the webhook may be pruned."""
    provider: Mapped[str] = mapped_column(Text)
    """The provider's name."""
    event_id: Mapped[str] = mapped_column(Text)
    """The provider's name for the event; made by us for what a look-up found."""
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"), index=True)
    """The payment that it is about."""
    status: Mapped[PaymentStatus | None] = mapped_column(STATUS)
    """The status that it speaks of, for people; none where it is about no status of a payment."""
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    """What the provider says, in the major unit; none where it says nothing."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217, as the provider says."""
    outcome: Mapped[str] = mapped_column(Text)
    """What it did: applied, stale or mismatch."""
    entries: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """The entries that it proves, by name and status, for people; none of events from before entries."""
    occurred_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it happened, by the provider's clock."""
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """When we received it."""


class CancelRequest(Dated, Base):
    """Somebody asked to call a payment off; once each. No next attempt means that nothing is left to do."""

    __tablename__ = "cancel_requests"
    __table_args__ = (
        Index("cancel_requests_payment_id", "payment_id", unique=True),
        Index(
            "cancel_requests_next_attempt_at", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")
        ),
        Index(
            "cancel_requests_given_up",
            "updated_at",
            postgresql_where=text("next_attempt_at IS NULL AND detail LIKE 'the payment is still %'"),
        ),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment to cancel."""
    requested_by: Mapped[UUID]
    """The customer."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """How often its provider was asked."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    """When it is due, or when its lease ends; none once nothing is left to do."""
    detail: Mapped[str | None] = mapped_column(Text)
    """What came of the last attempt."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that asked for it (W3C traceparent), where that is sampled."""
    revived_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When an operator last had it tried again after it was given up: the time to try it for begins anew."""
