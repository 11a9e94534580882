from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.refund_made_by import RefundMadeBy, check_refund_made_by
from ..models.refund_status import RefundStatus, check_refund_status
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.refund_line import RefundLine
    from ..models.refund_part import RefundPart


T = TypeVar("T", bound="Refund")


@_attrs_define
class Refund:
    """
    Attributes:
        id (UUID):
        payment_id (UUID):
        amount (str):  Example: 40.00.
        currency (str): ISO 4217. Example: USD.
        status (RefundStatus): Moves one way: requested, processing, succeeded, failed. A refund can fail even after it
            succeeded, when the customer's bank sends the money back. Example: requested.
        reason (None | str):  Example: returned.
        decline (None | str): Why the provider said no, where it did.
        provider_answer (None | str): What it answered then: its HTTP status and its codes, none of its sentences. Only
            for tokens with the scope `refunds`.
        made_by (RefundMadeBy): request: requested here; provider: made in the provider's dashboard.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
        parts (list[RefundPart] | Unset): Only in the answer to a request that takes several captures; `id` is the
            first's.
        lines (list[RefundLine] | Unset): Only of a refund that was asked for by line; where it takes several captures,
            of the first in the list.
    """

    id: UUID
    payment_id: UUID
    amount: str
    currency: str
    status: RefundStatus
    reason: None | str
    decline: None | str
    provider_answer: None | str
    made_by: RefundMadeBy
    created_at: datetime.datetime
    updated_at: datetime.datetime
    parts: list[RefundPart] | Unset = UNSET
    lines: list[RefundLine] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        payment_id = str(self.payment_id)

        amount = self.amount

        currency = self.currency

        status: str = self.status

        reason: None | str
        reason = self.reason

        decline: None | str
        decline = self.decline

        provider_answer: None | str
        provider_answer = self.provider_answer

        made_by: str = self.made_by

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        parts: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.parts, Unset):
            parts = []
            for parts_item_data in self.parts:
                parts_item = parts_item_data.to_dict()
                parts.append(parts_item)

        lines: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.lines, Unset):
            lines = []
            for lines_item_data in self.lines:
                lines_item = lines_item_data.to_dict()
                lines.append(lines_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "payment_id": payment_id,
                "amount": amount,
                "currency": currency,
                "status": status,
                "reason": reason,
                "decline": decline,
                "provider_answer": provider_answer,
                "made_by": made_by,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )
        if parts is not UNSET:
            field_dict["parts"] = parts
        if lines is not UNSET:
            field_dict["lines"] = lines

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.refund_line import RefundLine
        from ..models.refund_part import RefundPart

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        payment_id = UUID(d.pop("payment_id"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        status = check_refund_status(d.pop("status"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_decline(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        decline = _parse_decline(d.pop("decline"))

        def _parse_provider_answer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        provider_answer = _parse_provider_answer(d.pop("provider_answer"))

        made_by = check_refund_made_by(d.pop("made_by"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        _parts = d.pop("parts", UNSET)
        parts: list[RefundPart] | Unset = UNSET
        if _parts is not UNSET:
            parts = []
            for parts_item_data in _parts:
                parts_item = RefundPart.from_dict(parts_item_data)

                parts.append(parts_item)

        _lines = d.pop("lines", UNSET)
        lines: list[RefundLine] | Unset = UNSET
        if _lines is not UNSET:
            lines = []
            for lines_item_data in _lines:
                lines_item = RefundLine.from_dict(lines_item_data)

                lines.append(lines_item)

        made_of_it = cls(
            id=id,
            payment_id=payment_id,
            amount=amount,
            currency=currency,
            status=status,
            reason=reason,
            decline=decline,
            provider_answer=provider_answer,
            made_by=made_by,
            created_at=created_at,
            updated_at=updated_at,
            parts=parts,
            lines=lines,
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
