"""What the API for the log of events takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from marshmallow import Schema, fields, validate

from checkout_service.api.answers import AnswerSchema, WordText
from checkout_service.api.plain_fields import NumberField
from checkout_service.events.types import EVENT_TYPES, TEST_TYPE, ObjectType
from checkout_service.server.long_polls import LONGEST
from checkout_service.spellings import ID_PATTERN, parse_id


class NamedObject(NamedTuple):
    """An object, by its id; ``type`` is None where it was not named, ``id`` where none is meant."""

    type: str | None = None
    id: UUID | None = None


class TypesField(fields.Field[tuple[str, ...]]):
    """Types of events with commas between them, each once."""

    default_error_messages = {  # noqa: RUF012 (marshmallow's own name for it)
        "invalid": "Types of events such as payment.paid,refund.succeeded: each once, with a comma between them."
    }

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, ...]:
        named = tuple(str(value).split(","))
        if len(set(named)) < len(named) or not _KNOWN.issuperset(named):
            raise self.make_error("invalid")
        return named


class ObjectField(fields.Field[NamedObject]):
    """An object as its id, or as its type, a colon and its id."""

    default_error_messages = {  # noqa: RUF012 (marshmallow's own name for it)
        "invalid": "A UUID, or an object's type, a colon and its UUID, such as "
        "payment:37ead6b5-d8a0-5dc2-ba73-81115ccb02a4."
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> NamedObject:
        named, colon, written = str(value).rpartition(":")
        try:
            return NamedObject(ObjectType(named).value if colon else None, parse_id(written))
        except ValueError as error:
            raise self.make_error("invalid") from error


_KNOWN: Final = frozenset(EVENT_TYPES)

_TYPE: Final = r"[a-z_]+(?:\.[a-z_]+)+"
"""What each is like: a list of them would be another pattern with each release."""


class EventsQuery(Schema):
    """From which number on, which events, how many, and how long to wait for one."""

    after = NumberField(
        load_default=None,
        validate=validate.Range(0),
        metadata={
            "description": "The number that you have seen last: what came later is read. Without it, from the oldest "
            "event that is kept.",
            "example": 1042,
        },
    )
    types = TypesField(
        load_default=None,
        metadata={
            "type": "string",
            "pattern": f"^{_TYPE}(?:,{_TYPE})*$",
            "description": "Only events of these types, with commas between them.",
            "example": "payment.paid,refund.succeeded",
        },
    )
    object = ObjectField(
        load_default=None,
        metadata={
            "type": "string",
            "pattern": f"^(?:(?:{'|'.join(ObjectType)}):)?{ID_PATTERN}$",
            "description": "Only events of this object: its id, or its type, a colon and its id.",
            "example": "payment:37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
        },
    )
    limit = NumberField(load_default=100, validate=validate.Range(1, 1000))
    wait = NumberField(
        load_default=0,
        validate=validate.Range(0, LONGEST),
        metadata={
            "description": "Seconds for which the answer waits where there is no such event yet. It comes as soon as "
            "there is one, or empty at the end. It comes at once, with Retry-After, where as many requests wait as may."
        },
    )


class EventObjectSchema(AnswerSchema):
    """What an event is about."""

    type = WordText(
        ObjectType,
        metadata={"description": "What kind of object.", "example": "payment"},
    )
    id = fields.UUID(metadata={"description": "The object's, as the API shows it."})


class EventSchema(AnswerSchema):
    """That an object reached a version, and how it was then."""

    id = fields.UUID(metadata={"description": "The same in the webhook header `webhook-id`, at each attempt."})
    seq = fields.Integer(
        allow_none=True,
        metadata={"description": "Its number in the log. Null of a test event, which is not in it.", "example": 1043},
    )
    type = WordText(
        (*EVENT_TYPES, TEST_TYPE),
        metadata={"description": "See the webhooks of this document.", "example": "payment.paid"},
    )
    object = fields.Nested(EventObjectSchema)
    version = fields.Integer(
        metadata={"description": "Of the object: of two events of it the greater is the later one.", "example": 2}
    )
    created_at = fields.DateTime(metadata={"description": "When it was written, with what it tells of."})
    data = fields.Dict(metadata={"description": "The object at that version, as lists for staff show it."})


class EventPageSchema(AnswerSchema):
    """Events in the order of their numbers. There may be fewer than `limit`, even none, and more behind them."""

    data = fields.List(fields.Nested(EventSchema))
    last_seq = fields.Integer(
        metadata={
            "description": "The last number that was looked at: go on with it as `after`. All is read when a page is "
            "empty and this is what you gave as `after`.",
            "example": 1043,
        }
    )


EVENT_EXAMPLE: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fa1",
    "seq": 1043,
    "type": "payment.paid",
    "object": {"type": "payment", "id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"},
    "version": 2,
    "created_at": "2026-11-25T04:05:07.123456Z",
    "data": {"id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4", "status": "paid", "version": 2},
}

PAGE_EXAMPLE: Final = {"data": [EVENT_EXAMPLE], "last_seq": 1043}
