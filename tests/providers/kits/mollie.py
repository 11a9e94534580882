"""Mollie for the contract suite: webhooks that anybody could write, and a server of payments."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mollie.provider import MollieProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, Answer, SignedWebhook

PAYMENT_REF = "tr_7UhSN1zuXS"
OPTIONS = {
    "api_key": "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM",
    "webhook_url": "https://shop.test/api/payments/webhook/mollie",
    "return_url": "https://shop.test/paid",
}


class MollieBank:
    """Payments with their refunds and chargebacks; calls honour their idempotency keys."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []
        self._answers: dict[str, httpx.Response] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["Authorization"] != f"Bearer {OPTIONS['api_key']}":
            return _problem(401, "Unauthorized Request")
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return self._answer(request)
        if key not in self._answers:
            self._answers[key] = self._answer(request)
        kept = self._answers[key]
        return httpx.Response(kept.status_code, content=kept.content)

    def pay(self, provider_ref: str) -> None:
        self.payments[provider_ref] |= {"status": "paid", "paidAt": "2026-11-25T12:00:00+00:00", "method": "ideal"}

    def refund(self, provider_ref: str, refund_ref: str, value: str, **fields: Any) -> None:
        """A refund as somebody makes it in the dashboard, or news of one."""
        made = {"id": refund_ref, "paymentId": provider_ref, "status": "refunded", "metadata": None}
        made["amount"] = {"currency": self.payments[provider_ref]["amount"]["currency"], "value": value}
        self.refunds[refund_ref] = self.refunds.get(refund_ref, made) | fields

    def charge_back(self, provider_ref: str) -> None:
        back = {"id": "chb_n9z0tp", "paymentId": provider_ref, "amount": self.payments[provider_ref]["amount"]}
        self.payments[provider_ref]["_embedded"] = {"chargebacks": [back | {"reversedAt": None}]}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        steps = request.url.path.split("/")[2:]
        sent = json.loads(request.content or b"{}")
        if request.method == "POST" and steps == ["payments"]:
            return self._open(sent)
        held = self.payments.get(steps[1])
        if held is None:
            return _problem(404, "Not Found")
        if request.method == "POST":
            refund_ref = f"re_{len(self.refunds) + 1:010}"
            self.refund(steps[1], refund_ref, sent["amount"]["value"], status="pending", metadata=sent["metadata"])
            return httpx.Response(201, json=self.refunds[refund_ref])
        if request.method == "DELETE":
            if not held["isCancelable"] or held["status"] != "open":
                return _problem(422, "Unprocessable Entity")
            held["status"] = "canceled"
        return httpx.Response(200, json=self._whole(held, request.url.params.get("embed", "")))

    def _whole(self, held: dict[str, Any], embed: str) -> dict[str, Any]:
        refunds = [made for made in self.refunds.values() if made["paymentId"] == held["id"]]
        embedded = {"refunds": refunds, "chargebacks": []} | held.get("_embedded", {})
        embedded_lists = {name: list(embedded[name]) for name in embed.split(",") if name}
        return {name: value for name, value in held.items() if name != "_embedded"} | (
            {"_embedded": embedded_lists} if embedded_lists else {}
        )

    def _open(self, sent: dict[str, Any]) -> httpx.Response:
        reference = f"tr_{hashlib.sha256(json.dumps(sent).encode()).hexdigest()[:10]}"
        href = f"https://www.mollie.com/checkout/select-method/{reference[3:]}"
        self.payments[reference] = sent | {
            "resource": "payment",
            "id": reference,
            "mode": "test",
            "status": "open",
            "isCancelable": True,
            "_links": {"checkout": {"href": href, "type": "text/html"}},
            "details": {"cardNumber": "4242", "cardHolder": "T. Tester"},
        }
        return httpx.Response(201, json=self._whole(self.payments[reference], ""))


def _problem(status: int, title: str, **fields: str) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "title": title, "detail": "…"} | fields)


class MollieKit:
    name = "mollie"
    secrets: tuple[str, ...] = ()
    statuses: tuple[PaymentStatus, ...] = ()
    refunds: tuple[RefundStatus, ...] = ()
    timed = False
    signed = False

    def provider(self, *secrets: str, answer: Answer | None = None) -> MollieProvider:
        provider = MollieProvider(Account(options={name: Secret(value) for name, value in OPTIONS.items()}))
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
        return SignedWebhook(body=f"id={provider_ref or PAYMENT_REF}".encode())

    def sealed(self, body: bytes) -> SignedWebhook:
        return SignedWebhook(body=body)

    def reference(self) -> Reference:
        return Reference(
            provider_ref=PAYMENT_REF,
            payment_id=PAYMENT_ID,
            amount=AMOUNT,
            currency=CURRENCY,
            payment_token="https://www.mollie.com/checkout/select-method/7UhSN1zuXS",
        )

    def unverified_in_batch(self) -> None:
        return None

    def bank(self) -> MollieBank:
        return MollieBank()


def _nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"nobody was to be called: {request.method} {request.url}")


KIT = MollieKit()
