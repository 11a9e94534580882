"""Tables of webhook endpoints, their secrets, what waits or failed there, every attempt, and replays."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Enum, ForeignKey, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import BYTEA, TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated
from checkout_service.endpoints.states import EndpointState

ENDPOINT_STATE: Final = Enum(
    EndpointState, name="endpoint_state", values_callable=lambda kind: [state.value for state in kind]
)


class WebhookEndpoint(Dated, Base):
    """An address that the shop wants events at.

    The web tier writes what staff ask for, the sender how far it is. The trigger webhook_endpoints_change counts the
    version, and makes all due of an endpoint that staff enable (migrations/endpoints/rules.sql).
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint("length(url) BETWEEN 1 AND 2000", name="url_length"),
        CheckConstraint("payload IN ('snapshot', 'thin')", name="payload_known"),
        CheckConstraint("length(description) <= 500", name="description_length"),
        CheckConstraint("signing IN ('v1', 'v1a')", name="signing_known"),
        CheckConstraint("cardinality(types) BETWEEN 1 AND 200", name="types_few"),
        Index("webhook_endpoints_live", "id", postgresql_where=text("deleted_at IS NULL")),
    )
    url: Mapped[str] = mapped_column(Text)
    """Where events are posted."""
    types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Types of events that it wants; none stands for all."""
    payload: Mapped[str] = mapped_column(Text, server_default=text("'snapshot'"))
    """Whether it gets the object (``snapshot``) or the object's type, id and version alone (``thin``)."""
    in_order: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whether a lane is sent in order."""
    description: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Staff's own words."""
    signing: Mapped[str] = mapped_column(Text, server_default=text("'v1'"))
    """The scheme of its newest secret."""
    api_version: Mapped[str] = mapped_column(Text, server_default=text("'1'"))
    """The version of the API whose bodies it gets."""
    state: Mapped[EndpointState] = mapped_column(ENDPOINT_STATE, server_default=text("'enabled'"))
    """Whether events are sent to it."""
    state_reason: Mapped[str | None] = mapped_column(Text)
    """Why it is suspended or disabled: requested, failing, gone, stale, deleted."""
    state_since: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    """Since when it is in this state."""
    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When staff deleted it: nothing is sent to it from then on, and nothing lists it."""
    place: Mapped[int] = mapped_column(BigInteger, server_default=text("events_last_seq()"))
    """All that it wants up to this number was delivered or stands in pending_deliveries."""
    lease_token: Mapped[UUID | None]
    """Names the sender that has it."""
    leased_until: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Until then no other sender takes it."""
    next_due_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When something of it is due next besides new events: a retry, a probe, a replay."""
    last_success_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it took an event last."""
    failing_since: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Since when all attempts failed."""
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """How many attempts failed since the last success."""
    pace: Mapped[int | None]
    """How many requests may be in flight while it drains after a suspension; none: the usual share."""
    probes: Mapped[int] = mapped_column(server_default=text("0"))
    """How many probes were made since it was suspended."""
    lagging_since: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Since when the log is about to outgrow its place."""
    version: Mapped[int] = mapped_column(server_default=text("1"))
    """Counts its changes, not how far it is."""


class EndpointSecret(Dated, Base):
    """A secret that signs what an endpoint gets, encrypted. The web tier writes it and never reads it.

    The trigger endpoint_secrets_admit bounds how many are live.
    """

    __tablename__ = "endpoint_secrets"
    __table_args__ = (
        CheckConstraint("scheme IN ('v1', 'v1a')", name="scheme_known"),
        CheckConstraint("octet_length(ciphertext) BETWEEN 1 AND 1000", name="ciphertext_length"),
    )
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"), index=True)
    """The endpoint that it is of."""
    scheme: Mapped[str] = mapped_column(Text, server_default=text("'v1'"))
    """v1 (HMAC-SHA256) or v1a (Ed25519), of Standard Webhooks."""
    ciphertext: Mapped[bytes] = mapped_column(BYTEA)
    """What signs, under a key of the setting WEBHOOK_SECRETS_KEY."""
    ends_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """From then on it signs nothing; none for the newest."""


class PendingState(StrEnum):
    """What became of an event that its endpoint did not take at once."""

    WAITING = "waiting"
    FAILED = "failed"
    """Given up after its last attempt; a replay may send it again."""


