"""PayPal for the contract suite: webhooks signed with a certificate, and a server of orders and captures."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
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

PAYMENT_REF = f"paypal_{PAYMENT_ID.hex}"
ORDER, CAPTURE, REFUND = "5O190127TN364715T", "3C679366HH908993F", "1Y107995YT783435V"
OPTIONS = {"client_id": "AZDxjDScFpQtjWTOUtWKbyN_bDt4OgqaF4eYXlewfBP4", "client_secret": "EGnHDxD_qRPdaLdZz8iCr8N7"}

_EVENTS: dict[PaymentStatus | RefundStatus | None, tuple[str, str | None]] = {
    PaymentStatus.PROCESSING: ("PAYMENT.CAPTURE.PENDING", "PENDING"),
    PaymentStatus.FAILED: ("PAYMENT.CAPTURE.DENIED", "DECLINED"),
    PaymentStatus.CANCELED: ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", None),
    PaymentStatus.PAID: ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED"),
    PaymentStatus.REVERSED: ("PAYMENT.CAPTURE.REVERSED", "COMPLETED"),
    RefundStatus.PROCESSING: ("PAYMENT.REFUND.PENDING", "PENDING"),
    RefundStatus.SUCCEEDED: ("PAYMENT.CAPTURE.REFUNDED", "COMPLETED"),
    RefundStatus.FAILED: ("PAYMENT.REFUND.FAILED", "FAILED"),
    None: ("CUSTOMER.DISPUTE.CREATED", None),
}


def event_body(kind: str, resource: dict[str, Any], *, number: int = 1) -> bytes:
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
    transmission = hashlib.sha256(body).hexdigest()[:32]
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


class PayPalBank:
    """Orders, captured at most once each, and refunds; calls honour their keys, and tokens end.

    ``approve`` and ``pay`` are the customer's: to approve, or to approve what we then capture at once. ``declines`` is
    how many captures to come are refused for the customer's method.
    """

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []
        self.captured: list[str] = []
        self.declines = 0
        self.tokens = 0
        self._answers: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path == "/v1/oauth2/token":
            self.tokens += 1
            return httpx.Response(
                200, json={"access_token": f"A21AA{self.tokens}", "token_type": "Bearer", "expires_in": 32_400}
            )
        if request.headers["Authorization"] != f"Bearer A21AA{self.tokens}":
            return httpx.Response(401, json={"error": "invalid_token"})
        key = request.headers.get("PayPal-Request-Id")
        if key is None:
            return self._answer(request)
        if key not in self._answers:
            self._answers[key] = self._answer(request)
        kept = self._answers[key]
        return httpx.Response(kept.status_code, content=kept.content)

    def approve(self, provider_ref: str) -> None:
        order = self.payments[provider_ref]
        order["status"] = "APPROVED"
        order["update_time"] = f"2026-11-25T12:00:{len(self.requests) % 60:02}Z"

    def pay(self, provider_ref: str) -> None:
        self.approve(provider_ref)
        self._capture(self.payments[provider_ref])

    def refund(self, provider_ref: str, refund_ref: str, value: str, **fields: Any) -> dict[str, Any]:
        """A refund as somebody makes it in the dashboard."""
        amount = {"currency_code": self.payments[provider_ref]["purchase_units"][0]["amount"]["currency_code"]}
        made = {"id": refund_ref, "status": "COMPLETED", "amount": amount | {"value": value}} | fields
        self.refunds[refund_ref] = made
        self.payments[provider_ref]["purchase_units"][0]["payments"].setdefault("refunds", []).append(made)
        return made

    def _answer(self, request: httpx.Request) -> httpx.Response:
        steps = request.url.path.split("/")[2:]
        sent = json.loads(request.content or b"{}")
        if request.method == "POST" and steps == ["checkout", "orders"]:
            return self._open(sent)
        if steps[0] == "payments":
            return self._refund(steps[2], sent)
        order = next((held for held in self.payments.values() if held["id"] == steps[2]), None)
        if order is None:
            return _problem(404, "INVALID_RESOURCE_ID")
        if request.method == "POST":
            if order["status"] == "COMPLETED":
                return _problem(422, "ORDER_ALREADY_CAPTURED")
            if order["status"] != "APPROVED":
                return _problem(422, "ORDER_NOT_APPROVED")
            if self.declines:
                self.declines -= 1
                order["status"] = "PAYER_ACTION_REQUIRED"
                return _problem(422, "INSTRUMENT_DECLINED")
            self._capture(order)
        return httpx.Response(201 if request.method == "POST" else 200, json=order)

    def _open(self, sent: dict[str, Any]) -> httpx.Response:
        (unit,) = sent["purchase_units"]
        order_id = hashlib.sha256(unit["custom_id"].encode()).hexdigest()[:17].upper()
        order = {"id": order_id, "status": "CREATED", "intent": "CAPTURE", "purchase_units": [dict(unit)]}
        order["payer"] = {"email_address": "customer@example.test", "name": {"given_name": "Kim"}}
        self.payments[unit["custom_id"]] = order
        return httpx.Response(201, json=order)

    def _capture(self, order: dict[str, Any]) -> None:
        (unit,) = order["purchase_units"]
        capture = {name: unit[name] for name in ("amount", "custom_id", "invoice_id")}
        capture |= {"id": f"C{order['id'][1:]}", "status": "COMPLETED", "final_capture": True}
        unit["payments"] = {"captures": [capture]}
        order["status"] = "COMPLETED"
        self.captured.append(order["id"])

    def _refund(self, capture_id: str, sent: dict[str, Any]) -> httpx.Response:
        for provider_ref, order in self.payments.items():
            captures = order["purchase_units"][0].get("payments", {}).get("captures", [])
            if any(capture["id"] == capture_id for capture in captures):
                refund_ref = f"R{len(self.refunds):016}"
                value = sent["amount"]["value"]
                made = self.refund(provider_ref, refund_ref, value, custom_id=sent["custom_id"], status="PENDING")
                return httpx.Response(201, json=made)
        return _problem(404, "INVALID_RESOURCE_ID")


def _problem(status: int, issue: str) -> httpx.Response:
    return httpx.Response(status, json={"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue}]})


class PayPalKit:
    name = "paypal"
    secrets = ("9XL90610J3647323C", "0EH40505U7160970P", "1JE4291016473214C")
    """The ids of webhooks: what a webhook is signed for, and which may be several."""
    statuses = (
        PaymentStatus.PROCESSING,
        PaymentStatus.FAILED,
        PaymentStatus.CANCELED,
        PaymentStatus.PAID,
        PaymentStatus.REVERSED,
    )
    refunds = (RefundStatus.PROCESSING, RefundStatus.SUCCEEDED, RefundStatus.FAILED)
    timed = False
    """It is, but for three days, not for the tolerance that the suite knows; see test_paypal_webhooks."""
    signed = True

    def provider(
        self, *secrets: str, answer: Answer | None = None, certificates_: Certificates | None = None, **options: str
    ) -> PayPalProvider:
        values = OPTIONS | {"webhook_id": ",".join(secrets or self.secrets[:1])} | options
        provider = PayPalProvider(
            Account(options={name: Secret(value) for name, value in values.items()}),
            certificates=certificates_ or certificates(),
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
        resource: dict[str, Any] = {
            "id": REFUND if isinstance(status, RefundStatus) else CAPTURE,
            "amount": {"currency_code": CURRENCY, "value": f"{amount:.2f}"},
            "custom_id": f"{reference}_{REFUND_ID.hex}" if isinstance(status, RefundStatus) else reference,
            "invoice_id": reference,
            "status": held,
            "supplementary_data": {"related_ids": {"order_id": ORDER}},
            "payee": {"email_address": "shop@example.test"},
        }
        if kind.startswith("CHECKOUT."):
            resource = {"order_id": ORDER, "purchase_units": [resource]}
        return sign(
            event_body(kind, resource, number=event), self.secrets[0] if secret is None else secret, signed_at=signed_at
        )

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
