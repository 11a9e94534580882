from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Buyer")


@_attrs_define
class Buyer:
    """
    Attributes:
        email (str): Where news of the order goes. Example: ada@example.com.
        name (str): As the customer writes it. Example: Ada Lovelace.
        locale (str): The customer's language, a BCP 47 tag. Example: en-GB.
        phone (str | Unset): A telephone number, as the customer writes it. Example: +44 20 7946 0018.
    """

    email: str
    name: str
    locale: str
    phone: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        email = self.email

        name = self.name

        locale = self.locale

        phone = self.phone

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "email": email,
                "name": name,
                "locale": locale,
            }
        )
        if phone is not UNSET:
            field_dict["phone"] = phone

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        email = d.pop("email")

        name = d.pop("name")

        locale = d.pop("locale")

        phone = d.pop("phone", UNSET)

        made_of_it = cls(
            email=email,
            name=name,
            locale=locale,
            phone=phone,
        )

        return made_of_it
