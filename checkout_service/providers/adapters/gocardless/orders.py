"""What GoCardless is asked to open: a billing request for the money, and a flow, which is its pages for the customer.

(API 2015-07-06, "Billing Requests" and "Billing Request Flows".)
"""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.base import Buyer, Opening
from checkout_service.providers.buyers import described, e164, in_two, plain_email

DESCRIPTION: Final = 255

LANGUAGES: Final = frozenset({"da", "de", "en", "es", "fr", "it", "nb", "nl", "pt", "sl", "sv"})
"""Those of its pages; of any other the customer's browser decides."""

LONGEST: Final = 100
"""Characters of a name that are sure to be taken."""


def billing_request(opening: Opening, amount: int, *, deployment: str, fallback: bool) -> dict[str, Any]:
    """The request for ``amount`` minor units. Its metadata is the payment's later on, so that each event names us."""
    ours = {"payment_id": str(opening.payment_id)} | ({"deployment": deployment} if deployment else {})
    return {
        "payment_request": {
            "amount": amount,
            "currency": opening.currency,
            "description": f"Payment {opening.payment_id}",
            "metadata": ours,
        }
        | described(opening, DESCRIPTION),
        "metadata": ours,
        **({"fallback_enabled": True} if fallback else {}),
    }


def plain_flow(request_id: str, opening: Opening, return_url: str | None) -> dict[str, Any]:
    """The customer's pages for a billing request, and where they lead afterwards."""
    urls = {"redirect_uri": opening.return_url or return_url, "exit_uri": opening.cancel_url}
    return {name: url for name, url in urls.items() if url} | {"links": {"billing_request": request_id}}


def whole_flow(flow: dict[str, Any], opening: Opening) -> dict[str, Any]:
    """The same with what the customer need not type again. Where it is delivered to is nothing to a bank."""
    if opening.buyer is None:
        return flow
    language = opening.buyer.locale.partition("-")[0].lower()
    customer = _customer(opening.buyer)
    return {
        **flow,
        **({"language": language} if language in LANGUAGES else {}),
        **({"prefilled_customer": customer} if customer else {}),
    }


def _customer(buyer: Buyer) -> dict[str, str]:
    email, phone, names = plain_email(buyer.email), e164(buyer.phone), in_two(buyer.name)
    found = {"email": email, "phone_number": phone}
    if names is not None and max(map(len, names)) <= LONGEST:
        found |= {"given_name": names[0], "family_name": names[1]}
    return {name: value for name, value in found.items() if value}
