"""What the checkout API takes and answers."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate

from checkout_service.api.amount_field import AmountField
from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText, WordText
from checkout_service.api.plain_fields import IdField
from checkout_service.checkout.countries import COUNTRIES
from checkout_service.payments.schemas import next_action_field
from checkout_service.payments.status import PaymentStatus

# What RFC 5321 lets a mail server take, without quoted names and addresses in brackets, which no customer has. Both
# sides may go beyond ASCII (RFC 6531).
_ATOM: Final = r"[^\s@<>()\[\],;:\\\".]+"
_LABEL: Final = r"[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?"
_EMAIL: Final = rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?![0-9])[^\W_](?:[^\W_]|-){{0,61}}[^\W_]"

# RFC 5646, section 2.1: language, script, region, variants, extensions, private use.
_LANGUAGE_TAG: Final = (
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*"
    r"(?:-[Xx](?:-[A-Za-z0-9]{1,8})+)?"
)


_TURNING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Bidirectional classes of the characters that turn what stands beside them, on a parcel's label as well."""


def _one_line(text: str) -> None:
    """Refuse what is no line of text that people can read: blank, turned, or with control characters or line
    separators. Marks that join characters or give them their direction are part of names in some scripts."""
    if all(character.isspace() or unicodedata.category(character) == "Cf" for character in text):
        raise ValidationError("This is blank.")
    if any(unicodedata.bidirectional(character) in _TURNING for character in text):
        raise ValidationError("A character that turns the text around is not part of this.")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValidationError("A control character is not part of this.")


def _all_seen(text: str) -> None:
    """Refuse characters that nobody sees: two addresses that look alike are one."""
    if any(unicodedata.category(character) == "Cf" for character in text):
        raise ValidationError("A character that is not seen is not part of this.")


_LIKE_EMAIL: Final = r"^[^@\s]+@[^@\s]+$"
"""What the document says of an address: clients' regular expressions know ASCII alone by ``\\w``."""


def _text(
    most: int, example: str, description: str, *checks: Any, required: bool = True, **documented: str
) -> fields.String:
    return fields.String(
        required=required,
        validate=[validate.Length(1, most), _one_line, *checks],
        metadata={"description": description, "example": example, **documented},
    )


def _phone() -> fields.String:
    return _text(32, "+44 20 7946 0018", "A telephone number, as the customer writes it.", required=False)


class BuyerSchema(Schema):
    """Who buys: kept with the session and its order, and erased with them."""

    email = _text(
        254,
        "ada@example.com",
        "Where news of the order goes.",
        validate.Regexp(rf"^{_EMAIL}\Z", error="This is no e-mail address."),
        _all_seen,
        pattern=_LIKE_EMAIL,
    )
    name = _text(200, "Ada Lovelace", "As the customer writes it.")
    locale = _text(
        35,
        "en-GB",
        "The customer's language, a BCP 47 tag.",
        validate.Regexp(rf"^{_LANGUAGE_TAG}\Z", error="This is no BCP 47 tag, such as en-GB."),
    )
    phone = _phone()


class DeliveryAddressSchema(Schema):
    """Where the order is to go."""

    name = _text(200, "Ada Lovelace", "Who receives it.")
    line1 = _text(200, "12 St James's Square", "Street and number.")
    line2 = _text(200, "Flat 3", "What else is written between street and city.", required=False)
    postal_code = _text(20, "SW1Y 4JH", "As the country writes it.")
    city = _text(100, "London", "Or village.")
    region = _text(100, "Greater London", "State, province or county, where the country has them.", required=False)
    country = fields.String(
        required=True,
        validate=validate.OneOf(
            sorted(COUNTRIES), error="This is no country's code of ISO 3166-1 alpha-2, such as GB."
        ),
        metadata={"description": "ISO 3166-1 alpha-2, in capitals.", "example": "GB"},
    )
    phone = _phone()


def _return_url(description: str) -> fields.String:
    return fields.String(
        validate=validate.Length(1, 1000),
        metadata={
            "description": f"{description} Of an origin in `RETURN_ORIGINS`; `{{payment_id}}` in it is filled in.",
            "example": "https://shop.example/paid/{payment_id}",
        },
    )


