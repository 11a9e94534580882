"""What a customer asks for when they ask to pay."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from checkout_service.api.idempotency_key import request_hash
from checkout_service.checkout.bounds import Bounds
from checkout_service.checkout.return_urls import filled_in
from checkout_service.money import show
from checkout_service.providers.base import Buyer, DeliveryAddress, Opening


@dataclass(frozen=True, kw_only=True)
class Order:
    """The customer's request, and what they may have at once.

    ``expected_total`` is None if the customer did not send the total that they saw; ``buyer`` and ``delivery_address``
    are None where the order is to name none, else texts by the members of ``schemas.BuyerSchema`` and
    ``schemas.DeliveryAddressSchema``. ``return_url`` and ``cancel_url`` may have ``return_urls.PLACEHOLDER`` in them.
    """

    user_id: UUID
    key: str
    cart_id: UUID
    provider: str | None
    expected_total: Decimal | None
    bounds: Bounds
    buyer: dict[str, Any] | None = None
    delivery_address: dict[str, Any] | None = None
    return_url: str | None = None
    cancel_url: str | None = None
    description: str | None = None

    @cached_property
    def request_hash(self) -> bytes:
        """What is not given is no part of it where earlier releases did not know it: their hashes stay theirs."""
        expected = None if self.expected_total is None else show(self.expected_total, None)
        given = {
            "buyer": self.buyer,
            "delivery_address": self.delivery_address,
            "return_url": self.return_url,
            "cancel_url": self.cancel_url,
            "description": self.description,
        }
        return request_hash(
            {"cart_id": str(self.cart_id), "provider": self.provider, "expected_total": expected}
            | {name: value for name, value in given.items() if value is not None}
        )

    def opening(self, *, payment_id: UUID, amount: Decimal, currency: str) -> Opening:
        """What the provider is to open for it: of this request and its cart alone, so that a retry opens the same."""
        return Opening(
            payment_id=payment_id,
            amount=amount,
            currency=currency,
            return_url=filled_in(self.return_url, payment_id),
            cancel_url=filled_in(self.cancel_url, payment_id),
            buyer=None if self.buyer is None else Buyer(**self.buyer),
            delivery_address=None if self.delivery_address is None else DeliveryAddress(**self.delivery_address),
            description=self.description,
        )
