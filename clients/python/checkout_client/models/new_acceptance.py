from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="NewAcceptance")


@_attrs_define
class NewAcceptance:
    """
    Attributes:
        amount (str): In the payment's currency: what came, as a rule. Example: 200.00.
        why (str): For the audit. Example: agreed by telephone.
    """

    amount: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        amount = self.amount

        why = self.why

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "amount": amount,
                "why": why,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        amount = d.pop("amount")

        why = d.pop("why")

        made_of_it = cls(
            amount=amount,
            why=why,
        )

        return made_of_it
