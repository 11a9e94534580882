"""PayPal for the contract suite: webhooks signed with a certificate, and a server of orders and captures."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.paypal.certificates import Certificates
from checkout_service.providers.adapters.paypal.provider import PayPalProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits import authority
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Answer, SignedWebhook
from tests.providers.kits.paypal_bank import PayPalBank
from tests.providers.kits.paypal_resources import (
    API,
    AUTHORIZATION,
    CAPTURE,
    ORDER,
    PAYMENT_REF,
    REAUTHORIZATION,
    REFUND,
    REVERSAL,
    authorization,
    capture,
    dispute,
    resolved,
    taken,
)

OPTIONS = {"client_id": "AZDxjDScFpQtjWTOUtWKbyN_bDt4OgqaF4eYXlewfBP4", "client_secret": "EGnHDxD_qRPdaLdZz8iCr8N7"}

_EVENTS: dict[PaymentStatus | RefundStatus | None, tuple[str, str | None]] = {
    PaymentStatus.PROCESSING: ("PAYMENT.CAPTURE.PENDING", "PENDING"),
    PaymentStatus.FAILED: ("PAYMENT.CAPTURE.DENIED", "DECLINED"),
    PaymentStatus.CANCELED: ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", None),
    PaymentStatus.AUTHORIZED: ("PAYMENT.AUTHORIZATION.CREATED", "CREATED"),
    PaymentStatus.PAID: ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED"),
    PaymentStatus.REVERSED: ("PAYMENT.CAPTURE.REVERSED", "COMPLETED"),
    RefundStatus.PROCESSING: ("PAYMENT.REFUND.PENDING", "PENDING"),
    RefundStatus.SUCCEEDED: ("PAYMENT.CAPTURE.REFUNDED", "COMPLETED"),
    RefundStatus.FAILED: ("PAYMENT.REFUND.FAILED", "FAILED"),
    None: ("PAYMENT.SALE.COMPLETED", "COMPLETED"),
}


def event(kind: str, resource: dict[str, Any], *, number: int = 1, **fields: Any) -> SignedWebhook:
    """An event as PayPal delivers it."""
    return sign(event_body(kind, resource, number=number, **fields), KIT.secrets[0])


def event_body(kind: str, resource: dict[str, Any], *, number: int = 1, **fields: Any) -> bytes:
    """An event's body, with as many fields that we have no use for as PayPal sends."""
    return json.dumps(
        {
            "id": f"WH-58D329510W468432D-8HN650336L{number:06}",
            "event_version": "1.0",
            "create_time": "2026-11-25T11:59:58.123Z",
            "resource_type": "capture",
            "event_type": kind,
            "summary": "Payment completed for $ 240.0 USD",
            "resource": resource,
            "links": [{"href": "https://api.paypal.com/v1/notifications/webhooks-events/WH-5", "rel": "self"}],
        }
        | fields
    ).encode()


def sign(
    body: bytes,
    webhook_id: str,
    *,
    signed_at: datetime = NOW,
    by: authority.Issued | None = None,
    cert_url: str = authority.CERT_URL,
) -> SignedWebhook:
    """The webhook by PayPal's description and none of our code."""
    sent = signed_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    transmission = hashlib.sha256(body + sent.encode()).hexdigest()[:32]
    signed = f"{transmission}|{sent}|{webhook_id}|{zlib.crc32(body)}".encode()
    signature = (by or authority.paypal()).key.sign(signed, PKCS1v15(), SHA256())
    headers = {
        "paypal-transmission-id": transmission,
        "paypal-transmission-time": sent,
        "paypal-transmission-sig": base64.b64encode(signature).decode(),
        "paypal-cert-url": cert_url,
        "paypal-auth-algo": "SHA256withRSA",
    }
    return SignedWebhook(body=body, headers=headers)


def approved(
    provider_ref: str, webhook_id: str, order_id: str = ORDER, *, number: int = 1, signed_at: datetime = NOW
) -> SignedWebhook:
    """The webhook that an order was approved."""
    resource = {
        "id": order_id,
        "status": "APPROVED",
        "intent": "CAPTURE",
        "purchase_units": [{"reference_id": "default", "custom_id": provider_ref, "payee": {"email_address": "a@b.c"}}],
    }
    return sign(event_body("CHECKOUT.ORDER.APPROVED", resource, number=number), webhook_id, signed_at=signed_at)


def certificates(**options: Any) -> Certificates:
    """Those of the tests' authority, unless told otherwise."""
    serve = authority.serving(authority.paypal(), authority.intermediate())
    values: dict[str, Any] = {"roots": [authority.root().certificate], "transport": httpx.MockTransport(serve)}
    return Certificates(**(values | options))


