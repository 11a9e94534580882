"""An answer without content has no content type: every 204, and every 304."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Customer, MakeListing, Sql
from tests.orders.buying import bought
from tests.purchases import fill_cart
from tests.refunding import staff_of


def _documented(client: FlaskClient, status: str) -> set[tuple[str, str]]:
    """The operations that may answer so, by method and path."""
    paths: Mapping[str, Mapping[str, Any]] = client.get("/api/openapi.json").json["paths"]
    return {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "parameters" and status in operation["responses"]
    }


def _emptied(customer: Customer, listing: dict[str, Any]) -> TestResponse:
    fill_cart(customer, (listing, 1))
    return customer.delete("/api/cart")


def _removed(customer: Customer, listing: dict[str, Any]) -> TestResponse:
    fill_cart(customer, (listing, 1))
    (item,) = customer.get("/api/cart").json["items"]
    return customer.delete(f"/api/cart/items/{item['id']}")


def _deleted(customer: Customer, _: dict[str, Any]) -> TestResponse:
    staff = staff_of(customer, scope="webhooks:write")
    made = staff.post("/api/admin/webhook-endpoints", json={"url": "https://shop.example/events", "types": None})
    return staff.delete(f"/api/admin/webhook-endpoints/{made.json['id']}")


NO_CONTENT: Final[Mapping[tuple[str, str], Callable[[Customer, dict[str, Any]], TestResponse]]] = {
    ("delete", "/api/cart"): _emptied,
    ("delete", "/api/cart/items/{item_id}"): _removed,
    ("delete", "/api/admin/webhook-endpoints/{endpoint_id}"): _deleted,
}


def test_these_are_all_routes_that_answer_204(client: FlaskClient) -> None:
    assert _documented(client, "204") == NO_CONTENT.keys()


@pytest.mark.parametrize("operation", NO_CONTENT.values(), ids=["emptied", "removed", "deleted"])
def test_a_204_has_no_content_type(
    customer: Customer, make_listing: MakeListing, operation: Callable[[Customer, dict[str, Any]], TestResponse]
) -> None:
    answer = operation(customer, make_listing())

    assert (answer.status_code, answer.data) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_a_304_has_no_content_type(app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    order = bought(customer, sql, (make_listing(), 1))
    listing = sql("SELECT listing_id FROM order_lines WHERE order_id = :id", id=order.id)[0].listing_id
    values = {"payment_id": str(order.payment_id), "order_id": str(order.id), "listing_id": str(listing)}
    seen = 0
    for method, path in _documented(app.test_client(), "304"):
        assert method == "get"
        caller = staff_of(customer, scope="refunds payments:read") if "/admin/" in path else customer
        tag = caller.get(path.format(**values)).headers["ETag"]
        answer = caller.get(path.format(**values), headers={"If-None-Match": tag})
        assert (answer.status_code, answer.data) == (304, b""), path
        assert "Content-Type" not in answer.headers
        seen += 1
    assert seen > 4
