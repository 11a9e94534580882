"""A guest has a cart by a secret token alone: what it opens, what it does not, and when it ends."""

from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout_service.api.callers import guest_access_of
from checkout_service.identity.key_form import CART_TOKEN, new_key
from checkout_service.server.cors import EXPOSED, REQUEST_HEADERS
from checkout_service.settings.origins import Origins
from tests.api.every_route import everything, path_of, routes
from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.orders.buying import bought
from tests.own_apps import MakeApp, make_app, signed
from tests.purchases import ask, fill_cart, opened

__all__ = ["everything", "make_app"]  # fixtures

TO_GUESTS = {
    *("carts.get_cart", "carts.empty_cart", "carts.put_item", "carts.change_quantity", "carts.remove_item"),
    *("carts.set_currency", "checkout.post_session", "payments.cancel_payment"),
}
"""What a Cart-Token opens as long as its cart is a guest's."""

AFTER_MERGE = {
    *("checkout.read_session", "payments.read_payment", "payments.list_payments", "refunds.list_refunds"),
    *("orders.list_orders", "orders.read_order"),
}
"""What it opens until it ends."""


def test_a_guest_gets_an_empty_cart_and_a_secret_of_256_bits_that_is_kept_as_a_hash(
    client: FlaskClient, sql: Sql
) -> None:
    answer = client.post("/api/carts")

    assert answer.status_code == 201
    assert (answer.headers["Cache-Control"], answer.headers["Location"]) == ("no-store", "/api/cart")
    token = answer.json["cart_token"]
    assert re.fullmatch("cct_[0-9A-Za-z]{49}", token)
    (row,) = sql("""
        SELECT carts.id AS cart, guests.token_hash, guests.customer_id FROM carts JOIN users ON users.id = carts.user_id
        JOIN guests ON guests.id = users.id""")
    empty = {"items": [], "total_amount": "0.00", "currency": "USD"}
    assert answer.json == empty | {"id": str(row.cart), "cart_token": token}
    assert bytes(row.token_hash) == sha256(token.encode()).digest()
    assert row.customer_id is None
    assert client.get("/api/cart", headers={"Cart-Token": token}).json["id"] == str(row.cart)


@pytest.mark.parametrize("body", [{"json": {}}, {}])
def test_a_cart_is_made_with_and_without_a_body(client: FlaskClient, body: dict[str, dict[str, str]]) -> None:
    tokens = {client.post("/api/carts", **body).json["cart_token"] for _ in range(2)}
    assert len(tokens) == 2


def test_a_customer_gets_no_guests_cart(client: FlaskClient, customer: Customer, sql: Sql) -> None:
    for headers in (customer.headers, {"Authorization": "Bearer nonsense"}, {"Authorization": ""}):
        answer = client.post("/api/carts", headers=headers)
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/customer-has-cart")
    assert sql("SELECT FROM guests") == []


