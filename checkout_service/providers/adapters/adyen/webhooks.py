"""Adyen's webhooks: a batch of items, each signed by itself over eight of its fields, with no time among them.

Nothing is decided on a field that is not signed: ``reason``, ``eventDate``, ``live`` and all of ``additionalData``
could be anybody's. One unverified item refuses its whole webhook: Adyen did not send it, so what else is in it was
copied from somewhere. A verified item that cannot be understood takes no other with it. (Adyen, "Verify HMAC
signatures" and "Webhook types".)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.base import ParsedWebhook, ProviderEvent, ProviderRefundEvent, UnreadableError
from checkout_service.providers.fields import (
    amount_from_minor,
    currency_of,
    items,
    json_object,
    moment_of,
    nested,
    text,
)
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.signatures import before_verification, matching, signed_digest

NAME: Final = "adyen"

REFERENCE: Final = re.compile(r"(adyen_([0-9a-f]{32}))(?:_([0-9a-f]{32}))?")
"""Ours of a payment and, behind it, of a refund: whichever of the two a webhook carries, it names the payment."""

UNITS: Final = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
"""Where Adyen's smallest unit is not that of ISO 4217 (Adyen, "Currency codes and minor units")."""

# In manual capture an authorisation is only a promise; see ``payment_status``.
_PAYMENTS: Final = {
    ("PENDING", True): PaymentStatus.PROCESSING,
    ("AUTHORISATION", True): PaymentStatus.PAID,
    ("AUTHORISATION", False): PaymentStatus.FAILED,  # of this attempt: the customer may make another
    ("OFFER_CLOSED", True): PaymentStatus.FAILED,  # likewise: the link stays open for another method
    ("CAPTURE", True): PaymentStatus.PAID,
    ("CAPTURE", False): PaymentStatus.FAILED,
    ("EXPIRE", True): PaymentStatus.EXPIRED,
    ("CANCELLATION", True): PaymentStatus.CANCELED,
    ("TECHNICAL_CANCEL", True): PaymentStatus.CANCELED,
    # Whether it canceled or refunded stands in an unsigned field alone. We never ask for it, so somebody did elsewhere:
    # what was not paid is canceled, and what was is flagged for a person as paid after its close.
    ("CANCEL_OR_REFUND", True): PaymentStatus.CANCELED,
    ("CAPTURE_FAILED", True): PaymentStatus.REVERSED,
    ("CHARGEBACK", True): PaymentStatus.REVERSED,
    ("SECOND_CHARGEBACK", True): PaymentStatus.REVERSED,
    ("PREARBITRATION_LOST", True): PaymentStatus.REVERSED,
}
"""What proves nothing is not here: NOTIFICATION_OF_CHARGEBACK and REQUEST_FOR_INFORMATION announce what may come, and
CHARGEBACK_REVERSED gives back what was taken, but no status follows ``reversed``: that is left to a person."""

_REFUNDS: Final = {
    ("POSTPONED_REFUND", True): RefundStatus.PROCESSING,
    ("REFUND", True): RefundStatus.SUCCEEDED,
    ("REFUND", False): RefundStatus.FAILED,
    ("REFUND_WITH_DATA", True): RefundStatus.SUCCEEDED,
    ("REFUND_WITH_DATA", False): RefundStatus.FAILED,
    ("REFUND_FAILED", True): RefundStatus.FAILED,
    ("REFUNDED_REVERSED", True): RefundStatus.FAILED,
}

# ``reason`` holds a card's last digits and its expiry, ``additionalData`` whatever was switched on: neither is kept.
_NAMES: Final = """
    pspReference originalReference merchantAccountCode merchantReference amount value currency eventCode success
    eventDate paymentMethod
"""
_KEPT: Final = frozenset(_NAMES.split())


def parse_batch(raw_webhook: RawWebhook, keys: Sequence[bytes], *, account: str, manual: bool) -> ParsedWebhook:
    """All that a batch says of payments of this merchant account.

    Raises UnverifiedError unless every item in it is signed by one of the keys, and UnreadableError where no event is
    left besides what cannot be understood. ``manual`` says that captures are requested one by one.
    """
    with before_verification():
        batch = _items_of(raw_webhook.body)
        places = [_verify(item, keys) for item in batch]
    events: list[ProviderEvent | ProviderRefundEvent] = []
    unreadable = None
    for number, item in enumerate(batch, start=1):
        # Keys are shared between the merchant accounts of a company, so a verified item may be another's.
        if item.get("merchantAccountCode") != account:
            continue
        try:
            event = _event_of(item, manual=manual)
        except UnreadableError as error:
            unreadable = unreadable or f"item {number} of {len(batch)}: {error}"
            continue
        if event is not None:
            events.append(event)
    if unreadable is not None and not events:
        raise UnreadableError(unreadable)
    return ParsedWebhook(events=events, secret=places[0], unreadable=unreadable)


