from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="Attempt")


@_attrs_define
class Attempt:
    """
    Attributes:
        id (UUID):
        attempt (int):  Example: 1.
        succeeded (bool):
        status (int | None): Null where no answer came. Example: 500.
        error (None | str): Why none came, such as timeout.
        answer (None | str): Of a failure the first KiB of the answer; what is not text is escaped. Example: no.
        duration_ms (int):  Example: 41.
        created_at (datetime.datetime):
    """

    id: UUID
    attempt: int
    succeeded: bool
    status: int | None
    error: None | str
    answer: None | str
    duration_ms: int
    created_at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        attempt = self.attempt

        succeeded = self.succeeded

        status: int | None
        status = self.status

        error: None | str
        error = self.error

        answer: None | str
        answer = self.answer

        duration_ms = self.duration_ms

        created_at = self.created_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "attempt": attempt,
                "succeeded": succeeded,
                "status": status,
                "error": error,
                "answer": answer,
                "duration_ms": duration_ms,
                "created_at": created_at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        attempt = d.pop("attempt")

        succeeded = d.pop("succeeded")

        def _parse_status(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        status = _parse_status(d.pop("status"))

        def _parse_error(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        error = _parse_error(d.pop("error"))

        def _parse_answer(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        answer = _parse_answer(d.pop("answer"))

        duration_ms = d.pop("duration_ms")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        made_of_it = cls(
            id=id,
            attempt=attempt,
            succeeded=succeeded,
            status=status,
            error=error,
            answer=answer,
            duration_ms=duration_ms,
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
