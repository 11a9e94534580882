"""What the cart's routes take and answer; the takers are strict, the answers are documentation that a test enforces."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields
from marshmallow.validate import Length, OneOf, Range

from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText
from checkout_service.api.plain_fields import IdField
from checkout_service.catalog.listing_schemas import NamedSchema, SpecSchema
from checkout_service.money import CURRENCIES


def _qty() -> fields.Integer:
    # strict: a number in quotes, 2.0 and 1e3 are refused rather than read kindly; true and false always are.
    return fields.Integer(
        required=True,
        strict=True,
        validate=Range(min=1, max=9999),
        metadata={"description": "How many pieces, 1 to 9999.", "example": 2},
    )


class NewItemSchema(Schema):
    listing = IdField(
        required=True,
        metadata={"description": "The id of an active listing.", "example": "018f0000-0000-7000-8000-000000000101"},
    )
    qty = _qty()


class QuantitySchema(Schema):
    qty = _qty()


def _currency(*, required: bool) -> fields.String:
    return fields.String(
        required=required,
        validate=OneOf(sorted(CURRENCIES), error="A currency is its code in ISO 4217, such as EUR."),
        metadata={"description": "ISO 4217: in which the cart is priced.", "example": "EUR"},
    )


class CurrencySchema(Schema):
    currency = _currency(required=True)


class CartListingSchema(AnswerSchema):
    id = fields.UUID()
    title = fields.String()
    unit_price = AmountText(metadata={"example": "120.00"})
    currency = CurrencyText()
    available = fields.Integer(
        strict=True,
        allow_none=True,
        validate=Range(min=0),
        metadata={
            "description": "How many pieces the customer can get at this moment; what their own open session of this "
            "cart holds is among them. Null where stock is not tracked. More may be put into the cart, and is then "
            "refused at checkout.",
            "example": 12,
        },
    )
    vendor = fields.Nested(NamedSchema)
    school = fields.Nested(NamedSchema, allow_none=True)
    spec = fields.Nested(SpecSchema, allow_none=True)


class CartItemSchema(AnswerSchema):
    id = fields.UUID()
    listing = fields.Nested(CartListingSchema)
    qty = fields.Integer(strict=True, validate=Range(min=1, max=9999))
    line_total = AmountText(metadata={"example": "120.00"})
    available = fields.Boolean(
        metadata={
            "description": "False once the listing, or its price in the cart's currency, was taken off sale: such a "
            "cart cannot be checked out."
        },
    )


class NewCartSchema(Schema):
    """Without a currency the first line sets it."""

    body_may_be_left_out = True
    """All of it may."""
    currency = _currency(required=False)


class CartSchema(AnswerSchema):
    id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "Null until the customer first adds an item."}
    )
    items = fields.List(fields.Nested(CartItemSchema), metadata={"description": "Lines, oldest first."})
    total_amount = AmountText(
        allow_none=True,
        metadata={"description": "The sum of all lines. Null where currencies are mixed: amounts of two do not add."},
    )
    currency = CurrencyText(
        allow_none=True,
        metadata={
            "description": "ISO 4217: the one that was chosen or that the first line set; before, the deployment's "
            "default. Null where lines of an older cart are of several currencies, or one has no price in it any more: "
            "such a cart cannot be checked out until one remains; see each listing's currency."
        },
    )


class GuestCartSchema(CartSchema):
    """A guest's new cart, and the token for it."""

    cart_token = fields.String(
        metadata={
            "description": "For the header Cart-Token. Kept nowhere but by who gets it here.",
            "example": "cct_0cHKXrJ7zRq2vYd5TnW8mB3uPf6sLgA1eQk9iZxN4oV2YyszM",
        }
    )


class MergeSchema(Schema):
    """Whose cart is merged, and how."""

    cart_token = fields.String(
        required=True,
        validate=Length(1, 200),
        metadata={
            "description": "The guest's secret, as POST /api/carts gave it.",
            "example": "cct_0cHKXrJ7zRq2vYd5TnW8mB3uPf6sLgA1eQk9iZxN4oV2YyszM",
        },
    )
    how = fields.String(
        required=True,
        validate=OneOf(("sum", "max", "guest", "mine")),
        metadata={
            "description": "Of what both carts hold: `sum` adds the quantities, `max` takes the greater one. `guest` "
            "makes the cart what the guest's is, `mine` leaves it as it is.",
            "example": "sum",
        },
    )


class CappedLineSchema(AnswerSchema):
    """A line that the bounds of carts made smaller."""

    listing = fields.UUID()
    requested = fields.Integer(strict=True, metadata={"description": "What the merge asked for.", "example": 12_000})
    qty = fields.Integer(
        strict=True, metadata={"description": "What it became; 0 where the cart had no room for it.", "example": 9999}
    )


class MergedCartSchema(CartSchema):
    """The customer's cart, and what of the merge did not fit."""

    capped = fields.List(
        fields.Nested(CappedLineSchema),
        metadata={"description": "Lines that are smaller than the merge asked for, as the first answer had them."},
    )


EXAMPLE_ITEM: dict[str, Any] = {
    "id": "018f0000-0000-7000-8000-000000000301",
    "listing": {
        "id": "018f0000-0000-7000-8000-000000000101",
        "title": "School blazer, navy, age 11 to 12",
        "unit_price": "120.00",
        "currency": "USD",
        "available": 12,
        "vendor": {"id": "018f0000-0000-7000-8000-000000000001", "name": "Northfield Uniforms"},
        "school": {"id": "018f0000-0000-7000-8000-000000000002", "name": "Riverside Academy"},
        "spec": {
            "id": "018f0000-0000-7000-8000-000000000003",
            "name": "Blazer",
            "attributes": {"colour": "navy", "size": "11-12"},
        },
    },
    "qty": 2,
    "line_total": "240.00",
    "available": True,
}

EXAMPLE_CART: dict[str, Any] = {
    "id": "018f0000-0000-7000-8000-000000000201",
    "items": [EXAMPLE_ITEM],
    "total_amount": "240.00",
    "currency": "USD",
}

EXAMPLE_GUEST_CART: dict[str, Any] = {
    "id": "018f0000-0000-7000-8000-000000000202",
    "items": [],
    "total_amount": "0.00",
    "currency": "USD",
    "cart_token": "cct_0cHKXrJ7zRq2vYd5TnW8mB3uPf6sLgA1eQk9iZxN4oV2YyszM",
}

EXAMPLE_MERGED_CART: dict[str, Any] = EXAMPLE_CART | {"capped": []}