class OpenSessionSchema(Schema):
    """What the customer wants to pay."""

    cart_id = IdField(required=True, metadata={"description": "The id that GET /api/cart shows."})
    provider = fields.String(
        validate=validate.Length(1, 50),
        metadata={"description": "One of the providers that are on; the first of them by default.", "example": "mock"},
    )
    expected_total = AmountField(
        metadata={"description": "The total that the customer saw; another true total is a 409.", "example": "240.00"}
    )
    buyer = fields.Nested(
        BuyerSchema, metadata={"description": "Who buys, for the order, and for the provider as far as it takes it."}
    )
    delivery_address = fields.Nested(
        DeliveryAddressSchema,
        metadata={"description": "Where it goes, for the order, and for the provider as far as it takes it."},
    )
    description = _text(
        255, "School blazers", "What is bought, for the provider's page and its receipts.", required=False
    )
    return_url = _return_url("Where the provider's page sends the customer afterwards, in place of the account's own.")
    cancel_url = _return_url("The same for one who does not pay, at providers that tell them apart.")


class SessionSchema(AnswerSchema):
    """The promise: what is to be paid, until when, and what the client pays with."""

    payment_id = fields.UUID()
    payment_token = fields.String(metadata={"example": "mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d"})
    amount = AmountText(metadata={"example": "240.00"})
    currency = CurrencyText()
    status = WordText(
        PaymentStatus,
        metadata={"description": "Always pending here; see GET /api/payments/{id}.", "example": "pending"},
    )
    provider = fields.String(metadata={"example": "mock"})
    expires_at = fields.DateTime()
    also_under_way = fields.List(
        fields.UUID(),
        metadata={
            "description": "Older payments for the same cart that somebody had begun to pay when this session was "
            "opened: they are not canceled, and both may be charged. All others for this cart are canceled.",
            "example": [],
        },
    )
    next_action = next_action_field()


class SessionLineSchema(AnswerSchema):
    """A line as it was when the session was opened."""

    listing_id = fields.UUID()
    title = fields.String(metadata={"example": "School blazer, navy, age 11 to 12"})
    unit_price = AmountText(metadata={"example": "120.00"})
    currency = CurrencyText()
    qty = fields.Integer(metadata={"example": 2})
    line_total = AmountText(metadata={"example": "240.00"})
    vendor_id = fields.UUID(metadata={"sometimes": True, "description": "Missing in sessions of earlier releases."})
    vendor = fields.String(metadata={"example": "Northfield Uniforms"})
    school = fields.String(allow_none=True, metadata={"example": "Riverside Academy"})
    spec = fields.String(allow_none=True, metadata={"example": "Blazer"})


class ReadSessionSchema(SessionSchema):
    """The promise once more, with its lines, and with what became of it so far."""

    status = WordText(PaymentStatus, metadata={"description": "The payment's, as it is now.", "example": "pending"})
    lines = fields.List(
        fields.Nested(SessionLineSchema), metadata={"description": "In the order of the listings' ids."}
    )


EXAMPLE_SESSION: dict[str, Any] = {
    "payment_id": "0b0f6b3e-3a55-5c1a-9a1e-4c6f5b1f2a70",
    "payment_token": "mock_pi_0b0f6b3e3a555c1a9a1e4c6f5b1f2a70",
    "amount": "240.00",
    "currency": "USD",
    "status": "pending",
    "provider": "mock",
    "expires_at": "2026-11-24T04:05:06.123456Z",
    "also_under_way": [],
    "next_action": {"type": "redirect", "url": "https://pay.example/mock_pi_0b0f6b3e3a555c1a9a1e4c6f5b1f2a70"},
}

EXAMPLE_READ_SESSION: dict[str, Any] = EXAMPLE_SESSION | {
    "lines": [
        {
            "listing_id": "018f0000-0000-7000-8000-000000000101",
            "title": "School blazer, navy, age 11 to 12",
            "unit_price": "120.00",
            "currency": "USD",
            "qty": 2,
            "line_total": "240.00",
            "vendor_id": "018f0000-0000-7000-8000-000000000001",
            "vendor": "Northfield Uniforms",
            "school": "Riverside Academy",
            "spec": "Blazer",
        }
    ],
}
