"""What the refunds API takes and answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates, validates_schema

from checkout_service.api.amount_field import AmountField
from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.plain_fields import IdField
from checkout_service.payments.status import RefundStatus


class NewRefundLineSchema(Schema):
    """How many pieces of which line of the payment's order."""

    line_id = IdField(required=True, metadata={"description": "A line of the order that it paid."})
    qty = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(min=1, max=9999),
        metadata={"description": "How many pieces.", "example": 1},
    )


class NewRefundSchema(Schema):
    """How much to give back, and why."""

    amount = AmountField(
        metadata={
            "description": "In the payment's currency; without it and without lines, all that is left.",
            "example": "40.00",
        }
    )
    lines = fields.List(
        fields.Nested(NewRefundLineSchema),
        validate=validate.Length(1, 1000),
        metadata={"description": "In place of an amount: the price of these pieces of the payment's order."},
    )
    reason = fields.String(
        validate=validate.Length(1, 255),
        metadata={"description": "For the books, and passed on to the provider.", "example": "returned"},
    )

    capture_id = IdField(
        metadata={
            "description": "The one capture to give back of, as `GET /api/admin/payments/{id}/captures` lists it.",
            "example": "01a206b6-2617-7632-98bf-296e992e5f9c",
        }
    )

    @validates("amount")
    def _is_something(self, value: Any, **_: Any) -> None:
        if value == 0:
            raise ValidationError("A refund is of more than nothing.")

    @validates_schema
    def _is_one_sum(self, data: dict[str, Any], **_: Any) -> None:
        if "amount" in data and "lines" in data:
            raise ValidationError("A refund is of an amount or of lines.", "lines")
        seen = set()
        for place, line in enumerate(data.get("lines", ())):
            if line["line_id"] in seen:
                raise ValidationError({"lines": {place: {"line_id": ["This line is named before."]}}})
            seen.add(line["line_id"])

    @validates("reason")
    def _can_be_kept(self, value: str, **_: Any) -> None:
        if not value.isprintable():
            raise ValidationError("A reason is printable text on one line.")


class RefundPartSchema(AnswerSchema):
    """What one request gives back of one capture, where it takes several."""

    id = fields.UUID(metadata={"description": "Of the refund in the list."})
    amount = AmountText(metadata={"example": "15.00"})
    capture_ref = fields.String(
        allow_none=True, metadata={"description": "The provider's name of the capture, where it has one."}
    )


class RefundLineSchema(AnswerSchema):
    """What a refund gives back of one line."""

    line_id = fields.UUID()
    qty = fields.Integer(metadata={"example": 1})
    amount = AmountText(metadata={"description": "The price of these pieces.", "example": "40.00"})


class RefundSchema(AnswerSchema):
    """Money given back, or on its way."""

    id = fields.UUID()
    payment_id = fields.UUID()
    amount = AmountText(metadata={"example": "40.00"})
    currency = CurrencyText()
    status = WordText(
        RefundStatus,
        metadata={
            "description": "Moves one way: requested, processing, succeeded, failed. A refund can fail even after it "
            "succeeded, when the customer's bank sends the money back.",
            "example": "requested",
        },
    )
    reason = fields.String(allow_none=True, metadata={"example": "returned"})
    decline = fields.String(
        allow_none=True, metadata={"description": "Why the provider said no, where it did.", "example": None}
    )
    provider_answer = fields.String(
        allow_none=True,
        metadata={
            "description": "What it answered then: its HTTP status and its codes, none of its sentences. Only for "
            "tokens with the scope `refunds`.",
            "example": None,
        },
    )
    made_by = WordText(
        ("request", "provider"),
        metadata={"description": "request: requested here; provider: made in the provider's dashboard."},
    )
    parts = fields.List(
        fields.Nested(RefundPartSchema),
        metadata={
            "sometimes": True,
            "description": "Only in the answer to a request that takes several captures; `id` is the first's.",
        },
    )
    lines = fields.List(
        fields.Nested(RefundLineSchema),
        metadata={
            "sometimes": True,
            "description": "Only of a refund that was asked for by line; where it takes several captures, of the first "
            "in the list.",
        },
    )
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class RefundsSchema(AnswerSchema):
    """All refunds of a payment, oldest first."""

    data = fields.List(fields.Nested(RefundSchema))


EXAMPLE: Final = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9b",
    "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "amount": "40.00",
    "currency": "USD",
    "status": "requested",
    "reason": "returned",
    "decline": None,
    "provider_answer": None,
    "made_by": "request",
    "created_at": "2026-11-25T04:05:06.123456Z",
    "updated_at": "2026-11-25T04:05:06.123456Z",
}
