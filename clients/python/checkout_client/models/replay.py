from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.replay_state import ReplayState, check_replay_state

T = TypeVar("T", bound="Replay")


@_attrs_define
class Replay:
    """
    Attributes:
        events (int):  Example: 120.
        more (bool): Whether counting ended before it had seen all. Example: False.
        id (UUID):
        endpoint_id (UUID):
        event_id (None | UUID):
        since (datetime.datetime | None):
        types (list[str] | None):
        only_failed (bool):
        requested_by (str):  Example: key csk_0aB1cD2e.
        state (ReplayState): waiting, running, done or stopped. Example: waiting.
        stop_requested_at (datetime.datetime | None):
        sent (int): Events that were sent. Example: 0.
        failed (int): How many of these were given up. Example: 0.
        from_seq (int):  Example: 921.
        place (int): Up to which number it has come. Example: 920.
        until_seq (int): Where it ends: later events come by themselves. Example: 1042.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
    """

    events: int
    more: bool
    id: UUID
    endpoint_id: UUID
    event_id: None | UUID
    since: datetime.datetime | None
    types: list[str] | None
    only_failed: bool
    requested_by: str
    state: ReplayState
    stop_requested_at: datetime.datetime | None
    sent: int
    failed: int
    from_seq: int
    place: int
    until_seq: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        events = self.events

        more = self.more

        id = str(self.id)

        endpoint_id = str(self.endpoint_id)

        event_id: None | str
        if isinstance(self.event_id, UUID):
            event_id = str(self.event_id)
        else:
            event_id = self.event_id

        since: None | str
        if isinstance(self.since, datetime.datetime):
            since = self.since.isoformat()
        else:
            since = self.since

        types: list[str] | None
        if isinstance(self.types, list):
            types = self.types

        else:
            types = self.types

        only_failed = self.only_failed

        requested_by = self.requested_by

        state: str = self.state

        stop_requested_at: None | str
        if isinstance(self.stop_requested_at, datetime.datetime):
            stop_requested_at = self.stop_requested_at.isoformat()
        else:
            stop_requested_at = self.stop_requested_at

        sent = self.sent

        failed = self.failed

        from_seq = self.from_seq

        place = self.place

        until_seq = self.until_seq

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "events": events,
                "more": more,
                "id": id,
                "endpoint_id": endpoint_id,
                "event_id": event_id,
                "since": since,
                "types": types,
                "only_failed": only_failed,
                "requested_by": requested_by,
                "state": state,
                "stop_requested_at": stop_requested_at,
                "sent": sent,
                "failed": failed,
                "from_seq": from_seq,
                "place": place,
                "until_seq": until_seq,
                "created_at": created_at,
                "updated_at": updated_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        events = d.pop("events")

        more = d.pop("more")

        id = UUID(d.pop("id"))

        endpoint_id = UUID(d.pop("endpoint_id"))

        def _parse_event_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                event_id_type_0 = UUID(data)

                return event_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        event_id = _parse_event_id(d.pop("event_id"))

        def _parse_since(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                since_type_0 = datetime.datetime.fromisoformat(data)

                return since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        since = _parse_since(d.pop("since"))

        def _parse_types(data: object) -> list[str] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = cast(list[str], data)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[str] | None, data)

        types = _parse_types(d.pop("types"))

        only_failed = d.pop("only_failed")

        requested_by = d.pop("requested_by")

        state = check_replay_state(d.pop("state"))

        def _parse_stop_requested_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                stop_requested_at_type_0 = datetime.datetime.fromisoformat(data)

                return stop_requested_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        stop_requested_at = _parse_stop_requested_at(d.pop("stop_requested_at"))

        sent = d.pop("sent")

        failed = d.pop("failed")

        from_seq = d.pop("from_seq")

        place = d.pop("place")

        until_seq = d.pop("until_seq")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        made_of_it = cls(
            events=events,
            more=more,
            id=id,
            endpoint_id=endpoint_id,
            event_id=event_id,
            since=since,
            types=types,
            only_failed=only_failed,
            requested_by=requested_by,
            state=state,
            stop_requested_at=stop_requested_at,
            sent=sent,
            failed=failed,
            from_seq=from_seq,
            place=place,
            until_seq=until_seq,
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
