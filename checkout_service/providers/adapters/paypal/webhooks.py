"""PayPal's webhooks: signed with RSA over a checksum of the body, by a certificate that a header names.

The body itself is bound by CRC-32 alone, so the certificate, the age and our webhook's id have to hold what that does
not. (PayPal, "Verify webhook signature"; resources as in its Orders v2 and Payments v2.)
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from checkout_service.payments.status import AttemptStatus, CaptureStatus, PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal import disputes
from checkout_service.providers.adapters.paypal.certificates import Certificates
from checkout_service.providers.adapters.paypal.movements import (
    AUTHORIZATIONS,
    authorized,
    captured,
    status_of,
    taken_back,
)
from checkout_service.providers.adapters.paypal.resources import (
    KEPT,
    NAME,
    OwnReference,
    authorization_of,
    capture_of,
    money_if_any,
    order_of,
    own_part,
    own_reference,
    state_of,
)
from checkout_service.providers.base import (
    IgnoredReason,
    ParsedWebhook,
    ProviderEvent,
    ProviderRefundEvent,
    ThinEvent,
    UnverifiedError,
)
from checkout_service.providers.entries import ClosedEntry, Entry
from checkout_service.providers.fields import json_object, moment_of, text
from checkout_service.providers.raw_webhook import RawWebhook
from checkout_service.providers.redaction import kept
from checkout_service.providers.signatures import before_verification, check_age, header

RETRIED_FOR: Final = timedelta(hours=72)
"""PayPal delivers again for three days and does not say whether with a new time and signature, so that long is not old.
What an old webhook could say twice is a duplicate by its event's id."""

REFUNDS: Final = {
    "COMPLETED": RefundStatus.SUCCEEDED,
    "PENDING": RefundStatus.PROCESSING,
    "FAILED": RefundStatus.FAILED,
    "CANCELLED": RefundStatus.FAILED,
}
"""What a refund's status is in our words."""

APPROVED: Final = "CHECKOUT.ORDER.APPROVED"
GIVEN_BACK: Final = "CHECKOUT.PAYMENT-APPROVAL.REVERSED"
"""An approved order was not captured in time: the whole payment is over."""

REVERSED: Final = "PAYMENT.CAPTURE.REVERSED"

_CAPTURE_EVENTS: Final = {
    "PAYMENT.CAPTURE.COMPLETED": CaptureStatus.SUCCEEDED,
    "PAYMENT.CAPTURE.PENDING": CaptureStatus.PENDING,
    "PAYMENT.CAPTURE.DENIED": CaptureStatus.REFUSED,
    "PAYMENT.CAPTURE.DECLINED": CaptureStatus.REFUSED,
}

_AUTHORIZATION_EVENTS: Final = {
    "PAYMENT.AUTHORIZATION.CREATED": None,
    "PAYMENT.AUTHORIZATION.VOIDED": AttemptStatus.CANCELED,
}
"""None: what its resource says."""

_REFUND_EVENTS: Final = {
    "PAYMENT.CAPTURE.REFUNDED": RefundStatus.SUCCEEDED,
    "PAYMENT.REFUND.PENDING": RefundStatus.PROCESSING,
    "PAYMENT.REFUND.FAILED": RefundStatus.FAILED,
}

_OF_CAPTURES: Final = frozenset({*_REFUND_EVENTS, REVERSED})
"""Their resource is what was taken from a capture, and links to it."""

SUBSCRIBED: Final = frozenset(
    {APPROVED, GIVEN_BACK, *_CAPTURE_EVENTS, *_AUTHORIZATION_EVENTS, *_OF_CAPTURES, *disputes.EVENTS}
)
"""The events that are read. PAYMENT.SALE.* is not among them: a sale is of Payments v1 (billing agreements and the old
checkout), and no order of ours becomes one."""


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


