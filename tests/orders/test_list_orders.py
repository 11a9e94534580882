"""A customer's orders in keyset pages, each with its lines, whatever is added meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.order_requests import ask_fulfilment, pieces
from tests.orders.buying import ADDRESS, BUYER, bought, ids, name_buyer, numbered, refund_line
from tests.purchases import fill_cart, opened
from tests.refunding import staff_of

PATH = "/api/orders"

MEMBERS = {
    *("id", "number", "status", "payment_id", "amount", "currency", "amount_refunded", "amount_refunding", "lines"),
    *("parts", "buyer", "delivery_address", "version", "created_at", "updated_at"),
}

LINE = {
    *("id", "listing_id", "title", "vendor", "school", "spec", "qty", "unit_price", "line_total"),
    *("qty_fulfilled", "qty_refunded", "qty_refunding", "qty_canceled"),
}


@pytest.fixture
def five(customer: Customer, make_listing: MakeListing, sql: Sql) -> list[str]:
    """The ids of five orders, newest first."""
    listing = make_listing(stock=None)
    return ids(reversed([bought(customer, sql, (listing, 1)) for _ in range(5)]))


def test_no_orders_are_an_empty_page(customer: Customer) -> None:
    answer = customer.get(PATH)

    assert (answer.status_code, answer.json) == (200, {"data": [], "next_cursor": None, "has_more": False})


def test_an_order_shows_what_was_bought_of_whom(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    books, other = make_listing(unit_price="12.50"), make_listing(title="Geometry")
    sql("UPDATE vendors SET name = 'Quay Prints' WHERE id = :id", id=other["vendor_id"])
    same = make_listing(vendor_id=books["vendor_id"], unit_price="0.01")
    made = bought(customer, sql, (books, 2), (other, 1), (same, 3))
    name_buyer(sql, made.id)
    numbered(sql, "W-")

    [order] = customer.get(PATH).json["data"]

    assert set(order) == MEMBERS
    assert all(set(line) == LINE for line in order["lines"])
    assert (order["id"], order["number"], order["status"]) == (str(made.id), "W-1", "placed")
    assert (order["payment_id"], order["amount"], order["currency"]) == (str(made.payment_id), "65.03", "USD")
    assert (order["amount_refunded"], order["amount_refunding"]) == ("0.00", "0.00")
    assert (order["buyer"], order["delivery_address"]) == (BUYER, ADDRESS)
    assert [(line["listing_id"], line["qty"], line["unit_price"], line["line_total"]) for line in order["lines"]] == [
        (str(books["id"]), 2, "12.50", "25.00"),
        (str(other["id"]), 1, "40.00", "40.00"),
        (str(same["id"]), 3, "0.01", "0.03"),
    ]
    assert [(line["title"], line["school"], line["spec"]) for line in order["lines"][:2]] == [
        ("Algebra for beginners", "Northgate School", "Hardcover"),
        ("Geometry", "Northgate School", "Hardcover"),
    ]
    vendors = [{"id": str(books["vendor_id"]), "name": "Harbour Books"}]
    vendors += [{"id": str(other["vendor_id"]), "name": "Quay Prints"}]
    assert order["parts"] == [
        {"vendor": vendors[0], "amount": "25.03"},
        {"vendor": vendors[1], "amount": "40.00"},
    ]
    assert [line["vendor"] for line in order["lines"]] == [vendors[0], vendors[1], vendors[0]]
    assert sum(Decimal(part["amount"]) for part in order["parts"]) == Decimal(order["amount"])


def test_an_order_shows_what_was_handed_over_and_given_back(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    made = bought(customer, sql, (make_listing(), 5), (make_listing(), 1))
    first, second = sql("SELECT id FROM order_lines WHERE order_id = :id ORDER BY place", id=made.id)
    staff = staff_of(customer)
    ask_fulfilment(staff, made.id, lines=[pieces(str(first.id), 3)])
    for qty, status in ((1, "succeeded"), (1, "processing"), (1, "failed"), (1, "succeeded")):
        refund_line(sql, staff, made.payment_id, first.id, qty, status)

    [order] = customer.get(PATH).json["data"]

    assert [(line["qty_fulfilled"], line["qty_refunded"], line["qty_refunding"]) for line in order["lines"]] == [
        (3, 2, 1),
        (0, 0, 0),
    ]
    assert order["lines"][1]["id"] == str(second.id)
    assert (order["amount_refunded"], order["amount_refunding"]) == ("80.00", "40.00")


def test_amounts_have_the_decimals_of_their_currency(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    bought(customer, sql, (make_listing(unit_price="1.234", currency="KWD"), 2))

    [order] = customer.get(PATH).json["data"]

    assert (order["amount"], order["lines"][0]["unit_price"], order["amount_refunded"]) == ("2.468", "1.234", "0.000")
    assert order["parts"][0]["amount"] == "2.468"


def test_an_order_without_a_number_yet_says_so(customer: Customer, five: list[str]) -> None:
    assert {order["number"] for order in customer.get(PATH).json["data"]} == {None}


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_pages_hold_everything_once(customer: Customer, five: list[str], limit: int) -> None:
    found, cursor = list[str](), None
    while True:
        page = customer.get(PATH, query_string={"limit": limit} | ({"cursor": cursor} if cursor else {})).json
        found += [order["id"] for order in page["data"]]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert found == five


def test_link_leads_to_the_next_page_and_new_orders_move_nothing(
    customer: Customer, five: list[str], make_listing: MakeListing, sql: Sql
) -> None:
    first = customer.get(f"{PATH}?limit=2")
    bought(customer, sql, (make_listing(), 1))
    link = first.headers["Link"]

    second = customer.get(link[1 : link.index(">")])

    assert link.endswith('>; rel="next"')
    assert [order["id"] for order in second.json["data"]] == five[2:4]


def test_nobody_sees_anothers_orders(customer: Customer, other_customer: Customer, five: list[str]) -> None:
    cursor = customer.get(f"{PATH}?limit=1").json["next_cursor"]

    assert other_customer.get(PATH).json["data"] == []
    assert other_customer.get(PATH, query_string={"cursor": cursor}).json["data"] == []
    assert customer.client.get(PATH).status_code == 401


def test_an_unchanged_list_is_304(customer: Customer, five: list[str], sql: Sql) -> None:
    first = customer.get(PATH)
    again = customer.get(PATH, headers={"If-None-Match": first.headers["ETag"]})
    numbered(sql)
    later = customer.get(PATH, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (again.status_code, again.data) == (304, b"")
    assert later.status_code == 200
    assert [order["number"] for order in later.json["data"]] == ["5", "4", "3", "2", "1"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "nonsense", "", "9" * 5000])
def test_limit_out_of_bounds_is_refused(customer: Customer, limit: str) -> None:
    answer = customer.get(PATH, query_string={"limit": limit})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/limit")


@pytest.mark.parametrize("cursor", ["", "nonsense", "é", "a" * 201, "AAAA"])
def test_what_is_no_cursor_of_ours_is_refused(customer: Customer, cursor: str) -> None:
    answer = customer.get(PATH, query_string={"cursor": cursor})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cursor")


def test_one_statement_whatever_the_number_of_lines(
    customer: Customer, make_listing: MakeListing, sql: Sql, statements: Statements
) -> None:
    lines = [(make_listing(), 1) for _ in range(12)]
    made = bought(customer, sql, *lines)
    line = sql("SELECT id FROM order_lines LIMIT 1")[0]
    refund_line(sql, staff_of(customer), made.payment_id, line.id, 1, "succeeded")

    for path in (PATH, f"{PATH}/{made.id}", f"/api/payments/{made.payment_id}"):
        with statements() as seen:
            assert customer.get(path).status_code == 200
        assert len(seen) == 1, "\n".join(seen)


def test_a_payment_names_its_order(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    made = bought(customer, sql, (make_listing(), 1))
    path = f"/api/payments/{made.payment_id}"
    before: Any = customer.get(path).json["order"]
    numbered(sql, "W-")

    other = bought(customer, sql, (make_listing(), 1))

    assert before == {"id": str(made.id), "number": None}
    assert customer.get(path).json["order"] == {"id": str(made.id), "number": "W-1"}
    assert [payment["order"] for payment in customer.get("/api/payments").json["data"]] == [
        {"id": str(other.id), "number": None},
        {"id": str(made.id), "number": "W-1"},
    ]


def test_a_payment_without_money_names_none(customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
    payment_id = opened(customer, fill_cart(customer, (make_listing(), 1)), uuid4().hex)["payment_id"]

    assert UUID(payment_id)
    assert customer.get(f"/api/payments/{payment_id}").json["order"] is None
    assert customer.get("/api/payments").json["data"][0]["order"] is None
