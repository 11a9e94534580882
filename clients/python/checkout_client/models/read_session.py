from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.read_session_status import ReadSessionStatus, check_read_session_status

if TYPE_CHECKING:
    from ..models.client_secret import ClientSecret
    from ..models.no_action import NoAction
    from ..models.provider_order import ProviderOrder
    from ..models.redirect import Redirect
    from ..models.session_line import SessionLine


T = TypeVar("T", bound="ReadSession")


@_attrs_define
class ReadSession:
    """
    Attributes:
        payment_id (UUID):
        payment_token (str):  Example: mock_pi_6a1f0c3f5f0e5d7c9f3b1d2e4c5a6b7d.
        amount (str):  Example: 240.00.
        currency (str): ISO 4217. Example: USD.
        status (ReadSessionStatus): The payment's, as it is now. Example: pending.
        provider (str):  Example: mock.
        expires_at (datetime.datetime):
        also_under_way (list[UUID]): Older payments for the same cart that somebody had begun to pay when this session
            was opened: they are not canceled, and both may be charged. All others for this cart are canceled. Example: [].
        next_action (ClientSecret | NoAction | ProviderOrder | Redirect):
        lines (list[SessionLine]): In the order of the listings' ids.
    """

    payment_id: UUID
    payment_token: str
    amount: str
    currency: str
    status: ReadSessionStatus
    provider: str
    expires_at: datetime.datetime
    also_under_way: list[UUID]
    next_action: ClientSecret | NoAction | ProviderOrder | Redirect
    lines: list[SessionLine]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.client_secret import ClientSecret
        from ..models.provider_order import ProviderOrder
        from ..models.redirect import Redirect

        payment_id = str(self.payment_id)

        payment_token = self.payment_token

        amount = self.amount

        currency = self.currency

        status: str = self.status

        provider = self.provider

        expires_at = self.expires_at.isoformat()

        also_under_way = []
        for also_under_way_item_data in self.also_under_way:
            also_under_way_item = str(also_under_way_item_data)
            also_under_way.append(also_under_way_item)

        next_action: dict[str, Any]
        if isinstance(self.next_action, Redirect):
            next_action = self.next_action.to_dict()
        elif isinstance(self.next_action, ClientSecret):
            next_action = self.next_action.to_dict()
        elif isinstance(self.next_action, ProviderOrder):
            next_action = self.next_action.to_dict()
        else:
            next_action = self.next_action.to_dict()

        lines = []
        for lines_item_data in self.lines:
            lines_item = lines_item_data.to_dict()
            lines.append(lines_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "payment_id": payment_id,
                "payment_token": payment_token,
                "amount": amount,
                "currency": currency,
                "status": status,
                "provider": provider,
                "expires_at": expires_at,
                "also_under_way": also_under_way,
                "next_action": next_action,
                "lines": lines,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.client_secret import ClientSecret
        from ..models.no_action import NoAction
        from ..models.provider_order import ProviderOrder
        from ..models.redirect import Redirect
        from ..models.session_line import SessionLine

        d = dict(src_dict)
        payment_id = UUID(d.pop("payment_id"))

        payment_token = d.pop("payment_token")

        amount = d.pop("amount")

        currency = d.pop("currency")

        status = check_read_session_status(d.pop("status"))

        provider = d.pop("provider")

        expires_at = datetime.datetime.fromisoformat(d.pop("expires_at"))

        also_under_way = []
        _also_under_way = d.pop("also_under_way")
        for also_under_way_item_data in _also_under_way:
            also_under_way_item = UUID(also_under_way_item_data)

            also_under_way.append(also_under_way_item)

        def _parse_next_action(data: object) -> ClientSecret | NoAction | ProviderOrder | Redirect:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_next_action_type_0 = Redirect.from_dict(data)

                return componentsschemas_next_action_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_next_action_type_1 = ClientSecret.from_dict(data)

                return componentsschemas_next_action_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_next_action_type_2 = ProviderOrder.from_dict(data)

                return componentsschemas_next_action_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_next_action_type_3 = NoAction.from_dict(data)

            return componentsschemas_next_action_type_3

        next_action = _parse_next_action(d.pop("next_action"))

        lines = []
        _lines = d.pop("lines")
        for lines_item_data in _lines:
            lines_item = SessionLine.from_dict(lines_item_data)

            lines.append(lines_item)

        made_of_it = cls(
            payment_id=payment_id,
            payment_token=payment_token,
            amount=amount,
            currency=currency,
            status=status,
            provider=provider,
            expires_at=expires_at,
            also_under_way=also_under_way,
            next_action=next_action,
            lines=lines,
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
