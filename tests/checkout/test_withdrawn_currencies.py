"""Currencies that ISO withdrew: nothing new is in them, and what was begun in them goes on."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.doctor.catalog import check_prices
from checkout_service.doctor.findings import Level
from checkout_service.money import WITHDRAWN
from tests.carts.guest_carts import make_guest, merge
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import ask, counts, fill_cart, opened
from tests.refunding import ask_refund, open_payment, staff_of
from tests.webhook_bodies import post_webhook, webhook
from tests.worker.conftest import worker
from worker.refunds.task import refund
from worker.webhooks.task import process

__all__ = ["worker"]  # fixtures


@pytest.fixture
def leva(make_listing: MakeListing) -> dict[str, Any]:
    """A listing that a release before took, and that is on sale still."""
    return make_listing(unit_price="40.00", currency="BGN")


def put(customer: Customer, listing: dict[str, Any]) -> TestResponse:
    return customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})


def fill_as_before(sql: Sql, customer: Customer, listing: dict[str, Any], *, lines: bool = True) -> str:
    """The customer's cart as a release before filled it, in the listing's currency; its id."""
    sql("INSERT INTO users (id) VALUES (:user) ON CONFLICT DO NOTHING", user=customer.id)
    (cart,) = sql(
        "INSERT INTO carts (user_id, currency, currency_chosen) VALUES (:user, :currency, true) RETURNING id",
        user=customer.id,
        currency=listing["currency"],
    )
    if lines:
        sql(
            "INSERT INTO cart_items (cart_id, listing_id, qty, currency) VALUES (:cart, :listing, 1, :currency)",
            cart=cart.id,
            listing=listing["id"],
            currency=listing["currency"],
        )
    return str(cart.id)


@pytest.mark.parametrize("currency", ["BGN", "ANG"])
def test_a_listing_is_read_and_not_sold(customer: Customer, make_listing: MakeListing, sql: Sql, currency: str) -> None:
    listing = make_listing(unit_price="40.00", currency=currency)

    shown = customer.get(f"/api/listings/{listing['id']}").json
    found = customer.get(f"/api/listings?currency={currency}").json["data"]
    answer = put(customer, listing)

    assert (shown["unit_price"], shown["currency"]) == ("40.00", currency)
    assert [each["id"] for each in found] == [str(listing["id"])]
    assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")
    assert "not on sale" in answer.json["detail"]
    assert sql("SELECT FROM cart_items") == []


def test_a_cart_cannot_be_priced_in_one(customer: Customer) -> None:
    answers = [customer.patch("/api/cart", json={"currency": code}) for code in ("BGN", "ANG", "QQQ")]

    assert [answer.status_code for answer in answers] == [422] * 3
    assert [answer.json["errors"] for answer in answers] == [answers[2].json["errors"]] * 3


def test_a_listing_that_has_a_price_in_another_currency_is_sold_in_that(
    customer: Customer, leva: dict[str, Any], sql: Sql
) -> None:
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 20.45)", id=leva["id"])
    assert put(customer, leva).status_code == 404

    assert customer.patch("/api/cart", json={"currency": "EUR"}).status_code == 200
    assert put(customer, leva).status_code == 201

    cart = customer.get("/api/cart").json
    assert (cart["currency"], cart["total_amount"], cart["items"][0]["available"]) == ("EUR", "20.45", True)
    assert opened(customer, cart["id"])["currency"] == "EUR"


def test_a_price_beside_in_one_is_none(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(unit_price="20.00", currency="EUR")
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'BGN', 40)", id=listing["id"])
    fill_as_before(sql, customer, listing | {"currency": "BGN"})

    (line,) = customer.get("/api/cart").json["items"]

    assert (line["listing"]["currency"], line["available"]) == ("BGN", False)


def test_a_line_of_before_is_off_sale_and_its_session_says_why(
    customer: Customer, leva: dict[str, Any], make_listing: MakeListing, sql: Sql
) -> None:
    cart_id = fill_as_before(sql, customer, leva)
    cart = customer.get("/api/cart").json
    assert (cart["currency"], cart["items"][0]["available"], cart["items"][0]["line_total"]) == ("BGN", False, "40.00")

    answer = ask(customer, cart_id)

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid")
    (error,) = answer.json["errors"]
    assert str(leva["id"]) in error["detail"]
    assert "BGN was withdrawn on 2026-01-01: EUR took its place" in error["detail"]
    assert counts(sql) == (0, 0)
    # Another line of it may be changed and removed; nothing else comes into this cart before.
    item = cart["items"][0]["id"]
    assert customer.patch(f"/api/cart/items/{item}", json={"qty": 2}).json["available"] is False
    euros = make_listing(unit_price="7.00", currency="EUR")
    assert put(customer, euros).json["type"] == "/problems/currency-mismatch"
    assert customer.delete(f"/api/cart/items/{item}").status_code == 204
    assert put(customer, euros).status_code == 201
    assert opened(customer, cart_id)["currency"] == "EUR"


def test_an_empty_cart_in_one_gives_way_to_its_next_first_line(
    customer: Customer, leva: dict[str, Any], make_listing: MakeListing, sql: Sql
) -> None:
    fill_as_before(sql, customer, leva, lines=False)

    assert put(customer, leva).status_code == 404
    assert put(customer, make_listing(unit_price="7.00", currency="USD")).status_code == 201

    assert customer.get("/api/cart").json["currency"] == "USD"


def session_of_before(sql: Sql, customer: Customer) -> tuple[UUID, str]:
    """An open session in BGN: its payment's id and reference."""
    payment, reference = open_payment(sql, amount="100.50", currency="BGN", owner=customer.id)
    sql("INSERT INTO carts (user_id, currency) VALUES (:user, 'BGN')", user=customer.id)
    sql(
        """INSERT INTO checkout_sessions (user_id, cart_id, generation, idempotency_key, request_hash, payment_id,
            payment_token, amount, currency, lines, expires_at)
        SELECT payments.user_id, carts.id, generation, 'of-before', '', payments.id, provider_ref, amount,
            payments.currency, '[]', now() + interval '1 day'
        FROM payments JOIN carts ON carts.user_id = payments.user_id"""
    )
    return payment, reference


