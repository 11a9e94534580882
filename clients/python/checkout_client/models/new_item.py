from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

T = TypeVar("T", bound="NewItem")


@_attrs_define
class NewItem:
    """
    Attributes:
        listing (UUID): The id of an active listing. Example: 018f0000-0000-7000-8000-000000000101.
        qty (int): How many pieces, 1 to 9999. Example: 2.
    """

    listing: UUID
    qty: int

    def to_dict(self) -> dict[str, Any]:
        listing = str(self.listing)

        qty = self.qty

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "listing": listing,
                "qty": qty,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        listing = UUID(d.pop("listing"))

        qty = d.pop("qty")

        made_of_it = cls(
            listing=listing,
            qty=qty,
        )

        return made_of_it
