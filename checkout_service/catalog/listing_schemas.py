"""What the catalogue's routes take and answer."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from checkout_service.api.amount_field import AmountField
from checkout_service.api.answers import AmountText, AnswerSchema, CurrencyText
from checkout_service.api.plain_fields import IdField, NumberField
from checkout_service.catalog.filters import LONGEST_SEARCH, MOST_IDS, SHORTEST_SEARCH, Edge, Sort
from checkout_service.money import KNOWN_CURRENCIES
from checkout_service.spellings import ID_PATTERN, parse_id

_CURSOR: Final = str(Edge("120.00", UUID("37ead6b5-d8a0-5dc2-ba73-81115ccb02a4")))
"""Of a page in the order that the example of ``sort`` names."""


def _id_of(description: str) -> dict[str, str]:
    return {"description": description, "example": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4"}


class IdsField(fields.String):
    """Ids with commas between, each once; a tuple of them inside."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> tuple[UUID, ...]:  # type: ignore[override]  # makes other values of the text
        texts = str(value).split(",")
        if len(texts) > MOST_IDS:
            raise ValidationError(f"At most {MOST_IDS} ids.")
        try:
            return tuple(dict.fromkeys(parse_id(text) for text in texts))
        except ValueError as error:
            raise ValidationError("UUIDs with commas between.") from error


class TruthField(fields.String):
    """``true`` or ``false``, as a query has it; a bool inside."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> bool:  # type: ignore[override]  # makes a bool of the text
        if value not in {"true", "false"}:
            raise ValidationError("true or false.")
        return value == "true"


class CurrencyQuery(Schema):
    """In which currency prices are shown."""

    currency = fields.String(
        load_default=None,
        validate=validate.OneOf(sorted(KNOWN_CURRENCIES), error="A currency is its code in ISO 4217, such as EUR."),
        metadata={
            "description": "Show prices in this currency (ISO 4217), and only listings that have one in it. Nothing is "
            "converted. Without it each listing shows the price in its own currency.",
            "example": "EUR",
        },
    )


class ListingsQuery(CurrencyQuery):
    """Which listings, in which order, where in the list, and how much of it."""

    q = fields.String(
        load_default=None,
        metadata={
            "description": "Words, of which each must begin a word of the title or of the names of vendor, school and "
            f"spec: in whatever order, case and accents. {SHORTEST_SEARCH} to {LONGEST_SEARCH} characters. Finds up to "
            "200 listings: those with all words in the title first, then newer ones.",
            "minLength": SHORTEST_SEARCH,
            "maxLength": LONGEST_SEARCH,
            "example": "navy blazer",
        },
    )
    vendor = IdField(load_default=None, metadata=_id_of("Only those of this vendor."))
    school = IdField(load_default=None, metadata=_id_of("Only those for this school."))
    spec = IdField(load_default=None, metadata=_id_of("Only those of this spec."))
    ids = IdsField(
        load_default=None,
        metadata={
            "pattern": f"^{ID_PATTERN}(?:,{ID_PATTERN}){{0,{MOST_IDS - 1}}}$",
            **_id_of(f"Only these: up to {MOST_IDS} ids with commas between."),
        },
    )
    price_min = AmountField(
        load_default=None,
        metadata={
            "description": "Only those that cost so much or more: the price that is shown. Without `currency` that is "
            "each listing's own, whatever its currency.",
            "example": "10.00",
        },
    )
    price_max = AmountField(
        load_default=None, metadata={"description": "Only those that cost so much or less.", "example": "150.00"}
    )
    available = TruthField(
        load_default=None,
        metadata={
            "type": "boolean",
            "description": "Only those of which a piece can be had, as it can where stock is not tracked; or, if "
            "false, only those that are sold out.",
            "example": True,
        },
    )
    sort = fields.String(
        load_default=None,
        validate=validate.OneOf([sort.value for sort in Sort]),
        metadata={
            "description": "The order. Without it the newest come first, or the best hits of `q`.",
            "example": "price",
        },
    )
    limit = NumberField(load_default=20, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 500), metadata={"example": _CURSOR})

    @validates_schema
    def _makes_sense(self, data: dict[str, Any], **_: Any) -> None:
        words = data.get("q")
        if words is not None and not SHORTEST_SEARCH <= len(words.strip()) <= LONGEST_SEARCH:
            raise ValidationError(f"{SHORTEST_SEARCH} to {LONGEST_SEARCH} characters.", "q")
        least, most = data.get("price_min"), data.get("price_max")
        if least is not None and most is not None and least > most:
            raise ValidationError("More than price_max.", "price_min")


class NamedSchema(AnswerSchema):
    id = fields.UUID()
    name = fields.String()


class SpecSchema(NamedSchema):
    attributes = fields.Dict(keys=fields.String())


class ImageSchema(AnswerSchema):
    url = fields.String(metadata={"example": "https://images.example/blazer.jpg"})
    alt = fields.String(metadata={"description": "What it shows, in words.", "example": "A navy blazer, buttoned"})


class ListingSchema(AnswerSchema):
    """A listing as everybody sees it."""

    id = fields.UUID()
    title = fields.String()
    description = fields.String(
        allow_none=True, metadata={"description": "Plain text, perhaps of several lines; no markup."}
    )
    images = fields.List(fields.Nested(ImageSchema), metadata={"description": "The one for a list first."})
    unit_price = AmountText(metadata={"description": "For one piece.", "example": "120.00"})
    currency = CurrencyText()
    available = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(min=0),
        metadata={
            "description": "How many pieces anybody may still take, as it was some seconds ago. Null where stock is "
            "not tracked.",
            "example": 12,
        },
    )
    vendor = fields.Nested(NamedSchema)
    school = fields.Nested(NamedSchema, allow_none=True)
    spec = fields.Nested(SpecSchema, allow_none=True)


class ListingPageSchema(AnswerSchema):
    data = fields.List(fields.Nested(ListingSchema))
    next_cursor = fields.String(
        allow_none=True, metadata={"description": "Pass it as cursor, with the same filters, to go on."}
    )
    has_more = fields.Boolean(metadata={"description": "Whether there may be another page."})


LISTING_EXAMPLE: Final[dict[str, Any]] = {
    "id": "018f0000-0000-7000-8000-000000000101",
    "title": "School blazer, navy, age 11 to 12",
    "description": "Lined, with three pockets and a crest.",
    "images": [{"url": "https://images.example/blazer.jpg", "alt": "A navy blazer, buttoned"}],
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
}

LISTINGS_EXAMPLE: Final[dict[str, Any]] = {"data": [LISTING_EXAMPLE], "next_cursor": None, "has_more": False}
