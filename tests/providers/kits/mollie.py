"""Mollie for the contract suite: webhooks that anybody could write, and a server of payments, captures and refunds."""

from __future__ import annotations

import hashlib
import hmac
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
SECRETS = ("GGqhUtmfBT6bWRMqm9UQ", "4rKtmUg8WnvPvkY5bzkq", "7QWnTtDh3cEJbxyzUvKP")
"""Signing secrets of subscriptions."""


def signature(body: bytes, *secrets: str) -> str:
    """The header by Mollie's description, and none of our code; with several secrets as a server joins two headers."""
    return ",".join(f"sha256={hmac.new(each.encode(), body, hashlib.sha256).hexdigest()}" for each in secrets)


def sign(body: bytes, *secrets: str, content_type: str = "application/json") -> SignedWebhook:
    """A webhook of a subscription, signed with the first secret unless told otherwise."""
    headers = {"content-type": content_type, "x-mollie-signature": signature(body, *(secrets or SECRETS[:1]))}
    return SignedWebhook(body=body, headers=headers)


def event_body(
    kind: str, entity_id: str, entity: dict[str, Any] | None = None, *, link: str | None = None, **fields: Any
) -> bytes:
    """An event: with what it is about inside, or without that (None); ``link`` is where that can be fetched."""
    self_link = {"href": "https://api.mollie.com/v2/events/event_GvJ8WHrp5isUdRub9CJyH", "type": "application/hal+json"}
    links = {"self": self_link} | ({"entity": {"href": link, "type": "application/hal+json"}} if link else {})
    embedded = {} if entity is None else {"_embedded": {"entity": entity}}
    event = {"resource": "event", "id": "event_GvJ8WHrp5isUdRub9CJyH", "type": kind, "entityId": entity_id}
    event |= {"createdAt": "2026-11-25T12:00:00.0Z", "_links": links}
    return json.dumps(event | embedded | fields).encode()


