"""Stripe for the contract suite: events signed over a time and the raw bytes, and a server of PaymentIntents."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.stripe.provider import StripeProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.banking import Keys, nobody
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, REFUND_ID, Answer, SignedWebhook

API_KEY = "sk_test_51NOTAREALKEY"
DEPLOYMENT = "0f3c5a7b9d1e2f40"
INTENT, CHARGE, REFUND = "pi_3MtwBwLkdIwHu7ix28a3tqPa", "ch_3MtwBwLkdIwHu7ix2yUxZxLs", "re_1Nispe2eZvKYlo2Cd31jOCgZ"
DISPUTE, WARNING = "du_1MtJUT2eZvKYlo2CNaw2HvEv", "issfr_1Nkn2eZvKYlo2Cd31jOCgZ"
CREATED = int(NOW.timestamp())

_EVENTS: dict[PaymentStatus | RefundStatus | None, str] = {
    PaymentStatus.PROCESSING: "payment_intent.processing",
    PaymentStatus.FAILED: "payment_intent.payment_failed",
    PaymentStatus.CANCELED: "payment_intent.canceled",
    PaymentStatus.PAID: "payment_intent.succeeded",
    PaymentStatus.AUTHORIZED: "payment_intent.amount_capturable_updated",
    PaymentStatus.REVERSED: "charge.dispute.closed",
    RefundStatus.PROCESSING: "refund.created",
    RefundStatus.SUCCEEDED: "refund.updated",
    RefundStatus.FAILED: "refund.failed",
    None: "customer.tax_id.updated",
}
_INTENTS = {
    PaymentStatus.PROCESSING: "processing",
    PaymentStatus.FAILED: "requires_payment_method",
    PaymentStatus.CANCELED: "canceled",
    PaymentStatus.PAID: "succeeded",
    PaymentStatus.AUTHORIZED: "requires_capture",
}
_REFUNDS = {
    RefundStatus.PROCESSING: "pending",
    RefundStatus.SUCCEEDED: "succeeded",
    RefundStatus.FAILED: "failed",
}
CARD = {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2030, "fingerprint": "Xt5EWLLDS7FJjR1c"}


def intent(status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    """A PaymentIntent with more fields than we have a use for."""
    return {
        "id": INTENT,
        "object": "payment_intent",
        "amount": 24000,
        "amount_capturable": 24000 if status == "requires_capture" else 0,
        "amount_received": 24000 if status == "succeeded" else 0,
        "cancellation_reason": "requested_by_customer" if status == "canceled" else None,
        "client_secret": f"{INTENT}_secret_YrKJUKribcBjcG8HVhfZluoGH",
        "created": 1764072000,
        "currency": "usd",
        "last_payment_error": {"code": "card_declined", "payment_method": {"id": "pm_1", "card": CARD}}
        if status == "requires_payment_method"
        else None,
        "latest_charge": CHARGE,
        "livemode": False,
        "metadata": {"payment_id": str(PAYMENT_ID), "deployment": DEPLOYMENT},
        "payment_method": "pm_1Nx",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "shipping": None,
        "status": status,
    } | fields


def refund(status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    return {
        "id": REFUND,
        "object": "refund",
        "amount": 24000,
        "balance_transaction": "txn_1Nispe2eZvKYlo2CYezqFhEx",
        "charge": CHARGE,
        "created": 1764072100,
        "currency": "usd",
        "destination_details": {"card": {"reference": "123456789012", "type": "refund"}, "type": "card"},
        "metadata": {"refund_id": str(REFUND_ID), "payment_id": str(PAYMENT_ID)},
        "payment_intent": INTENT,
        "reason": None,
        "status": status,
    } | fields


def charge(status: str = "succeeded", **fields: Any) -> dict[str, Any]:
    """A charge of the intent, captured unless it is told otherwise, with more fields than we have a use for."""
    return {
        "id": CHARGE,
        "object": "charge",
        "amount": 24000,
        "amount_captured": 24000 if status == "succeeded" else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"email": "ada@shop.test", "name": "Ada"},
        "captured": status == "succeeded",
        "created": CREATED,
        "currency": "usd",
        "disputed": False,
        "failure_code": "card_declined" if status == "failed" else None,
        "livemode": False,
        "metadata": {},
        "payment_intent": INTENT,
        "payment_method_details": {"card": CARD | {"multicapture": {"status": "unavailable"}}, "type": "card"},
        "refunded": False,
        "status": status,
    } | fields


def authorized(**fields: Any) -> dict[str, Any]:
    """A charge that is authorized and not captured."""
    card = CARD | {"capture_before": CREATED + 432000, "multicapture": {"status": "available"}}
    return charge(amount_captured=0, captured=False, payment_method_details={"card": card, "type": "card"}) | fields


def dispute(status: str = "needs_response", moves: int = 1, **fields: Any) -> dict[str, Any]:
    """A dispute over all of the charge, with so many balance transactions: the first takes, the second gives back."""
    return {
        "id": DISPUTE,
        "object": "dispute",
        "amount": 24000,
        "balance_transactions": [
            {"id": f"txn_{number}", "object": "balance_transaction", "amount": -24000, "fee": 1500, "net": -25500}
            for number in range(moves)
        ],
        "charge": CHARGE,
        "created": CREATED,
        "currency": "usd",
        "evidence": {"customer_name": "Ada"},
        "evidence_details": {"due_by": CREATED + 604800, "has_evidence": False, "past_due": False},
        "is_charge_refundable": status.startswith("warning_"),
        "livemode": False,
        "metadata": {},
        "payment_intent": INTENT,
        "reason": "product_not_received",
        "status": status,
    } | fields


def warning(**fields: Any) -> dict[str, Any]:
    return {
        "id": WARNING,
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": CHARGE,
        "created": CREATED,
        "fraud_type": "made_with_stolen_card",
        "livemode": False,
        "payment_intent": INTENT,
    } | fields


def event(kind: str, about: dict[str, Any], *, number: int = 1, **fields: Any) -> bytes:
    return json.dumps(
        {
            "id": f"evt_3MtwBwLkdIwHu7ix2{number:06}",
            "object": "event",
            "api_version": "2026-10-28.acacia",
            "created": 1764072000,
            "data": {"object": about, "previous_attributes": {"status": "processing"}},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": "req_1", "idempotency_key": str(PAYMENT_ID)},
            "type": kind,
        }
        | fields
    ).encode()


THIN_CREATED = "2026-11-25T12:00:00.000Z"


def thin_event(kind: str, ref: str, *, number: int = 1, **fields: Any) -> dict[str, Any]:
    """A thin event of that kind of event in full about an object, as its destination and the list have it."""
    resource = _resource_of(kind)
    return {
        "id": f"evt_65SDS7HTasdQYsDClFT{number:06}",
        "object": "v2.core.event",
        "type": f"v1.{kind}",
        "created": THIN_CREATED,
        "livemode": False,
        "context": None,
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "key_1"}},
        "related_object": {"id": ref, "type": resource, "url": f"/v1/{_PATHS[resource]}/{ref}"},
        "snapshot_event": f"evt_3MtwBwLkdIwHu7ix2{number:06}",
    } | fields


_PATHS = {
    "payment_intent": "payment_intents",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "radar.early_fraud_warning": "radar/early_fraud_warnings",
}


_THIN = {
    "payment_intent.succeeded": INTENT,
    "payment_intent.payment_failed": INTENT,
    "charge.captured": CHARGE,
    "charge.refunded": CHARGE,
    "refund.failed": REFUND,
    "charge.dispute.funds_withdrawn": DISPUTE,
    "radar.early_fraud_warning.created": WARNING,
}
"""A thin event of each kind of object, and those that say more than that it has news."""


def _resource_of(kind: str) -> str:
    """What Stripe's own classes call the related object of an event of that kind."""
    if kind.startswith("charge.dispute."):
        return "dispute"
    if kind.startswith(("refund.", "charge.refund.")):
        return "refund"
    return kind.rpartition(".")[0]


