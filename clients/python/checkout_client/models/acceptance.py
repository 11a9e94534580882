from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.acceptance_state import AcceptanceState, check_acceptance_state

T = TypeVar("T", bound="Acceptance")


@_attrs_define
class Acceptance:
    """
    Attributes:
        id (UUID):
        payment_id (UUID):
        amount (str):  Example: 200.00.
        currency (str): ISO 4217. Example: USD.
        why (str):  Example: agreed by telephone.
        state (AcceptanceState): waiting, running, done or refused. Example: waiting.
        message (None | str): What came of it, or why it was refused.
        created_at (datetime.datetime):
    """

    id: UUID
    payment_id: UUID
    amount: str
    currency: str
    why: str
    state: AcceptanceState
    message: None | str
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        payment_id = str(self.payment_id)

        amount = self.amount

        currency = self.currency

        why = self.why

        state: str = self.state

        message: None | str
        message = self.message

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "payment_id": payment_id,
                "amount": amount,
                "currency": currency,
                "why": why,
                "state": state,
                "message": message,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        payment_id = UUID(d.pop("payment_id"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        why = d.pop("why")

        state = check_acceptance_state(d.pop("state"))

        def _parse_message(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        message = _parse_message(d.pop("message"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            payment_id=payment_id,
            amount=amount,
            currency=currency,
            why=why,
            state=state,
            message=message,
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
