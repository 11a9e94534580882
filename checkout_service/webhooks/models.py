"""Table of webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated

STATES = ("received", "parked", "applied", "duplicate", "ignored", "rejected", "failed")
_LISTED = ", ".join(f"'{state}'" for state in STATES)

RARE_STATES = ("parked", "duplicate", "ignored", "rejected", "failed")
"""States that few webhooks end in, so that indexes for operators may hold them."""

REFERENCED_RARE_STATES = ("parked", "duplicate", "ignored", "failed")
"""Those in which a webhook may name its payment; that of an applied one is named by its events."""


def _any_of(states: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{state}'::text" for state in states)
    return f"= ANY (ARRAY[{listed}])"


class WebhookDelivery(Dated, Base):
    """A webhook. The row is the truth, the message only a wake-up.

    received   pending: new, under lease, or waiting for its next attempt
    parked     verified, but its payment is not here yet
    applied    its events are in the transitions (as news, stale or a mismatch; see detail)
    duplicate  every event in it was known
    ignored    verified, but about nothing that we keep
    rejected   unverified: anybody may have sent it, or our secret is wrong; kept within bounds
    failed     it could not be processed, or it is verified and cannot be understood; for an operator
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(f"state IN ({_LISTED})", name="state_known"),
        CheckConstraint(
            "state NOT IN ('received', 'parked') OR next_attempt_at IS NOT NULL", name="pending_has_next_attempt"
        ),
        Index(
            "webhook_deliveries_next_attempt_at",
            "next_attempt_at",
            postgresql_where=text("state = ANY (ARRAY['received'::text, 'parked'::text])"),
        ),
        Index(
            "webhook_deliveries_parked",
            "provider",
            "provider_ref",
            postgresql_where=text("state = 'parked'::text"),
        ),
        Index("webhook_deliveries_rejected", "received_at", postgresql_where=text("state = 'rejected'::text")),
        Index("webhook_deliveries_failed", "received_at", postgresql_where=text("state = 'failed'::text")),
        Index("webhook_deliveries_rare_states", "state", "id", postgresql_where=text(f"state {_any_of(RARE_STATES)}")),
        Index(
            "webhook_deliveries_rare_states_provider_ref",
            "provider_ref",
            "id",
            postgresql_where=text(f"state {_any_of(REFERENCED_RARE_STATES)} AND provider_ref IS NOT NULL"),
        ),
    )
    provider: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    body: Mapped[bytes] = mapped_column(BYTEA)
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    state: Mapped[str] = mapped_column(Text, server_default=text("'received'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    provider_ref: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str | None] = mapped_column(Text)
    processed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
