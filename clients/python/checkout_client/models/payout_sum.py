from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.payout_sum_kind import PayoutSumKind, check_payout_sum_kind

T = TypeVar("T", bound="PayoutSum")


@_attrs_define
class PayoutSum:
    """
    Attributes:
        kind (PayoutSumKind):
        currency (str): ISO 4217. Example: USD.
        entries (int):
        gross (str):
        fee (str):
        net (str):
    """

    kind: PayoutSumKind
    currency: str
    entries: int
    gross: str
    fee: str
    net: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind: str = self.kind

        currency = self.currency

        entries = self.entries

        gross = self.gross

        fee = self.fee

        net = self.net

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "currency": currency,
                "entries": entries,
                "gross": gross,
                "fee": fee,
                "net": net,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        kind = check_payout_sum_kind(d.pop("kind"))

        currency = d.pop("currency")

        entries = d.pop("entries")

        gross = d.pop("gross")

        fee = d.pop("fee")

        net = d.pop("net")

        made_of_it = cls(
            kind=kind,
            currency=currency,
            entries=entries,
            gross=gross,
            fee=fee,
            net=net,
        )

        made_of_it.additional_properties = d
        return made_of_it

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