def test_a_guest_shops_pays_and_reads_what_came_of_it(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    guest = make_guest(app, sql)
    listing = make_listing()
    order = bought(guest, sql, (listing, 2))

    assert guest.get("/api/cart").json["items"] == []
    assert [one["id"] for one in guest.get("/api/payments").json["data"]] == [str(order.payment_id)]
    assert guest.get(f"/api/payments/{order.payment_id}").json["status"] == "paid"
    assert guest.get(f"/api/payments/{order.payment_id}/refunds").json == {"data": []}
    assert guest.get(f"/api/checkout/session/{order.payment_id}").json["status"] == "paid"
    assert [one["id"] for one in guest.get("/api/orders").json["data"]] == [str(order.id)]
    assert guest.get(f"/api/orders/{order.id}").json["lines"][0]["qty"] == 2

    fill_cart(guest, (listing, 1), (make_listing(), 3))
    first, second = guest.get("/api/cart").json["items"]
    assert guest.patch(f"/api/cart/items/{first['id']}", json={"qty": 4}).json["qty"] == 4
    assert guest.delete(f"/api/cart/items/{second['id']}").status_code == 204
    payment_id = opened(guest, guest.get("/api/cart").json["id"], "another")["payment_id"]
    assert guest.post(f"/api/payments/{payment_id}/cancel").status_code == 202
    assert guest.delete("/api/cart").status_code == 204


def test_a_guest_sees_nothing_of_others_and_nobody_anything_of_a_guest(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    guest, other, listing = make_guest(app, sql), make_guest(app, sql), make_listing()
    order = bought(guest, sql, (listing, 1))
    item = fill_cart(guest, (listing, 1)) and guest.get("/api/cart").json["items"][0]["id"]
    for stranger in (other, customer):
        assert stranger.get("/api/cart").json["items"] == []
        assert ask(stranger, guest.get("/api/cart").json["id"]).status_code == 404
        for path in (f"payments/{order.payment_id}", f"payments/{order.payment_id}/refunds", f"orders/{order.id}"):
            assert stranger.get(f"/api/{path}").status_code == 404
        assert stranger.get(f"/api/checkout/session/{order.payment_id}").status_code == 404
        assert stranger.post(f"/api/payments/{order.payment_id}/cancel").status_code == 404
        assert stranger.delete(f"/api/cart/items/{item}").status_code == 404
        for path in ("payments", "orders"):
            assert stranger.get(f"/api/{path}").json["data"] == []
    assert len(guest.get("/api/cart").json["items"]) == 1


def test_a_cart_token_opens_these_routes_and_no_other(everything: Flask, sql: Sql) -> None:
    guest, found = make_guest(everything, sql), {}
    for rule, method in routes(everything):
        access = guest_access_of(everything, rule.endpoint)
        if access is not None:
            found[rule.endpoint] = access.after_merge
        answer = guest.client.open(
            path_of(rule),
            method=method,
            headers=guest.headers | {"Idempotency-Key": "one"},
            json={} if method != "GET" else None,
        )
        assert answer.status_code < 500, (rule.rule, answer.text)
        if rule.rule.startswith("/api/") and access is None and "webhook" not in rule.rule:
            is_open = answer.status_code < 400
            assert is_open == rule.endpoint.startswith(("docs", "guest_carts", "listings")) or answer.status_code in {
                401,
                404,
            }, rule
        elif access is not None:
            assert answer.status_code not in {401, 403}, rule
    assert found == dict.fromkeys(TO_GUESTS, False) | dict.fromkeys(AFTER_MERGE, True)


@pytest.mark.parametrize(
    "sent",
    ["", " ", "nonsense", "cct_", new_key(CART_TOKEN), new_key(), new_key(CART_TOKEN)[:-1] + "!", "\xff", "a" * 60_000],
    ids=["empty", "blank", "nonsense", "cut", "unknown", "an API key", "a typo", "not ASCII", "long"],
)
def test_a_token_that_is_none_is_401_and_nothing_happens(
    client: FlaskClient, make_listing: MakeListing, sql: Sql, sent: str
) -> None:
    answer = client.post(
        "/api/cart/items",
        json={"listing": str(make_listing()["id"]), "qty": 1},
        environ_overrides={"HTTP_CART_TOKEN": sent},
    )
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/invalid-cart-token")
    assert answer.headers["WWW-Authenticate"] == 'Cart-Token realm="checkout"'
    assert sql("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM guests) AS n")[0].n == 0


def test_two_tokens_in_two_headers_are_none(app: Flask, sql: Sql) -> None:
    both = f"{token_of(make_guest(app, sql))},{token_of(make_guest(app, sql))}"
    answer = app.test_client().get("/api/cart", headers={"Cart-Token": both})
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/invalid-cart-token")


def test_both_headers_together_are_400_wherever_a_caller_is_needed(
    everything: Flask, customer: Customer, sql: Sql
) -> None:
    guest = make_guest(everything, sql)
    for path in ("/api/cart", "/api/payments", "/api/orders", "/api/admin/orders"):
        answer = everything.test_client().get(path, headers=guest.headers | customer.headers)
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/two-callers"), path
    answer = everything.test_client().post("/api/carts", headers=guest.headers | customer.headers)
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/two-callers")
    # An empty one is one that could not be read.
    answer = everything.test_client().get("/api/cart", headers=signed() | {"Cart-Token": ""})
    assert answer.status_code == 400


def test_a_token_ends_so_many_days_after_its_last_use(make_app: MakeApp, make_listing: MakeListing, sql: Sql) -> None:
    app = make_app(cart_tokens_last=timedelta(days=3))
    guest = make_guest(app, sql)
    sql("UPDATE guests SET last_used_at = now() - interval '3 days' + interval '1 minute'")
    fill_cart(guest, (make_listing(), 1))
    assert sql("SELECT last_used_at > now() - interval '1 minute' AS fresh FROM guests")[0].fresh
    sql("UPDATE guests SET last_used_at = now() - interval '3 days'")
    answer = guest.get("/api/cart")
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/invalid-cart-token")
    assert sql("SELECT last_used_at < now() - interval '2 days' AS old FROM guests")[0].old


def test_a_use_is_noted_once_an_hour_and_costs_one_statement_more_than_a_customers(
    app: Flask, sql: Sql, statements: Statements
) -> None:
    guest = make_guest(app, sql)
    with statements() as seen:
        assert guest.get("/api/cart").status_code == 200
    assert len(seen) == 2
    sql("UPDATE guests SET last_used_at = now() - interval '61 minutes'")
    with statements() as seen:
        for _ in range(2):
            assert guest.get("/api/cart").status_code == 200
    assert len(seen) == 5
    with statements() as seen:
        app.test_client().get("/api/cart", headers={"Cart-Token": "cct_" + "0" * 49})
    assert seen == []


def test_no_cache_keeps_what_a_token_opens(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    guest = make_guest(app, sql)
    order = bought(guest, sql, (make_listing(), 1))
    paths = ("cart", "payments", f"payments/{order.payment_id}", f"payments/{order.payment_id}/refunds", "orders")
    for path in (*paths, f"orders/{order.id}", f"orders/{order.payment_id}", f"checkout/session/{order.payment_id}"):
        kept = guest.get(f"/api/{path}").headers["Cache-Control"]
        assert kept == "no-store" or kept.startswith("private"), path
    refused = app.test_client().get("/api/cart", headers={"Cart-Token": "nonsense"})
    assert refused.headers["Cache-Control"] == "no-store"


def test_a_guest_has_the_bounds_of_guests(make_app: MakeApp, make_listing: MakeListing, sql: Sql) -> None:
    app = make_app(open_sessions_per_guest=1)
    guest, listing = make_guest(app, sql), make_listing()
    opened(guest, fill_cart(guest, (listing, 1)), "one")
    answer = ask(guest, guest.get("/api/cart").json["id"], "two")
    assert (answer.status_code, answer.json["type"]) == (429, "/problems/too-many-open-sessions")
    assert opened(guest, guest.get("/api/cart").json["id"], "one")["status"] == "pending"


def test_a_page_of_another_origin_may_send_the_token_and_read_the_answer(make_app: MakeApp) -> None:
    """What a preflight lets through: tests/server/test_cors.py."""
    assert "Cart-Token" in REQUEST_HEADERS
    assert {"Location", "X-Request-Id"} <= set(EXPOSED)
    app = make_app(cors_origins=Origins(frozenset({"https://shop.example"}), frozenset()))
    token = app.test_client().post("/api/carts", headers={"Origin": "https://shop.example"}).json["cart_token"]
    assert app.test_client().get("/api/cart", headers={"Cart-Token": token}).status_code == 200


def test_the_document_says_what_guests_may(everything: Flask) -> None:
    document = everything.test_client().get("/api/openapi.json").json
    scheme = document["components"]["securitySchemes"]["guest"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Cart-Token")
    seen = set()
    for rule, method in routes(everything):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation and {"guest": []} in operation.get("security", ()):
            seen.add(rule.endpoint)
    assert seen == TO_GUESTS | AFTER_MERGE
    assert document["paths"]["/api/carts"]["post"]["security"] == []


def test_a_new_cart_may_have_a_currency(app: Flask, make_listing: MakeListing, sql: Sql) -> None:
    client = app.test_client()
    answer = client.post("/api/carts", json={"currency": "EUR"})
    assert (answer.status_code, answer.json["currency"]) == (201, "EUR")
    headers = {"Cart-Token": answer.json["cart_token"]}
    item = {"listing": str(make_listing()["id"]), "qty": 1}
    refused = client.post("/api/cart/items", json=item, headers=headers)
    assert (refused.status_code, refused.json["type"]) == (409, "/problems/currency-mismatch")
    assert client.post("/api/carts", json={"currency": "euro"}).status_code == 422
    assert sql("SELECT count(*) FROM carts")[0].count == 1
