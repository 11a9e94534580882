"""Guests of the API: carts made without a token, and their holders."""

from __future__ import annotations

from uuid import UUID

from flask import Flask

from tests.conftest import Customer, Sql


def make_guest(app: Flask, sql: Sql) -> Customer:
    """A guest with an empty cart, and a client of their own; the id is that of their row."""
    answer = app.test_client().post("/api/carts")
    assert answer.status_code == 201, answer.text
    guest_id: UUID = sql("SELECT user_id FROM carts WHERE id = :id", id=answer.json["id"])[0].user_id
    return Customer(id=guest_id, headers={"Cart-Token": answer.json["cart_token"]}, client=app.test_client())


def token_of(guest: Customer) -> str:
    return guest.headers["Cart-Token"]
