"""What the payments API takes and answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate


class PageQuery(Schema):
    """Where in the list, and how much of it."""

    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100), strict=False)
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class PaymentEventSchema(Schema):
    """One thing that the provider reported."""

    status = fields.String(metadata={"description": "The status that the event proves.", "example": "paid"})
    outcome = fields.String(
        metadata={
            "description": "applied: it moved the payment; stale: the payment was further already; "
            "mismatch: amount or currency are not the payment's, so it moved nothing.",
            "example": "applied",
        }
    )
    amount = fields.String(allow_none=True, metadata={"example": "240.00"})
    currency = fields.String(allow_none=True, metadata={"example": "USD"})
    occurred_at = fields.DateTime(allow_none=True, metadata={"description": "When it happened, as the provider says."})
    received_at = fields.DateTime(metadata={"description": "When we learned of it."})


class PaymentSchema(Schema):
    """A payment as it stands."""

    id = fields.UUID()
    status = fields.String(
        metadata={
            "description": "Moves one way: pending, processing, failed, expired, canceled, paid, reversed.",
            "example": "paid",
        }
    )
    amount = fields.String(metadata={"example": "240.00"})
    currency = fields.String(metadata={"example": "USD"})
    amount_refunded = fields.String(metadata={"description": "What was given back of it.", "example": "0.00"})
    amount_refunding = fields.String(
        metadata={"description": "What is on its way back: refunds requested or processing.", "example": "0.00"}
    )
    provider = fields.String(metadata={"example": "mock"})
    under_review = fields.Boolean(metadata={"description": "Whether a person has to look at it."})
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class PaymentWithTimelineSchema(PaymentSchema):
    """A payment and the events behind it, oldest first."""

    timeline = fields.List(fields.Nested(PaymentEventSchema))


EXAMPLE: Final[dict[str, Any]] = {
    "id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "status": "pending",
    "amount": "240.00",
    "currency": "USD",
    "amount_refunded": "0.00",
    "amount_refunding": "0.00",
    "provider": "mock",
    "under_review": False,
    "created_at": "2026-11-25T04:05:06.123456Z",
    "updated_at": "2026-11-25T04:05:06.123456Z",
    "timeline": [],
}


class PaymentPageSchema(Schema):
    """A page of payments, newest first."""

    data = fields.List(fields.Nested(PaymentSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()