def thin(kind: str, ref: str, secret: str | None = None, **fields: Any) -> SignedWebhook:
    """A signed webhook with a thin event."""
    return sign(json.dumps(thin_event(kind, ref, **fields)).encode(), secret or KIT.secrets[0])


def sign(body: bytes, secret: str, *, signed_at: datetime = NOW) -> SignedWebhook:
    """The webhook by Stripe's description and none of our code; an older secret's signature and a test one besides."""
    seconds = int(signed_at.timestamp())
    signature = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    value = f"t={seconds},v1={'0' * 64},v1={signature},v0={'f' * 64}"
    return SignedWebhook(body=body, headers={"stripe-signature": value})


class StripeBank:
    """PaymentIntents, refunds and disputes; a key that comes again with other parameters is an error, as at Stripe."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.disputes: list[dict[str, Any]] = []
        self.objects: dict[str, dict[str, Any]] = {}
        """Charges, refunds, disputes and warnings that are read by their own ids, besides those of payments."""
        self.thin_events: list[dict[str, Any]] = []
        self.page = 100
        """Events on a page of the list of thin ones, at most."""
        self.events: list[dict[str, Any]] = []
        self.requests: list[httpx.Request] = []
        self._keys = Keys()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["Authorization"] != f"Bearer {API_KEY}":
            return problem(401, type="invalid_request_error")
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        query = dict(request.url.params)
        match request.method, request.url.path.split("/")[2:]:
            case "POST", ["payment_intents"]:
                return self._once(request, lambda: self._open(sent))
            case "POST", ["refunds"]:
                return self._once(request, lambda: self._refund(sent))
            case "POST", ["payment_intents", reference, "capture"]:
                return self._once(request, lambda: self._capture(reference, sent))
            case "POST", ["payment_intents", reference, "cancel"]:
                return self._once(request, lambda: self._cancel(reference))
            case "GET", ["payment_intents", reference]:
                return self._intent(reference)
            case "GET", ["refunds"]:
                return _list(
                    [made for made in self.refunds.values() if made["payment_intent"] == query["payment_intent"]]
                )
            case "GET", ["disputes"]:
                return _list([one for one in self.disputes if one["payment_intent"] == query["payment_intent"]])
            case "GET", ["events"]:
                return self._events(query)
            case "GET", ["core", "events"]:
                return self._thin_events(request)
            case "GET", ["charges" | "refunds" | "disputes", reference] | ["radar", "early_fraud_warnings", reference]:
                return self._object(reference)
        return problem(404, type="invalid_request_error", code="resource_missing")

    def pay(self, provider_ref: str) -> None:
        held = self.payments[provider_ref]
        details = {"id": f"ch_{provider_ref}", "payment_intent": provider_ref, "currency": held["currency"]}
        details |= {"amount": held["amount"]}
        if held["capture_method"] == "manual":
            held |= {"status": "requires_capture", "amount_capturable": held["amount"]}
            held["latest_charge"] = authorized(**details)
        else:
            held |= {"status": "succeeded", "amount_received": held["amount"]}
            held["latest_charge"] = charge(**details, amount_captured=held["amount"])

    def _once(self, request: httpx.Request, make: Any) -> httpx.Response:
        given = self._keys.answer(request.headers.get("Idempotency-Key"), request.content, make)
        if given is None:
            return problem(400, type="idempotency_error")
        return httpx.Response(given.status_code, content=given.content)

    def _open(self, sent: dict[str, str]) -> httpx.Response:
        reference = f"pi_{len(self.payments):024}"
        self.payments[reference] = intent("requires_payment_method") | {
            "id": reference,
            "client_secret": f"{reference}_secret_x",
            "amount": int(sent["amount"]),
            "currency": sent["currency"],
            "metadata": _metadata(sent),
            "capture_method": sent.get("capture_method", "automatic"),
            "last_payment_error": None,
            "latest_charge": None,
        }
        return httpx.Response(200, json=self.payments[reference])

    def _intent(self, reference: str) -> httpx.Response:
        held = self.payments.get(reference)
        return (
            httpx.Response(200, json=held)
            if held
            else problem(404, type="invalid_request_error", code="resource_missing")
        )

    def _cancel(self, reference: str) -> httpx.Response:
        held = self.payments.get(reference)
        if held is None:
            return problem(404, type="invalid_request_error", code="resource_missing")
        if held["status"] in {"succeeded", "canceled", "processing"}:
            return problem(400, type="invalid_request_error", code="payment_intent_unexpected_state")
        held |= {"status": "succeeded" if held["amount_received"] else "canceled", "amount_capturable": 0}
        return httpx.Response(200, json=held)

    def _capture(self, reference: str, sent: dict[str, str]) -> httpx.Response:
        held = self.payments.get(reference)
        if held is None:
            return problem(404, type="invalid_request_error", code="resource_missing")
        if held["status"] != "requires_capture":
            return problem(400, type="invalid_request_error", code="payment_intent_unexpected_state")
        amount = int(sent["amount_to_capture"])
        if amount > held["amount_capturable"]:
            return problem(400, type="invalid_request_error", code="amount_too_large", param="amount_to_capture")
        held["amount_received"] += amount
        held["amount_capturable"] -= amount
        held["latest_charge"] |= {"amount_captured": held["amount_received"], "captured": True}
        held["metadata"] |= _metadata(sent)
        if sent.get("final_capture", "true") == "true" or not held["amount_capturable"]:
            held |= {"status": "succeeded", "amount_capturable": 0}
        return httpx.Response(200, json=held)

    def _refund(self, sent: dict[str, str]) -> httpx.Response:
        held = self.payments.get(sent["payment_intent"])
        if held is None or not held["amount_received"]:
            return problem(400, type="invalid_request_error", code="charge_not_refundable")
        reference = f"re_{len(self.refunds):024}"
        self.refunds[reference] = refund(
            id=reference,
            charge=held["latest_charge"]["id"],
            payment_intent=sent["payment_intent"],
            amount=int(sent["amount"]),
            currency=held["currency"],
            metadata={"refund_id": sent["metadata[refund_id]"], "payment_id": sent["metadata[payment_id]"]},
        )
        return httpx.Response(200, json=self.refunds[reference])

    def _object(self, reference: str) -> httpx.Response:
        of_payments = {paid["latest_charge"]["id"]: paid["latest_charge"] for paid in self._charged()}
        disputes = {held["id"]: held for held in self.disputes}
        held = (self.objects | of_payments | self.refunds | disputes).get(reference)
        if held is None:
            return problem(404, type="invalid_request_error", code="resource_missing")
        return httpx.Response(200, json=held)

    def _charged(self) -> list[dict[str, Any]]:
        return [held for held in self.payments.values() if isinstance(held.get("latest_charge"), dict)]

    def _thin_events(self, request: httpx.Request) -> httpx.Response:
        """A page, the newest first; the next one's address repeats the query, and has a token of Stripe's own."""
        query = dict(request.url.params)
        types = [value for name, value in query.items() if name.startswith("types[")]
        assert 1 <= len(types) <= 20
        since, until = (datetime.fromisoformat(query[f"created[{name}]"]) for name in ("gte", "lt"))
        newest_first = sorted(self.thin_events, key=lambda held: str(held["created"]))[::-1]
        found = [
            held
            for held in newest_first
            if held["type"] in types and since <= datetime.fromisoformat(held["created"]) < until
        ]
        begin = int(query.get("page", "0"))
        end = begin + min(self.page, int(query["limit"]))
        further = None
        if end < len(found):
            further = f"/v2/core/events?{urlencode(query | {'page': str(end)})}"
        return httpx.Response(200, json={"data": found[begin:end], "next_page_url": further})

    def _events(self, query: dict[str, str]) -> httpx.Response:
        assert query["delivery_success"] == "false"
        found = [held for held in self.events if held["created"] >= int(query["created[gte]"])]
        ids = [held["id"] for held in found]
        begin = ids.index(query["starting_after"]) + 1 if "starting_after" in query else 0
        end = begin + int(query["limit"])
        return _list(found[begin:end], more=end < len(found))


def _metadata(sent: dict[str, str]) -> dict[str, str]:
    return {name[9:-1]: value for name, value in sent.items() if name.startswith("metadata[")}


def _list(objects: list[dict[str, Any]], *, more: bool = False) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": objects, "has_more": more, "url": "/v1/things"})


def problem(status: int, **details: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": "Your card 4242 was …"} | details})


class StripeKit:
    name = "stripe"
    secrets = ("whsec_the_first_of_this_test", "whsec_the_second_of_this_test", "whsec_the_third_of_this_test")
    statuses = tuple(_INTENTS)
    refunds = tuple(_REFUNDS)
    timed = True
    signed = True

    def provider(self, *secrets: str, answer: Answer | None = None, **options: str) -> StripeProvider:
        values = {"api_key": API_KEY} | options
        provider = StripeProvider(
            Account(
                options={name: Secret(value) for name, value in values.items()},
                deployment=DEPLOYMENT,
                secrets=[Secret(secret) for secret in secrets or self.secrets[:1]],
            )
        )
        provider._calls.transport._client = httpx.Client(transport=httpx.MockTransport(answer or nobody))
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
        reference, minor = provider_ref or INTENT, int(amount * 100)
        if isinstance(status, RefundStatus):
            about = refund(_REFUNDS[status], payment_intent=reference, amount=minor)
        elif status is PaymentStatus.REVERSED:
            about = dispute("lost", payment_intent=reference, amount=minor)
        else:
            about = intent(_INTENTS[status] if status else "succeeded", id=reference, amount=minor)
            about["amount_received"] = minor if status is PaymentStatus.PAID else 0
            about["amount_capturable"] = minor if status is PaymentStatus.AUTHORIZED else 0
        body = _event(_EVENTS[status], about, number=event)
        return sign(body, self.secrets[0] if secret is None else secret, signed_at=signed_at)

    def movements(self) -> dict[str, SignedWebhook]:
        """A verified webhook of each kind that is about attempts, captures, refunds and disputes."""
        about: dict[str, tuple[str, dict[str, Any]]] = {
            "no charge": ("payment_intent.payment_failed", intent("requires_payment_method", latest_charge=None)),
            "part captured": ("payment_intent.succeeded", intent(amount_received=20000)),
            "part captured, more to come": (
                "payment_intent.amount_capturable_updated",
                intent("requires_capture", amount_received=10000, amount_capturable=14000),
            ),
            "no charge named": ("payment_intent.succeeded", intent(latest_charge=None)),
            "ran out": ("payment_intent.canceled", intent("canceled", cancellation_reason="automatic")),
            "charge pending": ("charge.pending", charge("pending")),
            "charge failed": ("charge.failed", charge("failed")),
            "charge authorized": ("charge.succeeded", authorized()),
            "charge captured": ("charge.captured", charge(amount_captured=20000)),
            "charge updated": ("charge.updated", charge()),
            "charge expired": ("charge.expired", authorized(amount_refunded=24000, refunded=True)),
            "charge refunded": ("charge.refunded", charge(amount_refunded=24000, refunded=True)),
            "refund of the dashboard": ("charge.refund.updated", refund(metadata={})),
            "let go": ("refund.created", refund(metadata={}, balance_transaction=None, amount=4000)),
            "fraud warning": ("radar.early_fraud_warning.created", warning()),
        }
        for kind in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated"):
            about[f"dispute {kind}"] = (f"charge.dispute.{kind}", dispute(moves=2 if kind == "funds_reinstated" else 1))
        for status in ("warning_needs_response", "warning_closed", "appeal_under_review", "prevented", "of tomorrow"):
            about[f"dispute {status}"] = ("charge.dispute.updated", dispute(status, moves=0))
        in_full = {
            name: sign(event(kind, what, number=number), self.secrets[0])
            for number, (name, (kind, what)) in enumerate(about.items(), start=1)
        }
        return in_full | {f"thin {kind}": thin(kind, ref) for kind, ref in _THIN.items()}

    def sealed(self, body: bytes) -> SignedWebhook:
        return sign(body, self.secrets[0])

    def reference(self) -> Reference:
        return Reference(
            provider_ref=INTENT, payment_id=PAYMENT_ID, amount=AMOUNT, currency=CURRENCY, capture_ref=CHARGE
        )

    def unverified_in_batch(self) -> None:
        return None

    def bank(self) -> StripeBank:
        return StripeBank()


_event = event

KIT = StripeKit()
