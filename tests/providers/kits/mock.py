"""The mock provider's kit."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.mock.provider import PREFIX, MockProvider, sign
from checkout_service.providers.base import Provider, Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.strict_json import StrictJsonError, parse_object
from tests.providers.kits.banking import Keys, nobody
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, Answer, SignedWebhook


class MockBank:
    """POST /payments and what follows, as checkout_service.local.mock_server has it."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self._keys = Keys()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        order = json.loads(request.content or b"{}")
        key = request.headers.get("Idempotency-Key")
        match request.method, request.url.path.strip("/").split("/")[1:]:
            case "POST", ["payments"]:
                held = self._keys.answer(key, request.content, lambda: self._open(order))
            case "GET", ["payments", reference]:
                held = self.payments.get(reference)
            case "POST", ["payments", reference, "cancel"]:
                held = self.payments.get(reference)
                if held and held["status"] == "pending":
                    held["status"] = "canceled"
            case "POST", ["payments", reference, "refunds"]:
                held = self._keys.answer(key, request.content, lambda: self._refund(order))
            case "POST", ["payments", reference, "captures"]:
                held = self._keys.answer(key, request.content, lambda: self._capture(order))
            case "POST", ["payments", reference, "void"]:
                held = self.payments.get(reference)
            case _:
                held = None
        return httpx.Response(404, json={}) if held is None else httpx.Response(200, json=held)

    def pay(self, provider_ref: str) -> None:
        self.payments[provider_ref]["status"] = "paid"

    def _open(self, order: dict[str, Any]) -> dict[str, Any]:
        reference = PREFIX + order["payment_id"].replace("-", "")
        held = {"provider_ref": reference, "payment_token": reference, "status": "pending"}
        self.payments[reference] = held | {"amount": order["amount"], "currency": order["currency"]}
        return dict(self.payments[reference])

    def _capture(self, order: dict[str, Any]) -> dict[str, Any]:
        made = {name: value for name, value in order.items() if name != "final"}
        return made | {"capture_ref": f"mock_cp_{order['request_id']}", "status": "succeeded"}

    def _refund(self, order: dict[str, Any]) -> dict[str, Any]:
        reference = f"mock_re_{len(self.refunds)}"
        self.refunds[reference] = order | {"refund_ref": reference, "status": "succeeded"}
        return dict(self.refunds[reference])


MOVEMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "payment": {
        "processing": {"attempt": "try-1"},
        "failed": {"attempt": "try-1"},
        "authorized": {"attempt": "try-1", "expires_at": "2026-12-02T12:00:00Z"},
        "expired": {"attempt": "try-1"},
        "canceled": {"attempt": "try-1"},
        "paid": {"attempt": "try-1"},
        "partially_paid": {"attempt": "try-1", "capture_ref": "cap-1", "amount": "200.00"},
        "reversed": {"dispute_ref": "dis-1", "amount": "40.00"},
    },
    "capture": {
        word: {"attempt": "try-1", "capture_ref": "cap-1", "amount": "200.00"}
        for word in ("pending", "refused", "succeeded", "undone")
    },
    "refund": {
        word: {"refund_ref": "ref-1", "attempt": "try-1", "capture_ref": "cap-1", "amount": "40.00"}
        for word in ("processing", "succeeded", "failed")
    },
    "dispute": {
        word: {
            "dispute_ref": "dis-1",
            "stage": "chargeback",
            "step": step,
            "amount": "40.00",
            "capture_ref": "cap-1",
            "attempt": "try-1",
            "reason": "not_received",
            "evidence_due_at": "2026-12-09T12:00:00Z",
            "occurred_at": "2026-11-25T12:00:00Z",
        }
        for word, step in {
            "needs_response": 0,
            "under_review": 0,
            "accepted": 1,
            "expired": 1,
            "lost": 1,
            "won": 2,
            "closed": 0,
        }.items()
    },
}
"""Statuses, by what they are of, and the details beside them: the names are the same at every plain provider."""


class MockKit:
    """Webhooks signed over their content, without a time."""

    name = "mock"
    secrets = ("the first mock secret", "the second mock secret", "the third mock secret")
    statuses = tuple(PaymentStatus)
    refunds: tuple[RefundStatus, ...] = ()
    timed = False
    signed = True

    def provider(self, *secrets: str, answer: Answer | None = None) -> Provider:
        made = MockProvider(
            Account(
                options={"api_base": Secret("http://mock.test/v1")},
                secrets=[Secret(secret) for secret in secrets or self.secrets[:1]],
            )
        )
        assert made._api is not None
        made._api._client = httpx.Client(transport=httpx.MockTransport(answer or nobody))
        return made

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
        details = {"event_id": f"evt_{event}", "amount": str(amount), "currency": CURRENCY}
        content = {
            "provider_ref": provider_ref or PREFIX + PAYMENT_ID.hex,
            "status": "of another age" if status is None else status.value,
            "raw_data": details,
        }
        return SignedWebhook(body=json.dumps(sign(content, self.secrets[0] if secret is None else secret)).encode())

    def says(self, status: str, *, provider_ref: str | None = None, **details: Any) -> SignedWebhook:
        """A webhook with whatever details it has; ``amount`` is AMOUNT unless it is named."""
        content = {
            "provider_ref": provider_ref or PREFIX + PAYMENT_ID.hex,
            "status": status,
            "raw_data": {"amount": str(AMOUNT), "currency": CURRENCY} | details,
        }
        return SignedWebhook(body=json.dumps(sign(content, self.secrets[0])).encode())

    def movements(self) -> dict[str, SignedWebhook]:
        """Every kind of webhook that names attempts, captures, refunds or disputes."""
        return {
            f"{subject} {word}": self.says(word, event_id=f"evt_{subject}_{word}", **details)
            for subject, words in MOVEMENTS.items()
            for word, details in words.items()
        }

    def sealed(self, body: bytes) -> SignedWebhook:
        try:
            return SignedWebhook(body=json.dumps(sign(parse_object(body), self.secrets[0])).encode())
        except StrictJsonError:
            return SignedWebhook(body=body)

    def reference(self) -> Reference:
        return Reference(provider_ref=PREFIX + PAYMENT_ID.hex, payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY)

    def unverified_in_batch(self) -> SignedWebhook | None:
        return None

    def bank(self) -> MockBank:
        return MockBank()


KIT = MockKit()
