from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.fulfilment_order_status import FulfilmentOrderStatus, check_fulfilment_order_status

if TYPE_CHECKING:
    from ..models.fulfilled_line import FulfilledLine


T = TypeVar("T", bound="Fulfilment")


@_attrs_define
class Fulfilment:
    """
    Attributes:
        id (UUID):
        order_id (UUID):
        order_status (FulfilmentOrderStatus): What the order was after it. Example: partially_fulfilled.
        lines (list[FulfilledLine]):
        carrier (None | str):  Example: DHL.
        tracking (None | str):  Example: 00340434161094000001.
        capture_request_id (None | UUID): The capture asked for with it, as `GET /api/admin/payments/{id}/captures`
            lists it.
        created_at (datetime.datetime):
    """

    id: UUID
    order_id: UUID
    order_status: FulfilmentOrderStatus
    lines: list[FulfilledLine]
    carrier: None | str
    tracking: None | str
    capture_request_id: None | UUID
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        order_id = str(self.order_id)

        order_status: str = self.order_status

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        carrier: None | str
        carrier = self.carrier

        tracking: None | str
        tracking = self.tracking

        capture_request_id: None | str
        if isinstance(self.capture_request_id, UUID):
            capture_request_id = str(self.capture_request_id)
        else:
            capture_request_id = self.capture_request_id

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "order_id": order_id,
                "order_status": order_status,
                "lines": lines,
                "carrier": carrier,
                "tracking": tracking,
                "capture_request_id": capture_request_id,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.fulfilled_line import FulfilledLine

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        order_id = UUID(d.pop("order_id"))

        order_status = check_fulfilment_order_status(d.pop("order_status"))

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = FulfilledLine.from_dict(lines_item_data)

            lines.append(lines_item)

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

        def _parse_capture_request_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                capture_request_id_type_0 = UUID(data)

                return capture_request_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        capture_request_id = _parse_capture_request_id(d.pop("capture_request_id"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            order_id=order_id,
            order_status=order_status,
            lines=lines,
            carrier=carrier,
            tracking=tracking,
            capture_request_id=capture_request_id,
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
