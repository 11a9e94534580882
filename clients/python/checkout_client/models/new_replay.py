from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define

from ..models.new_replay_types_type_0_item import NewReplayTypesType0Item, check_new_replay_types_type_0_item
from ..types import UNSET, Unset

T = TypeVar("T", bound="NewReplay")


@_attrs_define
class NewReplay:
    """
    Attributes:
        event_id (UUID | Unset): This one alone.
        since (str | Unset): All that were written then or later. A day (its beginning in UTC) or an RFC 3339 time.
            Example: 2026-11-25T04:05:06Z.
        types (list[NewReplayTypesType0Item] | None | Unset): Only these; by default all that the endpoint gets.
            Example: ['payment.paid'].
        only_failed (bool | Unset): Only those that were given up. Example: False.
        dry_run (bool | Unset): Only count them. Example: False.
    """

    event_id: UUID | Unset = UNSET
    since: str | Unset = UNSET
    types: list[NewReplayTypesType0Item] | None | Unset = UNSET
    only_failed: bool | Unset = UNSET
    dry_run: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        event_id: str | Unset = UNSET
        if not isinstance(self.event_id, Unset):
            event_id = str(self.event_id)

        since = self.since

        types: list[str] | None | Unset
        if isinstance(self.types, Unset):
            types = UNSET
        elif isinstance(self.types, list):
            types = []
            for types_type_0_item_data in self.types:
                types_type_0_item: str = types_type_0_item_data
                types.append(types_type_0_item)

        else:
            types = self.types

        only_failed = self.only_failed

        dry_run = self.dry_run

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if event_id is not UNSET:
            field_dict["event_id"] = event_id
        if since is not UNSET:
            field_dict["since"] = since
        if types is not UNSET:
            field_dict["types"] = types
        if only_failed is not UNSET:
            field_dict["only_failed"] = only_failed
        if dry_run is not UNSET:
            field_dict["dry_run"] = dry_run

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _event_id = d.pop("event_id", UNSET)
        event_id: UUID | Unset
        if isinstance(_event_id, Unset):
            event_id = UNSET
        else:
            event_id = UUID(_event_id)

        since = d.pop("since", UNSET)

        def _parse_types(data: object) -> list[NewReplayTypesType0Item] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                types_type_0 = []
                _types_type_0 = data
                for types_type_0_item_data in _types_type_0:
                    types_type_0_item = check_new_replay_types_type_0_item(types_type_0_item_data)

                    types_type_0.append(types_type_0_item)

                return types_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[NewReplayTypesType0Item] | None | Unset, data)

        types = _parse_types(d.pop("types", UNSET))

        only_failed = d.pop("only_failed", UNSET)

        dry_run = d.pop("dry_run", UNSET)

        made_of_it = cls(
            event_id=event_id,
            since=since,
            types=types,
            only_failed=only_failed,
            dry_run=dry_run,
        )

        return made_of_it
