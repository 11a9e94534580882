"""What cannot be paid is refused with the reason, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import NOTHING, ONE_OF_EACH, PATH, add_older_line, ask, counts, fill_cart, opened, replayed


def test_empty_cart_validation(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    item = customer.get("/api/cart").json["items"][0]["id"]
    customer.delete(f"/api/cart/items/{item}")

    answer = ask(customer, cart_id)

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/empty-cart"
    assert [error["pointer"] for error in answer.json["errors"]] == ["/cart_id"]
    assert counts(sql) == NOTHING


def test_another_customers_cart_is_not_found(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    fill_cart(customer, (make_listing(), 1))
    theirs = fill_cart(other_customer, (make_listing(), 1))

    answer = ask(customer, theirs)

    assert answer.status_code == 404
    assert answer.json["detail"] == ask(customer, str(uuid4())).json["detail"]
    assert counts(sql) == NOTHING


def test_unexpected_total_is_refused_with_the_new_one(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="120.00"), 2))

    answer = ask(customer, cart_id, expected_total="200.00")

    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/total-changed"
    assert (answer.json["total_amount"], answer.json["currency"]) == ("240.00", "USD")
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("expected", ["240.00", "240", "240.0", "0240.00"])
def test_expected_total_is_an_amount_not_a_text(
    customer: Customer, make_listing: MakeListing, sql: Sql, expected: str
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="120.00"), 2))

    assert ask(customer, cart_id, expected_total=expected).status_code == 201
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({}, "/cart_id"),
        ({"cart_id": None}, "/cart_id"),
        ({"cart_id": 7}, "/cart_id"),
        ({"cart_id": "not a uuid"}, "/cart_id"),
        ({"expected_total": 240.0}, "/expected_total"),
        ({"expected_total": 240}, "/expected_total"),
        ({"expected_total": "240.0001"}, "/expected_total"),
        ({"expected_total": "-1.00"}, "/expected_total"),
        ({"expected_total": "2.4e2"}, "/expected_total"),
        ({"expected_total": "NaN"}, "/expected_total"),
        ({"expected_total": "２４０"}, "/expected_total"),
        ({"expected_total": "100000000.00"}, "/expected_total"),
        ({"expected_total": "9" * 5000}, "/expected_total"),
        ({"expected_total": ""}, "/expected_total"),
        ({"expected_total": None}, "/expected_total"),
        ({"provider": ""}, "/provider"),
        ({"provider": ["mock"]}, "/provider"),
        ({"provider": "m" * 51}, "/provider"),
        ({"provider": "stripe"}, "/provider"),
        ({"provider": "MOCK"}, "/provider"),
        ({"amount": "0.01"}, "/amount"),
    ],
)
def test_wrong_member_is_named_by_its_pointer(
    customer: Customer, make_listing: MakeListing, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="120.00"), 2))
    body = members if pointer == "/cart_id" else {"cart_id": cart_id} | members

    answer = customer.post(PATH, json=body, headers={"Idempotency-Key": "purchase-1"})

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert counts(sql) == NOTHING


def test_mixed_currencies_are_refused(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(currency="USD"), 1))
    add_older_line(sql, make_listing(currency="EUR"))

    answer = ask(customer, cart_id)

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/mixed-currencies"
    assert [error["pointer"] for error in answer.json["errors"]] == ["/cart_id"]
    assert counts(sql) == NOTHING


def test_total_that_no_payment_can_hold_is_refused(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="99999999.99"), 1), (make_listing(unit_price="0.01"), 1))

    answer = ask(customer, cart_id)

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/total-too-large"
    assert [error["pointer"] for error in answer.json["errors"]] == ["/cart_id"]
    assert counts(sql) == NOTHING


def test_line_that_grew_too_large_since_is_refused(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="1.00"), 9999))
    sql("UPDATE listings SET unit_price = 99999999.99")

    answer = ask(customer, cart_id)

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/total-too-large"
    assert counts(sql) == NOTHING


def test_largest_total_can_be_paid(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(unit_price="99999999.99"), 1))

    assert ask(customer, cart_id).json["amount"] == "99999999.99"
    assert counts(sql) == ONE_OF_EACH


def test_listing_taken_off_sale_is_refused_by_name(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    gone = make_listing()
    cart_id = fill_cart(customer, (make_listing(), 1), (gone, 1))
    sql("UPDATE listings SET active = false WHERE id = :id", id=gone["id"])

    answer = ask(customer, cart_id)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == ["/cart_id"]
    assert str(gone["id"]) in answer.json["errors"][0]["detail"]
    assert counts(sql) == NOTHING


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"cart_id": "a", "cart_id": "b"}', "application/json", 400),
        (b'{"cart_id": "\xff"}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"cart_id=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b" " * 70_000 + b"{}", "application/json", 413),
    ],
)
def test_body_that_is_not_one_json_object_is_refused(
    customer: Customer, sql: Sql, body: bytes, content_type: str, status: int
) -> None:
    answer = customer.post(PATH, data=body, content_type=content_type, headers={"Idempotency-Key": "purchase-1"})

    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert counts(sql) == NOTHING


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7"])
def test_json_that_is_no_object_is_invalid(customer: Customer, sql: Sql, body: bytes) -> None:
    answer = customer.post(PATH, data=body, content_type="application/json", headers={"Idempotency-Key": "k"})

    assert answer.status_code == 422
    assert counts(sql) == NOTHING


def test_caller_without_a_token_opens_nothing(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))

    answer = customer.post(
        PATH, json={"cart_id": cart_id}, headers={"Idempotency-Key": "purchase-1", "Authorization": "Bearer nonsense"}
    )

    assert answer.status_code == 401
    assert counts(sql) == NOTHING


def test_without_a_provider_nothing_can_be_paid_and_all_else_is_served(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    before = fill_cart(customer, (make_listing(), 1))
    paid = opened(customer, before, "before")
    app = make_app(payment_providers=(), environment="production")
    guest = replace(customer, client=app.test_client())

    refused = ask(guest, before, "after")

    assert refused.status_code == 503
    assert refused.json["type"] == "/problems/no-provider"
    assert int(refused.headers["Retry-After"]) >= 1
    assert counts(sql) == ONE_OF_EACH
    assert guest.get("/api/cart").status_code == 200
    assert guest.get(f"/api/payments/{paid['payment_id']}").status_code == 200
    assert replayed(ask(guest, before, "before"))
    assert guest.client.post("/api/payments/webhook", json={}).status_code == 404