def parse_event(raw_webhook: RawWebhook, *, secret: int) -> ParsedWebhook:
    """What the event of a verified webhook says, each movement by its own name. ``secret`` is what ``verify`` found.

    An event without a resource, or about one that nothing names, leads nowhere: there is nothing to record. An order
    that was approved carries our reference where it is ours.
    """
    webhook = json_object(raw_webhook.body)
    event_id, kind = text(webhook, "id"), text(webhook, "event_type")
    resource = webhook.get("resource")
    if kind not in SUBSCRIBED:
        return ParsedWebhook(secret=secret, ignored=IgnoredReason.UNKNOWN_TYPE)
    if not isinstance(resource, dict):
        return ParsedWebhook(secret=secret)
    if kind in disputes.EVENTS:
        return ParsedWebhook(events=disputes.events_of(webhook, resource), secret=secret)
    found = _own(resource)
    if kind == APPROVED:
        thin_events = (
            [ThinEvent(provider=NAME, provider_ref=found.provider_ref, payment_id=found.payment_id)] if found else ()
        )
        return ParsedWebhook(events=thin_events, secret=secret, ignored=IgnoredReason.NOT_OURS)
    if found is None and "id" not in resource:
        return ParsedWebhook(secret=secret)
    return ParsedWebhook(events=[_event(webhook, resource, event_id, kind, found)], secret=secret)


def _event(
    webhook: dict[str, Any], resource: dict[str, Any], event_id: str, kind: str, found: OwnReference | None
) -> ProviderEvent | ProviderRefundEvent:
    common: dict[str, Any] = {
        "provider": NAME,
        "provider_ref": found.provider_ref if found else "",
        "event_id": event_id,
        "payment_id": found.payment_id if found else None,
        "occurred_at": moment_of(webhook["create_time"]) if "create_time" in webhook else None,
        "names": _names(resource),
        "raw": kept(webhook, KEPT),
    }
    amount, currency = money_if_any(resource)
    if kind in _REFUND_EVENTS:
        return ProviderRefundEvent(
            status=REFUNDS.get(state_of(resource), _REFUND_EVENTS[kind]),
            refund_ref=text(resource, "id"),
            refund_id=own_part(resource, "custom_id"),
            capture_ref=capture_of(resource),
            amount=amount,
            currency=currency,
            **common,
        )
    status, entries = _proven(kind, resource)
    capture_ref = text(resource, "id") if status is PaymentStatus.PAID else None
    # Every order of ours carries our reference, and so does what comes of it; what is taken of a capture may have
    # another, of whoever asked for it, or none.
    foreign = found is None and kind not in _OF_CAPTURES
    return ProviderEvent(
        status=status,
        entries=entries,
        amount=amount,
        currency=currency,
        capture_ref=capture_ref,
        foreign=foreign,
        **common,
    )


def _proven(kind: str, resource: dict[str, Any]) -> tuple[PaymentStatus | None, list[Entry]]:
    """The entries of an event, and what people are to read of it."""
    if kind == GIVEN_BACK:
        return PaymentStatus.CANCELED, [ClosedEntry(status=PaymentStatus.CANCELED)]
    if kind == REVERSED:
        return PaymentStatus.REVERSED, [taken_back(resource)]
    if kind in _AUTHORIZATION_EVENTS:
        entries: list[Entry] = [authorized(resource, _AUTHORIZATION_EVENTS[kind] or _created(resource))]
    else:
        entries = captured(resource, _CAPTURE_EVENTS[kind])
    return status_of(entries), entries


def _created(authorization: dict[str, Any]) -> AttemptStatus:
    """An authorization that was just made is one, unless it says that it waits or was denied."""
    return AUTHORIZATIONS.get(state_of(authorization), AttemptStatus.AUTHORIZED)


def _own(resource: dict[str, Any]) -> OwnReference | None:
    """Our reference in a resource, which may be a whole order."""
    units = resource.get("purchase_units")
    holders = units if isinstance(units, list) else [resource]
    found = [own_reference(holder) for holder in holders if isinstance(holder, dict)]
    return next((reference for reference in found if reference), None)


def _names(resource: dict[str, Any]) -> list[str]:
    """Every name of PayPal's by which the payment may be known here."""
    own = text(resource, "id") if "id" in resource else None
    found = (own, capture_of(resource), authorization_of(resource), order_of(resource))
    return list(dict.fromkeys(name for name in found if name))
