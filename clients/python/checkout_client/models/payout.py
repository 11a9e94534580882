from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.payout_state import PayoutState, check_payout_state
from ..models.payout_status import PayoutStatus, check_payout_status

T = TypeVar("T", bound="Payout")


@_attrs_define
class Payout:
    """
    Attributes:
        id (UUID):
        provider (str):  Example: stripe.
        account (None | str): The account there, where there are several.
        reference (str): The provider's name for it; of a batch, its number.
        amount (str): Negative where it takes money from the bank account.
        currency (str): ISO 4217. Example: USD.
        status (PayoutStatus): What the provider says. It can fail after it was paid.
        state (PayoutState): open: what it is made of is not here, or does not add up to it. unmatched: it adds up, or
            was accepted with its residue, and a line needs a person. reconciled: it adds up, or was accepted with its
            residue, and each line is matched, or needs no counterpart, or was settled. by_balance: nobody can list what it
            is made of, and the account's balance adds up. not_paid: it failed or was canceled, and no line is part of it.
        itemized (bool): Whether somebody can list what it is made of, if it is paid.
        issued_at (datetime.datetime | None):
        arrival_on (datetime.date | None): The day on which the bank is expected to have it.
        bank_reference (None | str): What the bank may show of it.
        descriptor (None | str): The text that the bank was given.
        failed_at (datetime.datetime | None):
        failure_code (None | str): Why it failed, in the provider's word.
        original_reference (None | str): The reference of the payout that this one takes back.
        entries (int): How many entries it is made of. Example: 412.
        gross (str): The sum of theirs.
        fee (str): The sum of theirs: positive where it is charged.
        net (str): The sum of theirs: the amount, where it adds up.
        residue (None | str): net - amount: what its entries are too much, or with a minus what is lacking. Other than 0
            where they are not all here, or where an operator accepted a file that does not add up. Null of what nobody can
            list, or what was not paid. Example: 0.00.
        exceptions (int): How many of them keep it from being reconciled.
        amount_at_bank (None | str): What a bank's entries brought of it; null where none shows it.
        reconciled_at (datetime.datetime | None):
        version (int): Counts its changes. Example: 3.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    provider: str
    account: None | str
    reference: str
    amount: str
    currency: str
    status: PayoutStatus
    state: PayoutState
    itemized: bool
    issued_at: datetime.datetime | None
    arrival_on: datetime.date | None
    bank_reference: None | str
    descriptor: None | str
    failed_at: datetime.datetime | None
    failure_code: None | str
    original_reference: None | str
    entries: int
    gross: str
    fee: str
    net: str
    residue: None | str
    exceptions: int
    amount_at_bank: None | str
    reconciled_at: datetime.datetime | None
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        provider = self.provider

        account: None | str
        account = self.account

        reference = self.reference

        amount = self.amount

        currency = self.currency

        status: str = self.status

        state: str = self.state

        itemized = self.itemized

        issued_at: None | str
        if isinstance(self.issued_at, datetime.datetime):
            issued_at = self.issued_at.isoformat()
        else:
            issued_at = self.issued_at

        arrival_on: None | str
        if isinstance(self.arrival_on, datetime.date):
            arrival_on = self.arrival_on.isoformat()
        else:
            arrival_on = self.arrival_on

        bank_reference: None | str
        bank_reference = self.bank_reference

        descriptor: None | str
        descriptor = self.descriptor

        failed_at: None | str
        if isinstance(self.failed_at, datetime.datetime):
            failed_at = self.failed_at.isoformat()
        else:
            failed_at = self.failed_at

        failure_code: None | str
        failure_code = self.failure_code

        original_reference: None | str
        original_reference = self.original_reference

        entries = self.entries

        gross = self.gross

        fee = self.fee

        net = self.net

        residue: None | str
        residue = self.residue

        exceptions = self.exceptions

        amount_at_bank: None | str
        amount_at_bank = self.amount_at_bank

        reconciled_at: None | str
        if isinstance(self.reconciled_at, datetime.datetime):
            reconciled_at = self.reconciled_at.isoformat()
        else:
            reconciled_at = self.reconciled_at

        version = self.version

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "provider": provider,
                "account": account,
                "reference": reference,
                "amount": amount,
                "currency": currency,
                "status": status,
                "state": state,
                "itemized": itemized,
                "issued_at": issued_at,
                "arrival_on": arrival_on,
                "bank_reference": bank_reference,
                "descriptor": descriptor,
                "failed_at": failed_at,
                "failure_code": failure_code,
                "original_reference": original_reference,
                "entries": entries,
                "gross": gross,
                "fee": fee,
                "net": net,
                "residue": residue,
                "exceptions": exceptions,
                "amount_at_bank": amount_at_bank,
                "reconciled_at": reconciled_at,
                "version": version,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        provider = d.pop("provider")

        def _parse_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        account = _parse_account(d.pop("account"))

        reference = d.pop("reference")

        amount = d.pop("amount")

        currency = d.pop("currency")

        status = check_payout_status(d.pop("status"))

        state = check_payout_state(d.pop("state"))

        itemized = d.pop("itemized")

        def _parse_issued_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                issued_at_type_0 = datetime.datetime.fromisoformat(data)

                return issued_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        issued_at = _parse_issued_at(d.pop("issued_at"))

        def _parse_arrival_on(data: object) -> datetime.date | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                arrival_on_type_0 = datetime.date.fromisoformat(data)

                return arrival_on_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.date | None, data)

        arrival_on = _parse_arrival_on(d.pop("arrival_on"))

        def _parse_bank_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        bank_reference = _parse_bank_reference(d.pop("bank_reference"))

        def _parse_descriptor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        descriptor = _parse_descriptor(d.pop("descriptor"))

        def _parse_failed_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                failed_at_type_0 = datetime.datetime.fromisoformat(data)

                return failed_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        failed_at = _parse_failed_at(d.pop("failed_at"))

        def _parse_failure_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        failure_code = _parse_failure_code(d.pop("failure_code"))

        def _parse_original_reference(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        original_reference = _parse_original_reference(d.pop("original_reference"))

        entries = d.pop("entries")

        gross = d.pop("gross")

        fee = d.pop("fee")

        net = d.pop("net")

        def _parse_residue(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        residue = _parse_residue(d.pop("residue"))

        exceptions = d.pop("exceptions")

        def _parse_amount_at_bank(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount_at_bank = _parse_amount_at_bank(d.pop("amount_at_bank"))

        def _parse_reconciled_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                reconciled_at_type_0 = datetime.datetime.fromisoformat(data)

                return reconciled_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        reconciled_at = _parse_reconciled_at(d.pop("reconciled_at"))

        version = d.pop("version")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            id=id,
            provider=provider,
            account=account,
            reference=reference,
            amount=amount,
            currency=currency,
            status=status,
            state=state,
            itemized=itemized,
            issued_at=issued_at,
            arrival_on=arrival_on,
            bank_reference=bank_reference,
            descriptor=descriptor,
            failed_at=failed_at,
            failure_code=failure_code,
            original_reference=original_reference,
            entries=entries,
            gross=gross,
            fee=fee,
            net=net,
            residue=residue,
            exceptions=exceptions,
            amount_at_bank=amount_at_bank,
            reconciled_at=reconciled_at,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
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
