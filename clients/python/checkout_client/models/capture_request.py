from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.capture_request_status import CaptureRequestStatus, check_capture_request_status

T = TypeVar("T", bound="CaptureRequest")


@_attrs_define
class CaptureRequest:
    """
    Attributes:
        id (UUID):
        payment_id (UUID):
        authorization (str): The provider's name of what is captured.
        amount (str):  Example: 200.00.
        currency (str): ISO 4217. Example: USD.
        final (bool): Whether the rest is released with it.
        releases (str): What the customer is no longer held to once it is made. Example: 40.00.
        status (CaptureRequestStatus): Moves one way: requested, processing, succeeded, failed. Example: requested.
        capture_ref (None | str): The provider's name of the capture, once that is known.
        decline (None | str): Why the provider said no, where it did.
        provider_answer (None | str): What it answered then: its HTTP status and its codes, none of its sentences.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    payment_id: UUID
    authorization: str
    amount: str
    currency: str
    final: bool
    releases: str
    status: CaptureRequestStatus
    capture_ref: None | str
    decline: None | str
    provider_answer: None | str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        payment_id = str(self.payment_id)

        authorization = self.authorization

        amount = self.amount

        currency = self.currency

        final = self.final

        releases = self.releases

        status: str = self.status

        capture_ref: None | str
        capture_ref = self.capture_ref

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
                "authorization": authorization,
                "amount": amount,
                "currency": currency,
                "final": final,
                "releases": releases,
                "status": status,
                "capture_ref": capture_ref,
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

        authorization = d.pop("authorization")

        amount = d.pop("amount")

        currency = d.pop("currency")

        final = d.pop("final")

        releases = d.pop("releases")

        status = check_capture_request_status(d.pop("status"))

        def _parse_capture_ref(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        capture_ref = _parse_capture_ref(d.pop("capture_ref"))

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
            authorization=authorization,
            amount=amount,
            currency=currency,
            final=final,
            releases=releases,
            status=status,
            capture_ref=capture_ref,
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
