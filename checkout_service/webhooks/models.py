"""Tables of webhooks, and of what they are verified by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Index, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.delivery_states import PENDING, RARE, REFERENCED_RARE, DeliveryState, listed


def _is(state: DeliveryState) -> str:
    return f"state = '{state}'::text"


def _any_of(states: Iterable[DeliveryState]) -> str:
    """As PostgreSQL writes ``IN`` back, so that Alembic finds no difference."""
    return "= ANY (ARRAY[" + ", ".join(f"'{state}'::text" for state in states) + "])"


class WebhookDelivery(Dated, Base):
    """A webhook. The row is the truth, the message only a wake-up. Its states are those of ``DeliveryState``."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(f"state IN ({listed(DeliveryState)})", name="state_known"),
        CheckConstraint(
            f"state NOT IN ({listed(PENDING)}) OR next_attempt_at IS NOT NULL", name="pending_has_next_attempt"
        ),
        Index(
            "webhook_deliveries_next_attempt_at",
            "next_attempt_at",
            postgresql_where=text(f"state {_any_of(PENDING)}"),
        ),
        Index(
            "webhook_deliveries_parked",
            "provider",
            "provider_ref",
            postgresql_where=text(_is(DeliveryState.PARKED)),
        ),
        Index(
            "webhook_deliveries_parked_names",
            "names",
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
            postgresql_where=text(_is(DeliveryState.PARKED)),
        ),
        Index(
            "webhook_deliveries_rejected",
            "received_at",
            postgresql_where=text(_is(DeliveryState.REJECTED)),
        ),
        Index(
            "webhook_deliveries_rejected_class",
            "provider",
            "rejected_class",
            "received_at",
            "id",
            postgresql_where=text(_is(DeliveryState.REJECTED)),
        ),
        Index(
            "webhook_deliveries_rejected_payment",
            "rejected_payment",
            "received_at",
            "id",
            postgresql_where=text(f"{_is(DeliveryState.REJECTED)} AND rejected_payment IS NOT NULL"),
        ),
        Index(
            "webhook_deliveries_rejected_next_attempt_at",
            "rejected_class",
            "next_attempt_at",
            postgresql_where=text(f"{_is(DeliveryState.REJECTED)} AND next_attempt_at IS NOT NULL"),
        ),
        Index("webhook_deliveries_failed", "received_at", postgresql_where=text(_is(DeliveryState.FAILED))),
        Index("webhook_deliveries_rare_states", "state", "id", postgresql_where=text(f"state {_any_of(RARE)}")),
        Index(
            "webhook_deliveries_rare_states_provider_ref",
            "provider_ref",
            "id",
            postgresql_where=text(f"state {_any_of(REFERENCED_RARE)} AND provider_ref IS NOT NULL"),
        ),
        Index("webhook_deliveries_mismatch", "id", postgresql_where=text("mismatch")),
        Index(
            "webhook_deliveries_waits_for_refund",
            "provider",
            "provider_ref",
            "id",
            # Which of them checkout_service/refunds/settling.py looks for.
            postgresql_where=text(
                f'state {_any_of((DeliveryState.RECEIVED, DeliveryState.PARKED))} AND "right"(detail, 54) = '
                "'a refund of ours with this amount has no reference yet'::text"
            ),
        ),
        Index("webhook_deliveries_replay_of", "replay_of", postgresql_where=text("replay_of IS NOT NULL")),
    )
    provider: Mapped[str] = mapped_column(Text)
    """Whose webhook it says it is, by the path that it was sent to."""
    headers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Those that its provider's format keeps, by their names in lower case."""
    body: Mapped[bytes | None] = mapped_column(BYTEA)
    """The bytes as they came, verified or not; none of one that was erased."""
    received_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """When it came. A signature's age is judged by this."""
    state: Mapped[str] = mapped_column(Text, server_default=text(f"'{DeliveryState.RECEIVED}'"))
    """A member of ``DeliveryState``."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """Claims so far, but for those that were given back. Counted by the claim, so that a worker that died counts."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(
        TIMESTAMP(timezone=True), server_default=text("(now() + '00:00:05'::interval)")
    )
    """Of a pending one: when it is due. Under lease: when the lease ends. Of a rejected one that could not be verified
    yet: when that is tried again."""
    provider_ref: Mapped[str | None] = mapped_column(Text)
    """The payment that it is about, by the provider's name for it, once that was read."""
    names: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Every name by which a parked one may find its payment."""
    detail: Mapped[str | None] = mapped_column(Text)
    """Why it is in its state, for operators. Nothing is decided by it."""
    attempt_log: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    """What came of its last attempts, oldest first, twenty at most: ``at``, ``state``, ``detail``, the ``command`` that
    asked for it, and for the next attempt what was entered so far (``did``) and how many thin events are ``left``; see
    ``worker/webhooks/attempts.py``. None of one that came to its end by its first attempt."""
    processed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When its last result was written, if that was a final one."""
    mismatch: Mapped[bool] = mapped_column(server_default=text("false"))
    """Applied, but an event in it moved nothing, since amount or currency are not the payment's: it may be replayed."""
    replay_of: Mapped[UUID | None]
    """The command that replays it at this moment; None again once there is a result."""
    erased_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When its bytes were erased with the person that they named. It is never processed again."""
    rejected_class: Mapped[int] = mapped_column(SmallInteger, server_default=text("3"))
    """A member of ``RejectedClass``: what it named when it was rejected last."""
    rejected_payment: Mapped[UUID | None]
    """Of a rejected one: the payment that it names, and among whose few it is kept. Nobody vouches for it."""
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of the request that it came by (W3C traceparent), where that is sampled."""


class WebhookRejection(Dated, Base):
    """Holds no rows, ever: who rejects webhooks locks the table, one at a time, and nobody else may lock it."""

    __tablename__ = "webhook_rejections"


class PruneMark(Dated, Base):
    """How far a kind of pruning is; written once a run. It saves looking again at what was deleted, and no more."""

    __tablename__ = "prune_marks"
    __table_args__ = (Index("prune_marks_kind", "kind", unique=True),)
    kind: Mapped[str] = mapped_column(Text)
    """What is pruned: a member of ``Kind`` in ``worker/webhooks/marks.py``."""
    after_id: Mapped[UUID]
    """The last id that was deleted, or looked at; the next run begins behind it."""
    began_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """When a run last began from nothing. One does so once a day, and finds what is left behind the mark."""


class BelievedCertificate(Dated, Base):
    """A certificate that webhooks were verified by, with what leads to a root; of workers alone, 100 rows at most."""

    __tablename__ = "believed_certificates"
    __table_args__ = (
        CheckConstraint("octet_length(chain) <= 200000 AND octet_length(address) <= 500", name="bounded"),
        Index("believed_certificates_address", "address", unique=True),
    )
    address: Mapped[str] = mapped_column(Text)
    """Where it was fetched from, as a webhook names it."""
    fingerprint: Mapped[str] = mapped_column(Text)
    """Its SHA-256, in hexadecimal; for people."""
    chain: Mapped[str] = mapped_column(Text)
    """The certificate and those above it, in PEM: verified again each time that it is used."""
    ends_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """When it ends. It is kept for 90 days more, for webhooks that came before."""
