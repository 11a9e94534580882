"""What is posted to webhook endpoints, as the `webhooks` of the API's document: each type with schema and examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from marshmallow import Schema, fields

from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText
from checkout_service.api.blueprints import Api
from checkout_service.captures.schemas import (
    CAPTURES_EXAMPLE,
    REQUEST_EXAMPLE,
    AuthorizationSchema,
    CaptureRequestSchema,
    CaptureSchema,
)
from checkout_service.checkout.schemas import EXAMPLE_READ_SESSION, ReadSessionSchema
from checkout_service.disputes import schemas as disputes
from checkout_service.disputes.schemas import DisputeSchema
from checkout_service.endpoints.examples import ENDPOINT
from checkout_service.endpoints.schemas import EndpointSchema
from checkout_service.events.meanings import MEANINGS
from checkout_service.events.schemas import EventObjectSchema
from checkout_service.events.types import EVENT_TYPES, TEST_TYPE, ObjectType
from checkout_service.orders.schemas import STAFF_PAGE_EXAMPLE, StaffOrderSchema
from checkout_service.oversight.payment_schemas import PAGE_EXAMPLE, StaffPaymentSchema
from checkout_service.refunds import schemas as refunds
from checkout_service.refunds.schemas import RefundSchema
from checkout_service.settlements import examples as settled
from checkout_service.settlements.schemas import PayoutSchema, SettlementExceptionSchema


class SessionOfEventSchema(ReadSessionSchema):
    """A checkout session as its customer reads it, without what they pay with."""

    class Meta(AnswerSchema.Meta):
        exclude = ("payment_token", "next_action")

    id = fields.UUID()
    cart_id = fields.UUID()
    customer = fields.UUID(metadata={"description": "The customer's user id."})


class CaptureOfEventSchema(CaptureSchema):
    """Money that came, or was to come."""

    payment_id = fields.UUID()


class RefundOfEventSchema(RefundSchema):
    """Money given back, or on its way."""

    class Meta(AnswerSchema.Meta):
        exclude = ("provider_answer", "parts")


class AuthorizationOfEventSchema(AuthorizationSchema):
    """What is promised and was not captured."""

    payment_id = fields.UUID()


class ListingOfEventSchema(AnswerSchema):
    """A listing with its stock."""

    id = fields.UUID()
    title = fields.String(metadata={"example": "School blazer, navy, age 11 to 12"})
    unit_price = AmountText(metadata={"example": "120.00"})
    currency = CurrencyText()
    available = fields.Integer(metadata={"description": "Pieces that anybody may still take.", "example": 3})
    stock = fields.Integer(metadata={"description": "Pieces that lie there.", "example": 5})
    reserved = fields.Integer(metadata={"description": "Of these, held by open sessions.", "example": 2})
    vendor = fields.String(metadata={"example": "Northfield Uniforms"})
    school = fields.String(allow_none=True, metadata={"example": "Riverside Academy"})
    attributes = fields.Dict(allow_none=True, metadata={"description": "Of its spec."})


class ThinObjectSchema(EventObjectSchema):
    """An object's name and version, for endpoints with `payload` thin: read the object itself where it is needed."""

    version = fields.Integer(metadata={"example": 2})


class Shown(NamedTuple):
    """How an object is shown: its schema, an example, and what not each of its kind has."""

    schema: type[Schema]
    example: Mapping[str, Any]
    optional: tuple[str, ...] = ()


_PAYMENT_ID: Final = "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"

_NOT_OF_SESSIONS: Final = ("payment_token", "next_action")

_NOT_OF_REFUNDS: Final = ("provider_answer",)

