"""A served shop that has one of everything, and its document with ids of there in place of the examples' own.

With an example's id every request would end with 404, and nothing behind it would be tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from flask import Flask

from checkout_service.api.document_details import METHODS
from checkout_service.local.purchase import customer_token
from tests.api.fuzzing import Callers
from tests.api_keys import ALL_SCOPES, made_key
from tests.capturing import authorized_payment
from tests.conftest import JWT_SECRET, WEBHOOK_SECRETS_KEY, MakeListing, Servers, Sql
from tests.events.numbered import sequence
from tests.flower_pages import stack
from tests.money import bring_to, dispute
from tests.ordering import ADDRESS, BUYER, paid_order

Json = dict[str, Any]

_MANY: Final = str(10**6)

_BOUNDS: Final = {
    "OPEN_SESSIONS_PER_CUSTOMER": _MANY,
    "OPEN_SESSIONS_PER_GUEST": _MANY,
    "OPEN_SESSIONS_PER_ADDRESS": _MANY,
    "GUEST_CARTS_PER_ADDRESS_PER_MINUTE": "0",
    "SESSIONS_PER_CALLER_PER_MINUTE": "0",
    "FAILED_ATTEMPTS_PER_CALLER_PER_HOUR": "0",
    "FAILED_ATTEMPTS_PER_ADDRESS_PER_HOUR": "0",
    "HELD_PIECES_PER_CUSTOMER": _MANY,
    "HELD_PIECES_PER_GUEST": _MANY,
    "HELD_PIECES_PER_ADDRESS": _MANY,
    "WEBHOOK_ENDPOINTS_MAX": _MANY,
}
"""One caller does in a minute what a shop's customers do in a day."""


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Who calls, and the ids that they use, by a security scheme.

    An id is for parameters and members of its name, or for the parameter of one operation: ``getOrder.order_id``.
    """

    callers: Callers
    ids: Mapping[str, Mapping[str, str]]

    def document(self, scheme: str) -> Json:
        """The API's document, its examples with the ids of one caller and with cursors of the lists."""
        ids = self.ids[scheme]
        made: Json = self._get("/api/openapi.json")
        for path, item in made["paths"].items():
            of_path = item.pop("parameters", [])
            for operation in (item[method] for method in METHODS if method in item):
                # An operation's own, since what one of them may do the other has undone.
                operation["parameters"] = deepcopy(of_path) + operation.get("parameters", [])
                for parameter in operation["parameters"]:
                    self._fill_parameter(parameter, ids, path, operation["operationId"])
                for media in operation.get("requestBody", {}).get("content", {}).values():
                    if "example" in media:
                        media["example"] = _filled(media["example"], ids)
        for schema in made["components"]["schemas"].values():
            for name, member in schema.get("properties", {}).items():
                if name in ids and member.get("type") == "string":
                    member["example"] = ids[name]
        # What takes away what others need comes last, and the whole cart after its lines.
        paths = made["paths"]
        made["paths"] = {path: paths[path] for path in sorted(paths, key=lambda path: _turn(path, paths[path]))}
        return made

    def _fill_parameter(self, parameter: Json, ids: Mapping[str, str], path: str, operation: str) -> None:
        name = parameter.get("name", "")
        own = ids.get(f"{operation}.{name}", ids.get(name))
        if parameter.get("in") == "path" and own is not None:
            parameter["example"] = own
        elif name == "cursor" and "{" not in path:
            parameter["example"] = self._get(path, limit=1, sort="price" if "listings" in path else None)["next_cursor"]
        elif name in {"cursor", "before", "subject"}:
            parameter.pop("example", None)  # there is no page before, and customer is named beside

    def _get(self, path: str, **query: Any) -> Json:
        given = {name: value for name, value in query.items() if value is not None}
        headers = self.callers.headers("staff" if "/admin/" in path else "customer")
        found: Json = (
            httpx.get(f"{self.callers.base_url}{path}", params=given, headers=headers, timeout=60)
            .raise_for_status()
            .json()
        )
        return found


@contextmanager
def served(servers: Servers, logs: Path) -> Iterator[str]:
    """A web process without bounds on what one caller may do; its address."""
    settings = stack.environment(
        servers, WEBHOOK_SECRETS_KEY=WEBHOOK_SECRETS_KEY, RETURN_ORIGINS="https://shop.example", **_BOUNDS
    )
    with stack.run(logs, settings, "web"):
        yield f"http://127.0.0.1:{settings['PORT']}"


