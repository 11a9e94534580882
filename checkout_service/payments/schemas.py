"""What the payments API takes and answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, fields, validate

from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.one_of import OneOfField
from checkout_service.api.plain_fields import NumberField
from checkout_service.cursors import LONGEST_PAGE
from checkout_service.payments.next_action import ActionType
from checkout_service.payments.status import PaymentStatus
from checkout_service.server.long_polls import LONGEST


class PageQuery(Schema):
    """Where in the list, and how much of it."""

    limit = NumberField(load_default=20, validate=validate.Range(1, LONGEST_PAGE))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 200))


class TimelineQuery(Schema):
    """Which part of the timeline."""

    before = fields.String(
        load_default=None,
        validate=validate.Length(1, 200),
        metadata={"description": "An `earlier_cursor`: the part of the timeline before the one that it came with."},
    )


class WaitingQuery(TimelineQuery):
    """The same, and how long to wait for a change."""

    wait = NumberField(
        load_default=0,
        validate=validate.Range(0, LONGEST),
        metadata={
            "description": "Seconds for which a client that sends If-None-Match has the answer wait for a change. It "
            "comes as soon as there is one, or 304 at the end. Without that header, and where this payment is another "
            "already, the answer comes at once. So it does, with Retry-After, where as many requests wait as may."
        },
    )


TIMELINE_KINDS: Final = (
    *("attempt", "capture", "refund", "dispute", "capture_request", "void", "closed", "acceptance", "notice", "review"),
    "event",
)


class TimelineEntrySchema(AnswerSchema):
    """One thing that the provider reported (an event), or one movement of money that came of it (an entry)."""

    kind = WordText(
        TIMELINE_KINDS,
        metadata={
            "description": "event: the provider reported something; attempt: a try to pay; capture: money that came; "
            "refund, dispute; capture_request, void: requested here; closed: the provider closed the payment unpaid; "
            "acceptance: a person accepted another amount. For staff alone: notice, what the provider's data cannot "
            "decide; review, a person saw a reason.",
            "example": "capture",
        },
    )
    id = fields.UUID(allow_none=True, metadata={"description": "Our id of it."})
    name = fields.String(allow_none=True, metadata={"description": "The provider's name for it.", "example": "ch_1"})
    status = fields.String(
        allow_none=True,
        metadata={
            "description": "Of an event the status of the payment that it proves, or null. An attempt moves along "
            "started, under_way, failed, authorized, expired, canceled (money that came by it all the same, where no "
            "capture is named, is in amount); a capture along pending, refused, succeeded, "
            "undone; a dispute is needs_response, under_review, accepted, expired, lost, won or closed.",
            "example": "succeeded",
        },
    )
    amount = AmountText(allow_none=True, metadata={"example": "240.00"})
    currency = CurrencyText(allow_none=True)
    occurred_at = fields.DateTime(allow_none=True, metadata={"description": "When it happened, as the provider says."})
    received_at = fields.DateTime(metadata={"description": "When we learned of it first."})
    reason = fields.String(
        allow_none=True, metadata={"description": "Why: of a refund, a dispute, a review, an acceptance."}
    )
    outcome = fields.String(
        metadata={
            "sometimes": True,
            "description": "Of an event. applied: it changed something; stale: it was known already; mismatch: it "
            "could not be counted, and a person has to look.",
            "example": "applied",
        }
    )
    entries = fields.List(
        fields.Dict(),
        metadata={
            "sometimes": True,
            "description": "Of an event: the entries that it was about, as it was reported. For staff also notices, "
            "and why what is under way waits (`pending`: bank, review, account, other).",
        },
    )
    of = fields.String(
        allow_none=True,
        metadata={
            "sometimes": True,
            "description": "Of a capture, a refund, a dispute: the provider's name of the attempt or capture.",
        },
    )
    replaces = fields.String(
        allow_none=True, metadata={"sometimes": True, "description": "Of an attempt: the one in whose place it stands."}
    )
    expires_at = fields.DateTime(
        allow_none=True, metadata={"sometimes": True, "description": "Of an attempt: the authorisation's end."}
    )
    decline = fields.String(
        allow_none=True, metadata={"sometimes": True, "description": "Why the provider said no, where it did."}
    )
    stage = fields.String(
        metadata={"sometimes": True, "description": "Of a dispute: inquiry, chargeback, pre_arbitration, arbitration."}
    )
    amount_lost = AmountText(
        metadata={
            "sometimes": True,
            "description": "Of a capture or a dispute: what went again by it.",
            "example": "0.00",
        }
    )
    evidence_due_at = fields.DateTime(
        allow_none=True,
        metadata={"sometimes": True, "description": "Of a dispute: until when the provider takes evidence."},
    )


class OrderOfPaymentSchema(AnswerSchema):
    """The order that a payment pays for."""

    id = fields.UUID()
    number = fields.String(
        allow_none=True,
        metadata={"description": "For people; null for moments after the order is made.", "example": "1042"},
    )


class PaymentSchema(AnswerSchema):
    """A payment as it is now, computed of its entries."""

    id = fields.UUID()
    status = WordText(
        PaymentStatus,
        metadata={
            "description": "pending, processing, failed, authorized (money is promised, none came), expired, canceled, "
            "partially_paid (less came than is due), paid, reversed (all that came went again by disputes). It may go "
            "back, as when a dispute that was lost is won. Refunds do not move it.",
            "example": "paid",
        },
    )
    amount = AmountText(metadata={"description": "What was to be paid.", "example": "240.00"})
    currency = CurrencyText()
    amount_captured = AmountText(metadata={"description": "What came.", "example": "240.00"})
    amount_lost = AmountText(
        metadata={
            "description": "What went again by disputes and undone captures.",
            "example": "0.00",
        }
    )
    amount_refundable = AmountText(metadata={"description": "What may be given back now.", "example": "240.00"})
    amount_authorized = AmountText(
        metadata={"description": "What is promised and was not captured.", "example": "0.00"}
    )
    amount_accepted = AmountText(
        allow_none=True, metadata={"description": "What a person accepted in place of amount.", "example": None}
    )
    amount_refunded = AmountText(metadata={"description": "What was given back of it.", "example": "0.00"})
    amount_refunding = AmountText(
        metadata={"description": "What is on its way back: refunds requested or processing.", "example": "0.00"}
    )
    under_way = fields.Boolean(
        metadata={"description": "Whether some try to pay is under way, whatever the status is: do not pay again."}
    )
    authorization_expires_at = fields.DateTime(
        allow_none=True, metadata={"description": "The nearest end of what is authorized."}
    )
    duplicate_of = fields.List(
        fields.UUID(),
        metadata={
            "description": "Other payments for the same cart, or for the same things of a guest's cart that went into "
            "it, where money came for both."
        },
    )
    order = fields.Nested(
        OrderOfPaymentSchema,
        allow_none=True,
        metadata={"description": "The order that it pays for; null until money came or is authorized."},
    )
    provider = fields.String(metadata={"example": "mock"})
    under_review = fields.Boolean(metadata={"description": "Whether a person has to look at it."})
    version = fields.Integer(metadata={"description": "Counts the changes of status, sums and reasons."})
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class RedirectSchema(AnswerSchema):
    """Send the customer's browser to the provider's page."""

    type = WordText([ActionType.REDIRECT])
    url = fields.String(
        metadata={"format": "uri", "description": "Of the provider.", "example": "https://pay.example/ps_1"}
    )


class ClientSecretSchema(AnswerSchema):
    """Give the secret to the provider's component in the browser, such as Stripe.js."""

    type = WordText([ActionType.CLIENT_SECRET])
    value = fields.String(metadata={"description": "A secret of this payment's customer.", "example": "pi_1_secret_2"})
    publishable_key = fields.String(
        allow_none=True,
        metadata={
            "description": "What the component is made with; null where the shop has not set it.",
            "example": "pk_test_51NxExample",
        },
    )


