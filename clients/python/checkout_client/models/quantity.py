from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="Quantity")


@_attrs_define
class Quantity:
    """
    Attributes:
        qty (int): How many pieces, 1 to 9999. Example: 2.
    """

    qty: int

    def to_dict(self) -> dict[str, Any]:
        qty = self.qty

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "qty": qty,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        qty = d.pop("qty")

        made_of_it = cls(
            qty=qty,
        )

        return made_of_it