def furnished(base_url: str, app: Flask, sql: Sql, make_listing: MakeListing) -> Shop:
    """A customer who bought, a guest with a cart, and staff. MIGRATION_DATABASE_URL has to be set."""
    customer = uuid4()
    listings = [make_listing(title=title, stock=10**6) for title in ("Algebra", "Blazer", "Cap")]
    for listing in listings:  # what a cart is priced in, one request sets to EUR
        sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 38)", id=listing["id"])
    orders = [paid_order(sql, (listings[0], 9999), owner=customer, buyer=BUYER, address=ADDRESS) for _ in range(5)]
    for _, payment in orders[3:]:
        dispute(sql, payment, "10.00")
    callers = Callers(
        base_url=base_url,
        customer=customer_token(customer, {"JWT_SECRET": JWT_SECRET}),
        staff=made_key(app, *ALL_SCOPES),
        guest=_post(base_url, "/api/carts")["cart_token"],
    )
    endpoints = [
        _post(
            base_url, "/api/admin/webhook-endpoints", callers.headers("staff"), url=f"https://shop.example.com/{name}"
        )
        for name in ("kept", "deleted")
    ]
    bought = {scheme: _bought(callers, scheme, sql, listings[1:]) for scheme in ("customer", "guest")}
    sequence(sql)
    everybody = {
        "customer": customer,
        "listing": listings[1]["id"],
        "listing_id": listings[1]["id"],
        "createCapture.payment_id": authorized_payment(sql)[0],
        "voidPayment.payment_id": authorized_payment(sql)[0],
        "event_id": sql("SELECT id FROM events ORDER BY id LIMIT 1")[0].id,
        "endpoint_id": endpoints[0]["id"],
        "deleteWebhookEndpoint.endpoint_id": endpoints[1]["id"],
        "cart_token": _post(base_url, "/api/carts")["cart_token"],
    }
    everybody["payout_id"] = _paid_out(sql)
    order, payment = orders[0]
    bought["customer"] |= {
        "order_id": order,
        "payment_id": payment,
        "line_id": sql("SELECT id FROM order_lines WHERE order_id = :id", id=order)[0].id,
        "cancelOrder.order_id": orders[1][0],
        "createRefund.payment_id": orders[2][1],
    }
    ids = {scheme: {name: str(value) for name, value in (everybody | own).items()} for scheme, own in bought.items()}
    return Shop(callers=callers, ids=ids)


def _paid_out(sql: Sql) -> UUID:
    """A payout among two, of two entries."""
    (row,) = sql(
        """WITH file AS (
            INSERT INTO settlement_files (provider, name, sha256, form, rows, state, entered_at)
            VALUES ('stripe', 'report.csv', decode(repeat('00', 32), 'hex'), 'form', 2, 'entered', now()) RETURNING id
        ), made AS (
            INSERT INTO payouts (provider, payout_ref, amount, currency, status, itemized, entries)
            SELECT 'stripe', 'po_' || number, 2, 'USD', 'paid', true, 2 FROM generate_series(1, 2) AS number
            RETURNING id, payout_ref
        ), entered AS (
            INSERT INTO balance_entries (provider, account, section, entry_ref, kind, provider_type, gross, fee, net,
                currency, occurred_at, occurred_local, payout_id, payout_ref, about, subject_ref, payment_ref,
                merchant_ref, description, file_id, line)
            SELECT 'stripe', '', '', 'txn_' || number, 'capture', 'charge', 1, 0, 1, 'USD', now(), '', made.id,
                made.payout_ref, 'none', '', '', '', '', file.id, number
            FROM file, made, generate_series(1, 2) AS number WHERE made.payout_ref = 'po_1'
        )
        SELECT id FROM made WHERE payout_ref = 'po_1'"""
    )
    found: UUID = row.id
    return found


def _bought(callers: Callers, scheme: str, sql: Sql, listings: list[dict[str, Any]]) -> dict[str, Any]:
    """What somebody has who paid once, and is about to pay again."""
    headers, sessions = callers.headers(scheme), []
    for _ in range(2):
        for listing in listings:
            _post(callers.base_url, "/api/cart/items", headers, listing=str(listing["id"]), qty=1)
        cart = httpx.get(f"{callers.base_url}/api/cart", headers=headers, timeout=60).raise_for_status().json()
        key = headers | {"Idempotency-Key": uuid4().hex}
        sessions.append(_post(callers.base_url, "/api/checkout/session", key, cart_id=cart["id"])["payment_id"])
        if len(sessions) == 1:
            bring_to(sql, sessions[0], "paid")
    return {
        "cart_id": cart["id"],
        "setCartItemQuantity.item_id": cart["items"][0]["id"],
        "removeCartItem.item_id": cart["items"][1]["id"],
        "payment_id": sessions[0],
        "cancelPayment.payment_id": sessions[1],
        "order_id": sql("SELECT id FROM orders WHERE payment_id = :id", id=sessions[0])[0].id,
    }


def _turn(path: str, item: Json) -> tuple[bool, int]:
    return "delete" in item, -len(path) if "delete" in item else 0


def _filled(example: Any, ids: Mapping[str, str]) -> Any:
    match example:
        case dict():
            return {name: ids.get(name, _filled(value, ids)) for name, value in example.items()}
        case list():
            return [_filled(each, ids) for each in example]
        case _:
            return example


def _post(base_url: str, path: str, headers: Mapping[str, str] | None = None, **body: Any) -> Json:
    made: Json = httpx.post(f"{base_url}{path}", json=body, headers=headers, timeout=60).raise_for_status().json()
    return made
