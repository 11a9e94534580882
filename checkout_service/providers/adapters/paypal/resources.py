"""What any resource of PayPal's says of itself: whose it is, how much money, and the names of its neighbours.

Webhooks and answers hold the same resources. (PayPal, "Orders v2", "Payments v2" and "Disputes v1"; where an event
still comes in the shape of Payments v1, its names for the same things are read too.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import amount_from_text, currency_of, moment_of, nested, text

NAME: Final = "paypal"

REFERENCE: Final = re.compile(r"(paypal_([0-9a-f]{32}))(?:_([0-9a-f]{32}))?")
"""Ours of a payment and, behind it, of a refund or of a capture that we requested."""

_OWN: Final = ("custom_id", "invoice_id", "custom", "invoice_number")
"""Where our reference may be; the last two in disputes and in the shape of v1."""

_UP: Final = re.compile(r"/(?:v2/payments/(captures|authorizations)|v2/checkout/(orders))/([0-9A-Za-z_-]{1,40})$")

_NAMES: Final = """
    id event_type create_time update_time resource resource_type status amount value currency_code custom_id invoice_id
    supplementary_data related_ids order_id authorization_id capture_id final_capture expiration_time reason
    status_details dispute_id dispute_amount dispute_life_cycle_stage dispute_channel dispute_outcome outcome_code
    seller_response_due_date disputed_transactions seller_transaction_id custom invoice_number gross_amount
"""
KEPT: Final = frozenset(_NAMES.split())
"""Of a webhook or an answer; not the payer's name and address, messages of a dispute, nor how it was paid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReference:
    """Our reference, and the payment's id."""

    provider_ref: str
    payment_id: UUID


def own_reference(resource: dict[str, Any]) -> OwnReference | None:
    """Our reference in a capture, an authorization, a refund or a disputed transaction; None if there is none."""
    for name in _OWN:
        if found := _reference(resource, name):
            return OwnReference(provider_ref=found[1], payment_id=UUID(found[2]))
    return None


def own_part(resource: dict[str, Any], name: str) -> UUID | None:
    """Our id behind the payment's reference: in ``custom_id`` a refund's, in ``invoice_id`` a capture request's."""
    found = _reference(resource, name)
    return UUID(found[3]) if found and found[3] else None


def is_of_another(resource: dict[str, Any]) -> bool:
    """Whether it carries somebody's reference, and it is not ours."""
    return own_reference(resource) is None and any(resource.get(name) for name in _OWN)


def money(resource: dict[str, Any], name: str = "amount") -> tuple[Decimal, str]:
    """An amount and its currency. Raises UnreadableError where there is none that we can hold.

    In the shape of v1 what is given back has a minus; here no amount has one.
    """
    amount = nested(resource, name)
    value, currency = amount.get("value"), amount.get("currency_code")
    if value is None and isinstance(total := amount.get("total"), str):
        value, currency = total.removeprefix("-"), amount.get("currency")
    of = currency_of(currency)
    return amount_from_text(value, of), of


def money_if_any(resource: dict[str, Any], name: str = "amount") -> tuple[Decimal | None, str | None]:
    """The same; twice None where there is none that we can hold."""
    try:
        return money(resource, name)
    except UnreadableError:
        return None, None


def moment_if_any(resource: dict[str, Any], *names: str) -> datetime | None:
    """The first of these times that can be read; it is only shown, or one of several clocks."""
    for name in names:
        try:
            return moment_of(resource.get(name))
        except UnreadableError:
            continue
    return None


def state_of(resource: dict[str, Any]) -> str:
    """Its status in PayPal's capitals; '' where it has none."""
    value = resource.get("status", resource.get("state"))
    return value.upper() if isinstance(value, str) else ""


def capture_of(resource: dict[str, Any]) -> str | None:
    """The id of the capture that a refund or a reversal is of."""
    return _up(resource, "captures") or related(resource, "capture_id") or _text_if_any(resource, "capture_id")


def authorization_of(resource: dict[str, Any]) -> str | None:
    """The id of the authorization that a capture is of, or that a reauthorization stands for; None without one."""
    return _up(resource, "authorizations") or related(resource, "authorization_id")


def order_of(resource: dict[str, Any]) -> str | None:
    """The id of the order that it is of."""
    return _up(resource, "orders") or related(resource, "order_id") or _text_if_any(resource, "order_id")


def related(resource: dict[str, Any], name: str) -> str | None:
    """One of the ids that PayPal adds of its neighbours."""
    try:
        return _text_if_any(nested(resource, "supplementary_data", "related_ids"), name)
    except UnreadableError:
        return None


def _up(resource: dict[str, Any], kind: str) -> str | None:
    """The last step of its link "up", if that leads to something of that kind; the rest of the address is not used."""
    links = resource.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "up" and (found := _UP.search(str(link.get("href")))):
            return found[3] if kind in (found[1], found[2]) else None
    return None


def _reference(resource: dict[str, Any], name: str) -> re.Match[str] | None:
    value = resource.get(name)
    return REFERENCE.fullmatch(value) if isinstance(value, str) else None


def _text_if_any(holder: dict[str, Any], name: str) -> str | None:
    try:
        return text(holder, name)
    except UnreadableError:
        return None
