"""The order that is asked for (Orders v2, "Create order")."""

from __future__ import annotations

import re
from typing import Any, Final

from checkout_service.providers.base import Buyer, DeliveryAddress, Opening
from checkout_service.providers.buyers import described, in_two, plain_email

DESCRIPTION: Final = 127

_LOCALE: Final = re.compile(r"([a-zA-Z]{2})(?:-([a-zA-Z]{4}))?(?:-([a-zA-Z]{2}|[0-9]{3}))?")
_COUNTRIES: Final = {"CN": "C2"}
"""PayPal's own codes where they are not those of ISO 3166-1 (PayPal, "Country codes")."""


def order_of(intent: str, unit: dict[str, Any], urls: dict[str, str], *, wallet: dict[str, Any]) -> dict[str, Any]:
    """An order of one unit. ``urls`` and ``wallet`` are of PayPal's own page, and there where it is led to."""
    order: dict[str, Any] = {"intent": intent, "purchase_units": [unit]}
    if urls:
        context = {**urls, "user_action": "PAY_NOW", **wallet.get("experience_context", {})}
        order["payment_source"] = {"paypal": {**wallet, "experience_context": context}}
    elif payer := {name: value for name, value in wallet.items() if name != "experience_context"}:
        # Without addresses PayPal's script has the customer choose how to pay, and the source is theirs to name.
        order["payer"] = payer
    return order


def whole_unit(unit: dict[str, Any], opening: Opening) -> dict[str, Any]:
    """The unit with what the request says of the order, and where it goes."""
    shipping = {"shipping": _shipping(opening.delivery_address)} if opening.delivery_address else {}
    return unit | described(opening, DESCRIPTION) | shipping


def wallet_of(opening: Opening) -> dict[str, Any]:
    """Who pays, and how PayPal's page is to be.

    Of a telephone number it takes the national part alone, which ours does not tell: none is sent.
    """
    context: dict[str, str] = {}
    found: dict[str, Any] = {}
    if opening.delivery_address:
        context["shipping_preference"] = "SET_PROVIDED_ADDRESS"
    if opening.buyer:
        found = _payer(opening.buyer)
        if locale := _locale(opening.buyer.locale):
            context["locale"] = locale
    return {**found, **({"experience_context": context} if context else {})}


def _payer(buyer: Buyer) -> dict[str, Any]:
    email, names = plain_email(buyer.email), in_two(buyer.name)
    return {
        **({"email_address": email} if email else {}),
        **({"name": {"given_name": names[0][:140], "surname": names[1][:140]}} if names else {}),
    }


def _locale(tag: str) -> str | None:
    found = _LOCALE.fullmatch(tag)
    if found is None:
        return None
    language, script, country = found.groups()
    return "-".join(filter(None, (language.lower(), script and script.title(), country and country.upper())))


def _shipping(address: DeliveryAddress) -> dict[str, Any]:
    place = {
        "address_line_1": address.line1,
        "address_line_2": address.line2,
        "admin_area_2": address.city,
        "admin_area_1": address.region,
        "postal_code": address.postal_code,
        "country_code": _COUNTRIES.get(address.country, address.country),
    }
    return {
        "name": {"full_name": address.name},
        "address": {name: value for name, value in place.items() if value is not None},
    }
