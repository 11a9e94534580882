from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.new_refund_line import NewRefundLine


T = TypeVar("T", bound="NewRefund")


@_attrs_define
class NewRefund:
    """
    Attributes:
        amount (str | Unset): In the payment's currency; without it and without lines, all that is left. Example: 40.00.
        lines (list[NewRefundLine] | Unset): In place of an amount: the price of these pieces of the payment's order.
        reason (str | Unset): For the books, and passed on to the provider. Example: returned.
        capture_id (UUID | Unset): The one capture to give back of, as `GET /api/admin/payments/{id}/captures` lists it.
            Example: 01a206b6-2617-7632-98bf-296e992e5f9c.
    """

    amount: str | Unset = UNSET
    lines: list[NewRefundLine] | Unset = UNSET
    reason: str | Unset = UNSET
    capture_id: UUID | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        amount = self.amount

        lines: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.lines, Unset):
            lines = []
            for lines_item_data in self.lines:
                lines_item = lines_item_data.to_dict()
                lines.append(lines_item)

        reason = self.reason

        capture_id: str | Unset = UNSET
        if not isinstance(self.capture_id, Unset):
            capture_id = str(self.capture_id)

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if amount is not UNSET:
            field_dict["amount"] = amount
        if lines is not UNSET:
            field_dict["lines"] = lines
        if reason is not UNSET:
            field_dict["reason"] = reason
        if capture_id is not UNSET:
            field_dict["capture_id"] = capture_id

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.new_refund_line import NewRefundLine

        d = dict(src_dict)
        amount = d.pop("amount", UNSET)

        _lines = d.pop("lines", UNSET)
        lines: list[NewRefundLine] | Unset = UNSET
        if _lines is not UNSET:
            lines = []
            for lines_item_data in _lines:
                lines_item = NewRefundLine.from_dict(lines_item_data)

                lines.append(lines_item)

        reason = d.pop("reason", UNSET)

        _capture_id = d.pop("capture_id", UNSET)
        capture_id: UUID | Unset
        if isinstance(_capture_id, Unset):
            capture_id = UNSET
        else:
            capture_id = UUID(_capture_id)

        made_of_it = cls(
            amount=amount,
            lines=lines,
            reason=reason,
            capture_id=capture_id,
        )

        return made_of_it
