from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.session_of_event_status import SessionOfEventStatus, check_session_of_event_status

if TYPE_CHECKING:
    from ..models.session_line import SessionLine


T = TypeVar("T", bound="SessionOfEvent")


@_attrs_define
class SessionOfEvent:
    """
    Attributes:
        payment_id (UUID):
        amount (str):  Example: 240.00.
        currency (str): ISO 4217. Example: USD.
        status (SessionOfEventStatus): The payment's, as it is now. Example: pending.
        provider (str):  Example: mock.
        expires_at (datetime.datetime):
        also_under_way (list[UUID]): Older payments for the same cart that somebody had begun to pay when this session
            was opened: they are not canceled, and both may be charged. All others for this cart are canceled. Example: [].
        lines (list[SessionLine]): In the order of the listings' ids.
        id (UUID):
        cart_id (UUID):
        customer (UUID): The customer's user id.
    """

    payment_id: UUID
    amount: str
    currency: str
    status: SessionOfEventStatus
    provider: str
    expires_at: datetime.datetime
    also_under_way: list[UUID]
    lines: list[SessionLine]
    id: UUID
    cart_id: UUID
    customer: UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        payment_id = str(self.payment_id)

        amount = self.amount

        currency = self.currency

        status: str = self.status

        provider = self.provider

        expires_at = self.expires_at.isoformat()

        also_under_way = []
        for also_under_way_item_data in self.also_under_way:
            also_under_way_item = str(also_under_way_item_data)
            also_under_way.append(also_under_way_item)

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        id = str(self.id)

        cart_id = str(self.cart_id)

        customer = str(self.customer)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "payment_id": payment_id,
                "amount": amount,
                "currency": currency,
                "status": status,
                "provider": provider,
                "expires_at": expires_at,
                "also_under_way": also_under_way,
                "lines": lines,
                "id": id,
                "cart_id": cart_id,
                "customer": customer,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.session_line import SessionLine

        d = dict(src_dict)
        payment_id = UUID(d.pop("payment_id"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        status = check_session_of_event_status(d.pop("status"))

        provider = d.pop("provider")

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

        also_under_way = []
        _also_under_way = d.pop("also_under_way")
        for also_under_way_item_data in _also_under_way:
            also_under_way_item = UUID(also_under_way_item_data)

            also_under_way.append(also_under_way_item)

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = SessionLine.from_dict(lines_item_data)

            lines.append(lines_item)

        id = UUID(d.pop("id"))

        cart_id = UUID(d.pop("cart_id"))

        customer = UUID(d.pop("customer"))

        made_of_it = cls(
            payment_id=payment_id,
            amount=amount,
            currency=currency,
            status=status,
            provider=provider,
            expires_at=expires_at,
            also_under_way=also_under_way,
            lines=lines,
            id=id,
            cart_id=cart_id,
            customer=customer,
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
