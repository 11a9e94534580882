"""One item of Adyen's webhooks: its signed fields, read once, and those that are only shown.

Money, statuses and names come of the eight signed fields alone: ``reason``, ``eventDate``, ``paymentMethod`` and all of
``additionalData`` could be anybody's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self
from uuid import UUID

from checkout_service.providers.adapters.adyen.spec import MINOR_UNITS
from checkout_service.providers.base import UnreadableError
from checkout_service.providers.fields import amount_from_minor, currency_of, moment_of, nested, text
from checkout_service.providers.minor_units import exceptions_of
from checkout_service.providers.redaction import kept

NAME: Final = "adyen"

REFERENCE: Final = re.compile(r"(adyen_([0-9a-f]{32}))(?:_([0-9a-f]{32}))?")
"""Ours of a payment and, behind it, of a refund, a capture or a void: either of the two names the payment."""

_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")

UNITS: Final = exceptions_of(MINOR_UNITS)
"""Where Adyen's smallest unit is not that of ISO 4217: CLP, CVE, IDR and ISK."""

# ``reason`` holds a card's last digits and its expiry, ``additionalData`` whatever was switched on: neither is kept.
_NAMES: Final = """
    pspReference originalReference merchantAccountCode merchantReference amount value currency eventCode success
    eventDate paymentMethod
"""
_KEPT: Final = frozenset(_NAMES.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A verified item.

    ``psp_ref`` names what was done (a payment, a capture, a dispute), ``original_ref`` the payment that it was done to,
    '' where there is none. ``payment_ref``, ``payment_id`` and ``request_id`` (of a refund, a capture or a void) are
    those of our own reference, '' and None where somebody else's stands there. ``amount`` is None where we cannot hold
    it. ``received_at`` is ours. ``unsigned`` is the whole item: what is taken from there is only shown.
    """

    code: str
    success: bool
    psp_ref: str
    original_ref: str
    payment_ref: str
    payment_id: UUID | None
    request_id: UUID | None
    amount: Decimal | None
    currency: str | None
    received_at: datetime
    unsigned: dict[str, Any]

    @classmethod
    def of(cls, item: dict[str, Any], received_at: datetime) -> Self:
        """Raises UnreadableError for a name that is none, and for an outcome that is neither of the two."""
        reference = REFERENCE.fullmatch(item.get("merchantReference", ""))
        payment_ref, payment, request = reference.groups() if reference else ("", None, None)
        amount, currency = _money(item)
        success = item.get("success")
        if success not in {"true", "false"}:
            raise UnreadableError("success is neither true nor false")
        return cls(
            code=text(item, "eventCode"),
            success=success == "true",
            psp_ref=text(item, "pspReference"),
            original_ref=text(item, "originalReference") if item.get("originalReference") else "",
            payment_ref=payment_ref,
            payment_id=UUID(payment) if payment else None,
            request_id=UUID(request) if request else None,
            amount=amount,
            currency=currency,
            received_at=received_at,
            unsigned=item,
        )

    @property
    def event_id(self) -> str:
        """Adyen gives none: what happened to what, so that a repeated delivery is a duplicate."""
        return f"{self.code}:{self.psp_ref}:{'true' if self.success else 'false'}"

    @property
    def names(self) -> tuple[str, ...]:
        """By which the payment may be found: that of what this was done to, and its own, which a capture may have."""
        return (self.original_ref, self.psp_ref) if self.original_ref else (self.psp_ref,)

    @property
    def occurred_at(self) -> datetime | None:
        """When it happened, to be shown only."""
        try:
            return moment_of(self.unsigned.get("eventDate"))
        except UnreadableError:
            return None

    @property
    def raw(self) -> dict[str, Any]:
        """What is kept of it."""
        return dict(kept(self.unsigned, _KEPT))

    def shown(self, name: str) -> str:
        """An unsigned text, to be shown only; '' where there is none."""
        value = self.unsigned.get(name)
        return value.strip() if isinstance(value, str) else ""

    def shown_in_data(self, name: str) -> str:
        """Likewise of its additional data."""
        data = self.unsigned.get("additionalData")
        value = data.get(name) if isinstance(data, dict) else None
        return value.strip() if isinstance(value, str) else ""


def _money(item: dict[str, Any]) -> tuple[Decimal | None, str | None]:
    """The item's amount; none where we cannot hold it, so that its payment is flagged, not its webhook refused."""
    try:
        currency = currency_of(nested(item, "amount").get("currency"))
        return amount_from_minor(_number(nested(item, "amount").get("value")), currency, UNITS), currency
    except UnreadableError:
        return None, None


def _number(value: object) -> object:
    """The number that a text spells: its signature is that of the number, so it must mean the same."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
