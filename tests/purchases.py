"""Carts filled and sessions asked for, as customers do it."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import redis
from werkzeug.test import TestResponse

from tests.conftest import Customer, Sql

PATH = "/api/checkout/session"
ANSWER = {
    *("payment_id", "payment_token", "amount", "currency", "status", "provider", "expires_at", "also_under_way"),
    "next_action",
}


def fill_cart(customer: Customer, *lines: tuple[dict[str, Any], int]) -> str:
    """Put listings into the customer's cart; its id."""
    for listing, qty in lines:
        answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": qty})
        assert answer.status_code in {200, 201}, answer.text
    return customer.get("/api/cart").json["id"]


def add_older_line(sql: Sql, listing: dict[str, Any], qty: int = 1) -> None:
    """Put a listing into the only cart as a release before carts had currencies did, and make its lines such ones."""
    sql("UPDATE cart_items SET currency = NULL")
    sql("UPDATE carts SET currency = NULL")
    sql("INSERT INTO cart_items (cart_id, listing_id, qty) SELECT id, :listing, :qty FROM carts",
        listing=listing["id"], qty=qty)  # fmt: skip


def ask(customer: Customer, cart_id: str, key: str | None = "purchase-1", **members: Any) -> TestResponse:
    """Ask for a session; members other than cart_id as keywords."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return customer.post(PATH, json={"cart_id": cart_id, **members}, headers=headers)


def opened(customer: Customer, cart_id: str, key: str | None = "purchase-1", **members: Any) -> dict[str, Any]:
    """The answer of a session that was opened or replayed."""
    answer = ask(customer, cart_id, key, **members)
    assert answer.status_code == 201, answer.text
    return answer.json


def replayed(answer: TestResponse) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def counts(sql: Sql) -> tuple[int, int]:
    """How many sessions and payments there are."""
    row = sql("SELECT (SELECT count(*) FROM checkout_sessions) AS s, (SELECT count(*) FROM payments) AS p")[0]
    return row.s, row.p


NOTHING = (0, 0)
ONE_OF_EACH = (1, 1)


def remembered(cache_url: str) -> list[bytes]:
    """The names under which the cache holds answers, once it holds any: they are put there a moment after."""
    until = monotonic() + 60
    with redis.Redis.from_url(cache_url) as cache:
        while not (names := cache.keys("*:session:*")):
            assert monotonic() < until, "no answer came into the cache"
            sleep(0.01)
    return names
