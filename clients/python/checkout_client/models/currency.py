from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.currency_currency import CurrencyCurrency, check_currency_currency

T = TypeVar("T", bound="Currency")


@_attrs_define
class Currency:
    """
    Attributes:
        currency (CurrencyCurrency): ISO 4217: in which the cart is priced. Example: EUR.
    """

    currency: CurrencyCurrency

    def to_dict(self) -> dict[str, Any]:
        currency: str = self.currency

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "currency": currency,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        currency = check_currency_currency(d.pop("currency"))

        made_of_it = cls(
            currency=currency,
        )

        return made_of_it
