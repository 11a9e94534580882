"""Lines come into a cart, change and leave it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError

from checkout_service.carts.models import LARGEST_QTY
from tests.conftest import Customer, MakeListing, Sql, Statements


def put(customer: Customer, listing: dict[str, object], qty: int) -> dict[str, object]:
    answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": qty})
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json)


def lines(sql: Sql) -> list[tuple[UUID, int]]:
    return [tuple(row) for row in sql("SELECT listing_id, qty FROM cart_items ORDER BY id")]


def test_add_cart_item(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(title="Algebra for beginners", unit_price="120.00")

    answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 2})

    assert answer.status_code == 201
    assert answer.content_type == "application/json"
    assert answer.json == {
        "id": str(sql("SELECT id FROM cart_items")[0].id),
        "listing": {
            "id": str(listing["id"]),
            "title": "Algebra for beginners",
            "unit_price": "120.00",
            "currency": "USD",
            "available": 10,
            "vendor": {"id": str(listing["vendor_id"]), "name": "Harbour Books"},
            "school": {"id": str(listing["school_id"]), "name": "Northgate School"},
            "spec": {"id": str(listing["spec_id"]), "name": "Hardcover", "attributes": {"pages": 320}},
        },
        "qty": 2,
        "line_total": "240.00",
        "available": True,
    }
    assert sql("SELECT user_id FROM carts")[0].user_id == customer.id
    assert lines(sql) == [(listing["id"], 2)]


def test_a_listing_may_do_without_school_and_spec(customer: Customer, make_listing: MakeListing) -> None:
    line = put(customer, make_listing(school_id=None, spec_id=None), 1)

    assert line["listing"]["school"] is None
    assert line["listing"]["spec"] is None


def test_adding_a_listing_again_sets_its_quantity(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    first = put(customer, listing, 2)

    answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 5})

    assert answer.status_code == 200
    assert answer.json == {**first, "qty": 5, "line_total": "200.00"}
    assert lines(sql) == [(listing["id"], 5)]
    assert sql("SELECT updated_at > created_at AS later FROM cart_items")[0].later


def test_a_second_listing_goes_into_the_same_cart(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    put(customer, make_listing(), 1)
    put(customer, make_listing(), 1)

    assert sql("SELECT count(*) FROM carts")[0].count == 1
    assert sql("SELECT count(*) FROM users")[0].count == 1
    assert len(lines(sql)) == 2


def test_update_quantity(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    line = put(customer, listing, 1)

    answer = customer.patch(f"/api/cart/items/{line['id']}", json={"qty": 3})

    assert answer.status_code == 200
    assert answer.json == {**line, "qty": 3, "line_total": "120.00"}
    assert lines(sql) == [(listing["id"], 3)]


def test_remove_item(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    gone, kept = make_listing(), make_listing()
    line = put(customer, gone, 1)
    put(customer, kept, 1)

    answer = customer.delete(f"/api/cart/items/{line['id']}")

    assert (answer.status_code, answer.data) == (204, b"")
    assert lines(sql) == [(kept["id"], 1)]
    assert customer.delete(f"/api/cart/items/{line['id']}").status_code == 404


def test_the_largest_quantity_is_9999(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing(unit_price="0.01")

    assert put(customer, listing, LARGEST_QTY)["line_total"] == "99.99"
    refused = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": LARGEST_QTY + 1})

    assert refused.status_code == 422
    assert lines(sql) == [(listing["id"], 9999)]


def test_a_listing_that_is_unknown_or_off_sale_is_not_found(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    for listing_id in (uuid4(), make_listing(active=False)["id"]):
        answer = customer.post("/api/cart/items", json={"listing": str(listing_id), "qty": 1})

        assert answer.status_code == 404
        assert answer.json["type"] == "/problems/not-found"
    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts UNION ALL SELECT id FROM cart_items") == []


def test_a_line_that_no_payment_could_hold_is_refused(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    dear = make_listing(unit_price="99999999.99")

    refused = customer.post("/api/cart/items", json={"listing": str(dear["id"]), "qty": 2})

    assert refused.status_code == 422
    assert refused.json["type"] == "/problems/total-too-large"
    assert [error["pointer"] for error in refused.json["errors"]] == ["/qty"]
    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts UNION ALL SELECT id FROM cart_items") == []

    line = put(customer, dear, 1)
    assert line["line_total"] == "99999999.99"
    for again in (
        customer.post("/api/cart/items", json={"listing": str(dear["id"]), "qty": 2}),
        customer.patch(f"/api/cart/items/{line['id']}", json={"qty": 2}),
    ):
        assert again.status_code == 422
        assert again.json["type"] == "/problems/total-too-large"
    assert lines(sql) == [(dear["id"], 1)]


def test_another_customers_item_is_not_found(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    line = put(customer, listing, 2)
    put(other_customer, make_listing(), 1)
    before = lines(sql)

    changed = other_customer.patch(f"/api/cart/items/{line['id']}", json={"qty": 7})
    removed = other_customer.delete(f"/api/cart/items/{line['id']}")

    assert (changed.status_code, removed.status_code) == (404, 404)
    assert lines(sql) == before


@pytest.mark.parametrize("item_id", ["1", "no-uuid", "018f0000000070008000000000000101", str(UUID(int=0))])
def test_an_item_id_that_names_nothing_is_not_found(customer: Customer, item_id: str) -> None:
    assert customer.patch(f"/api/cart/items/{item_id}", json={"qty": 1}).status_code == 404
    assert customer.delete(f"/api/cart/items/{item_id}").status_code == 404


def test_listing_in_a_cart_is_protected(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    line = put(customer, listing, 1)

    with pytest.raises(IntegrityError, match="cart_items_listing_id_fkey"):
        sql("DELETE FROM listings WHERE id = :id", id=listing["id"])

    assert lines(sql) == [(listing["id"], 1)]
    customer.delete(f"/api/cart/items/{line['id']}")
    sql("DELETE FROM listings WHERE id = :id", id=listing["id"])
    assert sql("SELECT id FROM listings") == []


def test_a_line_whose_listing_went_off_sale_may_still_be_changed_and_removed(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    line = put(customer, listing, 1)
    sql("UPDATE listings SET active = false")

    changed = customer.patch(f"/api/cart/items/{line['id']}", json={"qty": 2})
    put_again = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 3})

    assert changed.status_code == 200
    assert changed.json["available"] is False
    assert put_again.status_code == 404
    assert lines(sql) == [(listing["id"], 2)]
    assert customer.delete(f"/api/cart/items/{line['id']}").status_code == 204


def test_every_write_is_one_statement(customer: Customer, make_listing: MakeListing, statements: Statements) -> None:
    listing = make_listing()
    for write in (
        lambda: put(customer, listing, 1),
        lambda: put(customer, listing, 2),
        lambda: customer.patch(f"/api/cart/items/{customer.get('/api/cart').json['items'][0]['id']}", json={"qty": 3}),
        lambda: customer.delete(f"/api/cart/items/{customer.get('/api/cart').json['items'][0]['id']}"),
    ):
        with statements() as seen:
            write()
        assert len([text for text in seen if not text.startswith("SELECT")]) == 1, seen
        assert len(seen) <= 2  # the read that finds the line's id


def test_nothing_of_a_cart_is_open_to_strangers(client: FlaskClient, sql: Sql) -> None:
    for method, path in (
        ("GET", "/api/cart"),
        ("POST", "/api/cart/items"),
        ("PATCH", f"/api/cart/items/{uuid4()}"),
        ("DELETE", f"/api/cart/items/{uuid4()}"),
    ):
        answer = client.open(path, method=method, json={"qty": 1})
        assert answer.status_code == 401
    assert sql("SELECT id FROM users") == []


def test_a_cart_has_at_most_500_lines(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    first, second, last = make_listing(), make_listing(), make_listing()
    line = put(customer, first, 1)
    sql(
        """
        WITH more AS (
            INSERT INTO listings (vendor_id, title, unit_price, currency)
            SELECT :vendor, 'Book ' || number, 1, 'USD' FROM generate_series(1, 498) AS number RETURNING id
        )
        INSERT INTO cart_items (cart_id, listing_id, qty) SELECT carts.id, more.id, 1 FROM carts, more
        """,
        vendor=first["vendor_id"],
    )
    put(customer, second, 1)

    refused = customer.post("/api/cart/items", json={"listing": str(last["id"]), "qty": 1})

    assert refused.status_code == 422
    assert refused.json["type"] == "/problems/cart-full"
    assert [error["pointer"] for error in refused.json["errors"]] == ["/listing"]
    assert "500" in refused.json["detail"]
    assert len(lines(sql)) == 500
    assert put(customer, second, 3)["qty"] == 3
    customer.delete(f"/api/cart/items/{line['id']}")
    put(customer, last, 1)
    assert len(lines(sql)) == 500
