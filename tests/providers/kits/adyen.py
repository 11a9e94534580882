"""Adyen for the contract suite: batches signed item by item, and a server of payment links."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.adyen.provider import AdyenProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Answer, SignedWebhook

MERCHANT = "HarbourBooksECOM"
PAYMENT_REF = f"adyen_{PAYMENT_ID.hex}"
REFUND_REF = f"{PAYMENT_REF}_{REFUND_ID.hex}"
LINK = "PLE83C39B0A0DE0C1E"

_EVENTS: dict[PaymentStatus | RefundStatus | None, tuple[str, str]] = {
    PaymentStatus.PROCESSING: ("PENDING", "true"),
    PaymentStatus.FAILED: ("AUTHORISATION", "false"),
    PaymentStatus.EXPIRED: ("EXPIRE", "true"),
    PaymentStatus.CANCELED: ("CANCELLATION", "true"),
    PaymentStatus.PAID: ("AUTHORISATION", "true"),
    PaymentStatus.REVERSED: ("CHARGEBACK", "true"),
    RefundStatus.SUCCEEDED: ("REFUND", "true"),
    RefundStatus.FAILED: ("REFUND_FAILED", "true"),
    None: ("A_WORD_OF_NEXT_YEAR", "true"),
}


def item(code: str = "AUTHORISATION", success: str = "true", **fields: Any) -> dict[str, Any]:
    """An item as Adyen writes it, unsigned."""
    return {
        "additionalData": {"cardSummary": "1111", "expiryDate": "03/2030"},
        "amount": {"currency": "USD", "value": 24000},
        "eventCode": code,
        "eventDate": "2026-11-25T12:59:58+01:00",
        "merchantAccountCode": MERCHANT,
        "merchantReference": PAYMENT_REF,
        "paymentMethod": "visa",
        "pspReference": "NC6HT9CRT65ZGN82",
        "reason": "033899:1111:03/2030",
        "success": success,
    } | fields


def sign(unsigned: dict[str, Any], secret: str) -> dict[str, Any]:
    """The item with its signature, by Adyen's description and none of our code."""
    amount = unsigned.get("amount", {})
    words = [unsigned.get(name, "") for name in ("pspReference", "originalReference", "merchantAccountCode")]
    words += [unsigned.get("merchantReference", ""), amount.get("value", ""), amount.get("currency", "")]
    words += [unsigned.get("eventCode", ""), unsigned.get("success", "")]
    signed = ":".join(map(str, words)).encode("utf-8", "surrogatepass")
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = secret.encode()
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return unsigned | {"additionalData": {**unsigned.get("additionalData", {}), "hmacSignature": signature}}


def batch(*items: dict[str, Any], live: str = "false") -> bytes:
    holders = [{"NotificationRequestItem": signed} for signed in items]
    return json.dumps({"live": live, "notificationItems": holders}).encode()


def sign_bytes(body: bytes, secret: str) -> SignedWebhook:
    """What is no batch, with its signature in a header, by Adyen's description and none of our code."""
    signature = hmac.new(bytes.fromhex(secret), body, hashlib.sha256).digest()
    return SignedWebhook(body=body, headers={"hmacsignature": base64.b64encode(signature).decode()})


