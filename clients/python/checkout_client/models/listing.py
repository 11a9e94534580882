from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.image import Image
    from ..models.named import Named
    from ..models.spec import Spec


T = TypeVar("T", bound="Listing")


@_attrs_define
class Listing:
    """
    Attributes:
        id (UUID):
        title (str):
        description (None | str): Plain text, perhaps of several lines; no markup.
        images (list[Image]): The one for a list first.
        unit_price (str): For one piece. Example: 120.00.
        currency (str): ISO 4217. Example: USD.
        available (int | None): How many pieces anybody may still take, as it was some seconds ago. Null where stock is
            not tracked. Example: 12.
        vendor (Named):
        school (Named | None):
        spec (None | Spec):
    """

    id: UUID
    title: str
    description: None | str
    images: list[Image]
    unit_price: str
    currency: str
    available: int | None
    vendor: Named
    school: Named | None
    spec: None | Spec
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.named import Named
        from ..models.spec import Spec

        id = str(self.id)

        title = self.title

        description: None | str
        description = self.description

        images = []
        for images_item_data in self.images:
            images_item = images_item_data.to_dict()
            images.append(images_item)

        unit_price = self.unit_price

        currency = self.currency

        available: int | None
        available = self.available

        vendor = self.vendor.to_dict()

        school: dict[str, Any] | None
        if isinstance(self.school, Named):
            school = self.school.to_dict()
        else:
            school = self.school

        spec: dict[str, Any] | None
        if isinstance(self.spec, Spec):
            spec = self.spec.to_dict()
        else:
            spec = self.spec

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "title": title,
                "description": description,
                "images": images,
                "unit_price": unit_price,
                "currency": currency,
                "available": available,
                "vendor": vendor,
                "school": school,
                "spec": spec,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.image import Image
        from ..models.named import Named
        from ..models.spec import Spec

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        title = d.pop("title")

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        images = []
        _images = d.pop("images")
        for images_item_data in _images:
            images_item = Image.from_dict(images_item_data)

            images.append(images_item)

        unit_price = d.pop("unit_price")

        currency = d.pop("currency")

        def _parse_available(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        available = _parse_available(d.pop("available"))

        vendor = Named.from_dict(d.pop("vendor"))

        def _parse_school(data: object) -> Named | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                school_type_0 = Named.from_dict(data)

                return school_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Named | None, data)

        school = _parse_school(d.pop("school"))

        def _parse_spec(data: object) -> None | Spec:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                spec_type_0 = Spec.from_dict(data)

                return spec_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Spec, data)

        spec = _parse_spec(d.pop("spec"))

        made_of_it = cls(
            id=id,
            title=title,
            description=description,
            images=images,
            unit_price=unit_price,
            currency=currency,
            available=available,
            vendor=vendor,
            school=school,
            spec=spec,
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
