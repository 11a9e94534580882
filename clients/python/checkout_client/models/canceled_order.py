from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.canceled_order_order_status import CanceledOrderOrderStatus, check_canceled_order_order_status

T = TypeVar("T", bound="CanceledOrder")


@_attrs_define
class CanceledOrder:
    """
    Attributes:
        id (UUID):
        order_id (UUID):
        order_status (CanceledOrderOrderStatus):  Example: canceled.
        payment_id (UUID):
        reason (None | str):  Example: damaged.
        refunds (list[UUID]): The refunds, as `GET /api/payments/{id}/refunds` lists them: one of each capture.
        void (None | UUID): The void, as `GET /api/admin/payments/{id}/captures` lists it.
        created_at (datetime.datetime):
    """

    id: UUID
    order_id: UUID
    order_status: CanceledOrderOrderStatus
    payment_id: UUID
    reason: None | str
    refunds: list[UUID]
    void: None | UUID
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        order_id = str(self.order_id)

        order_status: str = self.order_status

        payment_id = str(self.payment_id)

        reason: None | str
        reason = self.reason

        refunds = []
        for refunds_item_data in self.refunds:
            refunds_item = str(refunds_item_data)
            refunds.append(refunds_item)

        void: None | str
        if isinstance(self.void, UUID):
            void = str(self.void)
        else:
            void = self.void

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "order_id": order_id,
                "order_status": order_status,
                "payment_id": payment_id,
                "reason": reason,
                "refunds": refunds,
                "void": void,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        order_id = UUID(d.pop("order_id"))

        order_status = check_canceled_order_order_status(d.pop("order_status"))

        payment_id = UUID(d.pop("payment_id"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        refunds = []
        _refunds = d.pop("refunds")
        for refunds_item_data in _refunds:
            refunds_item = UUID(refunds_item_data)

            refunds.append(refunds_item)

        def _parse_void(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                void_type_0 = UUID(data)

                return void_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        void = _parse_void(d.pop("void"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            order_id=order_id,
            order_status=order_status,
            payment_id=payment_id,
            reason=reason,
            refunds=refunds,
            void=void,
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