OBJECTS: Final[Mapping[ObjectType, Shown]] = {
    ObjectType.CHECKOUT_SESSION: Shown(
        SessionOfEventSchema,
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fa2",
            "cart_id": "01a206b6-2617-7632-98bf-296e992e5fa3",
            "customer": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
        }
        | {name: value for name, value in EXAMPLE_READ_SESSION.items() if name not in _NOT_OF_SESSIONS},
    ),
    ObjectType.PAYMENT: Shown(StaffPaymentSchema, PAGE_EXAMPLE["data"][0]),
    ObjectType.CAPTURE: Shown(
        CaptureOfEventSchema,
        CAPTURES_EXAMPLE["captures"][0] | {"payment_id": _PAYMENT_ID},  # type: ignore[index]
    ),
    ObjectType.CAPTURE_REQUEST: Shown(CaptureRequestSchema, REQUEST_EXAMPLE),
    ObjectType.REFUND: Shown(
        RefundOfEventSchema,
        {name: value for name, value in refunds.EXAMPLE.items() if name not in _NOT_OF_REFUNDS},
        optional=("lines",),
    ),
    ObjectType.DISPUTE: Shown(DisputeSchema, disputes.EXAMPLE["data"][0]),
    ObjectType.ORDER: Shown(StaffOrderSchema, STAFF_PAGE_EXAMPLE["data"][0]),  # type: ignore[index]
    ObjectType.AUTHORIZATION: Shown(
        AuthorizationOfEventSchema,
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5fa4",
            "payment_id": _PAYMENT_ID,
            "ref": "ch_3PqX2e2eZvKYlo2C1a2b3c4d",
            "amount_open": "40.00",
            "currency": "USD",
            "expires_at": "2026-12-02T04:05:06.123456Z",
        },
    ),
    ObjectType.LISTING: Shown(
        ListingOfEventSchema,
        {
            "id": "018f0000-0000-7000-8000-000000000101",
            "title": "School blazer, navy, age 11 to 12",
            "unit_price": "120.00",
            "currency": "USD",
            "available": 3,
            "stock": 5,
            "reserved": 2,
            "vendor": "Northfield Uniforms",
            "school": "Riverside Academy",
            "attributes": {"size": "11 to 12"},
        },
    ),
    ObjectType.PAYOUT: Shown(PayoutSchema, settled.PAYOUT),
    ObjectType.SETTLEMENT_EXCEPTION: Shown(SettlementExceptionSchema, settled.EXCEPTION),
    ObjectType.WEBHOOK_ENDPOINT: Shown(EndpointSchema, ENDPOINT),
}

_BEGINNINGS: Final[Mapping[str, tuple[ObjectType, ...]]] = {
    "checkout.session": (ObjectType.CHECKOUT_SESSION,),
    "payment": (ObjectType.PAYMENT,),
    "capture": (ObjectType.CAPTURE,),
    "refund": (ObjectType.REFUND,),
    "dispute": (ObjectType.DISPUTE,),
    "order": (ObjectType.ORDER,),
    "authorization": (ObjectType.AUTHORIZATION,),
    "stock": (ObjectType.LISTING,),
    "payout": (ObjectType.PAYOUT,),
    "settlement": (ObjectType.SETTLEMENT_EXCEPTION,),
    "webhook_endpoint": (ObjectType.WEBHOOK_ENDPOINT,),
}

_SPECIAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "payment.authorized": {"amount_authorized": "240.00"},
    "payment.paid": {"amount_captured": "240.00", "amount_refundable": "240.00"},
    "payment.partially_paid": {"amount_captured": "200.00", "amount_refundable": "200.00"},
    "payment.reversed": {"amount_captured": "240.00", "amount_lost": "240.00"},
    "payment.reinstated": {"status": "paid", "amount_captured": "240.00", "amount_refundable": "240.00"},
    "payment.processing": {"under_way": True},
    "payment.voided": {"status": "canceled"},
    "payment.flagged": {
        "status": "partially_paid",
        "amount_captured": "200.00",
        "amount_refundable": "200.00",
        "under_review": True,
        "review_reasons": ["mismatch"],
    },
    "capture.failed": {"status": "refused", "amount_refundable": "0.00"},
    "dispute.opened": {"status": "needs_response", "amount_lost": "0.00", "blocks_refund": True},
    "dispute.updated": {"status": "under_review"},
    "dispute.funds_withdrawn": {"status": "needs_response"},
    "dispute.funds_reinstated": {"status": "won", "amount_lost": "0.00"},
    "dispute.evidence_due": {"status": "needs_response"},
    "dispute.won": {"amount_lost": "0.00"},
    "checkout.session.opened": {"status": "pending"},
    "payout.reconciled": {"status": "paid"},
    "payout.reopened": {"status": "paid", "state": "unmatched", "exceptions": 1, "reconciled_at": None, "version": 4},
    "payout.failed": {
        "status": "failed",
        "failed_at": "2026-11-28T06:00:00.123456Z",
        "failure_code": "account_closed",
        "version": 4,
    },
    "stock.sold_out": {"available": 0, "reserved": 5},
    "webhook_endpoint.disabled": {"state": "disabled", "state_reason": "gone"},
    "webhook_endpoint.lost": {"state": "enabled", "state_reason": "requested"},
    "webhook_endpoint.test": {"state": "enabled", "state_reason": None},
}
"""What the example of a type has beside its status, or in its place."""

