"""How the document describes answers: what is always there, how amounts are written, which words a member may be.

Answers are written by hand from rows; these schemas read nothing. A test holds every answer of the suite against them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, fields, validate

_AMOUNT: Final = validate.Regexp(
    r"^[0-9]+\.[0-9]{2,3}$", error="An amount is digits with two or three decimals, such as 240.00."
)

_SIGNED: Final = validate.Regexp(
    r"^-?[0-9]+\.[0-9]{2,}$", error="An amount is digits with two decimals or more, and a minus, such as -240.00."
)

_CURRENCY: Final = validate.Regexp(r"^[A-Z]{3}$", error="A currency is its code in ISO 4217, such as USD.")


class AnswerSchema(Schema):
    """An object of an answer. Each of its members is always there, but for those with ``metadata["sometimes"]``."""

    class Meta:
        # Nothing is said of other members: a later release may add some, and clients leave alone what they do not know.
        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = not field_obj.metadata.get("sometimes", False)


class AmountText(fields.String):
    """An amount of money as answers write it: two decimals, or three where its currency has three or it needs them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=_AMOUNT, **options)


class SignedAmountText(fields.String):
    """An amount that was settled, as answers write it: exactly, with two decimals or more, perhaps a minus."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=_SIGNED, **options)


class CurrencyText(fields.String):
    """A currency's code in ISO 4217."""

    def __init__(self, *, description: str = "ISO 4217.", **options: Any) -> None:
        metadata = {"description": description, "example": "USD"} | options.pop("metadata", {})
        super().__init__(validate=_CURRENCY, metadata=metadata, **options)


class WordText(fields.String):
    """One of the words that are named; null besides where ``allow_none`` is given."""

    def __init__(self, words: Iterable[Any], **options: Any) -> None:
        named = [word.value if isinstance(word, Enum) else word for word in words]
        super().__init__(validate=validate.OneOf(named), **options)
