from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.bank_entry_state import BankEntryState, check_bank_entry_state

T = TypeVar("T", bound="BankEntry")


@_attrs_define
class BankEntry:
    """
    Attributes:
        id (UUID):
        account (str): The bank account.
        reference (str):
        state (BankEntryState):
        amount (None | str): Its part of the payout.
        currency (str): ISO 4217. Example: USD.
        entry_amount (str): The whole entry.
        occurred_at (datetime.datetime):
        match_id (UUID):
        resolved_at (datetime.datetime | None): When a person settled it: it is looked at no more.
        detail (None | str):
    """

    id: UUID
    account: str
    reference: str
    state: BankEntryState
    amount: None | str
    currency: str
    entry_amount: str
    occurred_at: datetime.datetime
    match_id: UUID
    resolved_at: datetime.datetime | None
    detail: None | str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        account = self.account

        reference = self.reference

        state: str = self.state

        amount: None | str
        amount = self.amount

        currency = self.currency

        entry_amount = self.entry_amount

        occurred_at = self.occurred_at.isoformat()

        match_id = str(self.match_id)

        resolved_at: None | str
        if isinstance(self.resolved_at, datetime.datetime):
            resolved_at = self.resolved_at.isoformat()
        else:
            resolved_at = self.resolved_at

        detail: None | str
        detail = self.detail

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "account": account,
                "reference": reference,
                "state": state,
                "amount": amount,
                "currency": currency,
                "entry_amount": entry_amount,
                "occurred_at": occurred_at,
                "match_id": match_id,
                "resolved_at": resolved_at,
                "detail": detail,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        account = d.pop("account")

        reference = d.pop("reference")

        state = check_bank_entry_state(d.pop("state"))

        def _parse_amount(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount = _parse_amount(d.pop("amount"))

        currency = d.pop("currency")

        entry_amount = d.pop("entry_amount")

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurred_at"))

        match_id = UUID(d.pop("match_id"))

        def _parse_resolved_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                resolved_at_type_0 = datetime.datetime.fromisoformat(data)

                return resolved_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        resolved_at = _parse_resolved_at(d.pop("resolved_at"))

        def _parse_detail(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        detail = _parse_detail(d.pop("detail"))

        made_of_it = cls(
            id=id,
            account=account,
            reference=reference,
            state=state,
            amount=amount,
            currency=currency,
            entry_amount=entry_amount,
            occurred_at=occurred_at,
            match_id=match_id,
            resolved_at=resolved_at,
            detail=detail,
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
