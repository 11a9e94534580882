"""Tables of attempts to pay, of notices for a person, and of what persons answered: reviews and acceptances."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.status import AttemptStatus

STATUS = Enum(AttemptStatus, name="attempt_status", values_callable=lambda kind: [status.value for status in kind])


class PaymentAttempt(Dated, Base):
    """A try to pay, by the provider's name for it. Joined: the greatest status, amounts and moments.

    Money that came is presumed here where the provider gives no name for the capture; it gives way to named captures.
    The trigger payment_attempts_guard (migrations/entries/guards.sql) lets nothing of it move back.
    """

    __tablename__ = "payment_attempts"
    __table_args__ = (
        CheckConstraint("amount_presumed >= 0 AND amount_presumed < 'Infinity'", name="amount_presumed_not_negative"),
        CheckConstraint(
            "amount_authorized >= 0 AND amount_authorized < 'Infinity'", name="amount_authorized_not_negative"
        ),
        Index("payment_attempts_payment_id_attempt_ref", "payment_id", "attempt_ref", unique=True),
        Index(
            "payment_attempts_provider_attempt_ref",
            "provider",
            "attempt_ref",
            unique=True,
            postgresql_where=text("attempt_ref <> ''"),
        ),
        Index(
            "payment_attempts_times_out_at",
            "times_out_at",
            postgresql_where=text("status = 'under_way' AND given_up_at IS NULL AND times_out_at IS NOT NULL"),
        ),
        Index(
            "payment_attempts_expires_at",
            "expires_at",
            postgresql_where=text("status = 'authorized' AND NOT rest_released AND expires_at IS NOT NULL"),
        ),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that it is of."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    attempt_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The provider's name for it; '' where it has none."""
    status: Mapped[AttemptStatus] = mapped_column(STATUS)
    """Where it is in its status order."""
    reported_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """The newest time at which it was reported."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217, as the provider says; none counts as the payment's."""
    amount_presumed: Mapped[Decimal | None] = mapped_column(Numeric)
    """Money that came by it, in the major unit, while no capture of it is named."""
    amount_authorized: Mapped[Decimal | None] = mapped_column(Numeric)
    """What is promised, in the major unit; none counts as the payment's amount."""
    rest_released: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether what is authorized and not captured is open no more."""
    expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """The end of its authorisation."""
    times_out_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When one that is under way counts no more, by the limit of its method."""
    given_up_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When we gave it up for that limit."""
    replaces: Mapped[str | None] = mapped_column(Text)
    """The attempt in whose place it stands, by the provider's name."""
    decline: Mapped[str | None] = mapped_column(Text)
    """Why it was declined, in our words."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""


class PaymentNotice(Dated, Base):
    """What signed data cannot decide about a payment: a reason for a person, never a guess."""

    __tablename__ = "payment_notices"
    __table_args__ = (
        CheckConstraint("reason ~ '^[a-z_]+$'", name="reason_plain"),
        Index("payment_notices_payment_id_reason_ref", "payment_id", "reason", "ref", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment to look at."""
    reason: Mapped[str] = mapped_column(Text)
    """A word of ``ReviewReason``."""
    ref: Mapped[str] = mapped_column(Text)
    """What it is about, so that an echo is no second notice."""
    detail: Mapped[str | None] = mapped_column(Text)
    """For operators. Nothing is decided by it."""


class PaymentReview(Dated, Base):
    """A person saw a reason, with the amounts at that time: it is hidden while the amounts are those."""

    __tablename__ = "payment_reviews"
    __table_args__ = (
        Index("payment_reviews_payment_id_reason_amounts", "payment_id", "reason", "amounts", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that was looked at."""
    reason: Mapped[str] = mapped_column(Text)
    """The reason that was seen."""
    amounts: Mapped[str] = mapped_column(Text)
    """The amounts that it hung on, as ``payment_reasons`` writes them."""
    command_id: Mapped[UUID | None]
    """The operator command; none of a review from before entries."""


class PaymentAcceptance(Dated, Base):
    """An operator accepts what came in place of the payment's amount: the newest one counts."""

    __tablename__ = "payment_acceptances"
    __table_args__ = (
        CheckConstraint("amount > 0 AND amount < 'Infinity'", name="amount_positive"),
        Index("payment_acceptances_payment_id", "payment_id", "id"),
        Index("payment_acceptances_command_id", "command_id", unique=True),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that is worth this."""
    amount: Mapped[Decimal] = mapped_column(Numeric)
    """What is due from now on, in the major unit of the payment's currency."""
    operator: Mapped[str] = mapped_column(Text)
    """Who."""
    why: Mapped[str] = mapped_column(Text)
    """In the operator's own words."""
    command_id: Mapped[UUID]
    """The operator command."""
