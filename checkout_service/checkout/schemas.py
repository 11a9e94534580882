"""What the checkout API takes and answers."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from checkout_service.api.amount_field import AmountField


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
