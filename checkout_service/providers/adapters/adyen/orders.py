"""The payment link that is asked for (Checkout API v72, PaymentLinkRequest)."""

from __future__ import annotations

import re
from typing import Any, Final

from checkout_service.providers.base import Buyer, DeliveryAddress, Opening
from checkout_service.providers.buyers import described, e164, in_two, language_and_country, plain_email

DESCRIPTION: Final = 280

NO_NUMBER: Final = "N/A"
"""Adyen wants the house's number apart from the street, which an address of ours does not tell."""

_LONGEST_POSTAL_CODE: Final = 10
_ZIP_CODE: Final = re.compile(r"([0-9]{5})(?:-?[0-9]{4})?")
_STATE: Final = re.compile(r"[A-Z]{2}")
_WITH_STATES: Final = frozenset({"US", "CA"})


def whole_order(order: dict[str, Any], opening: Opening) -> dict[str, Any]:
    """The order with what the request says of buyer and delivery, as far as Adyen takes it."""
    buyer = _buyer(opening.buyer) if opening.buyer else {}
    address = _address(opening.delivery_address) if opening.delivery_address else None
    return order | described(opening, DESCRIPTION) | buyer | ({"deliveryAddress": address} if address else {})


def _buyer(buyer: Buyer) -> dict[str, Any]:
    names, place = in_two(buyer.name), language_and_country(buyer.locale)
    found = {
        "shopperEmail": plain_email(buyer.email),
        "shopperName": {"firstName": names[0], "lastName": names[1]} if names else None,
        "shopperLocale": "-".join(place) if place and len(place[0]) == 2 else None,
        "telephoneNumber": e164(buyer.phone),
    }
    return {name: value for name, value in found.items() if value is not None}


def _address(address: DeliveryAddress) -> dict[str, str] | None:
    """None where Adyen would refuse it: too long a postal code, or no state of two characters where one has to be."""
    postal_code, region = address.postal_code, (address.region or "").upper()
    if address.country == "US":
        zip_code = _ZIP_CODE.fullmatch(postal_code)
        postal_code = zip_code[1] if zip_code else ""
    has_state = _STATE.fullmatch(region) is not None
    if not 0 < len(postal_code) <= _LONGEST_POSTAL_CODE or (address.country in _WITH_STATES and not has_state):
        return None
    return {
        "street": ", ".join(line for line in (address.line1, address.line2) if line),
        "houseNumberOrName": NO_NUMBER,
        "postalCode": postal_code,
        "city": address.city,
        "country": address.country,
        **({"stateOrProvince": region} if has_state else {}),
    }
