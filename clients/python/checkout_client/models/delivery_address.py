from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.delivery_address_country import DeliveryAddressCountry, check_delivery_address_country
from ..types import UNSET, Unset

T = TypeVar("T", bound="DeliveryAddress")


@_attrs_define
class DeliveryAddress:
    """
    Attributes:
        name (str): Who receives it. Example: Ada Lovelace.
        line1 (str): Street and number. Example: 12 St James's Square.
        postal_code (str): As the country writes it. Example: SW1Y 4JH.
        city (str): Or village. Example: London.
        country (DeliveryAddressCountry): ISO 3166-1 alpha-2, in capitals. Example: GB.
        line2 (str | Unset): What else is written between street and city. Example: Flat 3.
        region (str | Unset): State, province or county, where the country has them. Example: Greater London.
        phone (str | Unset): A telephone number, as the customer writes it. Example: +44 20 7946 0018.
    """

    name: str
    line1: str
    postal_code: str
    city: str
    country: DeliveryAddressCountry
    line2: str | Unset = UNSET
    region: str | Unset = UNSET
    phone: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        line1 = self.line1

        postal_code = self.postal_code

        city = self.city

        country: str = self.country

        line2 = self.line2

        region = self.region

        phone = self.phone

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "line1": line1,
                "postal_code": postal_code,
                "city": city,
                "country": country,
            }
        )
        if line2 is not UNSET:
            field_dict["line2"] = line2
        if region is not UNSET:
            field_dict["region"] = region
        if phone is not UNSET:
            field_dict["phone"] = phone

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        name = d.pop("name")

        line1 = d.pop("line1")

        postal_code = d.pop("postal_code")

        city = d.pop("city")

        country = check_delivery_address_country(d.pop("country"))

        line2 = d.pop("line2", UNSET)

        region = d.pop("region", UNSET)

        phone = d.pop("phone", UNSET)

        made_of_it = cls(
            name=name,
            line1=line1,
            postal_code=postal_code,
            city=city,
            country=country,
            line2=line2,
            region=region,
            phone=phone,
        )

        return made_of_it