class PendingDelivery(Dated, Base):
    """An event that its endpoint has not taken and that its place has passed. The sender writes and deletes it."""

    __tablename__ = "pending_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'failed')", name="state_known"),
        Index(
            "pending_deliveries_endpoint_id_event_id_replay_id",
            "endpoint_id",
            "event_id",
            "replay_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("pending_deliveries_endpoint_id_lane_seq", "endpoint_id", "lane", "seq"),
        Index("pending_deliveries_endpoint_id_state_id", "endpoint_id", "state", "id"),
        Index("pending_deliveries_failed", "endpoint_id", "seq", postgresql_where=text("state = 'failed'::text")),
        Index(
            "pending_deliveries_heads",
            "endpoint_id",
            "seq",
            postgresql_where=text("state = 'waiting'::text AND next_attempt_at IS NOT NULL AND replay_id IS NULL"),
        ),
        Index(
            "pending_deliveries_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("state = 'waiting'::text AND next_attempt_at IS NOT NULL"),
        ),
    )
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    """Where it is to go."""
    event_id: Mapped[UUID]
    """The event."""
    seq: Mapped[int | None] = mapped_column(BigInteger)
    """The event's number; none of a test event."""
    type: Mapped[str] = mapped_column(Text)
    """The event's type."""
    lane: Mapped[UUID]
    """The event's lane, of which only the first is tried."""
    replay_id: Mapped[UUID | None]
    """The replay that it is of: a lane of its own beside the live one."""
    state: Mapped[str] = mapped_column(Text, server_default=text("'waiting'"))
    """A member of ``PendingState``."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    """How many attempts were made."""
    first_attempt_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it was tried first."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When it is tried next; none while another of its lane is before it."""


class EventAttempt(Base):
    """An attempt to deliver an event. Partitions by day of its id, which are dropped."""

    __tablename__ = "event_attempts"
    __table_args__ = (
        Index("event_attempts_succeeded", "endpoint_id", "id", postgresql_where=text("succeeded")),
        Index("event_attempts_failed", "endpoint_id", "event_id", "id", postgresql_where=text("NOT succeeded")),
        {"postgresql_partition_by": "RANGE (id)"},
    )
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    endpoint_id: Mapped[UUID]
    """Where it went."""
    event_id: Mapped[UUID]
    """The event."""
    type: Mapped[str] = mapped_column(Text)
    """The event's type."""
    seq: Mapped[int | None] = mapped_column(BigInteger)
    """The event's number; none of a test event."""
    replay_id: Mapped[UUID | None]
    """The replay that it was of."""
    attempt: Mapped[int]
    """Counts the attempts of this event, from 1."""
    succeeded: Mapped[bool]
    """Whether the answer was 2xx, in time."""
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """The HTTP status; none where no answer came."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why no answer came."""
    answer: Mapped[bytes | None] = mapped_column(BYTEA)
    """Of a failure the first KiB of the answer."""
    duration_ms: Mapped[int]
    """How long it took."""
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


class EventReplay(Dated, Base):
    """Staff want events once more. The trigger event_replays_admit says which; the sender, how far it is.

    One that is stopped where nothing is sent ends by the trigger event_replays_stop.
    """

    __tablename__ = "event_replays"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done', 'stopped')", name="state_known"),
        CheckConstraint("num_nonnulls(event_id, since) = 1", name="one_or_since"),
        CheckConstraint("length(requested_by) BETWEEN 1 AND 200", name="requested_by_length"),
        Index("event_replays_endpoint_id_id", "endpoint_id", "id"),
        Index(
            "event_replays_open",
            "endpoint_id",
            postgresql_where=text("state = ANY (ARRAY['waiting'::text, 'running'::text])"),
        ),
    )
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    """Where they are to go."""
    event_id: Mapped[UUID | None]
    """The one event; none for all since a moment."""
    since: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """Events written then or later."""
    types: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Which types; none stands for all."""
    only_failed: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether only those that were given up."""
    requested_by: Mapped[str] = mapped_column(Text)
    """Who wants it, as the audit names them."""
    state: Mapped[str] = mapped_column(Text, server_default=text("'waiting'"))
    """A member of ``ReplayState``."""
    stop_requested_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    """When staff stopped it."""
    from_seq: Mapped[int | None] = mapped_column(BigInteger)
    """The first number that it is about."""
    place: Mapped[int | None] = mapped_column(BigInteger)
    """The number up to which it has come."""
    until_seq: Mapped[int | None] = mapped_column(BigInteger)
    """The last number that it is about."""
    sent: Mapped[int] = mapped_column(server_default=text("0"))
    """How many events were sent."""
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    """How many of them failed for good."""
    events: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How many events it is about."""
    more: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether counting them ended before all were seen."""
