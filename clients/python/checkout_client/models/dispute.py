from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.dispute_stage import DisputeStage, check_dispute_stage
from ..models.dispute_status import DisputeStatus, check_dispute_status

T = TypeVar("T", bound="Dispute")


@_attrs_define
class Dispute:
    """
    Attributes:
        id (UUID):
        payment_id (UUID):
        provider (str):  Example: stripe.
        name (None | str): The provider's name for it. Example: du_1.
        stage (DisputeStage): inquiry (no money moves), chargeback, pre_arbitration or arbitration. Example: chargeback.
        status (DisputeStatus): needs_response, under_review, accepted, expired, lost, won or closed: a word about the
            stage. Whether money went is in amount_lost. Example: needs_response.
        reason (None | str):  Example: fraudulent.
        amount (None | str): What is disputed, in currency. Example: 40.00.
        currency (str): ISO 4217. Example: USD.
        amount_lost (str): What it took and did not give back. Example: 40.00.
        blocks_refund (bool): Whether it took nothing yet, and holds its amount back from refunds.
        evidence_due_at (datetime.datetime | None): Until when the provider takes evidence, where it says that.
        evidence_at (str): Where evidence is sent; not here. Example: the Stripe Dashboard, Disputes.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    id: UUID
    payment_id: UUID
    provider: str
    name: None | str
    stage: DisputeStage
    status: DisputeStatus
    reason: None | str
    amount: None | str
    currency: str
    amount_lost: str
    blocks_refund: bool
    evidence_due_at: datetime.datetime | None
    evidence_at: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        payment_id = str(self.payment_id)

        provider = self.provider

        name: None | str
        name = self.name

        stage: str = self.stage

        status: str = self.status

        reason: None | str
        reason = self.reason

        amount: None | str
        amount = self.amount

        currency = self.currency

        amount_lost = self.amount_lost

        blocks_refund = self.blocks_refund

        evidence_due_at: None | str
        if isinstance(self.evidence_due_at, datetime.datetime):
            evidence_due_at = self.evidence_due_at.isoformat()
        else:
            evidence_due_at = self.evidence_due_at

        evidence_at = self.evidence_at

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "payment_id": payment_id,
                "provider": provider,
                "name": name,
                "stage": stage,
                "status": status,
                "reason": reason,
                "amount": amount,
                "currency": currency,
                "amount_lost": amount_lost,
                "blocks_refund": blocks_refund,
                "evidence_due_at": evidence_due_at,
                "evidence_at": evidence_at,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        payment_id = UUID(d.pop("payment_id"))

        provider = d.pop("provider")

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        stage = check_dispute_stage(d.pop("stage"))

        status = check_dispute_status(d.pop("status"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        def _parse_amount(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount = _parse_amount(d.pop("amount"))

        currency = d.pop("currency")

        amount_lost = d.pop("amount_lost")

        blocks_refund = d.pop("blocks_refund")

        def _parse_evidence_due_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                evidence_due_at_type_0 = datetime.datetime.fromisoformat(data)

                return evidence_due_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        evidence_due_at = _parse_evidence_due_at(d.pop("evidence_due_at"))

        evidence_at = d.pop("evidence_at")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            id=id,
            payment_id=payment_id,
            provider=provider,
            name=name,
            stage=stage,
            status=status,
            reason=reason,
            amount=amount,
            currency=currency,
            amount_lost=amount_lost,
            blocks_refund=blocks_refund,
            evidence_due_at=evidence_due_at,
            evidence_at=evidence_at,
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