class ProviderOrderSchema(AnswerSchema):
    """Give the provider's order to its component in the browser, such as PayPal's script."""

    type = WordText([ActionType.PROVIDER_ORDER])
    id = fields.String(metadata={"description": "The provider's.", "example": "5O190127TN364715T"})


class NoActionSchema(AnswerSchema):
    """There is nothing to do: the payment is not pending, its provider is off, or pays in no way known here."""

    type = WordText([ActionType.NONE])


NEXT_ACTIONS: Final = {
    ActionType.REDIRECT.value: RedirectSchema,
    ActionType.CLIENT_SECRET.value: ClientSecretSchema,
    ActionType.PROVIDER_ORDER.value: ProviderOrderSchema,
    ActionType.NONE.value: NoActionSchema,
}


def next_action_field(*, sometimes: bool = False) -> OneOfField:
    """The member ``next_action``."""
    words = "What the customer's client does to have it paid. For its customer alone, and `none` unless it is pending."
    return OneOfField("NextAction", NEXT_ACTIONS, metadata={"description": words, "sometimes": sometimes})


class PaymentWithTimelineSchema(PaymentSchema):
    """A payment, the events behind it and the entries that they came to, oldest first: the newest 200 of them."""

    review_reasons = fields.List(
        fields.String(),
        metadata={
            "sometimes": True,
            "description": "For staff alone: why a person has to look.",
            "example": ["mismatch"],
        },
    )
    customer = fields.UUID(metadata={"sometimes": True, "description": "For staff alone: the customer's user id."})
    reference = fields.String(
        metadata={
            "sometimes": True,
            "description": "For staff alone: the provider's name for the payment.",
            "example": "mock_pi_1",
        }
    )
    timeline = fields.List(fields.Nested(TimelineEntrySchema))
    earlier_cursor = fields.String(
        allow_none=True,
        metadata={
            "description": "Where the timeline is longer: what to pass as `before` for the entries before these."
        },
    )


