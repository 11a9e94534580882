"""How the API's schemas take an amount: as text, exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from marshmallow import ValidationError, fields

from checkout_service.money import InvalidAmountError, parse_amount

AMOUNT_PATTERN: Final = r"^0{0,12}[0-9]{1,8}(?:\.[0-9]{1,3})?$"
"""What the document says of it. An amount may have more decimals than its currency besides."""


class AmountField(fields.String):
    """An amount in and out as text, such as "240.00"; a Decimal inside."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"pattern": AMOUNT_PATTERN} | options.pop("metadata", {}), **options)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> Decimal:  # type: ignore[override]  # narrows str to Decimal
        if not isinstance(value, str):
            raise ValidationError('An amount is a string, such as "240.00".')
        try:
            return parse_amount(value)
        except InvalidAmountError as error:
            raise ValidationError(str(error).capitalize() + ".") from error
