"""What reads of orders take and answer."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates

from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.plain_fields import IdField, NumberField, OfCustomerQuery
from checkout_service.cursors import LONGEST_PAGE
from checkout_service.disputes.schemas import DayOrMoment
from checkout_service.orders.status import OrderStatus
from checkout_service.payments.status import RefundStatus


class OrderFiltersQuery(OfCustomerQuery):
    """Which orders: all of what is given must hold."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in OrderStatus]),
        metadata={"description": "Only those of this status.", "example": "placed"},
    )
    vendor = IdField(load_default=None, metadata={"description": "Only those with a line of this vendor (its id)."})
    since = DayOrMoment(
        load_default=None,
        metadata={
            "description": "Only those placed then or later. A day (its beginning in UTC) or an RFC 3339 time.",
            "example": "2026-11-01",
        },
    )
    until = DayOrMoment(
        load_default=None,
        metadata={"description": "Only those placed before.", "example": "2026-12-01"},
    )
    number = fields.String(
        load_default=None,
        validate=validate.Length(1, 100),
        metadata={
            "description": "Only the one of this number, with its prefix or without.",
            "pattern": r"^[\s\S]*[0-9]$",
            "example": "1042",
        },
    )
    email = fields.String(
        load_default=None,
        validate=validate.Length(3, 254),
        metadata={
            "description": "Only those whose buyer has this address; whole, in whatever case.",
            "example": "mira@example.org",
        },
    )

    @validates("number")
    def _ends_with_digits(self, value: str | None, **_: Any) -> None:
        if value is not None and not (value[-1:].isascii() and value[-1:].isdigit()):
            raise ValidationError("A number such as 1042, with its prefix or without.")


class OrdersQuery(OrderFiltersQuery):
    """The same, where in the list, and how much of it."""

    limit = NumberField(load_default=20, validate=validate.Range(1, LONGEST_PAGE))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class VendorSchema(AnswerSchema):
    """Who sells."""

    id = fields.UUID(allow_none=True)
    name = fields.String(allow_none=True, metadata={"example": "Harbour Books"})


class OrderLineSchema(AnswerSchema):
    """A line, as it was when it was bought."""

    id = fields.UUID()
    listing_id = fields.UUID()
    title = fields.String(metadata={"example": "Algebra for beginners"})
    vendor = fields.Nested(VendorSchema)
    school = fields.String(allow_none=True)
    spec = fields.String(allow_none=True)
    qty = fields.Integer(metadata={"description": "Pieces that were bought.", "example": 2})
    unit_price = AmountText(metadata={"example": "120.00"})
    line_total = AmountText(metadata={"example": "240.00"})
    qty_fulfilled = fields.Integer(metadata={"description": "Pieces that were handed over."})
    qty_refunded = fields.Integer(metadata={"description": "Pieces whose price was given back by line."})
    qty_refunding = fields.Integer(metadata={"description": "Pieces whose price is on its way back by line."})
    qty_canceled = fields.Integer(
        metadata={"description": "Pieces that are not to be sent any more: given back by line before they were sent."}
    )


class PartSchema(AnswerSchema):
    """What one vendor sells of the order."""

    vendor = fields.Nested(VendorSchema)
    amount = AmountText(metadata={"description": "The total of its lines.", "example": "240.00"})


class OrderSchema(AnswerSchema):
    """What a customer bought."""

    id = fields.UUID()
    number = fields.String(
        allow_none=True,
        metadata={"description": "For people, without a gap; null for moments after it is placed.", "example": "1042"},
    )
    status = WordText(
        OrderStatus,
        metadata={
            "description": "placed; short (there are too few pieces); partially_fulfilled; fulfilled; on_hold (its "
            "payment is reversed or has an open chargeback); canceled.",
            "example": "placed",
        },
    )
    payment_id = fields.UUID()
    amount = AmountText(metadata={"example": "240.00"})
    currency = CurrencyText()
    amount_refunded = AmountText(metadata={"description": "What was given back of its payment.", "example": "0.00"})
    amount_refunding = AmountText(metadata={"description": "What is on its way back.", "example": "0.00"})
    lines = fields.List(fields.Nested(OrderLineSchema))
    parts = fields.List(fields.Nested(PartSchema), metadata={"description": "One for each vendor."})
    buyer = fields.Dict(
        allow_none=True,
        metadata={"description": "email, name, locale and perhaps phone, as the session sealed them; or null."},
    )
    delivery_address = fields.Dict(
        allow_none=True, metadata={"description": "Where it goes, as the session sealed it; or null."}
    )
    version = fields.Integer(metadata={"description": "Counts the changes of its status."})
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class FulfilledLineSchema(AnswerSchema):
    """Pieces of a line."""

    line_id = fields.UUID()
    qty = fields.Integer(metadata={"example": 2})


class ShownFulfilmentSchema(AnswerSchema):
    """What was handed to a carrier, or to the customer."""

    id = fields.UUID()
    carrier = fields.String(allow_none=True, metadata={"example": "DHL"})
    tracking = fields.String(allow_none=True, metadata={"example": "00340434161094021501"})
    lines = fields.List(fields.Nested(FulfilledLineSchema))
    created_at = fields.DateTime()


class WholeOrderSchema(OrderSchema):
    """An order with what was handed over of it, oldest first."""

    fulfilments = fields.List(fields.Nested(ShownFulfilmentSchema))


