from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.settlement_file_state import SettlementFileState, check_settlement_file_state

T = TypeVar("T", bound="SettlementFile")


@_attrs_define
class SettlementFile:
    """
    Attributes:
        id (UUID):
        name (str):
        form (str): What kind of file it is, and which version.
        account (None | str):
        rows (int):
        state (SettlementFileState):
        entered_at (datetime.datetime | None):
        was_accepted (bool): Whether it did not add up, and an operator accepted what it lacks.
    """

    id: UUID
    name: str
    form: str
    account: None | str
    rows: int
    state: SettlementFileState
    entered_at: datetime.datetime | None
    was_accepted: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = str(self.id)

        name = self.name

        form = self.form

        account: None | str
        account = self.account

        rows = self.rows

        state: str = self.state

        entered_at: None | str
        if isinstance(self.entered_at, datetime.datetime):
            entered_at = self.entered_at.isoformat()
        else:
            entered_at = self.entered_at

        was_accepted = self.was_accepted

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "name": name,
                "form": form,
                "account": account,
                "rows": rows,
                "state": state,
                "entered_at": entered_at,
                "was_accepted": was_accepted,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = UUID(d.pop("id"))

        name = d.pop("name")

        form = d.pop("form")

        def _parse_account(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        account = _parse_account(d.pop("account"))

        rows = d.pop("rows")

        state = check_settlement_file_state(d.pop("state"))

        def _parse_entered_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                entered_at_type_0 = datetime.datetime.fromisoformat(data)

                return entered_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        entered_at = _parse_entered_at(d.pop("entered_at"))

        was_accepted = d.pop("was_accepted")

        made_of_it = cls(
            id=id,
            name=name,
            form=form,
            account=account,
            rows=rows,
            state=state,
            entered_at=entered_at,
            was_accepted=was_accepted,
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
