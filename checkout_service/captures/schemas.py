"""What the captures API takes and answers."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validates

from checkout_service.api.amount_field import AmountField
from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.plain_fields import IdField
from checkout_service.payments.status import CaptureStatus, RequestStatus

_PROVIDER_ANSWER: Final = fields.String(
    allow_none=True,
    metadata={"description": "What it answered then: its HTTP status and its codes, none of its sentences."},
)

_STATUS: Final = WordText(
    RequestStatus,
    metadata={"description": "Moves one way: requested, processing, succeeded, failed.", "example": "requested"},
)


class YesOrNo(fields.Boolean):
    """JSON's own true or false: 1 is equal to True, and is none."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class NewCaptureSchema(Schema):
    """How much to capture of what is authorized, and what becomes of the rest."""

    amount = AmountField(
        metadata={"description": "In the payment's currency; without it, all that is open.", "example": "200.00"}
    )
    final = YesOrNo(
        metadata={
            "description": "Whether the rest is released. Without it the rest stays open where the account may capture "
            "several times, else it is released.",
            "example": True,
        }
    )
    authorization_id = IdField(metadata={"description": "Which authorization, where several are open."})

    @validates("amount")
    def _is_something(self, value: Any, **_: Any) -> None:
        if value == 0:
            raise ValidationError("A capture is of more than nothing.")


class CaptureRequestSchema(AnswerSchema):
    """A capture that staff asked for."""

    id = fields.UUID()
    payment_id = fields.UUID()
    authorization = fields.String(metadata={"description": "The provider's name of what is captured."})
    amount = AmountText(metadata={"example": "200.00"})
    currency = CurrencyText()
    final = fields.Boolean(metadata={"description": "Whether the rest is released with it."})
    releases = AmountText(
        metadata={"description": "What the customer is no longer held to once it is made.", "example": "40.00"}
    )
    status = _STATUS
    capture_ref = fields.String(
        allow_none=True, metadata={"description": "The provider's name of the capture, once that is known."}
    )
    decline = fields.String(allow_none=True, metadata={"description": "Why the provider said no, where it did."})
    provider_answer = _PROVIDER_ANSWER
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class VoidSchema(AnswerSchema):
    """A void that staff asked for: what is authorized and was not captured is given back."""

    id = fields.UUID()
    payment_id = fields.UUID()
    releases = AmountText(metadata={"description": "What was open when it was asked for.", "example": "240.00"})
    currency = CurrencyText()
    status = _STATUS
    decline = fields.String(allow_none=True, metadata={"description": "Why the provider said no, where it did."})
    provider_answer = _PROVIDER_ANSWER
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class CaptureSchema(AnswerSchema):
    """Money that came."""

    id = fields.UUID(metadata={"description": "What a refund names as `capture_id`."})
    ref = fields.String(allow_none=True, metadata={"description": "The provider's name for it."})
    status = WordText(
        CaptureStatus, metadata={"description": "pending, refused, succeeded or undone.", "example": "succeeded"}
    )
    amount = AmountText(metadata={"example": "200.00"})
    currency = CurrencyText()
    presumed = fields.Boolean(
        metadata={
            "description": "The provider said that the payment is paid, and named no capture: this is the attempt."
        }
    )
    amount_refundable = AmountText(metadata={"example": "200.00"})


class AuthorizationSchema(AnswerSchema):
    """What is promised and was not captured."""

    id = fields.UUID()
    ref = fields.String(metadata={"description": "The provider's name for it."})
    amount_open = AmountText(metadata={"example": "40.00"})
    currency = CurrencyText()
    expires_at = fields.DateTime(allow_none=True, metadata={"description": "Capture before then, where it is known."})


class CapturesSchema(AnswerSchema):
    """All captures of a payment, what was asked for, and what is open; each oldest first."""

    captures = fields.List(fields.Nested(CaptureSchema))
    requests = fields.List(fields.Nested(CaptureRequestSchema))
    voids = fields.List(fields.Nested(VoidSchema))
    authorizations = fields.List(fields.Nested(AuthorizationSchema))
    several_captures = fields.Boolean(
        metadata={"description": "Whether an authorization may be captured several times: else one releases the rest."}
    )


_PAYMENT: Final = "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"
_MOMENT: Final = "2026-11-25T04:05:06.123456Z"

REQUEST_EXAMPLE: Final = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9d",
    "payment_id": _PAYMENT,
    "authorization": "ch_3PqX2e2eZvKYlo2C1a2b3c4d",
    "amount": "200.00",
    "currency": "USD",
    "final": True,
    "releases": "40.00",
    "status": "requested",
    "capture_ref": None,
    "decline": None,
    "provider_answer": None,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}

VOID_EXAMPLE: Final = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9e",
    "payment_id": _PAYMENT,
    "releases": "240.00",
    "currency": "USD",
    "status": "requested",
    "decline": None,
    "provider_answer": None,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}

CAPTURES_EXAMPLE: Final = {
    "captures": [
        {
            "id": "01a206b6-2617-7632-98bf-296e992e5f9c",
            "ref": "ch_3PqX2e2eZvKYlo2C1a2b3c4d",
            "status": "succeeded",
            "amount": "200.00",
            "currency": "USD",
            "presumed": False,
            "amount_refundable": "200.00",
        }
    ],
    "requests": [REQUEST_EXAMPLE | {"status": "succeeded", "capture_ref": "ch_3PqX2e2eZvKYlo2C1a2b3c4d"}],
    "voids": [],
    "authorizations": [],
    "several_captures": False,
}
