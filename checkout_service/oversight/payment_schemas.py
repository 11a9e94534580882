"""What the API for staff and programs takes and answers of payments."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import fields, validate

from checkout_service.api.answers import AnswerSchema, WordText
from checkout_service.api.plain_fields import NumberField, OfCustomerQuery
from checkout_service.checkout.schemas import SessionLineSchema
from checkout_service.delivery_states import DeliveryState
from checkout_service.disputes.schemas import DayOrMoment
from checkout_service.orders.status import NoOrder, OrderStatus
from checkout_service.payments.outcomes import ReviewReason
from checkout_service.payments.schemas import EXAMPLE, OrderOfPaymentSchema, PaymentSchema, PaymentWithTimelineSchema
from checkout_service.payments.status import PaymentStatus


class StaffPaymentsQuery(OfCustomerQuery):
    """Which payments (all of what is given must hold), where in the list, and how much of it."""

    status = fields.String(
        load_default=None,
        validate=validate.OneOf([status.value for status in PaymentStatus]),
        metadata={"description": "Only those of this status.", "example": "paid"},
    )
    provider = fields.String(
        load_default=None,
        validate=validate.Regexp(r"[a-z0-9_]{1,50}\Z", error="A provider's name."),
        metadata={"description": "Only those at this provider.", "example": "stripe"},
    )
    since = DayOrMoment(
        load_default=None,
        metadata={
            "description": "Only those made then or later. A day (its beginning in UTC) or an RFC 3339 time.",
            "example": "2026-11-01",
        },
    )
    until = DayOrMoment(
        load_default=None,
        metadata={"description": "Only those made before.", "example": "2026-12-01"},
    )
    reference = fields.String(
        load_default=None,
        validate=validate.Length(1, 255),
        metadata={"description": "Only the one that the provider calls so.", "example": "pi_3PQ"},
    )
    updated_after = DayOrMoment(
        load_default=None,
        metadata={
            "description": "Only those that changed later than then, the first of them first: order and cursors are by "
            "updated_at and id.",
            "example": "2026-11-25T04:05:06.123456Z",
        },
    )
    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class StaffPaymentSchema(PaymentSchema):
    """A payment as staff see it."""

    customer = fields.UUID(metadata={"description": "The customer's user id."})
    reference = fields.String(metadata={"description": "The provider's name for it.", "example": "mock_pi_1"})
    review_reasons = fields.List(
        WordText(ReviewReason), metadata={"description": "Why a person has to look at it.", "example": ["mismatch"]}
    )


class StaffPaymentPageSchema(AnswerSchema):
    """A page of payments. It may hold fewer than `limit` and have more all the same."""

    data = fields.List(fields.Nested(StaffPaymentSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()


class OrderNowSchema(OrderOfPaymentSchema):
    """The same with its status."""

    status = WordText(OrderStatus, metadata={"example": "placed"})


class WithoutOrderSchema(AnswerSchema):
    """Why money made no order."""

    reason = WordText(NoOrder, metadata={"example": "duplicate_of"})
    payment_id = fields.UUID(allow_none=True, metadata={"description": "The payment that has the order, if one does."})


class ShownDeliverySchema(AnswerSchema):
    """A webhook about the payment, without its body."""

    id = fields.UUID()
    state = WordText(
        DeliveryState,
        metadata={
            "description": "received, parked (its payment was not here yet), applied, duplicate, ignored (it moved "
            "nothing; its detail begins with the reason: unknown_type, not_ours or nothing_to_record), rejected "
            "(nobody vouches for it) or failed.",
            "example": "applied",
        },
    )
    attempts = fields.Integer()
    received_at = fields.DateTime()
    processed_at = fields.DateTime(allow_none=True)
    next_attempt_at = fields.DateTime(allow_none=True)
    detail = fields.String(allow_none=True, metadata={"description": "Why it is in its state, for people."})


class WholePaymentSchema(StaffPaymentSchema, PaymentWithTimelineSchema):
    """A payment with all that is known of it."""

    order = fields.Nested(OrderNowSchema, allow_none=True, metadata={"description": "The order that it pays for."})
    without_order = fields.Nested(
        WithoutOrderSchema, allow_none=True, metadata={"description": "Why it has none, where there is money."}
    )
    lines = fields.List(fields.Nested(SessionLineSchema), metadata={"description": "What it pays for, as sealed."})
    deliveries = fields.List(
        fields.Nested(ShownDeliverySchema),
        metadata={"description": "Webhooks about it that are still kept, oldest first: the newest 100."},
    )
    more_deliveries = fields.Boolean(metadata={"description": "Whether there are older ones."})


_STAFF: Final = {
    "customer": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "reference": "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d",
    "review_reasons": [],
}

_LISTED: Final = {name: value for name, value in EXAMPLE.items() if name not in {"timeline", "earlier_cursor"}}

PAGE_EXAMPLE: Final[dict[str, Any]] = {"data": [_LISTED | _STAFF], "next_cursor": None, "has_more": False}

WHOLE_EXAMPLE: Final[dict[str, Any]] = (
    EXAMPLE
    | _STAFF
    | {
        "without_order": None,
        "lines": [
            {
                "listing_id": "01a206b6-2617-7632-98bf-296e992e5f9e",
                "title": "Algebra for beginners",
                "unit_price": "120.00",
                "currency": "USD",
                "qty": 2,
                "line_total": "240.00",
                "vendor_id": "01a206b6-2617-7632-98bf-296e992e5f9c",
                "vendor": "Harbour Books",
                "school": "Northgate School",
                "spec": "Hardcover",
            }
        ],
        "deliveries": [
            {
                "id": "01a206b6-2617-7632-98bf-296e992e5fa0",
                "state": "applied",
                "attempts": 1,
                "received_at": "2026-11-25T04:05:07.123456Z",
                "processed_at": "2026-11-25T04:05:07.234567Z",
                "next_attempt_at": None,
                "detail": None,
            }
        ],
        "more_deliveries": False,
    }
)