class ReadPaymentSchema(PaymentWithTimelineSchema):
    """The same as its customer reads it, with what to do next; staff reads it without."""

    next_action = next_action_field(sometimes=True)


EXAMPLE: Final[dict[str, Any]] = {
    "id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "status": "pending",
    "amount": "240.00",
    "currency": "USD",
    "amount_captured": "0.00",
    "amount_lost": "0.00",
    "amount_refundable": "0.00",
    "amount_authorized": "0.00",
    "amount_accepted": None,
    "amount_refunded": "0.00",
    "amount_refunding": "0.00",
    "under_way": False,
    "authorization_expires_at": None,
    "duplicate_of": [],
    "order": None,
    "provider": "mock",
    "under_review": False,
    "version": 0,
    "created_at": "2026-11-25T04:05:06.123456Z",
    "updated_at": "2026-11-25T04:05:06.123456Z",
    "timeline": [],
    "earlier_cursor": None,
}


READ_EXAMPLE: Final[dict[str, Any]] = EXAMPLE | {
    "status": "paid",
    "amount_captured": "240.00",
    "amount_refundable": "240.00",
    "order": {"id": "01a206b6-2617-7632-98bf-296e992e5fa1", "number": "1042"},
    "version": 2,
    "updated_at": "2026-11-25T04:06:07.123456Z",
    "timeline": [
        {
            "kind": "capture",
            "id": "01a206b6-2617-7632-98bf-296e992e5fa2",
            "name": "mock_ch_1",
            "status": "succeeded",
            "amount": "240.00",
            "currency": "USD",
            "occurred_at": "2026-11-25T04:06:06Z",
            "received_at": "2026-11-25T04:06:07.123456Z",
            "reason": None,
            "of": None,
            "amount_lost": "0.00",
        },
    ],
    "next_action": {"type": "none"},
}

PAGE_EXAMPLE: Final[dict[str, Any]] = {
    "data": [
        {
            name: value
            for name, value in READ_EXAMPLE.items()
            if name not in {"timeline", "earlier_cursor", "next_action"}
        }
    ],
    "next_cursor": None,
    "has_more": False,
}


class PaymentPageSchema(AnswerSchema):
    """A page of payments, newest first."""

    data = fields.List(fields.Nested(PaymentSchema))
    next_cursor = fields.String(allow_none=True)
    has_more = fields.Boolean()