class PayPalKit:
    name = "paypal"
    secrets = ("9XL90610J3647323C", "0EH40505U7160970P", "1JE4291016473214C")
    """The ids of webhooks: what a webhook is signed for, and which may be several."""
    statuses = (
        PaymentStatus.PROCESSING,
        PaymentStatus.FAILED,
        PaymentStatus.CANCELED,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.PAID,
        PaymentStatus.REVERSED,
    )
    refunds = (RefundStatus.PROCESSING, RefundStatus.SUCCEEDED, RefundStatus.FAILED)
    timed = False
    """It is, but for three days, not for the tolerance that the suite knows; see test_paypal_webhooks."""
    signed = True

    def provider(
        self,
        *secrets: str,
        answer: Answer | None = None,
        certificates_: Certificates | None = None,
        clock: Callable[[], datetime] | None = None,
        **options: str,
    ) -> PayPalProvider:
        values = OPTIONS | {"webhook_id": ",".join(secrets or self.secrets[:1])} | options
        provider = PayPalProvider(
            Account(options={name: Secret(value) for name, value in values.items()}),
            certificates=certificates_ or certificates(),
            clock=clock or (lambda: NOW),
        )
        for api in (provider._api, provider._access._api):
            api._client = httpx.Client(transport=httpx.MockTransport(answer or _nobody))
        return provider

    def webhook(
        self,
        status: PaymentStatus | RefundStatus | None,
        *,
        secret: str | None = None,
        signed_at: datetime = NOW,
        event: int = 1,
        provider_ref: str | None = None,
        amount: Decimal = AMOUNT,
    ) -> SignedWebhook:
        kind, held = _EVENTS[status]
        reference = provider_ref or PAYMENT_REF
        suffix = "" if reference == PAYMENT_REF else reference[-8:].upper()
        value, named = f"{amount:.2f}", {"custom_id": reference, "invoice_id": reference}
        if isinstance(status, RefundStatus):
            named["custom_id"] = f"{reference}_{REFUND_ID.hex}"
            resource = taken(REFUND + suffix, value, CAPTURE + suffix, status=held, **named)
        elif status is PaymentStatus.REVERSED:
            resource = taken(REVERSAL + suffix, value, CAPTURE + suffix, **named)
        elif status is PaymentStatus.AUTHORIZED:
            resource = authorization(AUTHORIZATION + suffix, value, **named)
        else:
            resource = capture(CAPTURE + suffix, value, held or "COMPLETED", **named)
        if kind.startswith("CHECKOUT."):
            resource = {"order_id": ORDER + suffix, "purchase_units": [resource]}
        return sign(
            event_body(kind, resource, number=event), self.secrets[0] if secret is None else secret, signed_at=signed_at
        )

    def movements(self) -> dict[str, SignedWebhook]:
        """Every kind of event about attempts, captures, refunds and disputes."""
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "a capture": ("PAYMENT.CAPTURE.COMPLETED", capture()),
            "a capture of an authorization": ("PAYMENT.CAPTURE.COMPLETED", capture(of=AUTHORIZATION, value="100.00")),
            "a capture under review": ("PAYMENT.CAPTURE.PENDING", capture(status="PENDING")),
            "a capture denied": ("PAYMENT.CAPTURE.DENIED", capture(status="DECLINED")),
            "a capture declined": ("PAYMENT.CAPTURE.DECLINED", capture(status="DECLINED")),
            "a refund of the dashboard": ("PAYMENT.CAPTURE.REFUNDED", taken(REFUND, "40.00")),
            "a reversal": ("PAYMENT.CAPTURE.REVERSED", taken(REVERSAL, "15.00")),
            "an authorization": ("PAYMENT.AUTHORIZATION.CREATED", authorization()),
            "an authorization under review": ("PAYMENT.AUTHORIZATION.CREATED", authorization(status="PENDING")),
            "an authorization in the shape of v1": (
                "PAYMENT.AUTHORIZATION.CREATED",
                {
                    "id": AUTHORIZATION,
                    "state": "authorized",
                    "amount": {"total": "240.00", "currency": CURRENCY},
                    "custom": PAYMENT_REF,
                    "valid_until": "2026-12-24T11:59:50Z",
                },
            ),
            "a reauthorization": (
                "PAYMENT.AUTHORIZATION.CREATED",
                authorization(
                    REAUTHORIZATION,
                    links=[{"rel": "up", "href": f"{API}/v2/payments/authorizations/{AUTHORIZATION}"}],
                ),
            ),
            "a void": ("PAYMENT.AUTHORIZATION.VOIDED", authorization(status="VOIDED")),
            "the end of an approval": (
                "CHECKOUT.PAYMENT-APPROVAL.REVERSED",
                {"order_id": ORDER, "purchase_units": [{"custom_id": PAYMENT_REF}]},
            ),
            "a dispute by its old name": ("RISK.DISPUTE.CREATED", dispute()),
            "an inquiry": ("CUSTOMER.DISPUTE.CREATED", dispute(stage="INQUIRY", status="OPEN")),
            "a claim": ("CUSTOMER.DISPUTE.UPDATED", dispute()),
            "an appeal": ("CUSTOMER.DISPUTE.UPDATED", dispute(stage="PRE_ARBITRATION", status="UNDER_REVIEW")),
            "a dispute resolved": ("CUSTOMER.DISPUTE.RESOLVED", resolved("RESOLVED_BUYER_FAVOUR")),
            "a dispute of a capture": (
                "CUSTOMER.DISPUTE.CREATED",
                dispute(disputed_transactions=[{"seller_transaction_id": CAPTURE}]),
            ),
        }
        return {name: event(kind, about, number=n) for n, (name, (kind, about)) in enumerate(kinds.items(), 100)}

    def sealed(self, body: bytes) -> SignedWebhook:
        return sign(body, self.secrets[0])

    def reference(self) -> Reference:
        return Reference(
            provider_ref=PAYMENT_REF,
            payment_id=PAYMENT_ID,
            amount=AMOUNT,
            currency=CURRENCY,
            payment_token=ORDER,
            capture_ref=CAPTURE,
        )

    def unverified_in_batch(self) -> None:
        return None

    def bank(self) -> PayPalBank:
        return PayPalBank()


def reference_of(payment_id: UUID, **known: Any) -> Reference:
    """A payment that a bank of orders holds."""
    ref = f"paypal_{payment_id.hex}"
    return Reference(provider_ref=ref, payment_id=payment_id, amount=AMOUNT, currency=CURRENCY, **known)


def _nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nobody was to be called: {request.method} {request.url}")


KIT = PayPalKit()
