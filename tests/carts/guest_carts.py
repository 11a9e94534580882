"""Guests of the API: carts made without a token, and their holders."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import Customer, Sql
from tests.money import attempt, fold


def make_guest(app: Flask, sql: Sql) -> Customer:
    """A guest with an empty cart, and a client of their own; the id is that of their row."""
    answer = app.test_client().post("/api/carts")
    assert answer.status_code == 201, answer.text
    guest_id: UUID = sql("SELECT user_id FROM carts WHERE id = :id", id=answer.json["id"])[0].user_id
    return Customer(id=guest_id, headers={"Cart-Token": answer.json["cart_token"]}, client=app.test_client())


def token_of(guest: Customer) -> str:
    return guest.headers["Cart-Token"]


def merge(customer: Customer, guest: Customer, how: str = "sum", **headers: str) -> TestResponse:
    return customer.post("/api/cart/merge", json={"cart_token": token_of(guest), "how": how}, headers=headers)


def lines(customer: Customer) -> dict[str, int]:
    return {item["listing"]["id"]: item["qty"] for item in customer.get("/api/cart").json["items"]}


def begin(sql: Sql, payment_id: str | UUID) -> None:
    """Somebody has begun to pay it."""
    attempt(sql, payment_id, "under_way", ref=f"begun {payment_id}")
    fold(sql, payment_id)


def generation(sql: Sql, who: Customer) -> Any:
    return sql("SELECT generation FROM carts WHERE user_id = :id", id=who.id)[0].generation
