"""PayPal's webhooks: signed with RSA over a checksum of the body, by a certificate that a header names.

The body itself is bound by CRC-32 alone, so the certificate, the age and our webhook's id have to hold what that does
not. (PayPal, "Verify webhook signature"; resources as in its Orders v2 and Payments v2.)
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal.certificates import Certificates
from checkout_service.providers.base import (
    ProviderEvent,
    ProviderRefundEvent,
    ThinEvent,
    UnreadableError,
    UnverifiedError,
)
from checkout_service.providers.fields import amount_from_text, currency_of, json_object, moment_of, nested, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.signatures import before_verification, check_age, header

NAME: Final = "paypal"

REFERENCE: Final = re.compile(r"(paypal_([0-9a-f]{32}))(?:_([0-9a-f]{32}))?")
"""Ours of a payment and, behind it, of a refund; PayPal keeps it as ``custom_id`` and ``invoice_id``."""

_UP: Final = re.compile(r"/v2/payments/captures/([0-9A-Z]{1,40})$")

RETRIED_FOR: Final = timedelta(hours=72)
"""PayPal delivers again for three days and does not say whether with a new time and signature, so that long is not old.
What an old webhook could say twice is a duplicate by its event's id."""

CAPTURES: Final = {
    "COMPLETED": PaymentStatus.PAID,
    "PARTIALLY_REFUNDED": PaymentStatus.PAID,
    "REFUNDED": PaymentStatus.PAID,
    "PENDING": PaymentStatus.PROCESSING,
    "DECLINED": PaymentStatus.FAILED,
    "FAILED": PaymentStatus.FAILED,
}
"""What a capture's status proves of its payment."""

REFUNDS: Final = {
    "COMPLETED": RefundStatus.SUCCEEDED,
    "PENDING": RefundStatus.PROCESSING,
    "FAILED": RefundStatus.FAILED,
    "CANCELLED": RefundStatus.FAILED,
}
"""What a refund's status is in our words."""

APPROVED: Final = "CHECKOUT.ORDER.APPROVED"

_EVENTS: Final = {
    "PAYMENT.CAPTURE.COMPLETED": PaymentStatus.PAID,
    "PAYMENT.CAPTURE.PENDING": PaymentStatus.PROCESSING,
    "PAYMENT.CAPTURE.DENIED": PaymentStatus.FAILED,
    "PAYMENT.CAPTURE.DECLINED": PaymentStatus.FAILED,
    "PAYMENT.CAPTURE.REVERSED": PaymentStatus.REVERSED,  # by PayPal, after a dispute or a chargeback
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": PaymentStatus.CANCELED,  # it was not captured in time, and is given back
}

_REFUND_EVENTS: Final = {
    "PAYMENT.CAPTURE.REFUNDED": RefundStatus.SUCCEEDED,
    "PAYMENT.REFUND.PENDING": RefundStatus.PROCESSING,
    "PAYMENT.REFUND.FAILED": RefundStatus.FAILED,
}

_OF_CAPTURES: Final = frozenset({*_REFUND_EVENTS, "PAYMENT.CAPTURE.REVERSED"})
"""Their resource is what was taken from a capture, and links to it."""

_NAMES: Final = """
    id event_type create_time update_time resource resource_type status amount value currency_code custom_id invoice_id
    supplementary_data related_ids order_id final_capture reason status_details
"""
KEPT: Final = frozenset(_NAMES.split())
"""Of a webhook or an answer; not the payer's name and address, nor how it was paid."""


