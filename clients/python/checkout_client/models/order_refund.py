from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.order_refund_status import OrderRefundStatus, check_order_refund_status

if TYPE_CHECKING:
    from ..models.refunded_line import RefundedLine


T = TypeVar("T", bound="OrderRefund")


@_attrs_define
class OrderRefund:
    """
    Attributes:
        id (UUID):
        status (OrderRefundStatus):  Example: succeeded.
        amount (str):  Example: 120.00.
        reason (None | str): What was written when it was requested.
        requested_by (None | UUID): Null for one that was made in the provider's dashboard.
        lines (list[RefundedLine]): Empty for one of an amount that is of no line.
        created_at (datetime.datetime):
    """

    id: UUID
    status: OrderRefundStatus
    amount: str
    reason: None | str
    requested_by: None | UUID
    lines: list[RefundedLine]
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        status: str = self.status

        amount = self.amount

        reason: None | str
        reason = self.reason

        requested_by: None | str
        if isinstance(self.requested_by, UUID):
            requested_by = str(self.requested_by)
        else:
            requested_by = self.requested_by

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
                "status": status,
                "amount": amount,
                "reason": reason,
                "requested_by": requested_by,
                "lines": lines,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.refunded_line import RefundedLine

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        status = check_order_refund_status(d.pop("status"))

        amount = d.pop("amount")

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_requested_by(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                requested_by_type_0 = UUID(data)

                return requested_by_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        requested_by = _parse_requested_by(d.pop("requested_by"))

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = RefundedLine.from_dict(lines_item_data)

            lines.append(lines_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            status=status,
            amount=amount,
            reason=reason,
            requested_by=requested_by,
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
