from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.fulfilled_pieces import FulfilledPieces


T = TypeVar("T", bound="NewFulfilment")


@_attrs_define
class NewFulfilment:
    """
    Attributes:
        lines (list[FulfilledPieces] | Unset): Of which lines; without it, all that is left of the order.
        carrier (str | Unset): Who carries it; the customer sees it. Example: DHL.
        tracking (str | Unset): The carrier's name for it; the customer sees it. Example: 00340434161094000001.
        capture (bool | Unset): Whether the price of these pieces is captured, where money is only authorized. Example:
            True.
    """

    lines: list[FulfilledPieces] | Unset = UNSET
    carrier: str | Unset = UNSET
    tracking: str | Unset = UNSET
    capture: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        lines: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.lines, Unset):
            lines = []
            for lines_item_data in self.lines:
                lines_item = lines_item_data.to_dict()
                lines.append(lines_item)

        carrier = self.carrier

        tracking = self.tracking

        capture = self.capture

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if lines is not UNSET:
            field_dict["lines"] = lines
        if carrier is not UNSET:
            field_dict["carrier"] = carrier
        if tracking is not UNSET:
            field_dict["tracking"] = tracking
        if capture is not UNSET:
            field_dict["capture"] = capture

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.fulfilled_pieces import FulfilledPieces

        d = dict(src_dict)
        _lines = d.pop("lines", UNSET)
        lines: list[FulfilledPieces] | Unset = UNSET
        if _lines is not UNSET:
            lines = []
            for lines_item_data in _lines:
                lines_item = FulfilledPieces.from_dict(lines_item_data)

                lines.append(lines_item)

        carrier = d.pop("carrier", UNSET)

        tracking = d.pop("tracking", UNSET)

        capture = d.pop("capture", UNSET)

        made_of_it = cls(
            lines=lines,
            carrier=carrier,
            tracking=tracking,
            capture=capture,
        )

        return made_of_it
