from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.entry_match_state import EntryMatchState, check_entry_match_state
from ..models.entry_match_subject import EntryMatchSubject, check_entry_match_subject

T = TypeVar("T", bound="EntryMatch")


@_attrs_define
class EntryMatch:
    """
    Attributes:
        id (UUID):
        state (EntryMatchState):
        payout_id (None | UUID): Of a bank's entry: the payout.
        payment_id (None | UUID):
        subject (EntryMatchSubject):
        subject_id (None | UUID):
        amount (None | str): What is there, of all entries about it.
        currency (None | str): ISO 4217. Example: USD.
        amount_here (None | str): What we have.
        currency_here (None | str): ISO 4217. Example: USD.
        differs (list[str]): In what: amount, currency, date.
        detail (None | str):
        resolved_at (datetime.datetime | None):
    """

    id: UUID
    state: EntryMatchState
    payout_id: None | UUID
    payment_id: None | UUID
    subject: EntryMatchSubject
    subject_id: None | UUID
    amount: None | str
    currency: None | str
    amount_here: None | str
    currency_here: None | str
    differs: list[str]
    detail: None | str
    resolved_at: datetime.datetime | None
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        state: str = self.state

        payout_id: None | str
        if isinstance(self.payout_id, UUID):
            payout_id = str(self.payout_id)
        else:
            payout_id = self.payout_id

        payment_id: None | str
        if isinstance(self.payment_id, UUID):
            payment_id = str(self.payment_id)
        else:
            payment_id = self.payment_id

        subject: str = self.subject

        subject_id: None | str
        if isinstance(self.subject_id, UUID):
            subject_id = str(self.subject_id)
        else:
            subject_id = self.subject_id

        amount: None | str
        amount = self.amount

        currency: None | str
        currency = self.currency

        amount_here: None | str
        amount_here = self.amount_here

        currency_here: None | str
        currency_here = self.currency_here

        differs = self.differs

        detail: None | str
        detail = self.detail

        resolved_at: None | str
        if isinstance(self.resolved_at, datetime.datetime):
            resolved_at = self.resolved_at.isoformat()
        else:
            resolved_at = self.resolved_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "state": state,
                "payout_id": payout_id,
                "payment_id": payment_id,
                "subject": subject,
                "subject_id": subject_id,
                "amount": amount,
                "currency": currency,
                "amount_here": amount_here,
                "currency_here": currency_here,
                "differs": differs,
                "detail": detail,
                "resolved_at": resolved_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        state = check_entry_match_state(d.pop("state"))

        def _parse_payout_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                payout_id_type_0 = UUID(data)

                return payout_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        payout_id = _parse_payout_id(d.pop("payout_id"))

        def _parse_payment_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                payment_id_type_0 = UUID(data)

                return payment_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        payment_id = _parse_payment_id(d.pop("payment_id"))

        subject = check_entry_match_subject(d.pop("subject"))

        def _parse_subject_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                subject_id_type_0 = UUID(data)

                return subject_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        subject_id = _parse_subject_id(d.pop("subject_id"))

        def _parse_amount(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount = _parse_amount(d.pop("amount"))

        def _parse_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency = _parse_currency(d.pop("currency"))

        def _parse_amount_here(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount_here = _parse_amount_here(d.pop("amount_here"))

        def _parse_currency_here(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        currency_here = _parse_currency_here(d.pop("currency_here"))

        differs = cast(list[str], d.pop("differs"))

        def _parse_detail(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        detail = _parse_detail(d.pop("detail"))

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

        made_of_it = cls(
            id=id,
            state=state,
            payout_id=payout_id,
            payment_id=payment_id,
            subject=subject,
            subject_id=subject_id,
            amount=amount,
            currency=currency,
            amount_here=amount_here,
            currency_here=currency_here,
            differs=differs,
            detail=detail,
            resolved_at=resolved_at,
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
