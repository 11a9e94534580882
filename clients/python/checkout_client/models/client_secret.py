from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.client_secret_type import ClientSecretType, check_client_secret_type

T = TypeVar("T", bound="ClientSecret")


@_attrs_define
class ClientSecret:
    """
    Attributes:
        type_ (ClientSecretType):
        value (str): A secret of this payment's customer. Example: pi_1_secret_2.
        publishable_key (None | str): What the component is made with; null where the shop has not set it. Example:
            pk_test_51NxExample.
    """

    type_: ClientSecretType
    value: str
    publishable_key: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type_: str = self.type_

        value = self.value

        publishable_key: None | str
        publishable_key = self.publishable_key

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type_,
                "value": value,
                "publishable_key": publishable_key,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        type_ = check_client_secret_type(d.pop("type"))

        value = d.pop("value")

        def _parse_publishable_key(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        publishable_key = _parse_publishable_key(d.pop("publishable_key"))

        made_of_it = cls(
            type_=type_,
            value=value,
            publishable_key=publishable_key,
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
