from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.void_status import VoidStatus, check_void_status

T = TypeVar("T", bound="Void")


@_attrs_define
class Void:
    """
    Attributes:
        id (UUID):
        payment_id (UUID):
        releases (str): What was open when it was asked for. Example: 240.00.
        currency (str): ISO 4217. Example: USD.
        status (VoidStatus): Moves one way: requested, processing, succeeded, failed. Example: requested.
        decline (None | str): Why the provider said no, where it did.
        provider_answer (None | str): What it answered then: its HTTP status and its codes, none of its sentences.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    payment_id: UUID
    releases: str
    currency: str
    status: VoidStatus
    decline: None | str
    provider_answer: None | str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        payment_id = str(self.payment_id)

        releases = self.releases

        currency = self.currency

        status: str = self.status

        decline: None | str
        decline = self.decline

        provider_answer: None | str
        provider_answer = self.provider_answer

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "payment_id": payment_id,
                "releases": releases,
                "currency": currency,
                "status": status,
                "decline": decline,
                "provider_answer": provider_answer,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        payment_id = UUID(d.pop("payment_id"))

        releases = d.pop("releases")

        currency = d.pop("currency")

        status = check_void_status(d.pop("status"))

        def _parse_decline(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        decline = _parse_decline(d.pop("decline"))

        def _parse_provider_answer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_answer = _parse_provider_answer(d.pop("provider_answer"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            id=id,
            payment_id=payment_id,
            releases=releases,
            currency=currency,
            status=status,
            decline=decline,
            provider_answer=provider_answer,
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
