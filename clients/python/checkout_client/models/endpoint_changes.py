from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.endpoint_changes_payload import EndpointChangesPayload, check_endpoint_changes_payload
from ..models.endpoint_changes_state import EndpointChangesState, check_endpoint_changes_state
from ..models.endpoint_changes_types_type_0_item import (
    EndpointChangesTypesType0Item,
    check_endpoint_changes_types_type_0_item,
)
from ..types import UNSET, Unset

T = TypeVar("T", bound="EndpointChanges")


@_attrs_define
class EndpointChanges:
    """
    Attributes:
        types (list[EndpointChangesTypesType0Item] | None | Unset): Which types of events it gets; null for all, later
            ones too. Example: ['payment.paid'].
        description (str | Unset): Your own words. Example: the warehouse.
        payload (EndpointChangesPayload | Unset): What `data` is: `snapshot`, the object as lists show it at that
            version, or `thin`, its type, id and version alone. Example: snapshot.
        in_order (bool | Unset): Whether no event is begun before the one before it in its lane was taken or given up.
            Example: True.
        api_version (str | Unset): The version of this API whose bodies it gets: the newest when it was made, until you
            name another. Example: 2026-11-29.
        url (str | Unset):  Example: https://shop.example.com/webhooks.
        state (EndpointChangesState | Unset): `enabled` makes all that waits due at once. Example: enabled.
    """

    types: list[EndpointChangesTypesType0Item] | None | Unset = UNSET
    description: str | Unset = UNSET
    payload: EndpointChangesPayload | Unset = UNSET
    in_order: bool | Unset = UNSET
    api_version: str | Unset = UNSET
    url: str | Unset = UNSET
    state: EndpointChangesState | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        types: list[str] | None | Unset
        if isinstance(self.types, Unset):
            types = UNSET
        elif isinstance(self.types, list):
            types = []
            for types_type_0_item_data in self.types:
                types_type_0_item: str = types_type_0_item_data
                types.append(types_type_0_item)

        else:
            types = self.types

        description = self.description

        payload: str | Unset = UNSET
        if not isinstance(self.payload, Unset):
            payload = self.payload

        in_order = self.in_order

        api_version = self.api_version

        url = self.url

        state: str | Unset = UNSET
        if not isinstance(self.state, Unset):
            state = self.state

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if types is not UNSET:
            field_dict["types"] = types
        if description is not UNSET:
            field_dict["description"] = description
        if payload is not UNSET:
            field_dict["payload"] = payload
        if in_order is not UNSET:
            field_dict["in_order"] = in_order
        if api_version is not UNSET:
            field_dict["api_version"] = api_version
        if url is not UNSET:
            field_dict["url"] = url
        if state is not UNSET:
            field_dict["state"] = state

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_types(data: object) -> list[EndpointChangesTypesType0Item] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = []
                _types_type_0 = data
                for types_type_0_item_data in _types_type_0:
                    types_type_0_item = check_endpoint_changes_types_type_0_item(types_type_0_item_data)

                    types_type_0.append(types_type_0_item)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[EndpointChangesTypesType0Item] | None | Unset, data)

        types = _parse_types(d.pop("types", UNSET))

        description = d.pop("description", UNSET)

        _payload = d.pop("payload", UNSET)
        payload: EndpointChangesPayload | Unset
        if isinstance(_payload, Unset):
            payload = UNSET
        else:
            payload = check_endpoint_changes_payload(_payload)

        in_order = d.pop("in_order", UNSET)

        api_version = d.pop("api_version", UNSET)

        url = d.pop("url", UNSET)

        _state = d.pop("state", UNSET)
        state: EndpointChangesState | Unset
        if isinstance(_state, Unset):
            state = UNSET
        else:
            state = check_endpoint_changes_state(_state)

        made_of_it = cls(
            types=types,
            description=description,
            payload=payload,
            in_order=in_order,
            api_version=api_version,
            url=url,
            state=state,
        )

        return made_of_it
