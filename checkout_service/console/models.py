"""Tables of operators' orders, and of how far the worker is with those that it carries out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated

_ACTIONS: Final = "'process', 'process_all', 'stop', 'look_up', 'review'"
_RUN_STATES: Final = "'running', 'done', 'stopped', 'stalled', 'refused'"


def _any_of(*values: str) -> str:
    listed = ", ".join(f"'{value}'::text" for value in values)
    return f"= ANY (ARRAY[{listed}])"


class Order(Dated, Base):
    """What an operator asked for; inserted by the web tier, and never updated or deleted by anybody.

    process      have the webhook ``subject`` processed (again)
    process_all  have all webhooks processed that match the filter in ``details``
    stop         end the run ``subject``
    look_up      ask the provider about the payment ``subject``
    review       take the flag off the payment ``subject``: its reason, as it was seen, is in ``details``
    """

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint("operator <> '' AND length(operator) <= 200", name="operator_length"),
        CheckConstraint(f"action IN ({_ACTIONS})", name="action_known"),
        CheckConstraint("length(why) <= 2000", name="why_length"),
        Index("audit_key", "key", unique=True),
        Index("audit_subject", "subject", "id"),
        Index(
            "audit_worker_actions", "id", postgresql_where=text(f"action {_any_of('process_all', 'look_up', 'review')}")
        ),
    )
    key: Mapped[UUID]
    """Made when the form was shown: the same form sent twice is one order."""
    operator: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))


class CommandRun(Dated, Base):
    """How far the worker is with the order of the same id.

    running   begun; some process holds it until ``leased_until``
    done      carried out; ``message`` tells what came of it
    stopped   ended by an operator
    stalled   ended since no worker came to its webhooks
    refused   could not be carried out; ``message`` tells why
    """

    __tablename__ = "command_runs"
    __table_args__ = (
        CheckConstraint(f"state IN ({_RUN_STATES})", name="state_known"),
        Index("command_runs_running", "leased_until", postgresql_where=text("state = 'running'::text")),
    )
    id: Mapped[UUID] = mapped_column(ForeignKey("audit.id"), primary_key=True, server_default=text("uuidv7()"))
    state: Mapped[str] = mapped_column(Text, server_default=text("'running'"))
    leased_until: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    until_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    after_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    after_id: Mapped[UUID | None]
    replayed: Mapped[int] = mapped_column(server_default=text("0"))
    results: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    message: Mapped[str | None] = mapped_column(Text)
