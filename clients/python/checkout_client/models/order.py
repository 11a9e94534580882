from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.order_status import OrderStatus, check_order_status

if TYPE_CHECKING:
    from ..models.order_buyer_type_0 import OrderBuyerType0
    from ..models.order_delivery_address_type_0 import OrderDeliveryAddressType0
    from ..models.order_line import OrderLine
    from ..models.part import Part


T = TypeVar("T", bound="Order")


@_attrs_define
class Order:
    """
    Attributes:
        id (UUID):
        number (None | str): For people, without a gap; null for moments after it is placed. Example: 1042.
        status (OrderStatus): placed; short (there are too few pieces); partially_fulfilled; fulfilled; on_hold (its
            payment is reversed or has an open chargeback); canceled. Example: placed.
        payment_id (UUID):
        amount (str):  Example: 240.00.
        currency (str): ISO 4217. Example: USD.
        amount_refunded (str): What was given back of its payment. Example: 0.00.
        amount_refunding (str): What is on its way back. Example: 0.00.
        lines (list[OrderLine]):
        parts (list[Part]): One for each vendor.
        buyer (None | OrderBuyerType0): email, name, locale and perhaps phone, as the session sealed them; or null.
        delivery_address (None | OrderDeliveryAddressType0): Where it goes, as the session sealed it; or null.
        version (int): Counts the changes of its status.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    number: None | str
    status: OrderStatus
    payment_id: UUID
    amount: str
    currency: str
    amount_refunded: str
    amount_refunding: str
    lines: list[OrderLine]
    parts: list[Part]
    buyer: None | OrderBuyerType0
    delivery_address: None | OrderDeliveryAddressType0
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.order_buyer_type_0 import OrderBuyerType0
        from ..models.order_delivery_address_type_0 import OrderDeliveryAddressType0

        id = str(self.id)

        number: None | str
        number = self.number

        status: str = self.status

        payment_id = str(self.payment_id)

        amount = self.amount

        currency = self.currency

        amount_refunded = self.amount_refunded

        amount_refunding = self.amount_refunding

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        parts = []
        for parts_item_data in self.parts:
            parts_item = parts_item_data.to_dict()
            parts.append(parts_item)

        buyer: dict[str, Any] | None
        if isinstance(self.buyer, OrderBuyerType0):
            buyer = self.buyer.to_dict()
        else:
            buyer = self.buyer

        delivery_address: dict[str, Any] | None
        if isinstance(self.delivery_address, OrderDeliveryAddressType0):
            delivery_address = self.delivery_address.to_dict()
        else:
            delivery_address = self.delivery_address

        version = self.version

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "number": number,
                "status": status,
                "payment_id": payment_id,
                "amount": amount,
                "currency": currency,
                "amount_refunded": amount_refunded,
                "amount_refunding": amount_refunding,
                "lines": lines,
                "parts": parts,
                "buyer": buyer,
                "delivery_address": delivery_address,
                "version": version,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.order_buyer_type_0 import OrderBuyerType0
        from ..models.order_delivery_address_type_0 import OrderDeliveryAddressType0
        from ..models.order_line import OrderLine
        from ..models.part import Part

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        def _parse_number(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        number = _parse_number(d.pop("number"))

        status = check_order_status(d.pop("status"))

        payment_id = UUID(d.pop("payment_id"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        amount_refunded = d.pop("amount_refunded")

        amount_refunding = d.pop("amount_refunding")

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = OrderLine.from_dict(lines_item_data)

            lines.append(lines_item)

        parts = []
        _parts = d.pop("parts")
        for parts_item_data in _parts:
            parts_item = Part.from_dict(parts_item_data)

            parts.append(parts_item)

        def _parse_buyer(data: object) -> None | OrderBuyerType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                buyer_type_0 = OrderBuyerType0.from_dict(data)

                return buyer_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | OrderBuyerType0, data)

        buyer = _parse_buyer(d.pop("buyer"))

        def _parse_delivery_address(data: object) -> None | OrderDeliveryAddressType0:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                delivery_address_type_0 = OrderDeliveryAddressType0.from_dict(data)

                return delivery_address_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | OrderDeliveryAddressType0, data)

        delivery_address = _parse_delivery_address(d.pop("delivery_address"))

        version = d.pop("version")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            id=id,
            number=number,
            status=status,
            payment_id=payment_id,
            amount=amount,
            currency=currency,
            amount_refunded=amount_refunded,
            amount_refunding=amount_refunding,
            lines=lines,
            parts=parts,
            buyer=buyer,
            delivery_address=delivery_address,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
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
