from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.timeline_entry_kind import TimelineEntryKind, check_timeline_entry_kind
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.timeline_entry_entries_item import TimelineEntryEntriesItem


T = TypeVar("T", bound="TimelineEntry")


@_attrs_define
class TimelineEntry:
    """
    Attributes:
        kind (TimelineEntryKind): event: the provider reported something; attempt: a try to pay; capture: money that
            came; refund, dispute; capture_request, void: requested here; closed: the provider closed the payment unpaid;
            acceptance: a person accepted another amount. For staff alone: notice, what the provider's data cannot decide;
            review, a person saw a reason. Example: capture.
        id (None | UUID): Our id of it.
        name (None | str): The provider's name for it. Example: ch_1.
        status (None | str): Of an event the status of the payment that it proves, or null. An attempt moves along
            started, under_way, failed, authorized, expired, canceled (money that came by it all the same, where no capture
            is named, is in amount); a capture along pending, refused, succeeded, undone; a dispute is needs_response,
            under_review, accepted, expired, lost, won or closed. Example: succeeded.
        amount (None | str):  Example: 240.00.
        currency (None | str): ISO 4217. Example: USD.
        occurred_at (datetime.datetime | None): When it happened, as the provider says.
        received_at (datetime.datetime): When we learned of it first.
        reason (None | str): Why: of a refund, a dispute, a review, an acceptance.
        outcome (str | Unset): Of an event. applied: it changed something; stale: it was known already; mismatch: it
            could not be counted, and a person has to look. Example: applied.
        entries (list[TimelineEntryEntriesItem] | Unset): Of an event: the entries that it was about, as it was
            reported. For staff also notices, and why what is under way waits (`pending`: bank, review, account, other).
        of (None | str | Unset): Of a capture, a refund, a dispute: the provider's name of the attempt or capture.
        replaces (None | str | Unset): Of an attempt: the one in whose place it stands.
        expires_at (datetime.datetime | None | Unset): Of an attempt: the authorisation's end.
        decline (None | str | Unset): Why the provider said no, where it did.
        stage (str | Unset): Of a dispute: inquiry, chargeback, pre_arbitration, arbitration.
        amount_lost (str | Unset): Of a capture or a dispute: what went again by it. Example: 0.00.
        evidence_due_at (datetime.datetime | None | Unset): Of a dispute: until when the provider takes evidence.
    """

    kind: TimelineEntryKind
    id: None | UUID
    name: None | str
    status: None | str
    amount: None | str
    currency: None | str
    occurred_at: datetime.datetime | None
    received_at: datetime.datetime
    reason: None | str
    outcome: str | Unset = UNSET
    entries: list[TimelineEntryEntriesItem] | Unset = UNSET
    of: None | str | Unset = UNSET
    replaces: None | str | Unset = UNSET
    expires_at: datetime.datetime | None | Unset = UNSET
    decline: None | str | Unset = UNSET
    stage: str | Unset = UNSET
    amount_lost: str | Unset = UNSET
    evidence_due_at: datetime.datetime | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        kind: str = self.kind

        id: None | str
        if isinstance(self.id, UUID):
            id = str(self.id)
        else:
            id = self.id

        name: None | str
        name = self.name

        status: None | str
        status = self.status

        amount: None | str
        amount = self.amount

        currency: None | str
        currency = self.currency

        occurred_at: None | str
        if isinstance(self.occurred_at, datetime.datetime):
            occurred_at = self.occurred_at.isoformat()
        else:
            occurred_at = self.occurred_at

        received_at = self.received_at.isoformat()

        reason: None | str
        reason = self.reason

        outcome = self.outcome

        entries: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.entries, Unset):
            entries = []
            for entries_item_data in self.entries:
                entries_item = entries_item_data.to_dict()
                entries.append(entries_item)

        of: None | str | Unset
        if isinstance(self.of, Unset):
            of = UNSET
        else:
            of = self.of

        replaces: None | str | Unset
        if isinstance(self.replaces, Unset):
            replaces = UNSET
        else:
            replaces = self.replaces

        expires_at: None | str | Unset
        if isinstance(self.expires_at, Unset):
            expires_at = UNSET
        elif isinstance(self.expires_at, datetime.datetime):
            expires_at = self.expires_at.isoformat()
        else:
            expires_at = self.expires_at

        decline: None | str | Unset
        if isinstance(self.decline, Unset):
            decline = UNSET
        else:
            decline = self.decline

        stage = self.stage

        amount_lost = self.amount_lost

        evidence_due_at: None | str | Unset
        if isinstance(self.evidence_due_at, Unset):
            evidence_due_at = UNSET
        elif isinstance(self.evidence_due_at, datetime.datetime):
            evidence_due_at = self.evidence_due_at.isoformat()
        else:
            evidence_due_at = self.evidence_due_at

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "kind": kind,
                "id": id,
                "name": name,
                "status": status,
                "amount": amount,
                "currency": currency,
                "occurred_at": occurred_at,
                "received_at": received_at,
                "reason": reason,
            }
        )
        if outcome is not UNSET:
            field_dict["outcome"] = outcome
        if entries is not UNSET:
            field_dict["entries"] = entries
        if of is not UNSET:
            field_dict["of"] = of
        if replaces is not UNSET:
            field_dict["replaces"] = replaces
        if expires_at is not UNSET:
            field_dict["expires_at"] = expires_at
        if decline is not UNSET:
            field_dict["decline"] = decline
        if stage is not UNSET:
            field_dict["stage"] = stage
        if amount_lost is not UNSET:
            field_dict["amount_lost"] = amount_lost
        if evidence_due_at is not UNSET:
            field_dict["evidence_due_at"] = evidence_due_at

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.timeline_entry_entries_item import TimelineEntryEntriesItem

        d = dict(src_dict)
        kind = check_timeline_entry_kind(d.pop("kind"))

        def _parse_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                id_type_0 = UUID(data)

                return id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        id = _parse_id(d.pop("id"))

        def _parse_name(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        name = _parse_name(d.pop("name"))

        def _parse_status(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        status = _parse_status(d.pop("status"))

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

        def _parse_occurred_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                occurred_at_type_0 = datetime.datetime.fromisoformat(data)

                return occurred_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        occurred_at = _parse_occurred_at(d.pop("occurred_at"))

        received_at = datetime.datetime.fromisoformat(d.pop("received_at"))

        def _parse_reason(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reason = _parse_reason(d.pop("reason"))

        outcome = d.pop("outcome", UNSET)

        _entries = d.pop("entries", UNSET)
        entries: list[TimelineEntryEntriesItem] | Unset = UNSET
        if _entries is not UNSET:
            entries = []
            for entries_item_data in _entries:
                entries_item = TimelineEntryEntriesItem.from_dict(entries_item_data)

                entries.append(entries_item)

        def _parse_of(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        of = _parse_of(d.pop("of", UNSET))

        def _parse_replaces(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        replaces = _parse_replaces(d.pop("replaces", UNSET))

        def _parse_expires_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        expires_at = _parse_expires_at(d.pop("expires_at", UNSET))

        def _parse_decline(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        decline = _parse_decline(d.pop("decline", UNSET))

        stage = d.pop("stage", UNSET)

        amount_lost = d.pop("amount_lost", UNSET)

        def _parse_evidence_due_at(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                evidence_due_at_type_0 = datetime.datetime.fromisoformat(data)

                return evidence_due_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        evidence_due_at = _parse_evidence_due_at(d.pop("evidence_due_at", UNSET))

        made_of_it = cls(
            kind=kind,
            id=id,
            name=name,
            status=status,
            amount=amount,
            currency=currency,
            occurred_at=occurred_at,
            received_at=received_at,
            reason=reason,
            outcome=outcome,
            entries=entries,
            of=of,
            replaces=replaces,
            expires_at=expires_at,
            decline=decline,
            stage=stage,
            amount_lost=amount_lost,
            evidence_due_at=evidence_due_at,
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