class MollieBank:
    """Payments with their captures, refunds and chargebacks; calls honour their idempotency keys.

    ``capturing`` is the status that a capture begins with; ``settle`` gives it another.
    """

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.captures: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.chargebacks: dict[str, Any] = {}
        self.capturing = "succeeded"
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

    def authorize(self, provider_ref: str) -> None:
        """The customer's bank holds the money back for us."""
        self.payments[provider_ref] |= {
            "status": "authorized",
            "authorizedAt": "2026-11-25T12:00:00+00:00",
            "captureBefore": "2026-12-02T12:00:00+00:00",
            "method": "creditcard",
            "amountCaptured": {"currency": CURRENCY, "value": "0.00"},
        }

    def capture(self, provider_ref: str, value: str, **fields: Any) -> dict[str, Any]:
        """A capture as somebody makes it in the dashboard."""
        capture_ref = f"cpt_{len(self.captures) + 1:010}"
        made = {"resource": "capture", "id": capture_ref, "paymentId": provider_ref, "metadata": None}
        made |= {"status": self.capturing, "createdAt": "2026-11-25T13:00:00+00:00"}
        made["amount"] = {"currency": self.payments[provider_ref]["amount"]["currency"], "value": value}
        self.captures[capture_ref] = made | fields
        self.settle(capture_ref, self.captures[capture_ref]["status"])
        return self.captures[capture_ref]

    def settle(self, capture_ref: str, status: str) -> None:
        """What becomes of a capture; a payment of which all is captured is paid."""
        made = self.captures[capture_ref]
        made["status"] = status
        held = self.payments[made["paymentId"]]
        came = self._captured(held["id"])
        held["amountCaptured"] = {"currency": held["amount"]["currency"], "value": str(came)}
        if came >= Decimal(held["amount"]["value"]):
            self.pay(held["id"])

    def release(self, provider_ref: str) -> None:
        """What was not captured is given back: such a payment is paid, or canceled where nothing was."""
        if self._captured(provider_ref):
            self.pay(provider_ref)
        else:
            self.payments[provider_ref] |= {"status": "canceled", "canceledAt": "2026-11-26T12:00:00+00:00"}

    def charge_back(self, provider_ref: str, value: str | None = None, ref: str = "chb_n9z0tp", **fields: Any) -> None:
        """A chargeback of all or of some, or news of one."""
        amount = dict(self.payments[provider_ref]["amount"])
        made = {"id": ref, "paymentId": provider_ref, "amount": amount | ({"value": value} if value else {})}
        made |= {"createdAt": "2026-11-27T12:00:00+00:00", "reversedAt": None, "reason": None}
        self.chargebacks[ref] = self.chargebacks.get(ref, made) | fields

    def _captured(self, provider_ref: str) -> Decimal:
        came = [made for made in self.captures.values() if made["paymentId"] == provider_ref]
        return sum(
            (Decimal(made["amount"]["value"]) for made in came if made["status"] == "succeeded"), Decimal("0.00")
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        steps = request.url.path.split("/")[2:]
        sent = json.loads(request.content or b"{}")
        if request.method == "POST" and steps == ["payments"]:
            return self._open(sent)
        if steps in (["refunds"], ["chargebacks"]):
            return self._list(steps[0], request.url.params)
        held = self.payments.get(steps[1])
        if held is None:
            return _problem(404, "Not Found")
        if steps[2:] == ["captures"] or steps[2:] == ["release-authorization"]:
            return self._change_authorized(held, steps[2], sent)
        if request.method == "POST":
            refund_ref = f"re_{len(self.refunds) + 1:010}"
            self.refund(steps[1], refund_ref, sent["amount"]["value"], status="pending", metadata=sent["metadata"])
            return httpx.Response(201, json=self.refunds[refund_ref])
        if request.method == "DELETE":
            if not held["isCancelable"] or held["status"] != "open":
                return _problem(422, "Unprocessable Entity")
            held["status"] = "canceled"
        return httpx.Response(200, json=self._whole(held, request.url.params.get("embed", "")))

    def _list(self, name: str, params: httpx.QueryParams) -> httpx.Response:
        """Those of the whole account, the newest first, from the one that is named on."""
        made = list(reversed({"refunds": self.refunds, "chargebacks": self.chargebacks}[name].values()))
        refs = [each["id"] for each in made]
        if params["from"] not in refs:
            return _problem(404, "Not Found")
        first = refs.index(params["from"])
        found = made[first : first + int(params["limit"])]
        return httpx.Response(200, json={"count": len(found), "_embedded": {name: found}})

    def _change_authorized(self, held: dict[str, Any], act: str, sent: dict[str, Any]) -> httpx.Response:
        if held["status"] != "authorized":
            return _problem(422, "Unprocessable Entity")
        if act == "release-authorization":
            self.release(held["id"])
            return httpx.Response(202)
        made = self.capture(held["id"], sent["amount"]["value"], metadata=sent["metadata"])
        return httpx.Response(201, json=made)

    def _whole(self, held: dict[str, Any], embed: str) -> dict[str, Any]:
        whole = {"refunds": self.refunds, "chargebacks": self.chargebacks, "captures": self.captures}
        embedded = {
            name: [made for made in whole[name].values() if made["paymentId"] == held["id"]]
            for name in embed.split(",")
            if name
        }
        return held | ({"_embedded": embedded} if embedded else {})

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

    def provider(self, *secrets: str, answer: Answer | None = None, **options: str) -> MollieProvider:
        values = OPTIONS | options
        account = Account(
            options={name: Secret(value) for name, value in values.items()},
            secrets=[Secret(secret) for secret in secrets],
        )
        provider = MollieProvider(account)
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
        return self.sealed(f"id={provider_ref or PAYMENT_REF}".encode())

    def sealed(self, body: bytes) -> SignedWebhook:
        return SignedWebhook(body=body, headers={"content-type": "application/x-www-form-urlencoded"})

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
