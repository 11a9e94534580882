"""What the API of webhook endpoints takes and answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates, validates_schema

from checkout_service.api.answers import AnswerSchema, WordText
from checkout_service.api.plain_fields import IdField, NumberField
from checkout_service.api_versions import API_VERSIONS
from checkout_service.captures.schemas import YesOrNo
from checkout_service.disputes.schemas import DayOrMoment
from checkout_service.endpoints.addresses import LONGEST_URL, URL_PATTERN
from checkout_service.endpoints.deliveries import DeliveryStatus
from checkout_service.endpoints.secrets import LONGEST_OLD_FOR, OLD_FOR
from checkout_service.endpoints.states import EndpointState, Payload, ReplayState, Signing, StateReason
from checkout_service.events.types import EVENT_TYPES, TEST_TYPE

LONGEST_DESCRIPTION: Final = 500


def _values(kind: Any) -> list[str]:
    return [member.value for member in kind]


def _types(**options: Any) -> fields.List[Any]:
    return fields.List(
        fields.String(validate=validate.OneOf(EVENT_TYPES, error="There is no such type of event.")),
        validate=validate.Length(1, len(EVENT_TYPES)),
        **options,
    )


class _Chosen(Schema):
    """What staff choose of an endpoint."""

    types = _types(
        allow_none=True,
        metadata={
            "description": "Which types of events it gets; null for all, later ones too.",
            "example": ["payment.paid"],
        },
    )
    description = fields.String(
        validate=validate.Length(0, LONGEST_DESCRIPTION),
        metadata={"description": "Your own words.", "example": "the warehouse"},
    )
    payload = fields.String(
        validate=validate.OneOf(_values(Payload)),
        metadata={
            "description": "What `data` is: `snapshot`, the object as lists show it at that version, or `thin`, its "
            "type, id and version alone.",
            "example": "snapshot",
        },
    )
    in_order = YesOrNo(
        metadata={
            "description": "Whether no event is begun before the one before it in its lane was taken or given up.",
            "example": True,
        }
    )

    api_version = fields.String(
        metadata={
            "description": "The version of this API whose bodies it gets: the newest when it was made, until you name "
            "another.",
            "example": API_VERSIONS.newest,
        }
    )

    @validates("api_version")
    def _is_known(self, value: str, **_: Any) -> None:
        if value not in API_VERSIONS:
            raise ValidationError(f"There is no such version. There are: {', '.join(API_VERSIONS.names)}.")

    @validates("description")
    def _can_be_kept(self, value: str, **_: Any) -> None:
        if not value.isprintable():
            raise ValidationError("It is printable text on one line.")


class NewEndpointSchema(_Chosen):
    """A new endpoint."""

    url = fields.String(
        required=True,
        validate=validate.Length(1, LONGEST_URL),
        metadata={
            "description": "Where events are posted: https, and a public host ([which addresses](/api/docs)).",
            "pattern": URL_PATTERN,
            "example": "https://shop.example.com/webhooks",
        },
    )
    signing = fields.String(
        validate=validate.OneOf(_values(Signing)),
        metadata={"description": "`v1`: HMAC-SHA256 of a shared secret. `v1a`: Ed25519.", "example": "v1"},
    )


class EndpointChangesSchema(_Chosen):
    """What is to change; what is not named stays."""

    least_members = 1

    url = fields.String(
        validate=validate.Length(1, LONGEST_URL),
        metadata={"pattern": URL_PATTERN, "example": "https://shop.example.com/webhooks"},
    )
    state = fields.String(
        validate=validate.OneOf([EndpointState.ENABLED.value, EndpointState.DISABLED.value]),
        metadata={"description": "`enabled` makes all that waits due at once.", "example": "enabled"},
    )

    @validates_schema
    def _is_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Name what is to change.")


class EndpointSchema(AnswerSchema):
    """A webhook endpoint as it is now."""

    id = fields.UUID()
    url = fields.String(metadata={"example": "https://shop.example.com/webhooks"})
    types = fields.List(fields.String(), allow_none=True, metadata={"description": "Null for all."})
    payload = WordText(Payload, metadata={"example": "snapshot"})
    in_order = fields.Boolean()
    signing = WordText(Signing, metadata={"description": "The scheme of its newest secret.", "example": "v1"})
    description = fields.String()
    state = WordText(
        EndpointState,
        metadata={
            "description": "enabled; suspended (it takes nothing: it is tried every 1 to 15 minutes, and nothing is "
            "given up meanwhile); disabled (nothing is sent until somebody enables it).",
            "example": "enabled",
        },
    )
    state_reason = WordText(
        StateReason,
        allow_none=True,
        metadata={
            "description": "requested, failing, gone (it answered 410) or stale (suspended for days).",
            "example": None,
        },
    )
    state_since = fields.DateTime()
    place = fields.Integer(
        metadata={
            "description": "All that it gets up to this `seq` was delivered, or waits, or failed.",
            "example": 1042,
        }
    )
    waiting = fields.Integer(
        metadata={"description": "Deliveries that are tried again; 10000 stands for more.", "example": 0}
    )
    failed = fields.Integer(
        metadata={"description": "Deliveries that were given up; 10000 stands for more.", "example": 0}
    )
    last_success_at = fields.DateTime(allow_none=True)
    api_version = fields.String(
        metadata={"description": "The version of this API whose bodies it gets.", "example": API_VERSIONS.newest}
    )
    version = fields.Integer(metadata={"description": "Counts its changes.", "example": 1})
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class EndpointWithSecretSchema(EndpointSchema):
    """The same with its new secret, which is shown this once."""

    secret = fields.String(
        metadata={
            "description": "What its receiver verifies signatures with: `whsec_` and base64 of a shared secret, or of "
            "`v1a` `whpk_` and base64 of a public key.",
            "example": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        }
    )


class RotatedSecretSchema(EndpointWithSecretSchema):
    """The same, and how long the secrets before go on signing."""

    old_until = fields.DateTime()


class EndpointsQuery(Schema):
    """Which endpoints, and where in the list."""

    state = fields.String(load_default=None, validate=validate.OneOf(_values(EndpointState)))
    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = IdField(load_default=None, metadata={"description": "The `next_cursor` of the page before."})


class EndpointPageSchema(AnswerSchema):
    """A page of endpoints, newest first."""

    data = fields.List(fields.Nested(EndpointSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


class RotationSchema(Schema):
    """How a secret is replaced; all of it may be left out."""

    body_may_be_left_out = True

    expires_in = fields.Integer(
        strict=True,
        validate=validate.Range(0, int(LONGEST_OLD_FOR.total_seconds())),
        metadata={
            "description": "For how many seconds the secrets before go on signing, beside the new one.",
            "example": int(OLD_FOR.total_seconds()),
        },
    )
    signing = fields.String(
        validate=validate.OneOf(_values(Signing)),
        metadata={"description": "Of which scheme it is; by default as before."},
    )


class TestSentSchema(AnswerSchema):
    """A test event that is on its way."""

    event_id = fields.UUID(metadata={"description": "Its id, in `webhook-id` and in its deliveries."})
    type = WordText((TEST_TYPE,), metadata={"example": TEST_TYPE})


class DeliveriesQuery(Schema):
    """Which event deliveries, and where in the list."""

    state = fields.String(
        load_default=None, validate=validate.OneOf(_values(DeliveryStatus)), metadata={"description": "Only those."}
    )
    type = fields.String(
        load_default=None,
        validate=validate.OneOf([*EVENT_TYPES, TEST_TYPE], error="There is no such type of event."),
        metadata={"description": "Only those of events of this type."},
    )
    event = IdField(load_default=None, metadata={"description": "Only those of this event (its id)."})
    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = IdField(load_default=None, metadata={"description": "The `next_cursor` of the page before."})


class AttemptSchema(AnswerSchema):
    """One attempt."""

    id = fields.UUID()
    attempt = fields.Integer(metadata={"example": 1})
    succeeded = fields.Boolean()
    status = fields.Integer(allow_none=True, metadata={"description": "Null where no answer came.", "example": 500})
    error = fields.String(allow_none=True, metadata={"description": "Why none came, such as timeout.", "example": None})
    answer = fields.String(
        allow_none=True,
        metadata={
            "description": "Of a failure the first KiB of the answer; what is not text is escaped.",
            "example": "no",
        },
    )
    duration_ms = fields.Integer(metadata={"example": 41})
    created_at = fields.DateTime()


class DeliverySchema(AnswerSchema):
    """An event at this endpoint."""

    id = fields.UUID()
    event_id = fields.UUID()
    seq = fields.Integer(allow_none=True, metadata={"description": "Null of a test event.", "example": 1042})
    type = WordText((*EVENT_TYPES, TEST_TYPE), metadata={"example": "payment.paid"})
    state = WordText(
        DeliveryStatus,
        metadata={"description": "`failed` was given up; a replay may send it again.", "example": "waiting"},
    )
    replay_id = fields.UUID(allow_none=True, metadata={"description": "The replay that it is of, if it is of one."})
    attempts_made = fields.Integer(metadata={"example": 1})
    next_attempt_at = fields.DateTime(
        allow_none=True,
        metadata={
            "description": "Null while another event of its lane is before it, and while the endpoint is suspended or "
            "disabled."
        },
    )
    attempts = fields.List(fields.Nested(AttemptSchema), metadata={"description": "The newest ten, newest first."})
    created_at = fields.DateTime()


class DeliveryPageSchema(AnswerSchema):
    """A page of event deliveries, newest first. It may hold fewer than `limit` and have more all the same."""

    data = fields.List(fields.Nested(DeliverySchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


class NewReplaySchema(Schema):
    """Which events to send once more: one, or all since a moment."""

    event_id = IdField(metadata={"description": "This one alone."})
    since = DayOrMoment(
        metadata={
            "description": "All that were written then or later. A day (its beginning in UTC) or an RFC 3339 time.",
            "example": "2026-11-25T04:05:06Z",
        }
    )
    types = _types(
        allow_none=True,
        metadata={"description": "Only these; by default all that the endpoint gets.", "example": ["payment.paid"]},
    )
    only_failed = YesOrNo(metadata={"description": "Only those that were given up.", "example": False})
    dry_run = YesOrNo(metadata={"description": "Only count them.", "example": False})

    @validates_schema
    def _one_or_since(self, data: dict[str, Any], **_: Any) -> None:
        if "event_id" in data and data.keys() - {"event_id", "dry_run"}:
            raise ValidationError({"event_id": ["It stands alone: one event, or all since a moment."]})
        if "event_id" not in data and "since" not in data:
            raise ValidationError({"since": ["Missing data for required field."]})


class CountedSchema(AnswerSchema):
    """What a replay would be about."""

    events = fields.Integer(metadata={"example": 120})
    more = fields.Boolean(metadata={"description": "Whether counting ended before it had seen all.", "example": False})


class ReplaySchema(CountedSchema):
    """A replay and how far it is."""

    id = fields.UUID()
    endpoint_id = fields.UUID()
    event_id = fields.UUID(allow_none=True)
    since = fields.DateTime(allow_none=True)
    types = fields.List(fields.String(), allow_none=True)
    only_failed = fields.Boolean()
    requested_by = fields.String(metadata={"example": "key csk_0aB1cD2e"})
    state = WordText(ReplayState, metadata={"description": "waiting, running, done or stopped.", "example": "waiting"})
    stop_requested_at = fields.DateTime(allow_none=True)
    sent = fields.Integer(metadata={"description": "Events that were sent.", "example": 0})
    failed = fields.Integer(metadata={"description": "How many of these were given up.", "example": 0})
    from_seq = fields.Integer(metadata={"example": 921})
    place = fields.Integer(metadata={"description": "Up to which number it has come.", "example": 920})
    until_seq = fields.Integer(
        metadata={"description": "Where it ends: later events come by themselves.", "example": 1042}
    )
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class ReplaysQuery(Schema):
    """Where in the list of replays."""

    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = IdField(load_default=None, metadata={"description": "The `next_cursor` of the page before."})


class ReplayPageSchema(AnswerSchema):
    """A page of replays, newest first."""

    data = fields.List(fields.Nested(ReplaySchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()
