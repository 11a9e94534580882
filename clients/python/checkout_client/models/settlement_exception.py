from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.settlement_exception_kind import SettlementExceptionKind, check_settlement_exception_kind

T = TypeVar("T", bound="SettlementException")


@_attrs_define
class SettlementException:
    """
    Attributes:
        id (UUID): Of the first match among them; each has its own with its entry.
        kind (SettlementExceptionKind):
        provider (str):  Example: stripe.
        account (None | str):
        payout_id (None | UUID):
        count (int): How many they are. Example: 1.
        amount (None | str): Their gross amounts, of fees what they take; of a bank's entry, its part of the payout; of
            what is missing there, what we have.
        currency (None | str): ISO 4217. Example: USD.
        payment_id (None | UUID): The payment, where they are all about one.
        detail (None | str): Of the first. For people.
        created_at (datetime.datetime):
    """

    id: UUID
    kind: SettlementExceptionKind
    provider: str
    account: None | str
    payout_id: None | UUID
    count: int
    amount: None | str
    currency: None | str
    payment_id: None | UUID
    detail: None | str
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        kind: str = self.kind

        provider = self.provider

        account: None | str
        account = self.account

        payout_id: None | str
        if isinstance(self.payout_id, UUID):
            payout_id = str(self.payout_id)
        else:
            payout_id = self.payout_id

        count = self.count

        amount: None | str
        amount = self.amount

        currency: None | str
        currency = self.currency

        payment_id: None | str
        if isinstance(self.payment_id, UUID):
            payment_id = str(self.payment_id)
        else:
            payment_id = self.payment_id

        detail: None | str
        detail = self.detail

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "kind": kind,
                "provider": provider,
                "account": account,
                "payout_id": payout_id,
                "count": count,
                "amount": amount,
                "currency": currency,
                "payment_id": payment_id,
                "detail": detail,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        kind = check_settlement_exception_kind(d.pop("kind"))

        provider = d.pop("provider")

        def _parse_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        account = _parse_account(d.pop("account"))

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

        count = d.pop("count")

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

        def _parse_detail(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        detail = _parse_detail(d.pop("detail"))

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            kind=kind,
            provider=provider,
            account=account,
            payout_id=payout_id,
            count=count,
            amount=amount,
            currency=currency,
            payment_id=payment_id,
            detail=detail,
            created_at=created_at,
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
