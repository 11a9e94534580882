from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.event_type import EventType, check_event_type

if TYPE_CHECKING:
    from ..models.event_data import EventData
    from ..models.event_object import EventObject


T = TypeVar("T", bound="Event")


@_attrs_define
class Event:
    """
    Attributes:
        id (UUID): The same in the webhook header `webhook-id`, at each attempt.
        seq (int | None): Its number in the log. Null of a test event, which is not in it. Example: 1043.
        type_ (EventType): See the webhooks of this document. Example: payment.paid.
        object_ (EventObject):
        version (int): Of the object: of two events of it the greater is the later one. Example: 2.
        created_at (datetime.datetime): When it was written, with what it tells of.
        data (EventData): The object at that version, as lists for staff show it.
    """

    id: UUID
    seq: int | None
    type_: EventType
    object_: EventObject
    version: int
    created_at: datetime.datetime
    data: EventData
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        seq: int | None
        seq = self.seq

        type_: str = self.type_

        object_ = self.object_.to_dict()

        version = self.version

        created_at = self.created_at.isoformat()

        data = self.data.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "seq": seq,
                "type": type_,
                "object": object_,
                "version": version,
                "created_at": created_at,
                "data": data,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.event_data import EventData
        from ..models.event_object import EventObject

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        def _parse_seq(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        seq = _parse_seq(d.pop("seq"))

        type_ = check_event_type(d.pop("type"))

        object_ = EventObject.from_dict(d.pop("object"))

        version = d.pop("version")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        data = EventData.from_dict(d.pop("data"))

        made_of_it = cls(
            id=id,
            seq=seq,
            type_=type_,
            object_=object_,
            version=version,
            created_at=created_at,
            data=data,
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
