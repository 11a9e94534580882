"""GoCardless for the contract suite: deliveries of many events, and a server of billing requests and payments."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from checkout_service.payments.status import PaymentStatus, RefundStatus
from checkout_service.providers.adapters.gocardless.provider import GoCardlessProvider
from checkout_service.providers.base import Reference
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from tests.providers.kits.banking import nobody
from tests.providers.kits.kit import AMOUNT, CURRENCY, NOW, PAYMENT_ID, Answer, SignedWebhook

OPTIONS = {"access_token": "sandbox_tLxYn3nqVWxcJDRDgmEy8sVx", "return_url": "https://shop.test/paid"}
PAYMENT_REF = "PM000YH6Q81QJT"
REQUEST_REF = "BRQ000078CWFR1"
FLOW_PAGE = "https://pay-sandbox.gocardless.com/billing/static/flow"
TOKEN = f"{FLOW_PAGE}?id=BRF0000A1B2C3#{REQUEST_REF}"

STATUSES = {
    "created": "pending_submission",
    "customer_approval_granted": "pending_submission",
    "submitted": "submitted",
    "confirmed": "confirmed",
    "paid_out": "paid_out",
    "failed": "failed",
    "resubmission_requested": "pending_submission",
    "charged_back": "charged_back",
    "chargeback_cancelled": "confirmed",
    "cancelled": "cancelled",
    "customer_approval_denied": "customer_approval_denied",
}
"""What a payment's status is after an event; after any other it is what it was."""

FAILED_REFUNDS = {"failed", "bounced", "cancelled", "funds_returned"}

CAUSES = {
    "failed": ("bank", "refer_to_payer"),
    "charged_back": ("bank", "refund_requested"),
    "resubmission_requested": ("api", "payment_retried"),
    "created": ("api", "payment_created"),
}


