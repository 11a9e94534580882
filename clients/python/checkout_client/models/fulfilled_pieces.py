from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="FulfilledPieces")


@_attrs_define
class FulfilledPieces:
    """
    Attributes:
        line_id (UUID): A line of the order.
        qty (int | Unset): How many pieces; in a request without it, all that is left. Example: 2.
    """

    line_id: UUID
    qty: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        line_id = str(self.line_id)

        qty = self.qty

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "line_id": line_id,
            }
        )
        if qty is not UNSET:
            field_dict["qty"] = qty

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        line_id = UUID(d.pop("line_id"))

        qty = d.pop("qty", UNSET)

        made_of_it = cls(
            line_id=line_id,
            qty=qty,
        )

        return made_of_it
