"""What all of Stripe's objects have in common: its smallest units, ids that stand whole or alone, and what we keep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout_service.money import decimals
from checkout_service.providers.adapters.stripe.spec import MINOR_UNITS
from checkout_service.providers.base import Decline, ProviderRefusedError
from checkout_service.providers.fields import amount_from_minor, minor_units, text, unix_moment_of
from checkout_service.providers.minor_units import exceptions_of

NAME: Final = "stripe"

EXCEPTIONS: Final = exceptions_of(MINOR_UNITS)
"""Where Stripe's smallest unit is not ISO 4217's: ISK, UGX and MGA."""

_KEPT: Final = """
    amount amount_capturable amount_captured amount_received amount_refunded api_version balance_transaction
    balance_transactions canceled_at cancellation_reason capture_before captured charge code created currency
    data decline_code deployment disputed due_by evidence_details failure_code failure_reason fraud_type id
    is_charge_refundable last_payment_error latest_charge livemode metadata object payment_id payment_intent reason
    refund_id refunded status type
"""
KEPT: Final = frozenset(_KEPT.split())
"""Nothing of a payment method, a customer or a card, and no client_secret."""

Object = Mapping[str, Any]


def charged(amount: Decimal, currency: str) -> int:
    """What to charge, in Stripe's smallest unit; no fraction of a currency that has none, whatever Stripe counts.

    Of three decimals Stripe takes those that end in 0 (docs.stripe.com/currencies, "three-decimal currencies").
    """
    charge = minor_units(amount, currency, EXCEPTIONS)
    if decimals(currency) == 3 and charge % 10:
        raise ProviderRefusedError(f"{currency}: the last of three decimals must be 0", reason=Decline.AMOUNT_REFUSED)
    return charge


def money(holder: Object, name: str, currency: str) -> Decimal:
    """An amount that an object states; 0 where it is left out."""
    return amount_from_minor(holder.get(name, 0), currency, EXCEPTIONS)


def id_of(value: object) -> str:
    """The id of an object that stands here whole or as its id alone."""
    return text(value if isinstance(value, dict) else {"id": value}, "id")


def optional_id_of(value: object) -> str:
    """The same, and '' where there is none."""
    return id_of(value) if value is not None else ""


def metadata_of(holder: Object) -> Object:
    """What we, or another shop, wrote beside an object."""
    return object_in(holder, "metadata")


def object_in(holder: Object, name: str) -> Object:
    """The object of that name; an empty one where something else stands there."""
    found = holder.get(name)
    return found if isinstance(found, dict) else {}


def moment_in(holder: Object, name: str) -> datetime | None:
    """An aware time; None where nothing or 0 stands there."""
    value = holder.get(name)
    return unix_moment_of(value) if value else None
