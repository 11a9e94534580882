from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.capture_of_event_status import CaptureOfEventStatus, check_capture_of_event_status

T = TypeVar("T", bound="CaptureOfEvent")


@_attrs_define
class CaptureOfEvent:
    """
    Attributes:
        id (UUID): What a refund names as `capture_id`.
        ref (None | str): The provider's name for it.
        status (CaptureOfEventStatus): pending, refused, succeeded or undone. Example: succeeded.
        amount (str):  Example: 200.00.
        currency (str): ISO 4217. Example: USD.
        presumed (bool): The provider said that the payment is paid, and named no capture: this is the attempt.
        amount_refundable (str):  Example: 200.00.
        payment_id (UUID):
    """

    id: UUID
    ref: None | str
    status: CaptureOfEventStatus
    amount: str
    currency: str
    presumed: bool
    amount_refundable: str
    payment_id: UUID
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        ref: None | str
        ref = self.ref

        status: str = self.status

        amount = self.amount

        currency = self.currency

        presumed = self.presumed

        amount_refundable = self.amount_refundable

        payment_id = str(self.payment_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "ref": ref,
                "status": status,
                "amount": amount,
                "currency": currency,
                "presumed": presumed,
                "amount_refundable": amount_refundable,
                "payment_id": payment_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        def _parse_ref(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        ref = _parse_ref(d.pop("ref"))

        status = check_capture_of_event_status(d.pop("status"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        presumed = d.pop("presumed")

        amount_refundable = d.pop("amount_refundable")

        payment_id = UUID(d.pop("payment_id"))

        made_of_it = cls(
            id=id,
            ref=ref,
            status=status,
            amount=amount,
            currency=currency,
            presumed=presumed,
            amount_refundable=amount_refundable,
            payment_id=payment_id,
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