class OrderPageSchema(AnswerSchema):
    """A page of orders, newest first."""

    data = fields.List(fields.Nested(OrderSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


class StaffLineSchema(OrderLineSchema):
    """The same as staff see it."""

    qty_short = fields.Integer(metadata={"description": "Pieces that nobody has."})


class StaffOrderSchema(OrderSchema):
    """An order as staff see it."""

    lines = fields.List(fields.Nested(StaffLineSchema))
    customer = fields.UUID(metadata={"description": "The customer's user id."})
    on_hold_reason = fields.String(
        allow_none=True,
        metadata={"description": "payment_reversed or chargeback, where it is on hold.", "example": None},
    )
    canceled_at = fields.DateTime(
        allow_none=True, metadata={"description": "When somebody canceled it; null where an authorization ended."}
    )


class ShownCancellationSchema(AnswerSchema):
    """Who canceled an order, and why."""

    id = fields.UUID()
    reason = fields.String(allow_none=True, metadata={"example": "the customer asked"})
    requested_by = fields.UUID()
    created_at = fields.DateTime()


class RefundedLineSchema(FulfilledLineSchema):
    """Pieces of a line whose price is given back."""

    amount = AmountText(metadata={"example": "120.00"})


class OrderRefundSchema(AnswerSchema):
    """A refund of the order's payment."""

    id = fields.UUID()
    status = WordText(RefundStatus, metadata={"example": "succeeded"})
    amount = AmountText(metadata={"example": "120.00"})
    reason = fields.String(allow_none=True, metadata={"description": "What was written when it was requested."})
    requested_by = fields.UUID(
        allow_none=True, metadata={"description": "Null for one that was made in the provider's dashboard."}
    )
    lines = fields.List(
        fields.Nested(RefundedLineSchema), metadata={"description": "Empty for one of an amount that is of no line."}
    )
    created_at = fields.DateTime()


class StaffFulfilmentSchema(ShownFulfilmentSchema):
    """The same, and who did it."""

    requested_by = fields.UUID()


class WholeStaffOrderSchema(StaffOrderSchema):
    """An order with all that was done about it."""

    fulfilments = fields.List(fields.Nested(StaffFulfilmentSchema))
    cancellation = fields.Nested(ShownCancellationSchema, allow_none=True)
    refunds = fields.List(
        fields.Nested(OrderRefundSchema),
        metadata={
            "description": "All of its payment, oldest first. Those that succeeded add up to `amount_refunded`, those "
            "that are requested or processing to `amount_refunding`."
        },
    )


class StaffOrderPageSchema(AnswerSchema):
    """A page of orders, newest first. It may hold fewer than `limit` and have more all the same."""

    data = fields.List(fields.Nested(StaffOrderSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


_VENDOR: Final = {"id": "01a206b6-2617-7632-98bf-296e992e5f9c", "name": "Harbour Books"}

_LINE_ID: Final = "01a206b6-2617-7632-98bf-296e992e5f9d"

_LINE: Final[dict[str, Any]] = {
    "id": _LINE_ID,
    "listing_id": "01a206b6-2617-7632-98bf-296e992e5f9e",
    "title": "Algebra for beginners",
    "vendor": _VENDOR,
    "school": "Northgate School",
    "spec": "Hardcover",
    "qty": 2,
    "unit_price": "120.00",
    "line_total": "240.00",
    "qty_fulfilled": 1,
    "qty_refunded": 0,
    "qty_refunding": 0,
    "qty_canceled": 0,
}

_ORDER: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9b",
    "number": "1042",
    "status": "partially_fulfilled",
    "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "amount": "240.00",
    "currency": "USD",
    "amount_refunded": "0.00",
    "amount_refunding": "0.00",
    "lines": [_LINE],
    "parts": [{"vendor": _VENDOR, "amount": "240.00"}],
    "buyer": {"email": "mira@example.org", "name": "Mira Vance", "locale": "en-GB"},
    "delivery_address": {
        "name": "Mira Vance",
        "line1": "1 Harbour Row",
        "postal_code": "E1 6AN",
        "city": "London",
        "country": "GB",
    },
    "version": 2,
    "created_at": "2026-11-25T04:05:06.123456Z",
    "updated_at": "2026-11-26T10:00:00.000001Z",
}

_FULFILMENT: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9f",
    "carrier": "DHL",
    "tracking": "00340434161094021501",
    "lines": [{"line_id": _LINE_ID, "qty": 1}],
    "created_at": "2026-11-26T10:00:00.000001Z",
}

_STAFF: Final[dict[str, Any]] = {
    "lines": [_LINE | {"qty_short": 0}],
    "customer": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "on_hold_reason": None,
    "canceled_at": None,
}

_ENDS: Final = {"next_cursor": None, "has_more": False}

ORDER_EXAMPLE: Final = _ORDER | {"fulfilments": [_FULFILMENT]}

PAGE_EXAMPLE: Final = {"data": [_ORDER], **_ENDS}

STAFF_EXAMPLE: Final = (
    _ORDER
    | _STAFF
    | {
        "fulfilments": [_FULFILMENT | {"requested_by": "b7ad6b71-6920-4333-8d2f-00f067aa0ba9"}],
        "cancellation": None,
        "refunds": [],
    }
)

STAFF_PAGE_EXAMPLE: Final = {"data": [_ORDER | _STAFF], **_ENDS}
