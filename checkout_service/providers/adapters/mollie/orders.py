"""The payment that is asked for (Payments API v2, "Create payment")."""

from __future__ import annotations

from typing import Any, Final

from checkout_service.providers.base import Buyer, DeliveryAddress, Opening
from checkout_service.providers.buyers import described, e164, in_two, language_and_country, plain_email

DESCRIPTION: Final = 255
LONGEST: Final = 100
"""Characters of a line of an address that are sure to be taken."""

LOCALES: Final = frozenset(
    {
        *("en_US", "en_GB", "nl_NL", "nl_BE", "fr_FR", "fr_BE", "de_DE", "de_AT", "de_CH", "es_ES", "ca_ES", "pt_PT"),
        *("it_IT", "nb_NO", "sv_SE", "fi_FI", "da_DK", "is_IS", "hu_HU", "pl_PL", "lv_LV", "lt_LT"),
    }
)
"""Those of Mollie's pages; any other is refused."""


def whole_order(order: dict[str, Any], opening: Opening) -> dict[str, Any]:
    """The order with what the request says of buyer and delivery, as far as Mollie takes it."""
    buyer = _buyer(opening.buyer) if opening.buyer else {}
    address = _address(opening.delivery_address) if opening.delivery_address else None
    return order | described(opening, DESCRIPTION) | buyer | ({"shippingAddress": address} if address else {})


def _buyer(buyer: Buyer) -> dict[str, Any]:
    """Locale, and name, mail and number as those of the billing address. Without a mail it would be no address."""
    place = language_and_country(buyer.locale)
    locale = "_".join(place) if place else ""
    email = plain_email(buyer.email)
    return {
        **({"locale": locale} if locale in LOCALES else {}),
        **({"billingAddress": {**_names(buyer.name), "email": email, **_phone(buyer.phone)}} if email else {}),
    }


def _address(address: DeliveryAddress) -> dict[str, str] | None:
    """None where a line of it is longer than Mollie is sure to take: half an address leads nowhere."""
    found = {
        **_names(address.name),
        "streetAndNumber": address.line1,
        **({"streetAdditional": address.line2} if address.line2 else {}),
        "postalCode": address.postal_code,
        "city": address.city,
        **({"region": address.region} if address.region else {}),
        "country": address.country,
        **_phone(address.phone),
    }
    return found if max(map(len, found.values())) <= LONGEST else None


def _names(name: str) -> dict[str, str]:
    names = in_two(name)
    if names is None or max(map(len, names)) > LONGEST:
        return {}
    return {"givenName": names[0], "familyName": names[1]}


def _phone(phone: str | None) -> dict[str, str]:
    number = e164(phone)
    return {"phone": number} if number else {}
