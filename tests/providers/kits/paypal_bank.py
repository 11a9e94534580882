"""A server of PayPal's: orders, their authorizations and captures, and refunds."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx

from tests.providers.kits.kit import NOW
from tests.providers.kits.paypal_resources import API, authorization, capture


class PayPalBank:
    """Orders, captured or authorized at most once each, captures of authorizations, and refunds; calls honour their
    keys, and tokens end.

    ``approve`` and ``pay`` are the customer's: to approve, or to approve what we then take up at once. ``declines`` is
    how many captures to come are refused for the customer's method; with ``stays_approved`` their order reads APPROVED
    afterwards, as no page of PayPal's rules out, changed last at ``changed_at``. ``made_at`` is when an
    authorization is made.

    Keys are forgotten as PayPal says, ``later`` lets the time pass: after six hours for orders, after 45 days for
    payments. ``trusting`` takes an order up again once its key is forgotten, as nothing but a key promises.
    """

    ORDERS, PAYMENTS = timedelta(hours=6), timedelta(days=45)

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.requests: list[httpx.Request] = []
        self.captured: list[str] = []
        self.authorized: list[str] = []
        self.declines = 0
        self.stays_approved = False
        self.changed_at: str | None = None
        self.tokens = 0
        self.made_at = NOW
        self.now = NOW
        self.trusting = False
        self.replaced: list[dict[str, Any]] = []
        """Orders that another one was opened in the place of, by a key that was forgotten."""
        self._answers: dict[str, tuple[datetime, httpx.Response]] = {}

    def later(self, **passed: float) -> None:
        """Let so much time pass."""
        self.now += timedelta(**passed)
        self.made_at += timedelta(**passed)

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
        kept_until, kept = self._answers.get(key, (self.now, None))
        if kept is None or kept_until <= self.now:
            kept = self._answer(request)
            lifetime = self.ORDERS if request.url.path.startswith("/v2/checkout/orders") else self.PAYMENTS
            self._answers[key] = (self.now + lifetime, kept)
        return httpx.Response(kept.status_code, content=kept.content)

    def approve(self, provider_ref: str) -> None:
        order = self.payments[provider_ref]
        order["status"] = "APPROVED"
        order["update_time"] = f"2026-11-25T12:00:{len(self.requests) % 60:02}Z"

    def pay(self, provider_ref: str) -> None:
        self.approve(provider_ref)
        self._take_up(self.payments[provider_ref])

    def refund(self, provider_ref: str, refund_ref: str, value: str, **fields: Any) -> dict[str, Any]:
        """A refund as somebody makes it in the dashboard."""
        amount = {"currency_code": self.payments[provider_ref]["purchase_units"][0]["amount"]["currency_code"]}
        made = {"id": refund_ref, "status": "COMPLETED", "amount": amount | {"value": value}} | fields
        self.refunds[refund_ref] = made
        self.payments[provider_ref]["purchase_units"][0]["payments"].setdefault("refunds", []).append(made)
        return made

    def movements(self, provider_ref: str, name: str) -> list[dict[str, Any]]:
        """The captures, authorizations or refunds of an order."""
        found: list[dict[str, Any]] = self.payments[provider_ref]["purchase_units"][0]["payments"].setdefault(name, [])
        return found

    def capture(self, authorization_id: str, sent: dict[str, Any]) -> dict[str, Any] | str:
        """A capture of an authorization, as we or somebody in the dashboard makes it; else why not."""
        provider_ref, held = self._authorization(authorization_id)
        if held["status"] not in {"CREATED", "PARTIALLY_CAPTURED"}:
            return "AUTHORIZATION_VOIDED" if held["status"] == "VOIDED" else "AUTHORIZATION_ALREADY_CAPTURED"
        captures = self.movements(provider_ref, "captures")
        value, final = Decimal(sent["amount"]["value"]), bool(sent.get("final_capture"))
        before = sum((Decimal(each["amount"]["value"]) for each in captures), Decimal(0))
        if before + value > Decimal(held["amount"]["value"]) * Decimal("1.15"):
            return "MAX_CAPTURE_AMOUNT_EXCEEDED"
        held["status"] = "CAPTURED" if final else "PARTIALLY_CAPTURED"
        made = capture(f"{len(captures)}{authorization_id[1:]}", str(value), of=authorization_id, final_capture=final)
        made |= {"custom_id": provider_ref, "amount": sent["amount"]}
        made["invoice_id"] = sent.get("invoice_id", provider_ref)
        captures.append(made)
        self.captured.append(self.payments[provider_ref]["id"])
        return made

    def void(self, authorization_id: str) -> dict[str, Any] | str:
        """The end of an authorization and of those that stand in its place; else why not."""
        provider_ref, held = self._authorization(authorization_id)
        chain = self.movements(provider_ref, "authorizations")
        if held is not chain[0]:
            return "CANNOT_BE_VOIDED"
        if held["status"] == "VOIDED":
            return "PREVIOUSLY_VOIDED"
        if any(each["status"] == "CAPTURED" for each in chain):
            return "PREVIOUSLY_CAPTURED"
        for each in chain:
            each["status"] = "VOIDED"
        return held

    def _authorization(self, authorization_id: str) -> tuple[str, dict[str, Any]]:
        for provider_ref, order in self.payments.items():
            for held in order["purchase_units"][0].get("payments", {}).get("authorizations", []):
                if held["id"] == authorization_id:
                    return provider_ref, held
        raise LookupError(authorization_id)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        steps = request.url.path.split("/")[2:]
        sent = json.loads(request.content or b"{}")
        if request.method == "POST" and steps == ["checkout", "orders"]:
            return self._open(sent)
        if steps[:2] == ["payments", "authorizations"]:
            return self._of_authorization(steps[2], steps[3], sent)
        if steps[0] == "payments":
            return self._refund(steps[2], sent)
        order = next((held for held in [*self.payments.values(), *self.replaced] if held["id"] == steps[2]), None)
        if order is None:
            return _problem(404, "INVALID_RESOURCE_ID")
        if request.method == "POST":
            if order["status"] == "COMPLETED" and not self.trusting:
                return _problem(
                    422, "ORDER_ALREADY_CAPTURED" if order["intent"] == "CAPTURE" else "ORDER_ALREADY_AUTHORIZED"
                )
            if order["status"] != "APPROVED" and not self.trusting:
                return _problem(422, "ORDER_NOT_APPROVED")
            if steps[3] != order["intent"].lower():
                return _problem(422, "ACTION_DOES_NOT_MATCH_INTENT")
            if self.declines:
                self.declines -= 1
                order["status"] = "APPROVED" if self.stays_approved else "PAYER_ACTION_REQUIRED"
                order["update_time"] = self.changed_at or order["update_time"]
                return _problem(422, "INSTRUMENT_DECLINED")
            self._take_up(order)
        return httpx.Response(201 if request.method == "POST" else 200, json=order)

    def _open(self, sent: dict[str, Any]) -> httpx.Response:
        (unit,) = sent["purchase_units"]
        if before := self.payments.get(unit["custom_id"]):
            self.replaced.append(before)
        number = len(self.replaced) or ""
        order_id = hashlib.sha256(f"{unit['custom_id']}{number}".encode()).hexdigest()[:17].upper()
        order = {"id": order_id, "status": "CREATED", "intent": sent["intent"], "purchase_units": [dict(unit)]}
        order["payer"] = {"email_address": "customer@example.test", "name": {"given_name": "Kim"}}
        self.payments[unit["custom_id"]] = order
        return httpx.Response(201, json=order)

    def _take_up(self, order: dict[str, Any]) -> None:
        (unit,) = order["purchase_units"]
        named = {name: unit[name] for name in ("amount", "custom_id", "invoice_id")}
        order["status"] = "COMPLETED"
        if order["intent"] == "AUTHORIZE":
            unit["payments"] = {"authorizations": [authorization(f"A{order['id'][1:]}", **self._dated(), **named)]}
            self.authorized.append(order["id"])
            return
        made = named | {"id": f"C{order['id'][1:]}", "status": "COMPLETED", "final_capture": True}
        unit["payments"] = {"captures": [made]}
        self.captured.append(order["id"])

    def _dated(self) -> dict[str, str]:
        return {
            "create_time": self.made_at.isoformat(),
            "expiration_time": (self.made_at + timedelta(days=29)).isoformat(),
        }

    def _of_authorization(self, authorization_id: str, step: str, sent: dict[str, Any]) -> httpx.Response:
        try:
            provider_ref, held = self._authorization(authorization_id)
        except LookupError:
            return _problem(404, "INVALID_RESOURCE_ID")
        if step == "reauthorize":
            chain = self.movements(provider_ref, "authorizations")
            if held is not chain[0] or held["status"] != "CREATED":
                return _problem(422, "AUTHORIZATION_ALREADY_CAPTURED")
            named = {name: held[name] for name in ("amount", "custom_id", "invoice_id")}
            chain.append(authorization(f"{len(chain)}{authorization_id[1:]}", **self._dated(), **named))
            return httpx.Response(201, json=chain[-1])
        made = self.capture(authorization_id, sent) if step == "capture" else self.void(authorization_id)
        if isinstance(made, str):
            return _problem(422, made)
        return httpx.Response(201 if step == "capture" else 200, json=made)

    def _refund(self, capture_id: str, sent: dict[str, Any]) -> httpx.Response:
        for provider_ref, order in self.payments.items():
            captures = order["purchase_units"][0].get("payments", {}).get("captures", [])
            if any(capture["id"] == capture_id for capture in captures):
                refund_ref = f"R{len(self.refunds):016}"
                value = sent["amount"]["value"]
                up = [{"rel": "up", "href": f"{API}/v2/payments/captures/{capture_id}"}]
                made = self.refund(
                    provider_ref, refund_ref, value, custom_id=sent["custom_id"], status="PENDING", links=up
                )
                return httpx.Response(201, json=made)
        return _problem(404, "INVALID_RESOURCE_ID")


def _problem(status: int, issue: str) -> httpx.Response:
    return httpx.Response(status, json={"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue}]})
