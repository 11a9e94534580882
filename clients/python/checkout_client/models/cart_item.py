from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.cart_listing import CartListing


T = TypeVar("T", bound="CartItem")


@_attrs_define
class CartItem:
    """
    Attributes:
        id (UUID):
        listing (CartListing):
        qty (int):
        line_total (str):  Example: 120.00.
        available (bool): False once the listing, or its price in the cart's currency, was taken off sale: such a cart
            cannot be checked out.
    """

    id: UUID
    listing: CartListing
    qty: int
    line_total: str
    available: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        listing = self.listing.to_dict()

        qty = self.qty

        line_total = self.line_total

        available = self.available

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "listing": listing,
                "qty": qty,
                "line_total": line_total,
                "available": available,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.cart_listing import CartListing

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        listing = CartListing.from_dict(d.pop("listing"))

        qty = d.pop("qty")

        line_total = d.pop("line_total")

        available = d.pop("available")

        made_of_it = cls(
            id=id,
            listing=listing,
            qty=qty,
            line_total=line_total,
            available=available,
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
