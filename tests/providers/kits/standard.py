"""A provider of one's own for the contract suite: Standard Webhooks, and a server that keeps docs/providers.md."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.standard.provider import StandardProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.banking import Keys, nobody
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Answer, SignedWebhook
from tests.providers.kits.mock import MOVEMENTS

API_KEY = "the-key-of-this-test"
PAYMENT_REF = "inhouse-4711"


def sign(body: bytes, secret: str, *, signed_at: datetime = NOW, webhook_id: str = "msg_1") -> SignedWebhook:
    """The webhook by the specification and none of our code."""
    seconds = int(signed_at.timestamp())
    key = b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{webhook_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return SignedWebhook(
        body=body,
        headers={
            "webhook-id": webhook_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": f"v1,AAAA v1,{b64encode(digest).decode()} v1a,BBBB",
        },
    )


class StandardBank:
    """The server of docs/providers.md."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []
        self._keys = Keys()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["Authorization"] != f"Bearer {API_KEY}":
            return httpx.Response(401, json={"error": "credentials"})
        sent, key = json.loads(request.content or b"{}"), request.headers.get("Idempotency-Key")
        steps = request.url.path.strip("/").split("/")[1:]
        if request.method == "POST" and steps == ["payments"]:
            return self._keys.answer(key, request.content, lambda: self._open(sent)) or _refused(422, "key_reused")
        held = self.payments.get(steps[1])
        if held is None:
            return _refused(404, "unknown_reference")
        if steps[2:] == ["refunds"]:
            made = self._keys.answer(key, request.content, lambda: self._refund(held, sent))
            return made or _refused(422, "key_reused")
        if steps[2:] == ["cancel"]:
            return self._keys.answer(key, request.url.raw_path, lambda: self._cancel(held)) or _refused(
                422, "key_reused"
            )
        return httpx.Response(200, json=held)

    def pay(self, provider_ref: str) -> None:
        self.payments[provider_ref]["status"] = "paid"

    def _open(self, sent: dict[str, Any]) -> httpx.Response:
        reference = f"inhouse-{len(self.payments)}"
        opened = sent | {"provider_ref": reference, "payment_token": f"{reference}-token"}
        self.payments[reference] = opened | {"status": "pending", "refunds": []}
        return httpx.Response(201, json=opened)

    def _cancel(self, held: dict[str, Any]) -> httpx.Response:
        if held["status"] in {"pending", "failed"}:
            held["status"] = "canceled"
        return httpx.Response(200, json=held)

    def _refund(self, held: dict[str, Any], sent: dict[str, Any]) -> httpx.Response:
        if held["status"] != "paid":
            return _refused(409, "not_in_this_state")
        made = sent | {"refund_ref": f"refund-{len(self.refunds)}", "status": "processing"}
        self.refunds[made["refund_ref"]] = made
        held["refunds"].append(made)
        return httpx.Response(201, json=made)


def _refused(status: int, reason: str) -> httpx.Response:
    return httpx.Response(status, json={"error": reason})


class StandardKit:
    name = "standard"
    secrets = tuple("whsec_" + b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
    statuses = tuple(status for status in PaymentStatus if status is not PaymentStatus.PENDING)
    refunds = (RefundStatus.PROCESSING, RefundStatus.SUCCEEDED, RefundStatus.FAILED)
    timed = True
    signed = True

    def provider(self, *secrets: str, answer: Answer | None = None) -> StandardProvider:
        provider = StandardProvider(
            Account(
                options={"api_key": Secret(API_KEY), "api_base": Secret("http://inhouse.test/v1")},
                secrets=[Secret(secret) for secret in secrets or self.secrets[:1]],
            )
        )
        provider._api._client = httpx.Client(transport=httpx.MockTransport(answer or nobody))
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
        about = {
            "provider_ref": provider_ref or PAYMENT_REF,
            "payment_id": str(PAYMENT_ID),
            "amount": str(amount),
            "currency": CURRENCY,
        }
        kind = f"payment.{status.value if status else 'of another age'}"
        if isinstance(status, RefundStatus):
            about |= {"refund_ref": "refund-1", "refund_id": str(REFUND_ID)}
            kind = f"refund.{status.value}"
        body = json.dumps({"type": kind, "timestamp": "2026-11-25T12:00:00Z", "data": about}).encode()
        chosen = self.secrets[0] if secret is None else secret
        return sign(body, chosen, signed_at=signed_at, webhook_id=f"msg_{event}")

    def says(
        self,
        kind: str,
        *,
        provider_ref: str | None = None,
        signed_at: datetime = NOW,
        webhook_id: str = "msg_1",
        timestamp: str = "2026-11-25T12:00:00Z",
        **about: Any,
    ) -> SignedWebhook:
        """A webhook with whatever its data has; ``amount`` is AMOUNT unless it is named."""
        data = {"provider_ref": provider_ref or PAYMENT_REF, "amount": str(AMOUNT), "currency": CURRENCY} | about
        body = json.dumps({"type": kind, "timestamp": timestamp, "data": data}).encode()
        return sign(body, self.secrets[0], signed_at=signed_at, webhook_id=webhook_id)

    def movements(self) -> dict[str, SignedWebhook]:
        """Every kind of webhook that names attempts, captures, refunds or disputes."""
        return {
            f"{subject}.{word}": self.says(f"{subject}.{word}", **about)
            for subject, words in MOVEMENTS.items()
            for word, about in words.items()
        }

    def sealed(self, body: bytes) -> SignedWebhook:
        return sign(body, self.secrets[0])

    def reference(self) -> Reference:
        return Reference(
            provider_ref=PAYMENT_REF,
            payment_id=PAYMENT_ID,
            amount=AMOUNT,
            currency=CURRENCY,
            payment_token="inhouse-token",
        )

    def unverified_in_batch(self) -> None:
        return None

    def bank(self) -> StandardBank:
        return StandardBank()


KIT = StandardKit()
