from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="SessionLine")


@_attrs_define
class SessionLine:
    """
    Attributes:
        listing_id (UUID):
        title (str):  Example: School blazer, navy, age 11 to 12.
        unit_price (str):  Example: 120.00.
        currency (str): ISO 4217. Example: USD.
        qty (int):  Example: 2.
        line_total (str):  Example: 240.00.
        vendor (str):  Example: Northfield Uniforms.
        school (None | str):  Example: Riverside Academy.
        spec (None | str):  Example: Blazer.
        vendor_id (UUID | Unset): Missing in sessions of earlier releases.
    """

    listing_id: UUID
    title: str
    unit_price: str
    currency: str
    qty: int
    line_total: str
    vendor: str
    school: None | str
    spec: None | str
    vendor_id: UUID | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        listing_id = str(self.listing_id)

        title = self.title

        unit_price = self.unit_price

        currency = self.currency

        qty = self.qty

        line_total = self.line_total

        vendor = self.vendor

        school: None | str
        school = self.school

        spec: None | str
        spec = self.spec

        vendor_id: str | Unset = UNSET
        if not isinstance(self.vendor_id, Unset):
            vendor_id = str(self.vendor_id)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "listing_id": listing_id,
                "title": title,
                "unit_price": unit_price,
                "currency": currency,
                "qty": qty,
                "line_total": line_total,
                "vendor": vendor,
                "school": school,
                "spec": spec,
            }
        )
        if vendor_id is not UNSET:
            field_dict["vendor_id"] = vendor_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        listing_id = UUID(d.pop("listing_id"))

        title = d.pop("title")

        unit_price = d.pop("unit_price")

        currency = d.pop("currency")

        qty = d.pop("qty")

        line_total = d.pop("line_total")

        vendor = d.pop("vendor")

        def _parse_school(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        school = _parse_school(d.pop("school"))

        def _parse_spec(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        spec = _parse_spec(d.pop("spec"))

        _vendor_id = d.pop("vendor_id", UNSET)
        vendor_id: UUID | Unset
        if isinstance(_vendor_id, Unset):
            vendor_id = UNSET
        else:
            vendor_id = UUID(_vendor_id)

        made_of_it = cls(
            listing_id=listing_id,
            title=title,
            unit_price=unit_price,
            currency=currency,
            qty=qty,
            line_total=line_total,
            vendor=vendor,
            school=school,
            spec=spec,
            vendor_id=vendor_id,
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