def test_a_session_of_before_is_paid_shown_and_refunded(customer: Customer, worker: Flask, sql: Sql) -> None:
    payment, reference = session_of_before(sql, customer)

    process(str(post_webhook(customer.client, webhook(reference, amount="100.50", currency="BGN"))))

    shown = customer.get(f"/api/payments/{payment}").json
    assert (shown["status"], shown["amount"], shown["currency"]) == ("paid", "100.50", "BGN")
    (order,) = sql("SELECT status::text FROM orders WHERE payment_id = :id", id=payment)
    assert order.status
    requested = ask_refund(staff_of(customer), payment, amount="0.05")
    assert (requested.status_code, requested.json["amount"], requested.json["currency"]) == (202, "0.05", "BGN")
    assert refund(requested.json["id"]) in {"processing", "succeeded"}
    (row,) = sql("SELECT amount, currency FROM refunds")
    assert tuple(row) == (Decimal("0.05"), "BGN")


def test_doctor_names_what_is_on_sale_in_one(
    app: Flask, make_listing: MakeListing, leva: dict[str, Any], sql: Sql
) -> None:
    make_listing(currency="USD")
    make_listing(currency="ANG", active=False)
    with app.app_context():
        (found,) = check_prices()
    assert found.level is Level.ADVICE
    assert found.result == f"1 listing on sale costs BGN, in which nothing is sold: {leva['id']}"
    assert "BGN was withdrawn on 2026-01-01: EUR took its place" in found.remedy

    sql("UPDATE listings SET currency = 'EUR' WHERE currency = 'BGN'")
    with app.app_context():
        (found,) = check_prices()
    assert found.level is Level.OK

    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'BGN', 78.23)", id=leva["id"])
    with app.app_context():
        (found,) = check_prices()
    assert found.level is Level.ADVICE
    assert found.result == "of up to 1000 prices in BGN beside listings' own, 1 are of listings on sale"


def test_the_database_knows_the_same_ones(sql: Sql) -> None:
    """A guest's cart is merged in the database."""
    (body,) = sql("SELECT prosrc FROM pg_proc WHERE proname = 'cart_drop_withdrawn'")[0]
    (listed,) = re.findall(r"IN \(('[A-Z', ]+')\)", body)
    assert set(listed.replace("'", "").split(", ")) == set(WITHDRAWN)


@pytest.mark.parametrize("how", ["sum", "max", "guest"])
@pytest.mark.parametrize("dead", ["customer's", "guest's"])
def test_a_line_that_nobody_can_buy_keeps_no_cart_from_another(
    app: Flask, customer: Customer, make_listing: MakeListing, leva: dict[str, Any], sql: Sql, dead: str, how: str
) -> None:
    guest, euros = make_guest(app, sql), make_listing(currency="EUR", unit_price="9.00")
    fill_cart(guest if dead == "customer's" else customer, (euros, 2))
    if dead == "customer's":
        fill_as_before(sql, customer, leva)
    else:
        (cart,) = sql(
            "UPDATE carts SET currency = 'BGN', currency_chosen = true WHERE user_id <> :id RETURNING id",
            id=customer.id,
        )
        sql(
            "INSERT INTO cart_items (cart_id, listing_id, qty, currency) VALUES (:cart, :listing, 1, 'BGN')",
            cart=cart.id,
            listing=leva["id"],
        )

    answer = merge(customer, guest, how)

    assert answer.status_code == 200, answer.text
    assert (answer.json["currency"], answer.json["total_amount"]) == ("EUR", "18.00")
    assert answer.json["capped"] == [{"listing": str(leva["id"]), "requested": 1, "qty": 0}]
    assert merge(customer, guest, how).json == answer.json
