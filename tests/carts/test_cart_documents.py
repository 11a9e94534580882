"""What goes in is checked strictly, and what comes out is what the documentation says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from marshmallow import RAISE

from checkout_service.carts.models import LARGEST_QTY
from checkout_service.carts.schemas import (
    EXAMPLE_CART,
    EXAMPLE_ITEM,
    CartItemSchema,
    CartSchema,
    NewItemSchema,
    QuantitySchema,
)
from tests.conftest import Customer, MakeListing, Sql

NO_QUANTITIES = [
    "0",
    "-1",
    "10000",
    "true",
    "false",
    "null",
    '"2"',
    '""',
    "2.0",
    "2.5",
    "1e3",
    "[2]",
    "{}",
    "1" + "0" * 30,
]


@pytest.fixture
def item(customer: Customer, make_listing: MakeListing) -> dict[str, Any]:
    answer = customer.post("/api/cart/items", json={"listing": str(make_listing()["id"]), "qty": 2})
    return dict(answer.json)


@pytest.mark.parametrize("qty", NO_QUANTITIES)
def test_what_is_no_quantity_is_refused(customer: Customer, item: dict[str, Any], sql: Sql, qty: str) -> None:
    listing = item["listing"]["id"]
    for answer in (
        customer.post(
            "/api/cart/items", data=f'{{"listing": "{listing}", "qty": {qty}}}', content_type="application/json"
        ),
        customer.patch(f"/api/cart/items/{item['id']}", data=f'{{"qty": {qty}}}', content_type="application/json"),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.content_type == "application/problem+json"
        assert [error["pointer"] for error in answer.json["errors"]] == ["/qty"]
    assert [row.qty for row in sql("SELECT qty FROM cart_items")] == [2]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/listing", "/qty"]),
        ({"qty": 1}, ["/listing"]),
        ({"listing": None, "qty": 1}, ["/listing"]),
        ({"listing": 7, "qty": 1}, ["/listing"]),
        ({"listing": "", "qty": 1}, ["/listing"]),
        ({"listing": "no uuid", "qty": 1}, ["/listing"]),
        ({"listing": "018f0000-0000-7000-8000-000000000101\0", "qty": 1}, ["/listing"]),
        ({"listing": "018f0000-0000-7000-8000-000000000101", "qty": 1, "price": "0.01"}, ["/price"]),
        ({"listing": ["018f0000-0000-7000-8000-000000000101"], "qty": 1}, ["/listing"]),
    ],
)
def test_what_is_no_new_item_is_refused(
    customer: Customer, sql: Sql, body: dict[str, Any], pointers: list[str]
) -> None:
    answer = customer.post("/api/cart/items", json=body)

    assert answer.status_code == 422
    assert sorted(error["pointer"] for error in answer.json["errors"]) == pointers
    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts UNION ALL SELECT id FROM cart_items") == []


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"qty": NaN}', "application/json", 400),
        (b'{"qty": 1, "qty": 2}', "application/json", 400),
        (b"[" * 50_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b'"text"', "application/json", 422),
        (b"null", "application/json", 422),
        (b"qty=1", "application/x-www-form-urlencoded", 415),
        (b'{"qty": 1}', "text/plain", 415),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    customer: Customer, item: dict[str, Any], sql: Sql, body: bytes, content_type: str, status: int
) -> None:
    for answer in (
        customer.patch(f"/api/cart/items/{item['id']}", data=body, content_type=content_type),
        customer.post("/api/cart/items", data=body, content_type=content_type),
    ):
        assert answer.status_code == status, answer.text
        assert answer.content_type == "application/problem+json"
    assert [row.qty for row in sql("SELECT qty FROM cart_items")] == [2]


def test_answers_are_what_the_schemas_document(customer: Customer, make_listing: MakeListing) -> None:
    cart, item = CartSchema(unknown=RAISE), CartItemSchema(unknown=RAISE)
    bare = make_listing(school_id=None, spec_id=None)
    assert cart.validate(customer.get("/api/cart").json) == {}
    for listing in (make_listing(), bare):
        answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})
        assert item.validate(answer.json) == {}
    assert cart.validate(customer.get("/api/cart").json) == {}
    changed = customer.patch(f"/api/cart/items/{answer.json['id']}", json={"qty": 2})
    assert item.validate(changed.json) == {}


def test_a_schema_notices_an_answer_that_is_not_documented() -> None:
    assert CartSchema(unknown=RAISE).validate({**EXAMPLE_CART, "note": 1}) != {}
    assert CartSchema().validate({name: EXAMPLE_CART[name] for name in ("id", "items", "currency")}) != {}


def test_examples_are_what_the_schemas_document() -> None:
    assert CartSchema().validate(EXAMPLE_CART) == {}
    assert CartItemSchema().validate(EXAMPLE_ITEM) == {}


def test_the_schemas_and_the_table_agree_on_the_largest_quantity() -> None:
    for schema in (NewItemSchema(only=("qty",)), QuantitySchema()):
        assert schema.validate({"qty": LARGEST_QTY}) == {}
        assert schema.validate({"qty": LARGEST_QTY + 1}) != {}


def test_attributes_come_out_as_they_are_stored(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    stored = '{"name": "Schülerheft \\"A4\\"", "weight": 1.10, "wide": 12345678901234567890, "sizes": [{"a": null}]}'
    sql("UPDATE specs SET attributes = CAST(:stored AS jsonb) WHERE id = :id", stored=stored, id=listing["spec_id"])

    answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})

    assert answer.json["listing"]["spec"]["attributes"] == json.loads(stored)
    assert '"weight": 1.10' in answer.text
