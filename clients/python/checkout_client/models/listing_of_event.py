from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.listing_of_event_attributes_type_0 import ListingOfEventAttributesType0


T = TypeVar("T", bound="ListingOfEvent")


@_attrs_define
class ListingOfEvent:
    """
    Attributes:
        id (UUID):
        title (str):  Example: School blazer, navy, age 11 to 12.
        unit_price (str):  Example: 120.00.
        currency (str): ISO 4217. Example: USD.
        available (int): Pieces that anybody may still take. Example: 3.
        stock (int): Pieces that lie there. Example: 5.
        reserved (int): Of these, held by open sessions. Example: 2.
        vendor (str):  Example: Northfield Uniforms.
        school (None | str):  Example: Riverside Academy.
        attributes (ListingOfEventAttributesType0 | None): Of its spec.
    """

    id: UUID
    title: str
    unit_price: str
    currency: str
    available: int
    stock: int
    reserved: int
    vendor: str
    school: None | str
    attributes: ListingOfEventAttributesType0 | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.listing_of_event_attributes_type_0 import ListingOfEventAttributesType0

        id = str(self.id)

        title = self.title

        unit_price = self.unit_price

        currency = self.currency

        available = self.available

        stock = self.stock

        reserved = self.reserved

        vendor = self.vendor

        school: None | str
        school = self.school

        attributes: dict[str, Any] | None
        if isinstance(self.attributes, ListingOfEventAttributesType0):
            attributes = self.attributes.to_dict()
        else:
            attributes = self.attributes

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "title": title,
                "unit_price": unit_price,
                "currency": currency,
                "available": available,
                "stock": stock,
                "reserved": reserved,
                "vendor": vendor,
                "school": school,
                "attributes": attributes,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.listing_of_event_attributes_type_0 import ListingOfEventAttributesType0

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        title = d.pop("title")

        unit_price = d.pop("unit_price")

        currency = d.pop("currency")

        available = d.pop("available")

        stock = d.pop("stock")

        reserved = d.pop("reserved")

        vendor = d.pop("vendor")

        def _parse_school(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        school = _parse_school(d.pop("school"))

        def _parse_attributes(data: object) -> ListingOfEventAttributesType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                attributes_type_0 = ListingOfEventAttributesType0.from_dict(data)

                return attributes_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ListingOfEventAttributesType0 | None, data)

        attributes = _parse_attributes(d.pop("attributes"))

        made_of_it = cls(
            id=id,
            title=title,
            unit_price=unit_price,
            currency=currency,
            available=available,
            stock=stock,
            reserved=reserved,
            vendor=vendor,
            school=school,
            attributes=attributes,
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