_ANSWERS: Final = {
    "2XX": {"description": "Taken. Answer within 15 seconds, and work afterwards; nothing of the answer is needed."},
    "410": {"description": "The endpoint is gone: it is disabled, and nothing more is sent to it."},
    "default": {
        "description": "Anything else, redirects too, and none within 15 seconds: it is sent again after 5 s, 5 min, "
        "30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h, or after what Retry-After says."
    },
}

_SIGNATURE: Final = """One for each live secret, with spaces between them: `v1,` and the base64 of the HMAC-SHA256 of
id, timestamp and body with dots between them, or `v1a,` and the base64 of their Ed25519 signature: see Standard
Webhooks, whose packages verify it."""

_HEADERS: Final = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }
    for name, description, example in (
        (
            "webhook-id",
            "The event's id, the same at each attempt: do nothing for one that you have done.",
            "01a206b6-2617-7632-98bf-296e992e5fa1",
        ),
        ("webhook-timestamp", "When this attempt was made, in seconds since 1970.", "1795579507"),
        ("webhook-signature", _SIGNATURE, "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="),
    )
]


def document_events(api: Api) -> None:
    """Write all types of events into the document, with what they post. Before it is served."""
    api.spec.options["webhooks"] = {name: {"post": _posted(api, name)} for name in (*EVENT_TYPES, TEST_TYPE)}


def objects_of(name: str) -> tuple[ObjectType, ...]:
    """What events of this type may be about."""
    if name == "capture.failed":
        return ObjectType.CAPTURE, ObjectType.CAPTURE_REQUEST
    return _BEGINNINGS[name.rpartition(".")[0]]


def example_of(name: str, kind: ObjectType) -> dict[str, Any]:
    """What an object of that kind is in an event of this type."""
    shown = dict(OBJECTS[kind].example)
    if kind is ObjectType.CAPTURE_REQUEST:
        return shown | {"status": "failed", "decline": "expired_card"}
    status = name.rpartition(".")[2]
    if kind is ObjectType.WEBHOOK_ENDPOINT:
        shown |= {"state": "suspended", "state_reason": "failing"}
    elif "status" in shown:
        shown |= {"status": status}
    if kind is ObjectType.PAYMENT:
        shown |= {"version": 2}
    return shown | dict(_SPECIAL.get(name, {}))


def _posted(api: Api, name: str) -> dict[str, Any]:
    """The operation of one type."""
    kinds = objects_of(name)
    examples = {
        kind.value if len(kinds) > 1 else "snapshot": {"value": _example(name, example_of(name, kind))}
        for kind in kinds
    }
    thin = {"type": kinds[0].value, "id": OBJECTS[kinds[0]].example["id"], "version": 2}
    schemas = [_schema(api, OBJECTS[kind]) for kind in kinds] + [
        _reference(api, ThinObjectSchema) | {"required": ["type", "id", "version"]}
    ]
    return {
        "operationId": _operation_id(name),
        "summary": name,
        "description": f"{MEANINGS[name]} `data` is the object as lists for staff show it at that version; for "
        "endpoints with `payload` thin, its type, id and version alone.",
        "tags": ["Events"],
        "security": [],
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["type", "timestamp", "id", "data"],
                        "additionalProperties": False,
                        "properties": {
                            "type": {"const": name},
                            "timestamp": {
                                "type": "string",
                                "format": "date-time",
                                "description": "When it was written.",
                            },
                            "id": {"type": "string", "format": "uuid", "description": "As in `webhook-id`."},
                            "data": {"oneOf": schemas},
                        },
                    },
                    "examples": examples | {"thin": {"value": _example(name, thin)}},
                }
            },
        },
        "responses": _ANSWERS,
    }


def _operation_id(name: str) -> str:
    """A type's name as programs have it: ``paymentPartiallyPaid`` of ``payment.partially_paid``."""
    first, *others = re.split(r"[._]", name)
    return first + "".join(map(str.capitalize, others))


def _schema(api: Api, shown: Shown) -> dict[str, Any]:
    needed = [name for name in shown.schema().fields if name not in shown.optional]
    return _reference(api, shown.schema) | {"required": needed}


def _reference(api: Api, schema: type[Schema]) -> dict[str, Any]:
    found: dict[str, Any] = api.ma_plugin.converter.resolve_nested_schema(schema)
    return found


def _example(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": name,
        "timestamp": "2026-11-25T04:05:07.123456Z",
        "id": "01a206b6-2617-7632-98bf-296e992e5fa1",
        "data": data,
    }
