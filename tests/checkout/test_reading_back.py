"""A session is read back, so that a client can go on where it was."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.checkout.queries import session_of
from checkout_service.checkout.schemas import EXAMPLE_READ_SESSION, EXAMPLE_SESSION, ReadSessionSchema, SessionSchema
from tests.conftest import Customer, MakeListing, Sql
from tests.money import bring_to
from tests.purchases import ANSWER, fill_cart, opened
from tests.refunding import staff_of


def path(payment_id: str) -> str:
    return f"/api/checkout/session/{payment_id}"


def test_it_has_what_its_request_was_answered_and_its_lines(customer: Customer, make_listing: MakeListing) -> None:
    atlas, chalk = make_listing(title="Atlas", unit_price="33.33"), make_listing(school_id=None, spec_id=None)
    session = opened(customer, fill_cart(customer, (atlas, 3), (chalk, 1)))

    answer = customer.get(path(session["payment_id"]))

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert set(answer.json) == ANSWER | {"lines"}
    assert {name: answer.json[name] for name in ANSWER} == session
    assert [(line["listing_id"], line["qty"], line["line_total"]) for line in answer.json["lines"]] == [
        (str(atlas["id"]), 3, "99.99"),
        (str(chalk["id"]), 1, "40.00"),
    ]
    assert answer.json["lines"][0]["vendor_id"] == str(atlas["vendor_id"])
    assert not ReadSessionSchema().validate(answer.json)


@pytest.mark.parametrize("status", ["processing", "failed", "canceled", "expired", "paid", "reversed"])
def test_the_status_is_the_payments_as_it_is_now(
    customer: Customer, make_listing: MakeListing, sql: Sql, status: str
) -> None:
    session = opened(customer, fill_cart(customer, (make_listing(), 1)))
    bring_to(sql, session["payment_id"], status)

    shown = customer.get(path(session["payment_id"])).json

    assert shown["status"] == status
    assert shown["next_action"] == {"type": "none"}
    rest = ANSWER - {"status", "next_action"}
    assert {name: shown[name] for name in rest} == {name: session[name] for name in rest}, "all else is as it was"


def test_it_is_as_it_was_sealed_whatever_becomes_of_cart_and_listing(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    session = opened(customer, fill_cart(customer, (make_listing(unit_price="40.00"), 2)))
    before = customer.get(path(session["payment_id"])).json

    assert customer.delete("/api/cart").status_code == 204
    sql("UPDATE listings SET title = 'Other', unit_price = 1, active = false, stock = NULL")

    assert customer.get(path(session["payment_id"])).json == before


def test_nobody_else_reads_it(customer: Customer, other_customer: Customer, make_listing: MakeListing) -> None:
    session = opened(customer, fill_cart(customer, (make_listing(), 1)))

    for somebody in (other_customer, staff_of(other_customer)):
        answer = somebody.get(path(session["payment_id"]))
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")
        assert session["payment_token"] not in answer.text
    assert customer.client.get(path(session["payment_id"])).status_code == 401
    assert customer.get(path(str(uuid4()))).status_code == 404
    assert customer.get(path("no-id")).status_code == 404


def test_a_session_of_an_earlier_release_is_read_too(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    session = opened(customer, fill_cart(customer, (make_listing(), 1)))
    sql("""UPDATE checkout_sessions SET lines = jsonb_build_array((lines -> 0) - 'vendor_id'), held_until = NULL,
        generation = NULL""")

    shown = customer.get(path(session["payment_id"])).json

    assert "vendor_id" not in shown["lines"][0]
    assert shown["also_under_way"] == []


def test_pages_read_all_that_was_sealed(app: Flask, customer: Customer, make_listing: MakeListing) -> None:
    buyer = {"email": "ada@example.com", "name": "Ada Lovelace", "locale": "en-GB"}
    cart_id = fill_cart(customer, (make_listing(unit_price="40.00"), 2))
    session = opened(customer, cart_id, buyer=buyer)

    with app.app_context():
        read = session_of(payment_id=UUID(session["payment_id"]), user_id=customer.id)

    assert read is not None
    assert (str(read.cart_id), str(read.amount), read.currency, read.provider) == (cart_id, "80.00", "USD", "mock")
    assert (read.status.value, read.payment_token, read.also_under_way) == ("pending", session["payment_token"], [])
    assert (read.buyer, read.delivery_address) == (buyer, None)


def test_the_documents_examples_are_such_answers() -> None:
    assert set(EXAMPLE_SESSION) == ANSWER == set(SessionSchema().fields)
    assert set(EXAMPLE_READ_SESSION) == ANSWER | {"lines"} == set(ReadSessionSchema().fields)
