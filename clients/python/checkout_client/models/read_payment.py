from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.read_payment_status import ReadPaymentStatus, check_read_payment_status
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.client_secret import ClientSecret
    from ..models.no_action import NoAction
    from ..models.order_of_payment import OrderOfPayment
    from ..models.provider_order import ProviderOrder
    from ..models.redirect import Redirect
    from ..models.timeline_entry import TimelineEntry


T = TypeVar("T", bound="ReadPayment")


@_attrs_define
class ReadPayment:
    """
    Attributes:
        id (UUID):
        status (ReadPaymentStatus): pending, processing, failed, authorized (money is promised, none came), expired,
            canceled, partially_paid (less came than is due), paid, reversed (all that came went again by disputes). It may
            go back, as when a dispute that was lost is won. Refunds do not move it. Example: paid.
        amount (str): What was to be paid. Example: 240.00.
        currency (str): ISO 4217. Example: USD.
        amount_captured (str): What came. Example: 240.00.
        amount_lost (str): What went again by disputes and undone captures. Example: 0.00.
        amount_refundable (str): What may be given back now. Example: 240.00.
        amount_authorized (str): What is promised and was not captured. Example: 0.00.
        amount_accepted (None | str): What a person accepted in place of amount.
        amount_refunded (str): What was given back of it. Example: 0.00.
        amount_refunding (str): What is on its way back: refunds requested or processing. Example: 0.00.
        under_way (bool): Whether some try to pay is under way, whatever the status is: do not pay again.
        authorization_expires_at (datetime.datetime | None): The nearest end of what is authorized.
        duplicate_of (list[UUID]): Other payments for the same cart, or for the same things of a guest's cart that went
            into it, where money came for both.
        order (None | OrderOfPayment): The order that it pays for; null until money came or is authorized.
        provider (str):  Example: mock.
        under_review (bool): Whether a person has to look at it.
        version (int): Counts the changes of status, sums and reasons.
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
        timeline (list[TimelineEntry]):
        earlier_cursor (None | str): Where the timeline is longer: what to pass as `before` for the entries before
            these.
        review_reasons (list[str] | Unset): For staff alone: why a person has to look. Example: ['mismatch'].
        customer (UUID | Unset): For staff alone: the customer's user id.
        reference (str | Unset): For staff alone: the provider's name for the payment. Example: mock_pi_1.
        next_action (ClientSecret | NoAction | ProviderOrder | Redirect | Unset):
    """

    id: UUID
    status: ReadPaymentStatus
    amount: str
    currency: str
    amount_captured: str
    amount_lost: str
    amount_refundable: str
    amount_authorized: str
    amount_accepted: None | str
    amount_refunded: str
    amount_refunding: str
    under_way: bool
    authorization_expires_at: datetime.datetime | None
    duplicate_of: list[UUID]
    order: None | OrderOfPayment
    provider: str
    under_review: bool
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    timeline: list[TimelineEntry]
    earlier_cursor: None | str
    review_reasons: list[str] | Unset = UNSET
    customer: UUID | Unset = UNSET
    reference: str | Unset = UNSET
    next_action: ClientSecret | NoAction | ProviderOrder | Redirect | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.client_secret import ClientSecret
        from ..models.order_of_payment import OrderOfPayment
        from ..models.provider_order import ProviderOrder
        from ..models.redirect import Redirect

        id = str(self.id)

        status: str = self.status

        amount = self.amount

        currency = self.currency

        amount_captured = self.amount_captured

        amount_lost = self.amount_lost

        amount_refundable = self.amount_refundable

        amount_authorized = self.amount_authorized

        amount_accepted: None | str
        amount_accepted = self.amount_accepted

        amount_refunded = self.amount_refunded

        amount_refunding = self.amount_refunding

        under_way = self.under_way

        authorization_expires_at: None | str
        if isinstance(self.authorization_expires_at, datetime.datetime):
            authorization_expires_at = self.authorization_expires_at.isoformat()
        else:
            authorization_expires_at = self.authorization_expires_at

        duplicate_of = []
        for duplicate_of_item_data in self.duplicate_of:
            duplicate_of_item = str(duplicate_of_item_data)
            duplicate_of.append(duplicate_of_item)

        order: dict[str, Any] | None
        if isinstance(self.order, OrderOfPayment):
            order = self.order.to_dict()
        else:
            order = self.order

        provider = self.provider

        under_review = self.under_review

        version = self.version

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        timeline = []
        for timeline_item_data in self.timeline:
            timeline_item = timeline_item_data.to_dict()
            timeline.append(timeline_item)

        earlier_cursor: None | str
        earlier_cursor = self.earlier_cursor

        review_reasons: list[str] | Unset = UNSET
        if not isinstance(self.review_reasons, Unset):
            review_reasons = self.review_reasons

        customer: str | Unset = UNSET
        if not isinstance(self.customer, Unset):
            customer = str(self.customer)

        reference = self.reference

        next_action: dict[str, Any] | Unset
        if isinstance(self.next_action, Unset):
            next_action = UNSET
        elif isinstance(self.next_action, Redirect):
            next_action = self.next_action.to_dict()
        elif isinstance(self.next_action, ClientSecret):
            next_action = self.next_action.to_dict()
        elif isinstance(self.next_action, ProviderOrder):
            next_action = self.next_action.to_dict()
        else:
            next_action = self.next_action.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "status": status,
                "amount": amount,
                "currency": currency,
                "amount_captured": amount_captured,
                "amount_lost": amount_lost,
                "amount_refundable": amount_refundable,
                "amount_authorized": amount_authorized,
                "amount_accepted": amount_accepted,
                "amount_refunded": amount_refunded,
                "amount_refunding": amount_refunding,
                "under_way": under_way,
                "authorization_expires_at": authorization_expires_at,
                "duplicate_of": duplicate_of,
                "order": order,
                "provider": provider,
                "under_review": under_review,
                "version": version,
                "created_at": created_at,
                "updated_at": updated_at,
                "timeline": timeline,
                "earlier_cursor": earlier_cursor,
            }
        )
        if review_reasons is not UNSET:
            field_dict["review_reasons"] = review_reasons
        if customer is not UNSET:
            field_dict["customer"] = customer
        if reference is not UNSET:
            field_dict["reference"] = reference
        if next_action is not UNSET:
            field_dict["next_action"] = next_action

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.client_secret import ClientSecret
        from ..models.no_action import NoAction
        from ..models.order_of_payment import OrderOfPayment
        from ..models.provider_order import ProviderOrder
        from ..models.redirect import Redirect
        from ..models.timeline_entry import TimelineEntry

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        status = check_read_payment_status(d.pop("status"))

        amount = d.pop("amount")

        currency = d.pop("currency")

        amount_captured = d.pop("amount_captured")

        amount_lost = d.pop("amount_lost")

        amount_refundable = d.pop("amount_refundable")

        amount_authorized = d.pop("amount_authorized")

        def _parse_amount_accepted(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        amount_accepted = _parse_amount_accepted(d.pop("amount_accepted"))

        amount_refunded = d.pop("amount_refunded")

        amount_refunding = d.pop("amount_refunding")

        under_way = d.pop("under_way")

        def _parse_authorization_expires_at(data: object) -> datetime.datetime | None:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                authorization_expires_at_type_0 = datetime.datetime.fromisoformat(data)

                return authorization_expires_at_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None, data)

        authorization_expires_at = _parse_authorization_expires_at(d.pop("authorization_expires_at"))

        duplicate_of = []
        _duplicate_of = d.pop("duplicate_of")
        for duplicate_of_item_data in _duplicate_of:
            duplicate_of_item = UUID(duplicate_of_item_data)

            duplicate_of.append(duplicate_of_item)

        def _parse_order(data: object) -> None | OrderOfPayment:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                order_type_0 = OrderOfPayment.from_dict(data)

                return order_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | OrderOfPayment, data)

        order = _parse_order(d.pop("order"))

        provider = d.pop("provider")

        under_review = d.pop("under_review")

        version = d.pop("version")

        created_at = datetime.datetime.fromisoformat(d.pop("created_at"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updated_at"))

        timeline = []
        _timeline = d.pop("timeline")
        for timeline_item_data in _timeline:
            timeline_item = TimelineEntry.from_dict(timeline_item_data)

            timeline.append(timeline_item)

        def _parse_earlier_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        earlier_cursor = _parse_earlier_cursor(d.pop("earlier_cursor"))

        review_reasons = cast(list[str], d.pop("review_reasons", UNSET))

        _customer = d.pop("customer", UNSET)
        customer: UUID | Unset
        if isinstance(_customer, Unset):
            customer = UNSET
        else:
            customer = UUID(_customer)

        reference = d.pop("reference", UNSET)

        def _parse_next_action(data: object) -> ClientSecret | NoAction | ProviderOrder | Redirect | Unset:
            if isinstance(data, Unset):
                return data
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

        next_action = _parse_next_action(d.pop("next_action", UNSET))

        made_of_it = cls(
            id=id,
            status=status,
            amount=amount,
            currency=currency,
            amount_captured=amount_captured,
            amount_lost=amount_lost,
            amount_refundable=amount_refundable,
            amount_authorized=amount_authorized,
            amount_accepted=amount_accepted,
            amount_refunded=amount_refunded,
            amount_refunding=amount_refunding,
            under_way=under_way,
            authorization_expires_at=authorization_expires_at,
            duplicate_of=duplicate_of,
            order=order,
            provider=provider,
            under_review=under_review,
            version=version,
            created_at=created_at,
            updated_at=updated_at,
            timeline=timeline,
            earlier_cursor=earlier_cursor,
            review_reasons=review_reasons,
            customer=customer,
            reference=reference,
            next_action=next_action,
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