def moment(began: datetime, number: int) -> str:
    """So many seconds later, as GoCardless writes it."""
    return (began + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def event(kind: str, action: str, number: int, metadata: dict[str, str] | None = None, **links: str) -> dict[str, Any]:
    """An event as GoCardless writes it; it is of NOW and so many seconds."""
    origin, cause = CAUSES.get(action, ("gocardless", f"{kind.rstrip('s')}_{action}"))
    return {
        "id": f"EV{number:012}",
        "created_at": moment(NOW, number),
        "resource_type": kind,
        "action": action,
        "links": links,
        "details": {"origin": origin, "cause": cause, "description": "What happened, in words."},
        "metadata": {},
        "resource_metadata": {"payment_id": str(PAYMENT_ID)} if metadata is None else metadata,
    }


def delivery(*events: Any, webhook_id: str = "WB0000000000001") -> bytes:
    """A body of events."""
    return json.dumps({"events": list(events), "meta": {"webhook_id": webhook_id}}).encode()


def sign(body: bytes, secret: str) -> SignedWebhook:
    """The delivery by GoCardless' description and none of our code."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return SignedWebhook(body=body, headers={"webhook-signature": digest})


class GoCardlessBank:
    """Billing requests by our id of the payment, and what becomes of them. A key that came before is a conflict.

    ``debits`` are the payments by their own ids, ``behind`` the ids or actions whose events are not listed yet.
    Its events are of ``began`` and as many seconds later as there are. Of a refund
    that comes back it gives back to ``amount_refunded``, unless it ``counts_failed``; what it reckons the sum of all
    refunds to be may be ``off``.
    """

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {}
        self.debits: dict[str, Any] = {}
        self.flows: dict[str, Any] = {}
        self.refunds: dict[str, Any] = {}
        self.webhooks: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.behind: set[str] = set()
        self.page = 500
        self.began = NOW
        self.counts_failed = False
        self.off = 0
        self.requests: list[httpx.Request] = []
        self.keys: dict[tuple[str, str], str] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.headers["Authorization"] != f"Bearer {OPTIONS['access_token']}":
            return refused(401, "invalid_api_usage", "access_token_not_found")
        if request.headers["GoCardless-Version"] != "2015-07-06":
            return refused(400, "invalid_api_usage", "version_not_found")
        kind, *steps = request.url.path.strip("/").split("/")
        if request.method == "GET":
            return self._read(kind, steps, dict(request.url.params))
        if steps:
            return self._act(kind, *steps)
        key = (kind, request.headers.get("Idempotency-Key", ""))
        assert key[1], "a call that makes something has no idempotency key"
        if key in self.keys:
            return refused(409, "invalid_state", "idempotent_creation_conflict", resource=self.keys[key])
        order = json.loads(request.content)[kind]
        made = {"billing_requests": self._request, "billing_request_flows": self._flow, "refunds": self._refund}[kind](
            order
        )
        if isinstance(made, httpx.Response):
            return made
        self.keys[key] = made["id"]
        return httpx.Response(201, json={kind: made})

    def pay(self, provider_ref: str) -> None:
        self.fulfil(provider_ref)
        self.happen(provider_ref, "confirmed")

    def fulfil(self, provider_ref: str) -> dict[str, Any]:
        """The customer went through the pages: there is a payment, and the event of it."""
        request = self.payments[provider_ref]
        payment_ref = _id("PM", provider_ref)
        ordered = request["payment_request"]
        request["status"] = "fulfilled"
        request["links"]["payment_request_payment"] = payment_ref
        self.debits[payment_ref] = {
            "id": payment_ref,
            "created_at": "2026-11-25T12:00:00.000Z",
            "charge_date": "2026-11-28",
            "amount": int(ordered["amount"]),
            "amount_refunded": 0,
            "currency": ordered["currency"],
            "description": ordered["description"],
            "metadata": ordered["metadata"],
            "status": "pending_submission",
            "links": {"mandate": "MD000123", "creditor": "CR000123"},
        }
        return self.happen(provider_ref, "created")

    def happen(self, provider_ref: str, action: str, **details: str) -> dict[str, Any]:
        """Something happens to the payment of a request; the event of it."""
        debit = self.debits[self.payments[provider_ref]["links"]["payment_request_payment"]]
        debit["status"] = STATUSES.get(action, debit["status"])
        made = event("payments", action, len(self.events) + 1, debit["metadata"], payment=debit["id"])
        made["created_at"] = moment(self.began, len(self.events) + 1)
        made["details"] |= details
        self.events.append(made)
        return made

    def give_back(
        self, provider_ref: str, refund_ref: str, status: str, amount: int, **metadata: str
    ) -> dict[str, Any]:
        """A refund as somebody makes it in the dashboard, or news of one; the event of it."""
        debit = self.debits[self.payments[provider_ref]["links"]["payment_request_payment"]]
        if refund_ref not in self.refunds:
            self._made_refund(refund_ref, debit, amount, metadata)
        held = self.refunds[refund_ref]
        if status in FAILED_REFUNDS and held["status"] not in FAILED_REFUNDS and not self.counts_failed:
            debit["amount_refunded"] -= held["amount"]
        held["status"] = status
        made = event("refunds", status, len(self.events) + 1, held["metadata"], refund=refund_ref)
        self.events.append(made)
        return made

    def _read(self, kind: str, steps: Sequence[str], query: dict[str, str]) -> httpx.Response:
        if not steps:
            return self._listed(kind, query)
        whole = {
            "billing_requests": {each["id"]: each for each in self.payments.values()},
            "payments": self.debits,
            "refunds": self.refunds,
        }[kind]
        held = whole.get(steps[0])
        if held is None:
            return refused(404, "invalid_api_usage", "resource_not_found")
        return httpx.Response(200, json={kind: held})

    def _listed(self, kind: str, query: dict[str, str]) -> httpx.Response:
        whole: list[dict[str, Any]] = {
            "events": [each for each in self.events if not self.behind & {each["action"], each["id"]}],
            "refunds": list(self.refunds.values()),
            "webhooks": self.webhooks,
        }[kind]
        if "payment" in query:
            whole = [each for each in whole if each["links"].get("payment") == query["payment"]]
        if "successful" in query:
            whole = [each for each in whole if each["successful"] is (query["successful"] == "true")]
        start = int(query.get("after", "0"))
        until = start + min(int(query["limit"]), self.page)
        # The newest first, as GoCardless lists.
        found = whole[::-1][start:until]
        after = str(until) if until < len(whole) else None
        meta = {"cursors": {"before": None, "after": after}, "limit": int(query["limit"])}
        return httpx.Response(200, json={kind: found, "meta": meta})

    def _act(self, kind: str, ref: str, _: str, act: str) -> httpx.Response:
        if kind == "billing_request_flows":
            return httpx.Response(200, json={kind: self.flows[ref] | {"session_token": "anew"}})
        if kind == "billing_requests":
            held = next((each for each in self.payments.values() if each["id"] == ref), None)
            if held is None:
                return refused(404, "invalid_api_usage", "resource_not_found")
            if held["status"] != "pending":
                return refused(409, "invalid_state", "billing_request_already_fulfilled")
            held["status"] = "cancelled"
            return httpx.Response(200, json={kind: held})
        debit = self.debits[ref]
        if debit["status"] != "pending_submission":
            return refused(422, "invalid_state", "cancellation_failed")
        self.happen(debit["metadata"]["payment_id"], "cancelled")
        return httpx.Response(200, json={kind: debit})

    def _request(self, order: dict[str, Any]) -> dict[str, Any]:
        ordered, ours = order["payment_request"], order["metadata"]["payment_id"]
        made = order | {"id": _id("BRQ", ours), "status": "pending", "links": {"customer": "CU000123"}}
        made["payment_request"] = ordered | {"scheme": None, "links": {}}
        self.payments[ours] = made
        return made

    def _flow(self, order: dict[str, Any]) -> dict[str, Any]:
        flow_ref = _id("BRF", order["links"]["billing_request"])
        made = order | {"id": flow_ref, "authorisation_url": f"{FLOW_PAGE}?id={flow_ref}", "session_token": "once"}
        self.flows[flow_ref] = made
        return made

    def _refund(self, order: dict[str, Any]) -> dict[str, Any] | httpx.Response:
        debit = self.debits[order["links"]["payment"]]
        if debit["status"] not in {"confirmed", "paid_out"}:
            return refused(422, "invalid_state", "refund_payment_invalid_state")
        live = [
            made["amount"]
            for made in self.refunds.values()
            if made["links"]["payment"] == debit["id"] and made["status"] not in FAILED_REFUNDS
        ]
        if order["total_amount_confirmation"] != sum(live) + order["amount"] + self.off:
            return refused(422, "validation_failed", "total_amount_confirmation_invalid")
        assert len(order["metadata"]) <= 3
        return self._made_refund(f"RF{len(self.refunds) + 1:09}", debit, order["amount"], order["metadata"])

    def _made_refund(
        self, refund_ref: str, debit: dict[str, Any], amount: int, metadata: dict[str, str]
    ) -> dict[str, Any]:
        debit["amount_refunded"] += amount
        self.refunds[refund_ref] = {
            "id": refund_ref,
            "created_at": "2026-11-29T12:00:00.000Z",
            "amount": amount,
            "currency": debit["currency"],
            "status": "created",
            "reference": None,
            "metadata": metadata,
            "links": {"payment": debit["id"], "mandate": "MD000123"},
        }
        return self.refunds[refund_ref]


def _id(prefix: str, seed: str) -> str:
    return prefix + hashlib.sha256(seed.encode()).hexdigest()[:12].upper()


def refused(status: int, kind: str, reason: str, *, field: str | None = None, resource: str = "") -> httpx.Response:
    """An error as GoCardless writes it."""
    detail: dict[str, Any] = {"message": "hunter2"}
    detail |= {"field": field, "request_pointer": f"/{field}"} if field else {"reason": reason}
    if resource:
        detail["links"] = {"conflicting_resource_id": resource}
    error = {"type": kind, "code": status, "message": "hunter2", "errors": [detail], "request_id": "…"}
    return httpx.Response(status, json={"error": error})


class GoCardlessKit:
    name = "gocardless"
    secrets = ("ED7D658C-D8EB-4941-948B-3973214F2D49", "a second secret of this test", "the third of them")
    statuses: tuple[PaymentStatus, ...] = ()
    refunds: tuple[RefundStatus, ...] = ()
    timed = False
    signed = True

    def provider(
        self, *secrets: str, answer: Answer | None = None, deployment: str = "", **options: str
    ) -> GoCardlessProvider:
        values = OPTIONS | options
        provider = GoCardlessProvider(
            Account(
                options={name: Secret(value) for name, value in values.items()},
                secrets=[Secret(secret) for secret in secrets or self.secrets[:1]],
                deployment=deployment,
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
        action = "of another age" if status is None else "confirmed"
        ours = {"payment_id": provider_ref or str(PAYMENT_ID)}
        return sign(
            delivery(_event("payments", action, event, ours, payment=PAYMENT_REF)),
            self.secrets[0] if secret is None else secret,
        )

    def movements(self) -> dict[str, SignedWebhook]:
        """Every event after which a payment is looked up."""
        words = {
            "payments": "created confirmed failed cancelled customer_approval_denied charged_back "
            "chargeback_cancelled resubmission_requested",
            "refunds": "created submitted paid failed bounced cancelled funds_returned",
            "billing_requests": "fulfilled cancelled failed",
        }
        links = {"payment": PAYMENT_REF, "refund": "RF00001", "billing_request": REQUEST_REF}
        return {
            f"{kind}.{action}": self.sealed(delivery(_event(kind, action, 1, None, **{link: links[link]})))
            for (kind, actions), link in zip(words.items(), links, strict=True)
            for action in actions.split()
        }

    def sealed(self, body: bytes) -> SignedWebhook:
        return sign(body, self.secrets[0])

    def reference(self, payment_id: UUID = PAYMENT_ID) -> Reference:
        return Reference(
            provider_ref=str(payment_id),
            payment_id=payment_id,
            amount=AMOUNT,
            currency=CURRENCY,
            payment_token=TOKEN,
        )

    def unverified_in_batch(self) -> None:
        return None

    def bank(self) -> GoCardlessBank:
        return GoCardlessBank()


_event = event

KIT = GoCardlessKit()
