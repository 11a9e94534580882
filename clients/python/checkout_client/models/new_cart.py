from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.new_cart_currency import NewCartCurrency, check_new_cart_currency
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewCart")


@_attrs_define
class NewCart:
    """
    Attributes:
        currency (NewCartCurrency | Unset): ISO 4217: in which the cart is priced. Example: EUR.
    """

    currency: NewCartCurrency | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        currency: str | Unset = UNSET
        if not isinstance(self.currency, Unset):
            currency = self.currency

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if currency is not UNSET:
            field_dict["currency"] = currency

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _currency = d.pop("currency", UNSET)
        currency: NewCartCurrency | Unset
        if isinstance(_currency, Unset):
            currency = UNSET
        else:
            currency = check_new_cart_currency(_currency)

        made_of_it = cls(
            currency=currency,
        )

        return made_of_it
