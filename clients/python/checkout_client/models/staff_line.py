from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.vendor import Vendor


T = TypeVar("T", bound="StaffLine")


@_attrs_define
class StaffLine:
    """
    Attributes:
        id (UUID):
        listing_id (UUID):
        title (str):  Example: Algebra for beginners.
        vendor (Vendor):
        school (None | str):
        spec (None | str):
        qty (int): Pieces that were bought. Example: 2.
        unit_price (str):  Example: 120.00.
        line_total (str):  Example: 240.00.
        qty_fulfilled (int): Pieces that were handed over.
        qty_refunded (int): Pieces whose price was given back by line.
        qty_refunding (int): Pieces whose price is on its way back by line.
        qty_canceled (int): Pieces that are not to be sent any more: given back by line before they were sent.
        qty_short (int): Pieces that nobody has.
    """

    id: UUID
    listing_id: UUID
    title: str
    vendor: Vendor
    school: None | str
    spec: None | str
    qty: int
    unit_price: str
    line_total: str
    qty_fulfilled: int
    qty_refunded: int
    qty_refunding: int
    qty_canceled: int
    qty_short: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        listing_id = str(self.listing_id)

        title = self.title

        vendor = self.vendor.to_dict()

        school: None | str
        school = self.school

        spec: None | str
        spec = self.spec

        qty = self.qty

        unit_price = self.unit_price

        line_total = self.line_total

        qty_fulfilled = self.qty_fulfilled

        qty_refunded = self.qty_refunded

        qty_refunding = self.qty_refunding

        qty_canceled = self.qty_canceled

        qty_short = self.qty_short

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "listing_id": listing_id,
                "title": title,
                "vendor": vendor,
                "school": school,
                "spec": spec,
                "qty": qty,
                "unit_price": unit_price,
                "line_total": line_total,
                "qty_fulfilled": qty_fulfilled,
                "qty_refunded": qty_refunded,
                "qty_refunding": qty_refunding,
                "qty_canceled": qty_canceled,
                "qty_short": qty_short,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.vendor import Vendor

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        listing_id = UUID(d.pop("listing_id"))

        title = d.pop("title")

        vendor = Vendor.from_dict(d.pop("vendor"))

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

        qty = d.pop("qty")

        unit_price = d.pop("unit_price")

        line_total = d.pop("line_total")

        qty_fulfilled = d.pop("qty_fulfilled")

        qty_refunded = d.pop("qty_refunded")

        qty_refunding = d.pop("qty_refunding")

        qty_canceled = d.pop("qty_canceled")

        qty_short = d.pop("qty_short")

        made_of_it = cls(
            id=id,
            listing_id=listing_id,
            title=title,
            vendor=vendor,
            school=school,
            spec=spec,
            qty=qty,
            unit_price=unit_price,
            line_total=line_total,
            qty_fulfilled=qty_fulfilled,
            qty_refunded=qty_refunded,
            qty_refunding=qty_refunding,
            qty_canceled=qty_canceled,
            qty_short=qty_short,
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
