from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.buyer import Buyer
    from ..models.delivery_address import DeliveryAddress


T = TypeVar("T", bound="OpenSession")


@_attrs_define
class OpenSession:
    """
    Attributes:
        cart_id (UUID): The id that GET /api/cart shows.
        provider (str | Unset): One of the providers that are on; the first of them by default. Example: mock.
        expected_total (str | Unset): The total that the customer saw; another true total is a 409. Example: 240.00.
        buyer (Buyer | Unset):
        delivery_address (DeliveryAddress | Unset):
        description (str | Unset): What is bought, for the provider's page and its receipts. Example: School blazers.
        return_url (str | Unset): Where the provider's page sends the customer afterwards, in place of the account's
            own. Of an origin in `RETURN_ORIGINS`; `{payment_id}` in it is filled in. Example:
            https://shop.example/paid/{payment_id}.
        cancel_url (str | Unset): The same for one who does not pay, at providers that tell them apart. Of an origin in
            `RETURN_ORIGINS`; `{payment_id}` in it is filled in. Example: https://shop.example/paid/{payment_id}.
    """

    cart_id: UUID
    provider: str | Unset = UNSET
    expected_total: str | Unset = UNSET
    buyer: Buyer | Unset = UNSET
    delivery_address: DeliveryAddress | Unset = UNSET
    description: str | Unset = UNSET
    return_url: str | Unset = UNSET
    cancel_url: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        cart_id = str(self.cart_id)

        provider = self.provider

        expected_total = self.expected_total

        buyer: dict[str, Any] | Unset = UNSET
        if not isinstance(self.buyer, Unset):
            buyer = self.buyer.to_dict()

        delivery_address: dict[str, Any] | Unset = UNSET
        if not isinstance(self.delivery_address, Unset):
            delivery_address = self.delivery_address.to_dict()

        description = self.description

        return_url = self.return_url

        cancel_url = self.cancel_url

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "cart_id": cart_id,
            }
        )
        if provider is not UNSET:
            field_dict["provider"] = provider
        if expected_total is not UNSET:
            field_dict["expected_total"] = expected_total
        if buyer is not UNSET:
            field_dict["buyer"] = buyer
        if delivery_address is not UNSET:
            field_dict["delivery_address"] = delivery_address
        if description is not UNSET:
            field_dict["description"] = description
        if return_url is not UNSET:
            field_dict["return_url"] = return_url
        if cancel_url is not UNSET:
            field_dict["cancel_url"] = cancel_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.buyer import Buyer
        from ..models.delivery_address import DeliveryAddress

        d = dict(src_dict)
        cart_id = UUID(d.pop("cart_id"))

        provider = d.pop("provider", UNSET)

        expected_total = d.pop("expected_total", UNSET)

        _buyer = d.pop("buyer", UNSET)
        buyer: Buyer | Unset
        if isinstance(_buyer, Unset):
            buyer = UNSET
        else:
            buyer = Buyer.from_dict(_buyer)

        _delivery_address = d.pop("delivery_address", UNSET)
        delivery_address: DeliveryAddress | Unset
        if isinstance(_delivery_address, Unset):
            delivery_address = UNSET
        else:
            delivery_address = DeliveryAddress.from_dict(_delivery_address)

        description = d.pop("description", UNSET)

        return_url = d.pop("return_url", UNSET)

        cancel_url = d.pop("cancel_url", UNSET)

        made_of_it = cls(
            cart_id=cart_id,
            provider=provider,
            expected_total=expected_total,
            buyer=buyer,
            delivery_address=delivery_address,
            description=description,
            return_url=return_url,
            cancel_url=cancel_url,
        )

        return made_of_it