def verify(
    raw_webhook: RawWebhook, webhook_ids: Sequence[str], certificates: Certificates, tolerance: timedelta
) -> int:
    """The place, from 0, of our webhook id that the webhook was signed for; raises UnverifiedError for none.

    All that can be wrong without the certificate is looked at before one is fetched.
    """
    transmission, sent = header(raw_webhook, "paypal-transmission-id"), header(raw_webhook, "paypal-transmission-time")
    if header(raw_webhook, "paypal-auth-algo") != "SHA256withRSA":
        raise UnverifiedError("signed by another algorithm than SHA256withRSA")
    with before_verification():
        sent_at = moment_of(sent)
    check_age(sent_at, raw_webhook, tolerance, redelivered_for=RETRIED_FOR)
    try:
        signature = base64.b64decode(header(raw_webhook, "paypal-transmission-sig"), validate=True)
    except binascii.Error as error:
        raise UnverifiedError("the signature is not base64") from error
    key = certificates.key(header(raw_webhook, "paypal-cert-url"), raw_webhook.received_at)
    for place, webhook_id in enumerate(webhook_ids):
        signed = f"{transmission}|{sent}|{webhook_id}|{zlib.crc32(raw_webhook.body)}".encode()
        try:
            key.verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            continue
        return place
    raise UnverifiedError("the signature is not PayPal's for our webhook")


def parse_event(
    raw_webhook: RawWebhook, find_capture: Callable[[str], dict[str, Any]]
) -> list[ProviderEvent | ProviderRefundEvent | ThinEvent]:
    """What the event of a verified webhook says of a payment that we opened.

    ``find_capture`` fetches a capture by its id, for a refund that does not carry our reference itself.
    """
    webhook = json_object(raw_webhook.body)
    event_id, kind = text(webhook, "id"), text(webhook, "event_type")
    resource = webhook.get("resource")
    if not isinstance(resource, dict) or kind not in {APPROVED, *_EVENTS, *_REFUND_EVENTS}:
        return []
    found = _own(resource)
    if found is None and kind in _OF_CAPTURES and (up := _capture_id(resource)):
        found = own_reference(find_capture(up))
    if found is None:
        return []
    if kind == APPROVED:
        return [ThinEvent(provider=NAME, provider_ref=found.provider_ref)]
    common: dict[str, Any] = {
        "provider": NAME,
        "provider_ref": found.provider_ref,
        "event_id": event_id,
        "payment_id": found.payment_id,
        "occurred_at": moment_of(webhook["create_time"]) if "create_time" in webhook else None,
        "raw": kept(webhook, KEPT),
        **money(resource),
    }
    if kind in _EVENTS:
        capture_ref = text(resource, "id") if kind == "PAYMENT.CAPTURE.COMPLETED" else None
        return [ProviderEvent(status=_EVENTS[kind], capture_ref=capture_ref, **common)]
    status = REFUNDS.get(str(resource.get("status")), _REFUND_EVENTS[kind])
    refund_ref = text(resource, "id")
    return [ProviderRefundEvent(status=status, refund_ref=refund_ref, refund_id=found.refund_id, **common)]


def money(resource: dict[str, Any]) -> dict[str, Any]:
    """The amount and currency of a capture or refund; nothing where there is none that we can hold."""
    try:
        amount = nested(resource, "amount")
        return {"amount": amount_from_text(amount.get("value")), "currency": currency_of(amount.get("currency_code"))}
    except UnreadableError:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReference:
    """Our reference, the payment's id, and the refund's, if it is one that we asked for."""

    provider_ref: str
    payment_id: UUID
    refund_id: UUID | None


def own_reference(resource: dict[str, Any]) -> OwnReference | None:
    """Our reference in a capture or a refund; None if there is none."""
    for name in ("custom_id", "invoice_id"):
        value = resource.get(name)
        if isinstance(value, str) and (found := REFERENCE.fullmatch(value)):
            refund_id = UUID(found[3]) if found[3] else None
            return OwnReference(provider_ref=found[1], payment_id=UUID(found[2]), refund_id=refund_id)
    return None


def _own(resource: dict[str, Any]) -> OwnReference | None:
    """Our reference in a resource, which may be a whole order."""
    units = resource.get("purchase_units")
    holders = units if isinstance(units, list) else [resource]
    found = [own_reference(holder) for holder in holders if isinstance(holder, dict)]
    return next((reference for reference in found if reference), None)


def _capture_id(refund: dict[str, Any]) -> str | None:
    """The id of the capture that a refund is of: the last step of its link "up"."""
    links = refund.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "up" and (found := _UP.search(str(link.get("href")))):
            return found[1]
    return None