class AdyenBank:
    """Payment links and what is asked for authorisations, which honour their idempotency keys."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.captures: dict[str, Any] = {}
        self.cancels: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["X-API-Key"] != "AQEyhmfxK":
            return httpx.Response(401, json={"status": 401, "errorCode": "000", "errorType": "security"})
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return self._answer(request)
        if key not in self._answers:
            self._answers[key] = self._answer(request)
        kept = self._answers[key]
        return httpx.Response(kept.status_code, content=kept.content)

    def pay(self, provider_ref: str) -> None:
        self.payments[provider_ref]["status"] = "completed"

    def _answer(self, request: httpx.Request) -> httpx.Response:
        steps = request.url.path.split("/")[2:]
        sent = json.loads(request.content or b"{}")
        if request.method == "POST" and steps == ["paymentLinks"]:
            return self._open(sent)
        if request.method == "POST" and steps[0] == "payments":
            return self._modify(steps[1], steps[2], sent)
        link = next((held for held in self.payments.values() if held["id"] == steps[1]), None)
        if link is None:
            return httpx.Response(404, json={"status": 404, "errorType": "validation"})
        if request.method == "PATCH":
            if link["status"] != "active":
                return httpx.Response(422, json={"status": 422, "errorCode": "14_012", "errorType": "validation"})
            link["status"] = sent["status"]
        return httpx.Response(200, json=link)

    def _modify(self, psp_ref: str, what: str, sent: dict[str, Any]) -> httpx.Response:
        """Adyen only says that it received the request: a webhook tells what became of it."""
        made = {"refunds": self.refunds, "captures": self.captures, "cancels": self.cancels}[what]
        answer = {"paymentPspReference": psp_ref, "pspReference": f"{what[0].upper()}{len(made):015}"}
        made[answer["pspReference"]] = answer | sent | {"status": "received"}
        return httpx.Response(201, json=made[answer["pspReference"]])

    def _open(self, sent: dict[str, Any]) -> httpx.Response:
        link_id = f"PL{hashlib.sha256(sent['reference'].encode()).hexdigest()[:16].upper()}"
        link = sent | {
            "id": link_id,
            "url": f"https://test.adyen.link/{link_id}",
            "expiresAt": "2026-11-26T12:00:00Z",
            "status": "active",
        }
        self.payments[sent["reference"]] = link
        return httpx.Response(201, json=link)


class AdyenKit:
    name = "adyen"
    secrets = ("44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056", "AA" * 32, "0B" * 32)
    statuses = (
        PaymentStatus.PROCESSING,
        PaymentStatus.FAILED,
        PaymentStatus.EXPIRED,
        PaymentStatus.CANCELED,
        PaymentStatus.PAID,
        PaymentStatus.REVERSED,
    )
    refunds = (RefundStatus.SUCCEEDED, RefundStatus.FAILED)
    timed = False
    signed = True

    def provider(self, *secrets: str, answer: Answer | None = None, **options: str) -> AdyenProvider:
        values = {
            "api_key": "AQEyhmfxK",
            "merchant_account": MERCHANT,
            "return_url": "https://shop.test/paid",
        } | options
        provider = AdyenProvider(
            Account(
                options={name: Secret(value) for name, value in values.items()},
                secrets=[Secret(secret) for secret in secrets or self.secrets[:1]],
            )
        )
        provider._api._client = httpx.Client(transport=httpx.MockTransport(answer or _nobody))
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
        code, success = _EVENTS[status]
        reference = provider_ref or PAYMENT_REF
        fields = {
            "pspReference": f"NC6HT9CRT65ZG{event:03}",
            "merchantReference": f"{reference}_{REFUND_ID.hex}" if isinstance(status, RefundStatus) else reference,
            "amount": {"currency": CURRENCY, "value": int(amount * 100)},
        }
        if code not in {"AUTHORISATION", "PENDING"}:
            fields["originalReference"] = "NC6HT9CRT65ZGN82"
        return SignedWebhook(
            body=batch(sign(item(code, success, **fields), self.secrets[0] if secret is None else secret))
        )

    def sealed(self, body: bytes) -> SignedWebhook:
        """Each item in it signed, where there is one; what is no batch by its bytes."""
        try:
            webhook = json.loads(body)
            if isinstance(webhook, dict) and "notificationItems" not in webhook:
                return sign_bytes(body, self.secrets[0])
            for holder in webhook["notificationItems"]:
                holder["NotificationRequestItem"] = sign(holder["NotificationRequestItem"], self.secrets[0])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return SignedWebhook(body=body)
        return SignedWebhook(body=json.dumps(webhook).encode())

    def reference(self) -> Reference:
        return Reference(
            provider_ref=PAYMENT_REF,
            payment_id=PAYMENT_ID,
            amount=AMOUNT,
            currency=CURRENCY,
            payment_token=f"https://test.adyen.link/{LINK}",
            attempt_ref="NC6HT9CRT65ZGN82",
        )

    def unverified_in_batch(self) -> SignedWebhook:
        unverified = sign(item(pspReference="NC6HT9CRT65ZGN83"), self.secrets[0]) | {
            "amount": {"currency": "USD", "value": 1}
        }
        return SignedWebhook(body=batch(sign(item(), self.secrets[0]), unverified))

    def bank(self) -> AdyenBank:
        return AdyenBank()


def reference_of(payment_id: UUID, **known: Any) -> Reference:
    """A payment that a bank of links holds."""
    ref = f"adyen_{payment_id.hex}"
    return Reference(provider_ref=ref, payment_id=payment_id, amount=AMOUNT, currency=CURRENCY, **known)


def _nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nobody was to be called: {request.method} {request.url}")


KIT = AdyenKit()
