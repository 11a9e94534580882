"""What staff send to fulfil or cancel an order, and what they are answered."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validates, validates_schema
from marshmallow.validate import Length, Range

from checkout_service.api.answers import AnswerSchema, WordText
from checkout_service.api.plain_fields import IdField
from checkout_service.captures.schemas import YesOrNo
from checkout_service.orders.schemas import FulfilledLineSchema
from checkout_service.orders.status import OrderStatus

MOST_LINES: Final = 1000
"""More than a cart holds."""


class FulfilledPiecesSchema(Schema):
    """How many pieces of which line."""

    line_id = IdField(required=True, metadata={"description": "A line of the order."})
    qty = fields.Integer(
        strict=True,
        validate=Range(min=1, max=9999),
        metadata={"description": "How many pieces; in a request without it, all that is left.", "example": 2},
    )


class NewFulfilmentSchema(Schema):
    """What was handed over."""

    lines = fields.List(
        fields.Nested(FulfilledPiecesSchema),
        validate=Length(1, MOST_LINES),
        metadata={"description": "Of which lines; without it, all that is left of the order."},
    )
    carrier = fields.String(
        validate=Length(1, 100), metadata={"description": "Who carries it; the customer sees it.", "example": "DHL"}
    )
    tracking = fields.String(
        validate=Length(1, 255),
        metadata={"description": "The carrier's name for it; the customer sees it.", "example": "00340434161094000001"},
    )
    capture = YesOrNo(
        metadata={
            "description": "Whether the price of these pieces is captured, where money is only authorized.",
            "example": True,
        }
    )

    @validates("carrier", "tracking")
    def _can_be_kept(self, value: str, **_: Any) -> None:
        if not value.isprintable() or value.isspace():
            raise ValidationError("It is printable text on one line.")

    @validates_schema
    def _each_line_once(self, data: dict[str, Any], **_: Any) -> None:
        seen = set()
        for place, line in enumerate(data.get("lines", ())):
            if line["line_id"] in seen:
                raise ValidationError({"lines": {place: {"line_id": ["This line is named before."]}}})
            seen.add(line["line_id"])


class FulfilmentSchema(AnswerSchema):
    """What was handed over, and what the order was then."""

    id = fields.UUID()
    order_id = fields.UUID()
    order_status = WordText(
        OrderStatus, metadata={"description": "What the order was after it.", "example": "partially_fulfilled"}
    )
    lines = fields.List(fields.Nested(FulfilledLineSchema))
    carrier = fields.String(allow_none=True, metadata={"example": "DHL"})
    tracking = fields.String(allow_none=True, metadata={"example": "00340434161094000001"})
    capture_request_id = fields.UUID(
        allow_none=True,
        metadata={"description": "The capture asked for with it, as `GET /api/admin/payments/{id}/captures` lists it."},
    )
    created_at = fields.DateTime()


class NewCancellationSchema(Schema):
    """Why an order is canceled."""

    body_may_be_left_out = True
    """All of it may."""

    reason = fields.String(
        validate=Length(1, 255),
        metadata={"description": "For the books, and for the provider, with each refund.", "example": "damaged"},
    )

    @validates("reason")
    def _can_be_kept(self, value: str, **_: Any) -> None:
        if not value.isprintable() or value.isspace():
            raise ValidationError("A reason is printable text on one line.")


class CanceledOrderSchema(AnswerSchema):
    """An order that was canceled, and what was asked for because of it."""

    id = fields.UUID()
    order_id = fields.UUID()
    order_status = WordText(OrderStatus, metadata={"example": "canceled"})
    payment_id = fields.UUID()
    reason = fields.String(allow_none=True, metadata={"example": "damaged"})
    refunds = fields.List(
        fields.UUID(),
        metadata={"description": "The refunds, as `GET /api/payments/{id}/refunds` lists them: one of each capture."},
    )
    void = fields.UUID(
        allow_none=True,
        metadata={"description": "The void, as `GET /api/admin/payments/{id}/captures` lists it."},
    )
    created_at = fields.DateTime()


_ORDER: Final = "01a206b6-2617-7632-98bf-296e992e5fa0"
_MOMENT: Final = "2026-11-25T04:05:06.123456Z"

FULFILMENT_EXAMPLE: Final = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fa2",
    "order_id": _ORDER,
    "order_status": "partially_fulfilled",
    "lines": [{"line_id": "01a206b6-2617-7632-98bf-296e992e5fa1", "qty": 2}],
    "carrier": "DHL",
    "tracking": "00340434161094000001",
    "capture_request_id": None,
    "created_at": _MOMENT,
}

CANCELLATION_EXAMPLE: Final = {
    "id": "01a206b6-2617-7632-98bf-296e992e5fa3",
    "order_id": _ORDER,
    "order_status": "canceled",
    "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "reason": "damaged",
    "refunds": ["01a206b6-2617-7632-98bf-296e992e5f9b"],
    "void": None,
    "created_at": _MOMENT,
}
