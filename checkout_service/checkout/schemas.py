"""What the checkout API takes and answers."""

from __future__ import annotations

from decimal import Decimal

from marshmallow import Schema, ValidationError, fields, validate

from checkout_service.money import InvalidAmountError, parse_amount


class AmountField(fields.String):
    """An amount in and out as text, such as "240.00"; a Decimal inside."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> Decimal:  # type: ignore[override]  # narrows str to Decimal
        if not isinstance(value, str):
            raise ValidationError('An amount is a string, such as "240.00".')
        try:
            return parse_amount(value)
        except InvalidAmountError as error:
            raise ValidationError(str(error).capitalize() + ".") from error


class OpenSessionSchema(Schema):
    """What the customer wants to pay."""

    cart_id = fields.UUID(required=True, metadata={"description": "The id that GET /api/cart shows."})
    provider = fields.String(
        validate=validate.Length(1, 50),
        metadata={"description": "One of the providers that are on; the first of them by default.", "example": "mock"},
    )
    expected_total = AmountField(
        metadata={"description": "The total that the customer saw; another true total is a 409.", "example": "240.00"}
    )


class SessionSchema(Schema):
    """The promise: what is to be paid, until when, and what the client pays with."""

    payment_id = fields.UUID()
    payment_token = fields.String(metadata={"example": "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"})
    amount = fields.String(metadata={"example": "240.00"})
    currency = fields.String(metadata={"example": "USD"})
    status = fields.String(
        metadata={"description": "Always pending here; see GET /api/payments/{id}.", "example": "pending"}
    )
    provider = fields.String(metadata={"example": "mock"})
    expires_at = fields.DateTime()


IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "description": "1 to 255 visible ASCII characters, bare or quoted. A fresh key for each purchase, "
    "the same key for each retry of it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
    "example": "3f1c6e0a-purchase-1",
}
"""Documents the header; it is read by hand, since a missing key is a 400 of its own."""
