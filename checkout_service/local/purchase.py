"""One purchase over HTTP, step by step, as a customer, a payment provider and the customer again would make it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt

from checkout_service.local.mock_cli import update_server
from checkout_service.providers.adapters.mock.provider import sign

PAID_WITHIN = 30.0
NUMBERED_WITHIN = 10.0
TOKEN_LIFE = timedelta(days=1)

Report = Callable[[str, str, float], None]
"""Called after each step: what was done, what came back, and how many seconds it took."""


class PurchaseError(Exception):
    """A step was answered otherwise than it should be."""


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What was bought and by whom, for the reader to look up and try again."""

    user_id: UUID
    token: str
    payment_id: str
    order_id: str
    order_number: str | None
    seconds_to_paid: float


def customer_token(user_id: UUID, environment: Mapping[str, str], *, scope: str | None = None) -> str:
    """A bearer token for a customer, signed with the JWT_SECRET of the environment; it lives a day.

    With ``scope`` it is one for staff.
    """
    claims: dict[str, Any] = {
        environment.get("JWT_SUBJECT_CLAIM") or "sub": str(user_id),
        "exp": datetime.now(UTC) + TOKEN_LIFE,
    }
    if scope is not None:
        claims["scope"] = scope
    for claim, name in (("aud", "JWT_AUDIENCE"), ("iss", "JWT_ISSUER")):
        if environment.get(name):
            claims[claim] = environment[name]
    algorithm = (environment.get("JWT_ALGORITHMS") or "HS256").split(",")[0].strip()
    return jwt.encode(claims, environment["JWT_SECRET"], algorithm)


def first_listing(catalogue: Path) -> dict[str, Any]:
    """The first listing of the catalogue's file that is on sale, as its line says."""
    return _listings(catalogue)[0]


def buy(base_url: str, environment: Mapping[str, str], catalogue: Path, report: Report) -> Purchase:
    """Two listings in a cart, a checkout session, a signed webhook, the payment read until it is paid, and its order.

    An order has its number moments later: where none came in ``NUMBERED_WITHIN`` seconds, it is shown without.
    """
    first = first_listing(catalogue)
    second = _second_listing(catalogue, first)
    user_id = uuid4()
    token = customer_token(user_id, environment)
    secret = environment["MOCK_WEBHOOK_SECRETS"].split(",")[0].strip()
    with httpx.Client(base_url=base_url, timeout=10, headers={"Authorization": f"Bearer {token}"}) as http:
        shop = _Shop(http, report)
        for listing, quantity in ((first, 2), (second, 1)):
            description = f"{quantity} × {listing['title']} at {listing['unit_price']} {listing['currency']}"
            item = {"listing": listing["id"], "qty": quantity}
            shop.call("POST", "/api/cart/items", item, 201, description)
        cart = shop.call("GET", "/api/cart", None, 200, lambda cart: f"total {cart['total_amount']} {cart['currency']}")
        expected = 2 * Decimal(first["unit_price"]) + Decimal(second["unit_price"])
        if Decimal(cart["total_amount"]) != expected:
            raise PurchaseError(f"the cart's total is {cart['total_amount']}, not {expected}")
        session = shop.call(
            "POST",
            "/api/checkout/session",
            {"cart_id": cart["id"]},
            201,
            lambda session: f"payment {session['payment_id']}, {session['status']}",
            {"Idempotency-Key": str(uuid4())},
        )
        webhook = {
            "provider_ref": session["payment_token"],
            "status": "paid",
            "raw_data": {
                "event_id": f"evt_{uuid4().hex}",
                "amount": session["amount"],
                "currency": session["currency"],
                "occurred_at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }
        update_server(environment.get("MOCK_API_BASE"), session["payment_token"], "paid")
        posted = time.perf_counter()
        shop.call(
            "POST",
            "/api/payments/webhook",
            sign(webhook, secret),
            202,
            lambda receipt: f"signed by the provider; committed as {receipt['delivery_id']}",
        )
        seconds = shop.wait_until_paid(session["payment_id"], since=posted)
        order = shop.wait_for_number(session["payment_id"], lines=2)
    return Purchase(
        user_id=user_id,
        token=token,
        payment_id=session["payment_id"],
        order_id=order["id"],
        order_number=order["number"],
        seconds_to_paid=seconds,
    )


class _Shop:
    """Calls the service and reports what came back."""

    def __init__(self, http: httpx.Client, report: Report) -> None:
        self._http = http
        self._report = report

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        status: int,
        describe: str | Callable[[Any], str],
        headers: dict[str, str] | None = None,
    ) -> Any:
        started = time.perf_counter()
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        answer = self._http.request(method, path, content=content, headers={**kind, **(headers or {})})
        took = time.perf_counter() - started
        if answer.status_code != status:
            raise PurchaseError(f"{method} {path} answered {answer.status_code}, not {status}: {answer.text}")
        value = answer.json()
        self._report(
            f"{method} {path}", f"{status}  {describe if isinstance(describe, str) else describe(value)}", took
        )
        return value

    def wait_until_paid(self, payment_id: str, *, since: float) -> float:
        path = f"/api/payments/{payment_id}"
        while True:
            answer = self._http.get(path)
            took = time.perf_counter() - since
            if answer.status_code != 200:
                raise PurchaseError(f"GET {path} answered {answer.status_code}: {answer.text}")
            status = answer.json()["status"]
            if status == "paid":
                self._report("GET /api/payments/…", "200  paid: the worker has processed the webhook", took)
                return took
            if took > PAID_WITHIN:
                raise PurchaseError(f"the payment is still {status} after {took:.0f} s: see the worker's log")
            time.sleep(0.005)

    def wait_for_number(self, payment_id: str, *, lines: int) -> Any:
        """The order of a payment that is paid, once it has its number."""
        since = time.perf_counter()
        order = self._read(f"/api/payments/{payment_id}")["order"]
        if order is None:
            raise PurchaseError(f"the payment {payment_id} is paid and has no order: see the worker's log")
        while True:
            found = self._read(f"/api/orders/{order['id']}")
            took = time.perf_counter() - since
            if found["number"] is not None or took > NUMBERED_WITHIN:
                break
            time.sleep(0.02)
        if (found["status"], len(found["lines"])) != ("placed", lines):
            have = f"{len(found['lines'])} lines and is {found['status']}"
            raise PurchaseError(f"the order has {have}, not {lines} and placed")
        number = "its number is coming" if found["number"] is None else f"number {found['number']}"
        self._report("GET /api/orders/…", f"200  an order, {number}: {lines} lines, placed", took)
        return found

    def _read(self, path: str) -> Any:
        answer = self._http.get(path)
        if answer.status_code != 200:
            raise PurchaseError(f"GET {path} answered {answer.status_code}: {answer.text}")
        return answer.json()


def _second_listing(catalogue: Path, first: dict[str, Any]) -> dict[str, Any]:
    """The next one that can be bought together with the first."""
    return next(
        other for other in _listings(catalogue) if other["currency"] == first["currency"] and other["id"] != first["id"]
    )


def _listings(catalogue: Path) -> list[dict[str, Any]]:
    listings = map(json.loads, catalogue.read_text(encoding="utf-8").splitlines())
    return [listing for listing in listings if listing.get("active", True)]
