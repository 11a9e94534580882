from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.new_endpoint_payload import NewEndpointPayload, check_new_endpoint_payload
from ..models.new_endpoint_signing import NewEndpointSigning, check_new_endpoint_signing
from ..models.new_endpoint_types_type_0_item import NewEndpointTypesType0Item, check_new_endpoint_types_type_0_item
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewEndpoint")


@_attrs_define
class NewEndpoint:
    """
    Attributes:
        url (str): Where events are posted: https, and a public host ([which addresses](/api/docs)). Example:
            https://shop.example.com/webhooks.
        types (list[NewEndpointTypesType0Item] | None | Unset): Which types of events it gets; null for all, later ones
            too. Example: ['payment.paid'].
        description (str | Unset): Your own words. Example: the warehouse.
        payload (NewEndpointPayload | Unset): What `data` is: `snapshot`, the object as lists show it at that version,
            or `thin`, its type, id and version alone. Example: snapshot.
        in_order (bool | Unset): Whether no event is begun before the one before it in its lane was taken or given up.
            Example: True.
        api_version (str | Unset): The version of this API whose bodies it gets: the newest when it was made, until you
            name another. Example: 2026-11-29.
        signing (NewEndpointSigning | Unset): `v1`: HMAC-SHA256 of a shared secret. `v1a`: Ed25519. Example: v1.
    """

    url: str
    types: list[NewEndpointTypesType0Item] | None | Unset = UNSET
    description: str | Unset = UNSET
    payload: NewEndpointPayload | Unset = UNSET
    in_order: bool | Unset = UNSET
    api_version: str | Unset = UNSET
    signing: NewEndpointSigning | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        url = self.url

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

        signing: str | Unset = UNSET
        if not isinstance(self.signing, Unset):
            signing = self.signing

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "url": url,
            }
        )
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
        if signing is not UNSET:
            field_dict["signing"] = signing

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        url = d.pop("url")

        def _parse_types(data: object) -> list[NewEndpointTypesType0Item] | None | Unset:
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
                    types_type_0_item = check_new_endpoint_types_type_0_item(types_type_0_item_data)

                    types_type_0.append(types_type_0_item)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[NewEndpointTypesType0Item] | None | Unset, data)

        types = _parse_types(d.pop("types", UNSET))

        description = d.pop("description", UNSET)

        _payload = d.pop("payload", UNSET)
        payload: NewEndpointPayload | Unset
        if isinstance(_payload, Unset):
            payload = UNSET
        else:
            payload = check_new_endpoint_payload(_payload)

        in_order = d.pop("in_order", UNSET)

        api_version = d.pop("api_version", UNSET)

        _signing = d.pop("signing", UNSET)
        signing: NewEndpointSigning | Unset
        if isinstance(_signing, Unset):
            signing = UNSET
        else:
            signing = check_new_endpoint_signing(_signing)

        made_of_it = cls(
            url=url,
            types=types,
            description=description,
            payload=payload,
            in_order=in_order,
            api_version=api_version,
            signing=signing,
        )

        return made_of_it
