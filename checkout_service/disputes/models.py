"""Table of disputes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CHAR, CheckConstraint, Enum, ForeignKey, Index, Numeric, Text, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.payments.status import DisputeStage, DisputeStatus

STAGE = Enum(DisputeStage, name="dispute_stage", values_callable=lambda kind: [stage.value for stage in kind])
STATUS = Enum(DisputeStatus, name="dispute_status", values_callable=lambda kind: [status.value for status in kind])


class Dispute(Dated, Base):
    """What a customer or their bank contests. Its news and its money are joined apart.

    The news: (stage, reported_at, rank, event_id) count as one value, of which the greatest is kept with what hangs on
    it. The money: the greatest step, and the greatest amount. The trigger disputes_guard
    (migrations/entries/guards.sql) lets neither move back. disputes_tell_of_new and disputes_tell
    (migrations/events/entries.sql) write its events.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("amount >= 0 AND amount < 'Infinity'", name="amount_not_negative"),
        CheckConstraint("money_step >= 0", name="money_step_not_negative"),
        Index("disputes_payment_id_dispute_ref", "payment_id", "dispute_ref", unique=True),
        Index(
            "disputes_provider_dispute_ref",
            "provider",
            "dispute_ref",
            unique=True,
            postgresql_where=text("dispute_ref <> ''"),
        ),
        Index("disputes_status_id", "status", "id"),
        Index(
            "disputes_evidence_due_at",
            "evidence_due_at",
            postgresql_where=text("status = 'needs_response' AND evidence_due_at IS NOT NULL"),
        ),
    )
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id"))
    """The payment that is contested."""
    provider: Mapped[str] = mapped_column(Text)
    """As the payment's."""
    dispute_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The provider's name for it; '' is a presumed one, which gives way to those with a name."""
    capture_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The capture that is contested; '' where nothing names one."""
    attempt_ref: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """The attempt that is contested; '' where nothing names one."""
    stage: Mapped[DisputeStage] = mapped_column(STAGE)
    """How far it has escalated."""
    status: Mapped[DisputeStatus] = mapped_column(STATUS)
    """Where it is within its stage. Money never follows from this word."""
    reported_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("'-infinity'"))
    """The time of its newest news that the provider signed; -infinity where it signs none."""
    rank: Mapped[int] = mapped_column(server_default=text("0"))
    """The place of its newest news among those of one stage and time."""
    event_id: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))
    """The event that brought its newest news."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why, in words that all providers share."""
    evidence_due_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Until when evidence may be sent in the provider's dashboard."""
    blocks_refund: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether what it is about must not be refunded meanwhile."""
    money_step: Mapped[int] = mapped_column(server_default=text("0"))
    """How many movements of money were reported; 0 for none."""
    money_out: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the newest movement took money, or gave it back."""
    money_only: Mapped[bool] = mapped_column(server_default=text("false"))
    """Money whose dispute is not named (PayPal's reversals): what open disputes hold back shrinks by it."""
    amount: Mapped[Decimal | None] = mapped_column(Numeric)
    """In the major unit, the greatest that was reported; none for all that came."""
    currency: Mapped[str | None] = mapped_column(CHAR(3))
    """ISO 4217, as the provider says."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes."""
