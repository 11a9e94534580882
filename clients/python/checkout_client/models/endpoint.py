from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.endpoint_payload import EndpointPayload, check_endpoint_payload
from ..models.endpoint_signing import EndpointSigning, check_endpoint_signing
from ..models.endpoint_state import EndpointState, check_endpoint_state
from ..models.endpoint_state_reason_type_0 import EndpointStateReasonType0, check_endpoint_state_reason_type_0

T = TypeVar("T", bound="Endpoint")


@_attrs_define
class Endpoint:
    """
    Attributes:
        id (UUID):
        url (str):  Example: https://shop.example.com/webhooks.
        types (list[str] | None): Null for all.
        payload (EndpointPayload):  Example: snapshot.
        in_order (bool):
        signing (EndpointSigning): The scheme of its newest secret. Example: v1.
        description (str):
        state (EndpointState): enabled; suspended (it takes nothing: it is tried every 1 to 15 minutes, and nothing is
            given up meanwhile); disabled (nothing is sent until somebody enables it). Example: enabled.
        state_reason (EndpointStateReasonType0 | None): requested, failing, gone (it answered 410) or stale (suspended
            for days).
        state_since (datetime.datetime):
        place (int): All that it gets up to this `seq` was delivered, or waits, or failed. Example: 1042.
        waiting (int): Deliveries that are tried again; 10000 stands for more. Example: 0.
        failed (int): Deliveries that were given up; 10000 stands for more. Example: 0.
        last_success_at (datetime.datetime | None):
        api_version (str): The version of this API whose bodies it gets. Example: 2026-11-29.
        version (int): Counts its changes. Example: 1.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    url: str
    types: list[str] | None
    payload: EndpointPayload
    in_order: bool
    signing: EndpointSigning
    description: str
    state: EndpointState
    state_reason: EndpointStateReasonType0 | None
    state_since: datetime.datetime
    place: int
    waiting: int
    failed: int
    last_success_at: datetime.datetime | None
    api_version: str
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        url = self.url

        types: list[str] | None
        if isinstance(self.types, list):
            types = self.types

        else:
            types = self.types

        payload: str = self.payload

        in_order = self.in_order

        signing: str = self.signing

        description = self.description

        state: str = self.state

        state_reason: None | str
        if isinstance(self.state_reason, str):
            state_reason = self.state_reason
        else:
            state_reason = self.state_reason

        state_since = self.state_since.isoformat()

        place = self.place

        waiting = self.waiting

        failed = self.failed

        last_success_at: None | str
        if isinstance(self.last_success_at, datetime.datetime):
            last_success_at = self.last_success_at.isoformat()
        else:
            last_success_at = self.last_success_at

        api_version = self.api_version

        version = self.version

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "url": url,
                "types": types,
                "payload": payload,
                "in_order": in_order,
                "signing": signing,
                "description": description,
                "state": state,
                "state_reason": state_reason,
                "state_since": state_since,
                "place": place,
                "waiting": waiting,
                "failed": failed,
                "last_success_at": last_success_at,
                "api_version": api_version,
                "version": version,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        url = d.pop("url")

        def _parse_types(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        types = _parse_types(d.pop("types"))

        payload = check_endpoint_payload(d.pop("payload"))

        in_order = d.pop("in_order")

        signing = check_endpoint_signing(d.pop("signing"))

        description = d.pop("description")

        state = check_endpoint_state(d.pop("state"))

        def _parse_state_reason(data: object) -> EndpointStateReasonType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                state_reason_type_0 = check_endpoint_state_reason_type_0(data)

                return state_reason_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(EndpointStateReasonType0 | None, data)

        state_reason = _parse_state_reason(d.pop("state_reason"))

        state_since = datetime.datetime.fromisoformat(d.pop("state_since"))

        place = d.pop("place")

        waiting = d.pop("waiting")

        failed = d.pop("failed")

        def _parse_last_success_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                last_success_at_type_0 = datetime.datetime.fromisoformat(data)

                return last_success_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        last_success_at = _parse_last_success_at(d.pop("last_success_at"))

        api_version = d.pop("api_version")

        version = d.pop("version")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            id=id,
            url=url,
            types=types,
            payload=payload,
            in_order=in_order,
            signing=signing,
            description=description,
            state=state,
            state_reason=state_reason,
            state_since=state_since,
            place=place,
            waiting=waiting,
            failed=failed,
            last_success_at=last_success_at,
            api_version=api_version,
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
