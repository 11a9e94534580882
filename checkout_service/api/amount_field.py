"""How the API's schemas take an amount: as text, exactly."""

from __future__ import annotations

from decimal import Decimal

from marshmallow import ValidationError, fields

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
