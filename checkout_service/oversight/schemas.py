"""What the API takes and answers where staff accept another amount than was to be paid."""

from __future__ import annotations

from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates

from checkout_service.api.amount_field import AmountField
from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText


class NewAcceptanceSchema(Schema):
    """The amount that is accepted in place of the payment's, and why."""

    amount = AmountField(
        required=True, metadata={"description": "In the payment's currency: what came, as a rule.", "example": "200.00"}
    )
    why = fields.String(
        required=True,
        validate=validate.Length(1, 2000),
        metadata={"description": "For the audit.", "example": "agreed by telephone"},
    )

    @validates("amount")
    def _is_something(self, value: Any, **_: Any) -> None:
        if value == 0:
            raise ValidationError("Nothing cannot be accepted.")

    @validates("why")
    def _can_be_kept(self, value: str, **_: Any) -> None:
        if not value.isprintable() or not value.strip():
            raise ValidationError("A reason is printable text on one line.")


class AcceptanceSchema(AnswerSchema):
    """An acceptance: an operator command, and how far the worker is with it."""

    id = fields.UUID()
    payment_id = fields.UUID()
    amount = AmountText(metadata={"example": "200.00"})
    currency = CurrencyText()
    why = fields.String(metadata={"example": "agreed by telephone"})
    state = WordText(
        ("waiting", "running", "done", "stopped", "refused"),
        metadata={"description": "waiting, running, done or refused.", "example": "waiting"},
    )
    message = fields.String(allow_none=True, metadata={"description": "What came of it, or why it was refused."})
    created_at = fields.DateTime()


EXAMPLE: Final[dict[str, Any]] = {
    "id": "01a206b6-2617-7632-98bf-296e992e5f9b",
    "payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4",
    "amount": "200.00",
    "currency": "USD",
    "why": "agreed by telephone",
    "state": "waiting",
    "message": None,
    "created_at": "2026-11-25T04:05:06.123456Z",
}