def signed_content(item: dict[str, Any]) -> bytes:
    """What the signature of an item covers: nothing is escaped, and what is absent is empty."""
    amount = item.get("amount", {})
    if not isinstance(amount, dict):
        raise UnreadableError("an item's amount is not an object")
    value = amount.get("value", "")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnreadableError("an item's amount is not a whole number")
    words = [item.get(name, "") for name in ("pspReference", "originalReference", "merchantAccountCode")]
    words += [item.get("merchantReference", ""), str(value), amount.get("currency", "")]
    words += [item.get("eventCode", ""), item.get("success", "")]
    if not all(isinstance(word, str) for word in words):
        raise UnreadableError("a signed field is not a text")
    return ":".join(words).encode("utf-8", "surrogatepass")


def _items_of(body: bytes) -> list[dict[str, Any]]:
    """The items of a batch, none of them verified yet."""
    holders = items(json_object(body), "notificationItems")
    if not holders:
        raise UnreadableError("a batch without items: nothing in it is signed")
    return [nested(holder, "NotificationRequestItem") for holder in holders]


def _verify(item: dict[str, Any], keys: Sequence[bytes]) -> int:
    """The place of the key that an item is signed with."""
    claimed = nested(item, "additionalData").get("hmacSignature")
    if not isinstance(claimed, str):
        raise UnreadableError("an item has no signature")
    content = signed_content(item)
    return matching(keys, lambda key: base64.b64encode(signed_digest(key, content)), [claimed])


def _event_of(item: dict[str, Any], *, manual: bool) -> ProviderEvent | ProviderRefundEvent | None:
    """What a verified item says of a payment that we opened."""
    reference = REFERENCE.fullmatch(item.get("merchantReference", ""))
    if reference is None or item.get("success") not in {"true", "false"}:
        return None
    provider_ref, payment, refund = reference.groups()
    happened = (text(item, "eventCode"), item["success"] == "true")
    event_id = f"{happened[0]}:{text(item, 'pspReference')}:{item['success']}"
    amount, currency = _money(item)
    if happened in _REFUNDS:
        return ProviderRefundEvent(
            provider=NAME,
            provider_ref=provider_ref,
            refund_ref=text(item, "pspReference"),
            event_id=event_id,
            status=_REFUNDS[happened],
            amount=amount,
            currency=currency,
            refund_id=UUID(refund) if refund else None,
            payment_id=UUID(payment),
            raw=kept(item, _KEPT),
        )
    status = payment_status(*happened, manual=manual)
    if status is None:
        return None
    return ProviderEvent(
        provider=NAME,
        provider_ref=provider_ref,
        event_id=event_id,
        status=status,
        amount=amount,
        currency=currency,
        occurred_at=_moment(item),
        payment_id=UUID(payment),
        capture_ref=_capture_ref(item),
        raw=kept(item, _KEPT),
    )


def payment_status(code: str, success: bool, *, manual: bool) -> PaymentStatus | None:
    """What an event proves of its payment, if anything; ``manual`` says that captures are asked for one by one."""
    if manual and (code, success) == ("AUTHORISATION", True):
        return PaymentStatus.PROCESSING
    return _PAYMENTS.get((code, success))


def _capture_ref(item: dict[str, Any]) -> str | None:
    """What refunds are asked for: the reference of the authorisation, which later events call the original."""
    if item["success"] != "true" or item["eventCode"] not in {"AUTHORISATION", "CAPTURE"}:
        return None
    name = "pspReference" if item["eventCode"] == "AUTHORISATION" else "originalReference"
    return text(item, name) if item.get(name) else None


def _money(item: dict[str, Any]) -> tuple[Decimal | None, str | None]:
    """The item's amount; none where we cannot hold it, so that its payment is flagged, not its webhook refused."""
    try:
        currency = currency_of(nested(item, "amount").get("currency"))
        return amount_from_minor(nested(item, "amount").get("value"), currency, UNITS), currency
    except UnreadableError:
        return None, None


def _moment(item: dict[str, Any]) -> Any:
    """When it happened, to be shown only: it is not signed."""
    try:
        return moment_of(item.get("eventDate"))
    except UnreadableError:
        return None
