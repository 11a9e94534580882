"""Table of what a transaction over settled money has to tell at its end."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.settlement_words import MatchState, PayoutState, PayoutStatus
from checkout_service.settlements.models import MATCH_STATE, PAYOUT_STATE, PAYOUT_STATUS


class SettlementMark(Dated, Base):
    """A payout whose state or status changed, or a state of which there are new exceptions: gone by the commit.

    Written by triggers, and read by settlements_tell, which writes the events (migrations/settlements/events.sql).
    """

    __tablename__ = "settlement_marks"
    __table_args__ = (
        CheckConstraint("num_nonnulls(payout_id, match_state) = 1", name="of_one"),
        Index(
            "settlement_marks_once",
            "transaction_id",
            "payout_id",
            "match_state",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )
    transaction_id: Mapped[int] = mapped_column(BigInteger)
    """The transaction, by PostgreSQL's number of it."""
    payout_id: Mapped[UUID | None]
    """The payout whose state or status changed, or that is new."""
    state_before: Mapped[PayoutState | None] = mapped_column(PAYOUT_STATE)
    """Its state when the transaction began; none of a new one."""
    status_before: Mapped[PayoutStatus | None] = mapped_column(PAYOUT_STATUS)
    """The provider's status of it when the transaction began; none of a new one."""
    match_state: Mapped[MatchState | None] = mapped_column(MATCH_STATE)
    """The state of the exceptions."""
    first_match_id: Mapped[UUID | None]
    """The first of them: the others have later ids."""
