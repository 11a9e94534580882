from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="RefundPart")


@_attrs_define
class RefundPart:
    """
    Attributes:
        id (UUID): Of the refund in the list.
        amount (str):  Example: 15.00.
        capture_ref (None | str): The provider's name of the capture, where it has one.
    """

    id: UUID
    amount: str
    capture_ref: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        amount = self.amount

        capture_ref: None | str
        capture_ref = self.capture_ref

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "amount": amount,
                "capture_ref": capture_ref,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        amount = d.pop("amount")

        def _parse_capture_ref(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        capture_ref = _parse_capture_ref(d.pop("capture_ref"))

        made_of_it = cls(
            id=id,
            amount=amount,
            capture_ref=capture_ref,
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
