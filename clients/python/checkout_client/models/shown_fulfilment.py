from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.fulfilled_line import FulfilledLine


T = TypeVar("T", bound="ShownFulfilment")


@_attrs_define
class ShownFulfilment:
    """
    Attributes:
        id (UUID):
        carrier (None | str):  Example: DHL.
        tracking (None | str):  Example: 00340434161094021501.
        lines (list[FulfilledLine]):
        created_at (datetime.datetime):
    """

    id: UUID
    carrier: None | str
    tracking: None | str
    lines: list[FulfilledLine]
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        carrier: None | str
        carrier = self.carrier

        tracking: None | str
        tracking = self.tracking

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "carrier": carrier,
                "tracking": tracking,
                "lines": lines,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.fulfilled_line import FulfilledLine

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        def _parse_carrier(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        carrier = _parse_carrier(d.pop("carrier"))

        def _parse_tracking(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        tracking = _parse_tracking(d.pop("tracking"))

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = FulfilledLine.from_dict(lines_item_data)

            lines.append(lines_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            carrier=carrier,
            tracking=tracking,
            lines=lines,
            created_at=created_at,
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
