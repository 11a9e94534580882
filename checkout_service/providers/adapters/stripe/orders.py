"""The PaymentIntent that is asked for (docs.stripe.com/api/payment_intents/create)."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.base import DeliveryAddress, Opening
from checkout_service.providers.buyers import described, plain_email

DESCRIPTION: Final = 255
"""As much as a request may have; Stripe takes more."""


def whole_order(order: dict[str, Any], opening: Opening) -> dict[str, Any]:
    """The order with what the request says of buyer and delivery. An intent has no place for a name or a language."""
    email = plain_email(opening.buyer.email) if opening.buyer else None
    shipping = _shipping(opening.delivery_address) if opening.delivery_address else None
    return {
        **order,
        **described(opening, DESCRIPTION),
        **({"receipt_email": email} if email else {}),
        **({"shipping": shipping} if shipping else {}),
    }


def _shipping(address: DeliveryAddress) -> dict[str, Any]:
    place = {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.region,
        "postal_code": address.postal_code,
        "country": address.country,
    }
    return {
        "name": address.name,
        "address": {name: value for name, value in place.items() if value is not None},
        **({"phone": address.phone} if address.phone else {}),
    }
