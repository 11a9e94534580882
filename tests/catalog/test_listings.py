"""Everybody reads what is on sale: pages, sorts and filters, each listing as it is, and nothing that is not on sale."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError

from checkout_service.catalog import ways
from tests.conftest import Customer, MakeListing, Sql

PATH = "/api/listings"


@pytest.fixture(autouse=True)
def _nothing_else(sql: Sql) -> None:
    sql("DELETE FROM listings")


def found(client: FlaskClient, **query: Any) -> list[str]:
    """The titles on the first page."""
    answer = client.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [listing["title"] for listing in answer.json["data"]]


def test_a_stranger_reads_what_is_on_sale_and_nothing_else(
    client: FlaskClient, make_listing: MakeListing, customer: Customer
) -> None:
    made, gone = make_listing(stock=7), make_listing(active=False)

    page = client.get(PATH)

    assert page.json["has_more"] is False
    (shown,) = page.json["data"]
    assert shown == {
        "id": str(made["id"]),
        "title": "Algebra for beginners",
        "description": None,
        "images": [],
        "unit_price": "40.00",
        "currency": "USD",
        "available": 7,
        "vendor": {"id": str(made["vendor_id"]), "name": "Harbour Books"},
        "school": {"id": str(made["school_id"]), "name": "Northgate School"},
        "spec": {"id": str(made["spec_id"]), "name": "Hardcover", "attributes": {"pages": 320}},
    }
    assert client.get(f"{PATH}/{made['id']}").json == shown
    assert customer.get(f"{PATH}/{made['id']}").json == shown, "a token changes nothing"
    for missing in (gone["id"], uuid4()):
        answer = client.get(f"{PATH}/{missing}")
        assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")


def test_what_is_optional_may_be_missing(client: FlaskClient, make_listing: MakeListing) -> None:
    made = make_listing(school_id=None, spec_id=None, stock=None, currency="JPY", unit_price="500")

    shown = client.get(f"{PATH}/{made['id']}").json

    assert (shown["school"], shown["spec"], shown["available"]) == (None, None, None)
    assert (shown["unit_price"], shown["currency"]) == ("500.00", "JPY")


def test_any_cache_may_keep_an_answer_for_a_moment_and_ask_whether_it_is_the_same(
    client: FlaskClient, make_listing: MakeListing, sql: Sql
) -> None:
    made = make_listing()
    for path in (PATH, f"{PATH}/{made['id']}"):
        first = client.get(path)
        assert first.headers["Cache-Control"] == "public, max-age=10"
        tag = first.headers["ETag"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["Cache-Control"]) == (304, b"", "public, max-age=10")
        sql("UPDATE listings SET unit_price = unit_price + 1")
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("sort", ["title", "price", "newest"])
@pytest.mark.parametrize("filters", [{}, {"vendor": True}, {"q": "exercise book"}])
def test_pages_of_each_order_have_each_listing_once(
    client: FlaskClient, make_listing: MakeListing, sql: Sql, sort: str, filters: dict[str, Any]
) -> None:
    vendor = make_listing(title="Exercise book", unit_price="7.00")["vendor_id"]
    for number in range(11):
        # Of each value there are several, so that ids tell them apart.
        make_listing(title=f"Exercise book {number // 3}", unit_price=f"{number // 3 + 1}.00", vendor_id=vendor)
    sql("UPDATE listings SET created_at = now() - unit_price * interval '1 hour'")
    query = filters | {"sort": sort, "limit": 4}
    if "vendor" in query:
        query["vendor"] = vendor

    pages, cursor = list[Any](), None
    while cursor or not pages:
        answer = client.get(PATH, query_string=query | ({"cursor": cursor} if cursor else {}))
        pages += answer.json["data"]
        cursor = answer.json["next_cursor"]
        assert ("Link" in answer.headers) == answer.json["has_more"] == (cursor is not None)
        if cursor:
            assert client.get(answer.headers["Link"].split(">")[0][1:]).status_code == 200

    order = {
        "title": "title_key, id",
        "price": "unit_price, id",
        "newest": "created_at DESC, id DESC",
    }[sort]
    assert [each["id"] for each in pages] == [str(row.id) for row in sql(f"SELECT id FROM listings ORDER BY {order}")]


def test_titles_are_sorted_whatever_their_case_and_accents(client: FlaskClient, make_listing: MakeListing) -> None:
    for title in ("Zebra", "éclair", "Echo", "apple", "Ärmel", "2 pens"):
        make_listing(title=title)

    assert found(client, sort="title") == ["2 pens", "apple", "Ärmel", "Echo", "éclair", "Zebra"]


def test_each_filter_narrows_and_all_of_them_hold(client: FlaskClient, make_listing: MakeListing) -> None:
    first = make_listing(title="First", unit_price="10.00", stock=3)
    second = make_listing(title="Second", unit_price="20.00", stock=0)
    third = make_listing(title="Third", unit_price="30.00", currency="EUR", stock=None, school_id=None)

    assert found(client, vendor=first["vendor_id"]) == ["First"]
    assert found(client, school=second["school_id"]) == ["Second"]
    assert found(client, spec=third["spec_id"]) == ["Third"]
    assert found(client, vendor=uuid4()) == found(client, school=uuid4()) == found(client, spec=uuid4()) == []
    assert found(client, ids=f"{first['id']},{third['id']},{uuid4()}", sort="title") == ["First", "Third"]
    assert found(client, price_min="20", sort="price") == found(client, price_min="20.00", sort="title")
    assert found(client, price_min="20", sort="price") == ["Second", "Third"]
    assert found(client, price_max="20", sort="price") == ["First", "Second"]
    assert found(client, price_min="20", price_max="20") == ["Second"]
    assert found(client, available="true", sort="title") == ["First", "Third"]
    assert found(client, available="false") == ["Second"]
    assert found(client, currency="EUR") == ["Third"]
    assert found(client, currency="USD", available="true", price_min="5") == ["First"]
    assert found(client, vendor=first["vendor_id"], school=second["school_id"]) == []
    assert found(client, q="second", price_max="10") == []
    assert found(client, q="first", vendor=first["vendor_id"], ids=str(first["id"])) == ["First"]


def test_prices_of_a_list_are_shown_in_the_currency_of_the_query(
    client: FlaskClient, make_listing: MakeListing, sql: Sql
) -> None:
    dollars, both, euros = (
        make_listing(title=title, unit_price=price, currency=currency)
        for title, price, currency in (("Dollars", "1.00", "USD"), ("Both", "50.00", "USD"), ("Euros", "9.00", "EUR"))
    )
    sql("INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, 'EUR', 8.50)", id=both["id"])

    page = client.get(PATH, query_string={"currency": "EUR", "sort": "price"}).json["data"]

    assert [(each["title"], each["unit_price"], each["currency"]) for each in page] == [
        ("Both", "8.50", "EUR"),
        ("Euros", "9.00", "EUR"),
    ]
    assert found(client, currency="EUR", price_max="8.50") == ["Both"]
    assert found(client, currency="EUR", price_max="8.50", sort="price") == ["Both"]
    assert found(client, currency="EUR", price_min="8.51", sort="price") == ["Euros"]
    assert found(client, currency="USD", sort="title") == ["Both", "Dollars"]
    assert found(client, currency="GBP") == []
    assert found(client, q="both", currency="EUR") == ["Both"]
    assert client.get(f"{PATH}/{both['id']}?currency=EUR").json["unit_price"] == "8.50"
    assert client.get(f"{PATH}/{both['id']}").json["unit_price"] == "50.00"
    assert client.get(f"{PATH}/{dollars['id']}?currency=EUR").status_code == 404
    assert client.get(f"{PATH}/{euros['id']}?currency=EUR").json["unit_price"] == "9.00"
    sql("UPDATE listings SET active = false WHERE id = :id", id=both["id"])
    assert found(client, currency="EUR", sort="price") == ["Euros"]


def in_pages(client: FlaskClient, **query: Any) -> list[tuple[str, str]]:
    """Title and price of each listing, one a page."""
    shown, cursor = [], None
    while True:
        page = client.get(PATH, query_string={"limit": 1, **query} | ({"cursor": cursor} if cursor else {})).json
        shown += [(each["title"], each["unit_price"]) for each in page["data"]]
        if not page["has_more"]:
            return shown
        cursor = page["next_cursor"]


@pytest.mark.parametrize("sort", ["price", "title", "newest"])
def test_a_listing_has_one_price_in_its_own_currency_and_is_on_one_page(
    client: FlaskClient, make_listing: MakeListing, sql: Sql, sort: str
) -> None:
    first, other = (
        make_listing(title=title, unit_price="9.00", currency=currency)
        for title, currency in (("First", "EUR"), ("Other", "USD"))
    )
    write = "INSERT INTO listing_prices (listing_id, currency, unit_price) VALUES (:id, :currency, :price)"
    with pytest.raises(IntegrityError, match=r"has its price in \w+ in itself"):
        sql(write, id=first["id"], currency="EUR", price=8)
    sql(write, id=first["id"], currency="USD", price=8)
    sql(write, id=other["id"], currency="EUR", price=10)
    for change in ("currency = 'EUR'", f"listing_id = '{other['id']}', currency = 'USD'"):
        with pytest.raises(IntegrityError, match=r"has its price in \w+ in itself"):
            sql(f"UPDATE listing_prices SET {change} WHERE listing_id = :id", id=first["id"])
    assert sorted(in_pages(client, currency="EUR", sort=sort)) == [("First", "9.00"), ("Other", "10.00")]

    sql("UPDATE listings SET currency = 'EUR' WHERE id = :id", id=other["id"])

    assert [row.currency for row in sql("SELECT currency FROM listing_prices")] == ["USD"], "that of the first stays"
    assert sorted(in_pages(client, currency="EUR", sort=sort)) == [("First", "9.00"), ("Other", "9.00")]
    assert in_pages(client, currency="USD", sort=sort) == [("First", "8.00")]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"q": "a"}, "/q"),
        ({"q": " a "}, "/q"),
        ({"q": ""}, "/q"),
        ({"q": "x" * 65}, "/q"),
        ({"vendor": "nobody"}, "/vendor"),
        ({"ids": ""}, "/ids"),
        ({"ids": "1,2"}, "/ids"),
        ({"ids": ",".join(str(uuid4()) for _ in range(101))}, "/ids"),
        ({"price_min": "-1"}, "/price_min"),
        ({"price_min": "1e3"}, "/price_min"),
        ({"price_min": "2", "price_max": "1"}, "/price_min"),
        ({"available": "yes"}, "/available"),
        ({"currency": "eur"}, "/currency"),
        ({"currency": "XXX"}, "/currency"),
        ({"sort": "rank"}, "/sort"),
        ({"limit": "0"}, "/limit"),
        ({"limit": "101"}, "/limit"),
        ({"cursor": "nonsense"}, "/cursor"),
        ({"colour": "navy"}, "/colour"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(client: FlaskClient, query: dict[str, str], pointer: str) -> None:
    answer = client.get(PATH, query_string=query)

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid"), answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("price", ["1E+999999", "1E-20000", "NaN", "Infinity", "1_0", " 1", "٣"])
def test_a_cursor_with_no_price_is_refused(client: FlaskClient, price: str) -> None:
    cursor = base64.urlsafe_b64encode(f"37ead6b5-d8a0-5dc2-ba73-81115ccb02a4 {price}".encode()).decode().rstrip("=")
    answer = client.get(PATH, query_string={"sort": "price", "cursor": cursor})
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cursor")


def test_a_cursor_of_another_order_is_refused(client: FlaskClient, make_listing: MakeListing) -> None:
    for _ in range(3):
        make_listing()
    cursors = {
        sort: client.get(PATH, query_string={"sort": sort, "limit": 1}).json["next_cursor"]
        for sort in ("title", "price", "newest")
    }
    for sort, other in (("newest", "price"), ("newest", "title"), ("price", "newest"), ("price", "title")):
        answer = client.get(PATH, query_string={"sort": sort, "cursor": cursors[other]})
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/cursor"), (sort, other)
    assert client.get(PATH, query_string={"q": "algebra", "cursor": cursors["newest"]}).status_code == 422


def test_a_page_of_a_currency_is_full_where_listings_without_it_stand_between(
    client: FlaskClient, make_listing: MakeListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along an order, as where a currency has many listings."""
    monkeypatch.setattr(ways, "FEW", 1)
    ways._weights.cache_clear()
    for number in range(3):
        make_listing(title=f"Euros {number}", currency="EUR")
    for _ in range(4):
        make_listing(currency="USD")
    try:
        first = client.get(PATH, query_string={"currency": "EUR", "limit": 2}).json
        assert [each["title"] for each in first["data"]] == ["Euros 2", "Euros 1"]
        assert found(client, currency="EUR", limit=2, cursor=first["next_cursor"]) == ["Euros 0"]
        assert found(client, currency="EUR", sort="title") == ["Euros 0", "Euros 1", "Euros 2"]
    finally:
        ways._weights.cache_clear()
