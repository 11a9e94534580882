from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.entry_kind import EntryKind, check_entry_kind
from ..models.entry_subject import EntrySubject, check_entry_subject

if TYPE_CHECKING:
    from ..models.entry_match import EntryMatch


T = TypeVar("T", bound="Entry")


@_attrs_define
class Entry:
    """
    Attributes:
        id (UUID):
        provider (str):  Example: stripe.
        account (None | str):
        reference (str): The provider's id, or one made of the row.
        kind (EntryKind):
        type_ (str): The provider's own word.
        gross (str): Signed as it moves the balance.
        fee (str): Positive where it is charged.
        net (str): gross - fee.
        currency (str): ISO 4217. Example: USD.
        customer_amount (None | str): What the customer paid or got, where the report says it.
        customer_currency (None | str): ISO 4217. Example: USD.
        rate (None | str): For people: the amounts are what is true.
        occurred_at (datetime.datetime):
        occurred_local (str): The same in the source's own words and zone.
        available_on (datetime.date | None):
        payout_id (None | UUID): The payout that it is part of, once known.
        payout_reference (None | str):
        subject (EntrySubject): What of ours it is about.
        subject_reference (None | str):
        payment_reference (None | str):
        merchant_reference (None | str):
        description (None | str): Of what no purchase is behind, and of a bank's entry.
        file_id (UUID):
        line (int): Where in the file.
        withdrawn (bool): Whether a file that was issued again has it no more.
        matches (list[EntryMatch]): Those that hold, up to 20.
        created_at (datetime.datetime):
    """

    id: UUID
    provider: str
    account: None | str
    reference: str
    kind: EntryKind
    type_: str
    gross: str
    fee: str
    net: str
    currency: str
    customer_amount: None | str
    customer_currency: None | str
    rate: None | str
    occurred_at: datetime.datetime
    occurred_local: str
    available_on: datetime.date | None
    payout_id: None | UUID
    payout_reference: None | str
    subject: EntrySubject
    subject_reference: None | str
    payment_reference: None | str
    merchant_reference: None | str
    description: None | str
    file_id: UUID
    line: int
    withdrawn: bool
    matches: list[EntryMatch]
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        provider = self.provider

        account: None | str
        account = self.account

        reference = self.reference

        kind: str = self.kind

        type_ = self.type_

        gross = self.gross

        fee = self.fee

        net = self.net

        currency = self.currency

        customer_amount: None | str
        customer_amount = self.customer_amount

        customer_currency: None | str
        customer_currency = self.customer_currency

        rate: None | str
        rate = self.rate

        occurred_at = self.occurred_at.isoformat()

        occurred_local = self.occurred_local

        available_on: None | str
        if isinstance(self.available_on, datetime.date):
            available_on = self.available_on.isoformat()
        else:
            available_on = self.available_on

        payout_id: None | str
        if isinstance(self.payout_id, UUID):
            payout_id = str(self.payout_id)
        else:
            payout_id = self.payout_id

        payout_reference: None | str
        payout_reference = self.payout_reference

        subject: str = self.subject

        subject_reference: None | str
        subject_reference = self.subject_reference

        payment_reference: None | str
        payment_reference = self.payment_reference

        merchant_reference: None | str
        merchant_reference = self.merchant_reference

        description: None | str
        description = self.description

        file_id = str(self.file_id)

        line = self.line

        withdrawn = self.withdrawn

        matches = []
        for matches_item_data in self.matches:
            matches_item = matches_item_data.to_dict()
            matches.append(matches_item)

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "provider": provider,
                "account": account,
                "reference": reference,
                "kind": kind,
                "type": type_,
                "gross": gross,
                "fee": fee,
                "net": net,
                "currency": currency,
                "customer_amount": customer_amount,
                "customer_currency": customer_currency,
                "rate": rate,
                "occurred_at": occurred_at,
                "occurred_local": occurred_local,
                "available_on": available_on,
                "payout_id": payout_id,
                "payout_reference": payout_reference,
                "subject": subject,
                "subject_reference": subject_reference,
                "payment_reference": payment_reference,
                "merchant_reference": merchant_reference,
                "description": description,
                "file_id": file_id,
                "line": line,
                "withdrawn": withdrawn,
                "matches": matches,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_match import EntryMatch

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        provider = d.pop("provider")

        def _parse_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        account = _parse_account(d.pop("account"))

        reference = d.pop("reference")

        kind = check_entry_kind(d.pop("kind"))

        type_ = d.pop("type")

        gross = d.pop("gross")

        fee = d.pop("fee")

        net = d.pop("net")

        currency = d.pop("currency")

        def _parse_customer_amount(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        customer_amount = _parse_customer_amount(d.pop("customer_amount"))

        def _parse_customer_currency(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        customer_currency = _parse_customer_currency(d.pop("customer_currency"))

        def _parse_rate(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        rate = _parse_rate(d.pop("rate"))

        occurred_at = datetime.datetime.fromisoformat(d.pop("occurred_at"))

        occurred_local = d.pop("occurred_local")

        def _parse_available_on(data: object) -> datetime.date | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                available_on_type_0 = datetime.date.fromisoformat(data)

                return available_on_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.date | None, data)

        available_on = _parse_available_on(d.pop("available_on"))

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

        def _parse_payout_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payout_reference = _parse_payout_reference(d.pop("payout_reference"))

        subject = check_entry_subject(d.pop("subject"))

        def _parse_subject_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        subject_reference = _parse_subject_reference(d.pop("subject_reference"))

        def _parse_payment_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        payment_reference = _parse_payment_reference(d.pop("payment_reference"))

        def _parse_merchant_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        merchant_reference = _parse_merchant_reference(d.pop("merchant_reference"))

        def _parse_description(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        description = _parse_description(d.pop("description"))

        file_id = UUID(d.pop("file_id"))

        line = d.pop("line")

        withdrawn = d.pop("withdrawn")

        matches = []
        _matches = d.pop("matches")
        for matches_item_data in _matches:
            matches_item = EntryMatch.from_dict(matches_item_data)

            matches.append(matches_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            provider=provider,
            account=account,
            reference=reference,
            kind=kind,
            type_=type_,
            gross=gross,
            fee=fee,
            net=net,
            currency=currency,
            customer_amount=customer_amount,
            customer_currency=customer_currency,
            rate=rate,
            occurred_at=occurred_at,
            occurred_local=occurred_local,
            available_on=available_on,
            payout_id=payout_id,
            payout_reference=payout_reference,
            subject=subject,
            subject_reference=subject_reference,
            payment_reference=payment_reference,
            merchant_reference=merchant_reference,
            description=description,
            file_id=file_id,
            line=line,
            withdrawn=withdrawn,
            matches=matches,
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
