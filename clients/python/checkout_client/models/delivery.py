from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.delivery_state import DeliveryState, check_delivery_state
from ..models.delivery_type import DeliveryType, check_delivery_type

if TYPE_CHECKING:
    from ..models.attempt import Attempt


T = TypeVar("T", bound="Delivery")


@_attrs_define
class Delivery:
    """
    Attributes:
        id (UUID):
        event_id (UUID):
        seq (int | None): Null of a test event. Example: 1042.
        type_ (DeliveryType):  Example: payment.paid.
        state (DeliveryState): `failed` was given up; a replay may send it again. Example: waiting.
        replay_id (None | UUID): The replay that it is of, if it is of one.
        attempts_made (int):  Example: 1.
        next_attempt_at (datetime.datetime | None): Null while another event of its lane is before it, and while the
            endpoint is suspended or disabled.
        attempts (list[Attempt]): The newest ten, newest first.
        created_at (datetime.datetime):
    """

    id: UUID
    event_id: UUID
    seq: int | None
    type_: DeliveryType
    state: DeliveryState
    replay_id: None | UUID
    attempts_made: int
    next_attempt_at: datetime.datetime | None
    attempts: list[Attempt]
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        event_id = str(self.event_id)

        seq: int | None
        seq = self.seq

        type_: str = self.type_

        state: str = self.state

        replay_id: None | str
        if isinstance(self.replay_id, UUID):
            replay_id = str(self.replay_id)
        else:
            replay_id = self.replay_id

        attempts_made = self.attempts_made

        next_attempt_at: None | str
        if isinstance(self.next_attempt_at, datetime.datetime):
            next_attempt_at = self.next_attempt_at.isoformat()
        else:
            next_attempt_at = self.next_attempt_at

        attempts = []
        for attempts_item_data in self.attempts:
            attempts_item = attempts_item_data.to_dict()
            attempts.append(attempts_item)

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "event_id": event_id,
                "seq": seq,
                "type": type_,
                "state": state,
                "replay_id": replay_id,
                "attempts_made": attempts_made,
                "next_attempt_at": next_attempt_at,
                "attempts": attempts,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.attempt import Attempt

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        event_id = UUID(d.pop("event_id"))

        def _parse_seq(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        seq = _parse_seq(d.pop("seq"))

        type_ = check_delivery_type(d.pop("type"))

        state = check_delivery_state(d.pop("state"))

        def _parse_replay_id(data: object) -> None | UUID:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                replay_id_type_0 = UUID(data)

                return replay_id_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | UUID, data)

        replay_id = _parse_replay_id(d.pop("replay_id"))

        attempts_made = d.pop("attempts_made")

        def _parse_next_attempt_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                next_attempt_at_type_0 = datetime.datetime.fromisoformat(data)

                return next_attempt_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        next_attempt_at = _parse_next_attempt_at(d.pop("next_attempt_at"))

        attempts = []
        _attempts = d.pop("attempts")
        for attempts_item_data in _attempts:
            attempts_item = Attempt.from_dict(attempts_item_data)

            attempts.append(attempts_item)

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            event_id=event_id,
            seq=seq,
            type_=type_,
            state=state,
            replay_id=replay_id,
            attempts_made=attempts_made,
            next_attempt_at=next_attempt_at,
            attempts=attempts,
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
