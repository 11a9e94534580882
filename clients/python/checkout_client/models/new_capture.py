from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="NewCapture")


@_attrs_define
class NewCapture:
    """
    Attributes:
        amount (str | Unset): In the payment's currency; without it, all that is open. Example: 200.00.
        final (bool | Unset): Whether the rest is released. Without it the rest stays open where the account may capture
            several times, else it is released. Example: True.
        authorization_id (UUID | Unset): Which authorization, where several are open.
    """

    amount: str | Unset = UNSET
    final: bool | Unset = UNSET
    authorization_id: UUID | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        amount = self.amount

        final = self.final

        authorization_id: str | Unset = UNSET
        if not isinstance(self.authorization_id, Unset):
            authorization_id = str(self.authorization_id)

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if amount is not UNSET:
            field_dict["amount"] = amount
        if final is not UNSET:
            field_dict["final"] = final
        if authorization_id is not UNSET:
            field_dict["authorization_id"] = authorization_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        amount = d.pop("amount", UNSET)

        final = d.pop("final", UNSET)

        _authorization_id = d.pop("authorization_id", UNSET)
        authorization_id: UUID | Unset
        if isinstance(_authorization_id, Unset):
            authorization_id = UNSET
        else:
            authorization_id = UUID(_authorization_id)

        made_of_it = cls(
            amount=amount,
            final=final,
            authorization_id=authorization_id,
        )

        return made_of_it
