"""Tables of the log: events, their numbers, and what waits for one."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Date, Identity, Index, Integer, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import Mapped, mapped_column

from checkout_service.database.engine import Base, Dated


class Event(Base):
    """What happened. In partitions by day, of which the one without a day takes what belongs to none that is there.

    Written by the owner's functions in the transaction that moves its object (migrations/events). Never changed, but
    that what it says of a person who is erased is struck out.
    """

    __tablename__ = "events"
    __table_args__ = (Index("events_lane", "lane"), {"postgresql_partition_by": "RANGE (id)"})
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    """Those of a set follow one another."""
    type: Mapped[str] = mapped_column(Text)
    """What happened (``checkout_service.events.types``)."""
    object_type: Mapped[str] = mapped_column(Text)
    """What it is about."""
    object_id: Mapped[UUID] = mapped_column(Uuid)
    """Which one, as the API shows it."""
    version: Mapped[int] = mapped_column(Integer)
    """The object's version; of a session, its payment's."""
    lane: Mapped[UUID] = mapped_column(Uuid)
    """What is delivered in order: the payment that it belongs to, else the object itself."""
    body: Mapped[str] = mapped_column(Text)
    """The object as the API's lists show it, at that version, as JSON."""
    api_version: Mapped[str] = mapped_column(Text, server_default=text("'1'"))
    """The version of the API in which the body was rendered."""
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    trace_context: Mapped[str | None] = mapped_column(String(55))
    """The trace of what has it written (W3C traceparent), where that is sampled; by the trigger events_take_trace."""


class UnsequencedEvents(Dated, Base):
    """Events that were written at once and wait for their numbers, in the order in which they happened.

    Written with the events, ended by ``events_sequence`` (migrations/events/sequencer.sql).
    """

    __tablename__ = "unsequenced_events"
    __table_args__ = (Index("unsequenced_events_place", "place", unique=True),)
    place: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    """In the order of commits, within a lane."""
    events: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """Their ids."""
    types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """What each is."""
    objects: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """What each is about."""
    lanes: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """The lane of each."""


class EventNumber(Base):
    """The number of an event, by which readers remember how far they are. In partitions by day."""

    __tablename__ = "event_numbers"
    __table_args__ = (Index("event_numbers_event_id", "event_id"), {"postgresql_partition_by": "RANGE (day)"})
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Ascending and without a gap, given after the commit."""
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    """On which it was given, in UTC; it grows with the number."""
    event_id: Mapped[UUID] = mapped_column(Uuid)
    """Whose it is."""
    type: Mapped[str] = mapped_column(Text)
    """The event's."""
    object_id: Mapped[UUID] = mapped_column(Uuid)
    """The event's."""
    lane: Mapped[UUID] = mapped_column(Uuid)
    """The event's."""
    order_number: Mapped[str | None] = mapped_column(Text)
    """What the order of its body is called, which had no number yet when that was written."""
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


class EventSeries(Dated, Base):
    """One row: how far the numbers are."""

    __tablename__ = "event_series"
    __table_args__ = (Index("event_series_one", text("(true)"), unique=True),)
    last_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last number that was given."""
    day: Mapped[date] = mapped_column(Date, server_default=text("'-infinity'"))
    """On which it was."""
    last_event_id: Mapped[UUID] = mapped_column(Uuid)
    """Whose it is."""
    dropped_seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The greatest number of an event that is not kept any more."""


class EventDay(Dated, Base):
    """A day on which a number was given."""

    __tablename__ = "event_days"
    __table_args__ = (Index("event_days_day", "day", unique=True),)
    day: Mapped[date] = mapped_column(Date)
    """In UTC."""
    first_seq: Mapped[int] = mapped_column(BigInteger)
    """The first number that was given on it."""


class EventTypeNumber(Dated, Base):
    """A type of which there was an event: who wants no other knows from this whether there is something new."""

    __tablename__ = "event_types"
    __table_args__ = (Index("event_types_type", "type", unique=True),)
    type: Mapped[str] = mapped_column(Text)
    """Its name."""
    last_seq: Mapped[int] = mapped_column(BigInteger)
    """The number of its newest event."""


class EventDue(Dated, Base):
    """An event that depended on a date or a count and was written: each is written once.

    A row of stock stays for as long as the listing is low or sold out (migrations/events/dues.sql).
    """

    __tablename__ = "event_dues"
    __table_args__ = (
        Index("event_dues_type_object_id_due", "type", "object_id", "due", unique=True),
        Index(
            "event_dues_stock",
            "type",
            "object_id",
            unique=True,
            postgresql_where=text("type IN ('stock.low', 'stock.sold_out')"),
        ),
    )
    type: Mapped[str] = mapped_column(Text)
    """What happened."""
    object_id: Mapped[UUID] = mapped_column(Uuid)
    """What it is about."""
    due: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    """The date that it depended on."""
