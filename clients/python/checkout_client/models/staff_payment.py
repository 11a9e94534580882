from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..models.staff_payment_review_reasons_item import (
    StaffPaymentReviewReasonsItem,
    check_staff_payment_review_reasons_item,
)
from ..models.staff_payment_status import StaffPaymentStatus, check_staff_payment_status

if TYPE_CHECKING:
    from ..models.order_of_payment import OrderOfPayment


T = TypeVar("T", bound="StaffPayment")


@_attrs_define
class StaffPayment:
    """
    Attributes:
        id (UUID):
        status (StaffPaymentStatus): pending, processing, failed, authorized (money is promised, none came), expired,
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
        customer (UUID): The customer's user id.
        reference (str): The provider's name for it. Example: mock_pi_1.
        review_reasons (list[StaffPaymentReviewReasonsItem]): Why a person has to look at it. Example: ['mismatch'].
    """

    id: UUID
    status: StaffPaymentStatus
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
    customer: UUID
    reference: str
    review_reasons: list[StaffPaymentReviewReasonsItem]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.order_of_payment import OrderOfPayment

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

        customer = str(self.customer)

        reference = self.reference

        review_reasons = []
        for review_reasons_item_data in self.review_reasons:
            review_reasons_item: str = review_reasons_item_data
            review_reasons.append(review_reasons_item)

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
                "customer": customer,
                "reference": reference,
                "review_reasons": review_reasons,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.order_of_payment import OrderOfPayment

        d = dict(src_dict)
        id = UUID(d.pop("id"))

        status = check_staff_payment_status(d.pop("status"))

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

        customer = UUID(d.pop("customer"))

        reference = d.pop("reference")

        review_reasons = []
        _review_reasons = d.pop("review_reasons")
        for review_reasons_item_data in _review_reasons:
            review_reasons_item = check_staff_payment_review_reasons_item(review_reasons_item_data)

            review_reasons.append(review_reasons_item)

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
            customer=customer,
            reference=reference,
            review_reasons=review_reasons,
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
