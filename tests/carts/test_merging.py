"""After log-in a guest's cart is the customer's: its lines, its payments, and what becomes of the token."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.carts.guest_carts import begin, lines, make_guest, merge, token_of
from tests.conftest import Customer, MakeListing, Sql
from tests.orders.buying import bought
from tests.purchases import ask, fill_cart, opened
from tests.refunding import staff_of


@pytest.fixture
def guest(app: Flask, sql: Sql) -> Customer:
    return make_guest(app, sql)


@pytest.mark.parametrize(
    ("how", "merged"),
    [
        ("sum", {"both": 7, "mine": 1, "guest": 2}),
        ("max", {"both": 4, "mine": 1, "guest": 2}),
        ("guest", {"both": 3, "guest": 2}),
        ("mine", {"both": 4, "mine": 1}),
    ],
)
def test_a_guests_cart_goes_into_the_customers(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql, how: str, merged: dict[str, int]
) -> None:
    listings = {name: make_listing() for name in ("both", "mine", "guest")}
    cart_id = fill_cart(customer, (listings["both"], 4), (listings["mine"], 1))
    fill_cart(guest, (listings["both"], 3), (listings["guest"], 2))

    answer = merge(customer, guest, how)

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    expected = {str(listings[name]["id"]): qty for name, qty in merged.items()}
    assert {item["listing"]["id"]: item["qty"] for item in answer.json["items"]} == expected
    assert (answer.json["id"], answer.json["capped"]) == (cart_id, [])
    again = merge(customer, guest, "guest")
    assert (again.status_code, again.json) == (200, answer.json)
    assert customer.get("/api/cart").json == {name: answer.json[name] for name in answer.json.keys() - {"capped"}}
    assert sql("SELECT count(*) AS n FROM cart_items")[0].n == len(merged)


def test_a_customer_without_a_cart_has_the_guests_lines(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    fill_cart(guest, (listing, 3))
    answer = merge(customer, guest)
    assert answer.json["id"] == str(sql("SELECT id FROM carts WHERE user_id = :id", id=customer.id)[0].id)
    assert lines(customer) == {str(listing["id"]): 3}


def test_an_empty_cart_of_a_guest_takes_nothing_from_the_customer(
    guest: Customer, customer: Customer, make_listing: MakeListing
) -> None:
    fill_cart(customer, (make_listing(), 3))
    assert len(merge(customer, guest, "guest").json["items"]) == 1


def test_carts_of_two_currencies_are_not_mixed(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    ours, theirs, both = make_listing(), make_listing(currency="EUR"), make_listing()
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 9)", id=both["id"])
    fill_cart(customer, (ours, 1), (both, 2))
    fill_cart(guest, (theirs, 3), (both, 4))
    before = customer.get("/api/cart").json, guest.get("/api/cart").json

    for how in ("sum", "max"):
        answer = merge(customer, guest, how)
        assert (answer.status_code, answer.json["type"]) == (409, "/problems/currency-mismatch")
    assert (customer.get("/api/cart").json, guest.get("/api/cart").json) == before, "nothing was done"

    cart = merge(customer, guest, "guest").json
    assert (cart["currency"], cart["total_amount"]) == ("EUR", "156.00")
    assert {item["listing"]["id"]: item["qty"] for item in cart["items"]} == {str(theirs["id"]): 3, str(both["id"]): 4}


@pytest.mark.parametrize("chosen", [False, True])
def test_an_empty_cart_takes_the_guests_currency_and_prices(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql, chosen: bool
) -> None:
    listing = make_listing()
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 12)", id=listing["id"])
    assert guest.patch("/api/cart", json={"currency": "EUR"}).status_code == 200
    fill_cart(guest, (listing, 2))
    if chosen:
        assert customer.patch("/api/cart", json={"currency": "GBP"}).status_code == 200

    cart = merge(customer, guest).json

    assert (cart["currency"], cart["total_amount"]) == ("EUR", "24.00")
    assert opened(customer, cart["id"])["amount"] == "24.00"


def test_a_line_is_capped_by_the_price_in_its_carts_currency(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 40000000)", id=listing["id"])
    for each in (guest, customer):
        assert each.patch("/api/cart", json={"currency": "EUR"}).status_code == 200
        fill_cart(each, (listing, 2))
    assert merge(customer, guest).json["capped"] == [{"listing": str(listing["id"]), "requested": 4, "qty": 2}]


def test_the_bounds_of_a_cart_are_kept_and_what_did_not_fit_is_answered_twice(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    many, dear, late = make_listing(), make_listing(unit_price="40000000.00"), make_listing()
    fill_cart(customer, (many, 9000), (dear, 1))
    fill_cart(guest, (many, 9000), (dear, 2), (late, 1))
    sql(
        """WITH more AS (INSERT INTO listings (id, vendor_id, title, unit_price, currency)
            SELECT uuidv7(), vendor_id, title, 1, 'USD' FROM listings, generate_series(1, 498) WHERE listings.id = :id
            RETURNING id)
        INSERT INTO cart_items (cart_id, listing_id, qty)
        SELECT carts.id, more.id, 1 FROM carts, more WHERE carts.user_id = :customer""",
        id=many["id"],
        customer=customer.id,
    )

    answer = merge(customer, guest)

    assert answer.json["capped"] == [
        {"listing": str(many["id"]), "requested": 18000, "qty": 9999},
        {"listing": str(dear["id"]), "requested": 3, "qty": 2},
        {"listing": str(late["id"]), "requested": 1, "qty": 0},
    ]
    assert len(answer.json["items"]) == 500
    assert merge(customer, guest).json["capped"] == answer.json["capped"]


def test_a_token_that_is_none_and_one_of_another_customer_merge_nothing(
    guest: Customer, customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    fill_cart(guest, (make_listing(), 3))
    for token in ("nonsense", "cct_" + "0" * 49, token_of(guest)[:-1]):
        answer = customer.post("/api/cart/merge", json={"cart_token": token, "how": "sum"})
        assert (answer.status_code, answer.json["type"]) == (401, "/problems/invalid-cart-token")
    for body in ({"cart_token": token_of(guest)}, {"cart_token": token_of(guest), "how": "both"}, {"how": "sum"}):
        assert customer.post("/api/cart/merge", json=body).status_code == 422
    assert guest.post("/api/cart/merge", json={"cart_token": token_of(guest), "how": "sum"}).status_code == 401
    sql("UPDATE guests SET last_used_at = now() - interval '31 days'")
    assert merge(customer, guest).status_code == 401
    sql("UPDATE guests SET last_used_at = now()")
    assert sql("SELECT FROM guests WHERE customer_id IS NOT NULL") == []

    assert merge(customer, guest).status_code == 200
    answer = merge(other_customer, guest)
    assert (answer.status_code, answer.json["type"]) == (409, "/problems/guest-of-another")
    assert lines(other_customer) == {}


def test_the_token_may_come_in_its_header_too(guest: Customer, customer: Customer, make_listing: MakeListing) -> None:
    fill_cart(guest, (make_listing(), 3))
    assert merge(customer, guest, **guest.headers).status_code == 200


def test_what_a_guest_paid_for_is_the_customers_by_the_link_and_keeps_its_owner(
    guest: Customer, customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    mine, order = bought(customer, sql, (make_listing(), 1)), bought(guest, sql, (make_listing(), 2))
    pending = opened(guest, fill_cart(guest, (make_listing(), 1)), "pending")["payment_id"]
    begin(sql, pending)

    assert merge(customer, guest).status_code == 200

    assert sql("SELECT user_id FROM orders WHERE id = :id", id=order.id)[0].user_id == guest.id
    paths = [
        *(f"payments/{order.payment_id}", f"payments/{order.payment_id}/refunds", f"orders/{order.id}"),
        *(f"checkout/session/{order.payment_id}", f"payments/{pending}"),
    ]
    for path in paths:
        answers = [who.get(f"/api/{path}") for who in (guest, customer, other_customer)]
        assert [answer.status_code for answer in answers] == [200, 200, 404], path
        assert answers[0].json == answers[1].json
    listed = [one["id"] for one in customer.get("/api/payments").json["data"]]
    assert listed == [pending, str(order.payment_id), str(mine.payment_id)]
    assert [one["id"] for one in customer.get("/api/orders").json["data"]] == [str(order.id), str(mine.id)]
    assert [one["id"] for one in guest.get("/api/orders").json["data"]] == [str(order.id)]
    paged, cursor = [], ""
    while cursor is not None:
        page = customer.get(f"/api/payments?limit=1{cursor and f'&cursor={cursor}'}").json
        paged += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
    assert paged == listed


def test_staff_find_by_the_customer_what_the_guest_paid_for(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    staff = staff_of(customer, scope="payments:read orders:read")
    mine, order = bought(customer, sql, (make_listing(), 1)), bought(guest, sql, (make_listing(), 2))
    bought(make_guest_of(guest, sql), sql, (make_listing(), 1))
    merge(customer, guest)

    for more in ("", "&status=paid", "&since=2026-01-01", "&limit=1", "&updated_after=2026-01-01"):
        ways, path = [], f"/api/admin/payments?customer={customer.id}{more}"
        while path:
            page = staff.get(path)
            ways += [one["id"] for one in page.json["data"]]
            path = page.headers["Link"].partition(">")[0][1:] if page.json["next_cursor"] else ""
        newest_first = [str(order.payment_id), str(mine.payment_id)]
        assert (sorted(ways) if "updated" in more else ways) == (
            sorted(newest_first) if "updated" in more else newest_first
        ), more
    for more in ("", "&status=placed", "&since=2026-01-01"):
        found = staff.get(f"/api/admin/orders?customer={customer.id}{more}").json["data"]
        assert [(one["id"], one["customer"]) for one in found] == [
            (str(order.id), str(guest.id)),
            (str(mine.id), str(customer.id)),
        ]
    by_guest = staff.get(f"/api/admin/orders?customer={guest.id}").json["data"]
    assert [one["id"] for one in by_guest] == [str(order.id)]
    assert len(staff.get(f"/api/admin/orders.csv?customer={customer.id}").text.splitlines()) == 3


def test_after_it_the_token_reads_and_no_more(
    guest: Customer, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    cart_id = fill_cart(guest, (listing, 2))
    payment_id = opened(guest, cart_id, "one")["payment_id"]
    begin(sql, payment_id)
    item = guest.get("/api/cart").json["items"][0]["id"]
    merge(customer, guest)

    put = {"listing": str(listing["id"]), "qty": 1}
    refused = [
        *(guest.get("/api/cart"), guest.delete("/api/cart"), guest.post("/api/cart/items", json=put)),
        *(guest.patch(f"/api/cart/items/{item}", json={"qty": 1}), guest.delete(f"/api/cart/items/{item}")),
        *(ask(guest, cart_id, "one"), ask(guest, cart_id, "two"), guest.post(f"/api/payments/{payment_id}/cancel")),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json["type"]) == (401, "/problems/invalid-cart-token")
        assert "customer" in answer.json["detail"]
    assert guest.get(f"/api/payments/{payment_id}").status_code == 200
    sql("UPDATE guests SET last_used_at = now() - interval '29 days'")
    assert guest.get(f"/api/payments/{payment_id}").status_code == 200
    assert sql("SELECT last_used_at < now() - interval '28 days' AS old FROM guests")[0].old
    sql("UPDATE guests SET last_used_at = now() - interval '30 days'")
    assert guest.get(f"/api/payments/{payment_id}").status_code == 401
    assert customer.get(f"/api/payments/{payment_id}").status_code == 200


def test_a_link_is_for_good(guest: Customer, customer: Customer, other_customer: Customer, sql: Sql) -> None:
    merge(customer, guest)
    merge(other_customer, make_guest_of(guest, sql))
    for change in ("customer_id = NULL, linked_at = NULL, merged_cart_id = NULL", "token_hash = NULL"):
        with pytest.raises(Exception, match="keeps who they are"):
            sql(f"UPDATE guests SET {change} WHERE id = :id", id=guest.id)


def make_guest_of(guest: Customer, sql: Sql) -> Customer:
    return make_guest(guest.client.application, sql)
