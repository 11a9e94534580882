"""Staff find orders by what is known of them: the filters, their pages, and what each costs among 30,000 orders."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask

from checkout_service.api.responses import show_time
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.orders import export, searching
from checkout_service.orders.export import export_rows, lines_statement
from checkout_service.orders.searching import (
    OrderFilters,
    edge_values,
    find_orders,
    page_statement,
    parameters,
    selection,
)
from checkout_service.orders.status import OrderStatus
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.orders.buying import bought, ids, many_orders, name_buyer, numbered
from tests.refunding import staff_of

PATH = "/api/admin/orders"
VENDOR = "md5('vendor3')::uuid"


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


def found(staff: Customer, **query: Any) -> list[str]:
    """The ids on the first page."""
    answer = staff.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.json["data"]]


def test_staff_find_everybodys_orders_newest_first(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    made = [bought(each, sql, (make_listing(), 1)) for each in (customer, other_customer, customer)]

    page = staff.get(PATH).json

    assert [order["id"] for order in page["data"]] == ids(reversed(made))
    assert [order["customer"] for order in page["data"]] == [
        str(customer.id),
        str(other_customer.id),
        str(customer.id),
    ]
    assert (page["next_cursor"], page["has_more"]) == (None, False)


def test_each_filter_narrows_and_all_of_them_hold(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    mine, other = make_listing(), make_listing()
    first = bought(customer, sql, (mine, 1), (other, 1))
    second = bought(other_customer, sql, (other, 2))
    numbered(sql, "W-")
    name_buyer(sql, first.id, email="Mira.Vance@Example.org")
    name_buyer(sql, second.id, email="someone@example.org")
    sql("UPDATE order_lines SET qty_short = 1 WHERE order_id = :id", id=second.id)
    sql("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])", id=second.payment_id)
    both, one, two = ids([second, first]), ids([first]), ids([second])

    assert found(staff, vendor=mine["vendor_id"]) == one
    assert found(staff, vendor=other["vendor_id"]) == both
    assert found(staff, vendor=uuid4()) == []
    assert found(staff, status="placed") == one
    assert found(staff, status="short") == two
    assert found(staff, status="fulfilled") == []
    assert found(staff, customer=customer.id) == one
    assert found(staff, email="mira.vance@EXAMPLE.org") == one
    assert found(staff, email="mira.vance@example") == []
    assert found(staff, vendor=other["vendor_id"], status="short", email="someone@example.org") == two
    assert found(staff, vendor=mine["vendor_id"], customer=other_customer.id) == []
    assert found(staff, status="placed", email="someone@example.org") == []


@pytest.mark.parametrize(
    ("prefix", "number", "hits"),
    [
        ("", "2", True),
        ("W-", "2", True),
        ("W-", "w-2", True),
        ("W-", "W-2", True),
        ("2026", "20262", True),
        ("2026", "2", True),
        ("W-", "X-2", False),
        ("W-", "-2", False),
        ("", "02", False),
        ("", "22", False),
        ("", "9" * 40, False),
        ("", "1" + "0" * 99, False),
        ("", f"{2**63}", False),
    ],
)
def test_a_number_is_found_with_its_prefix_or_without(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, prefix: str, number: str, hits: bool
) -> None:
    made = [bought(customer, sql, (make_listing(), 1)) for _ in range(3)]
    numbered(sql, prefix)

    assert found(staff, number=number) == (ids([made[1]]) if hits else [])


def test_since_and_until_are_exact_to_the_microsecond(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    made = [bought(customer, sql, (make_listing(), 1)) for _ in range(3)]
    middle, tick = made[1].created_at, timedelta(microseconds=1)

    for rest in ({}, {"customer": customer.id}, {"status": "placed"}):
        assert found(staff, since=show_time(middle), **rest) == ids([made[2], made[1]])
        assert found(staff, since=show_time(middle + tick), **rest) == ids([made[2]])
        assert found(staff, until=show_time(middle), **rest) == ids([made[0]])
        assert found(staff, until=show_time(middle + tick), **rest) == ids([made[1], made[0]])
    today = middle.astimezone(UTC).date()
    assert len(found(staff, since=today, until=today + timedelta(days=1))) == 3
    assert found(staff, since=today + timedelta(days=1)) == []
    assert found(staff, until="0001-01-01") == []
    assert len(found(staff, since="0001-01-01", until="9999-12-31")) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "lost"),
        ("status", ""),
        ("vendor", "Harbour Books"),
        ("customer", "1"),
        ("since", "yesterday"),
        ("since", "2026-11-25T10:00:00"),
        ("until", "2026-13-01"),
        ("until", "9999-12-31T23:59:59-14:00"),
        ("number", ""),
        ("number", "W-"),
        ("number", "1" * 101),
        ("number", "١"),
        ("email", "x"),
        ("email", "a" * 251 + "@b.c"),
        ("email", "a\0b@example.org"),
        ("limit", "101"),
        ("cursor", "nonsense"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(staff: Customer, name: str, value: str) -> None:
    paths = [PATH] if name in {"limit", "cursor"} else [PATH, f"{PATH}.csv"]
    for path in paths:
        answer = staff.get(path, query_string={name: value})
        assert (answer.status_code, answer.json["type"]) == (422, "/problems/invalid"), answer.text
        assert [error["pointer"] for error in answer.json["errors"]] == [f"/{name}"]


@pytest.mark.parametrize("value", ["'; DROP TABLE orders; --1", "%(x)s1", "{edge}1", ":limit 1", "1\u00a0\u202e1"])
def test_hostile_numbers_and_addresses_find_nothing(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, value: str
) -> None:
    bought(customer, sql, (make_listing(), 1))
    numbered(sql)
    assert found(staff, number=value) == []
    assert found(staff, email=value) == []


def test_links_lead_through_all_pages_with_their_filters(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    listing = make_listing(stock=None)
    made = [bought(customer, sql, (listing, 1), (make_listing(), 1)) for _ in range(5)]
    bought(customer, sql, (make_listing(), 1))
    query = {"vendor": listing["vendor_id"], "since": "2026-01-01", "status": "placed", "limit": 2}
    answer = staff.get(PATH, query_string=query)
    seen = [order["id"] for order in answer.json["data"]]
    while "Link" in answer.headers:
        link = answer.headers["Link"]
        answer = staff.get(link[1 : link.index(">")])
        seen += [order["id"] for order in answer.json["data"]]

    assert seen == ids(reversed(made))


def test_a_page_takes_one_statement_and_so_does_a_short_one(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, statements: Statements
) -> None:
    for _ in range(3):
        bought(customer, sql, (make_listing(), 1))
    for query in ({"limit": 1}, {"status": "placed"}, {"since": "2026-01-01"}):
        with statements() as seen:
            found(staff, **query)
        assert len(seen) == 1, (query, seen)


@pytest.mark.parametrize(("bound", "looks"), [(1, 1), (1, 20), (2, 1), (3, 2), (7, 1), (50, 1)])
def test_a_search_that_looked_through_enough_says_where_to_go_on(
    app: Flask,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    bound: int,
    looks: int,
) -> None:
    """Whatever is looked through at a time, each order is found once."""
    listing = make_listing(stock=None, unit_price="7.00")
    made = [bought(customer, sql, (listing, 1 + number % 3)) for number in range(12)]
    monkeypatch.setattr(searching, "LOOKED_THROUGH", bound)
    monkeypatch.setattr(searching, "MOST_LOOKS", looks)
    for filters in (
        OrderFilters(amount=Decimal(14)),
        OrderFilters(amount=Decimal(14), vendor=listing["vendor_id"]),
        OrderFilters(amount=Decimal(14), customer=customer.id),
        OrderFilters(amount=Decimal(14), status=OrderStatus.PLACED),
    ):
        with app.app_context():
            pages, cursor = list[list[str]](), None
            while True:
                page = find_orders(filters, limit=2, cursor=cursor)
                pages.append([order["id"] for order in page.orders])
                cursor = page.next_cursor
                if cursor is None:
                    break
                assert len(pages) < 50
            rows = [row.order_id for page in export_rows(filters) for row in page]
        assert [each for page in pages for each in page] == ids(reversed(made[1::3])), filters
        assert rows == [row.id for row in reversed(made[1::3])], filters


@pytest.mark.parametrize(
    ("moves", "filters"),
    [
        ("of another status", OrderFilters(amount=Decimal(14), status=OrderStatus.PLACED)),
        ("new ones", OrderFilters(amount=Decimal(14))),
    ],
)
def test_whatever_moves_between_two_looks_no_other_order_is_passed_or_found_twice(
    app: Flask,
    customer: Customer,
    make_listing: MakeListing,
    sql: Sql,
    monkeypatch: pytest.MonkeyPatch,
    moves: str,
    filters: OrderFilters,
) -> None:
    listing = make_listing(stock=None, unit_price="7.00")
    place = -4 if moves == "of another status" else -3
    made = [bought(customer, sql, (listing, 2 if number == 8 + place else 1)) for number in range(8)]
    looks = list[object]()

    def moved(*arguments: Any) -> Any:
        rows = execute(*arguments)
        if not looks and moves == "new ones":
            for _ in range(2):
                bought(customer, sql, (listing, 1))
        elif not looks:
            for row in made[-2:]:
                sql("UPDATE orders SET status = 'on_hold' WHERE id = :id", id=row.id)
        looks.append(rows)
        return rows

    monkeypatch.setattr(searching, "LOOKED_THROUGH", 3)
    for module in (searching, export):
        monkeypatch.setattr(module, "execute", moved)
    with app.app_context():
        page = find_orders(filters, limit=5, cursor=None)
        assert [order["id"] for order in page.orders] == ids([made[place]])
        sql("UPDATE orders SET status = 'placed'")
        looks.clear()
        rows = [row.order_id for rows in export_rows(filters) for row in rows]
    assert rows == [made[place].id]
    assert len(looks) > 2


@pytest.fixture
def web(servers: Servers) -> Iterator[psycopg.Connection[Any]]:
    url = servers.web_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps(inner)


def test_no_search_among_30000_orders_scans_a_table(sql: Sql, web: psycopg.Connection[Any]) -> None:
    """By the plans that PostgreSQL made and ran as the web tier: along indexes, and a bounded number of rows."""
    many_orders(
        sql,
        30_000,
        status="(CASE WHEN n % 600 = 599 THEN 'placed' ELSE 'fulfilled' END)::order_status",
        buyer="jsonb_build_object('email', 'Buyer' || n % 1500 || '@Example.org')",
    )
    now = datetime.now(UTC)
    vendor, user = sql(f"SELECT {VENDOR} AS vendor, md5('user7')::uuid AS customer")[0]
    old = sql(
        """UPDATE order_lines SET vendor_id = md5('old')::uuid
        WHERE place = 1 AND order_id = (SELECT id FROM orders ORDER BY id LIMIT 1)
        RETURNING vendor_id"""
    )[0].vendor_id
    sql("INSERT INTO order_numbers (id, number) SELECT id, number FROM orders")
    sql("INSERT INTO users (id) SELECT md5('guest' || n)::uuid FROM generate_series(1, 3000) AS n")
    sql("INSERT INTO guests (id) SELECT md5('guest' || n)::uuid FROM generate_series(1, 3000) AS n")
    sql("ANALYZE order_lines, order_numbers, guests")
    month = {"since": now - timedelta(days=19), "until": now - timedelta(days=3)}
    cases: list[tuple[dict[str, Any], int, int]] = [  # filters, orders on the page, buffers that it may touch
        ({}, 21, 300),
        ({"number": "23333"}, 1, 100),
        ({"email": "buyer7@example.ORG"}, 20, 300),
        ({"customer": user}, 21, 300),
        ({"vendor": vendor}, 21, 6_000),
        ({"status": OrderStatus.PLACED}, 21, 600),
        ({"status": OrderStatus.FULFILLED}, 21, 300),
        ({"status": OrderStatus.SHORT}, 0, 100),
        (month, 21, 600),
        ({"vendor": vendor, **month}, 21, 6_000),
        ({"customer": user, **month}, 21, 400),
        ({"status": OrderStatus.PLACED, **month}, 21, 400),
        ({"amount": Decimal(30), **month}, 21, 600),
        # What is rare beside an index that tells little is looked for in so many rows, and no more.
        ({"amount": Decimal(31)}, 0, 500),
        ({"vendor": vendor, "status": OrderStatus.FULFILLED, "amount": Decimal(31)}, 0, 8_000),
        ({"vendor": old}, 1, 100),
        ({"vendor": UUID(int=1)}, 0, 100),
    ]
    for given, count, most in cases:
        chosen, values = selection(OrderFilters(**given)), parameters(OrderFilters(**given))
        edge = edge_values(searching.Cursor(now, UUID(int=2**128 - 1))) | {"edge_place": 0}
        for statement, limit, rows in (
            (page_statement(chosen, False), 21, count),
            (page_statement(chosen, True), 21, count),
            (lines_statement(chosen, None), 40, min(2 * count, 40)),
            (lines_statement(chosen, "<="), 40, min(2 * count, 40)),
        ):
            plan = explained(web, statement, values | edge | {"limit": limit})
            kinds = {(step["Node Type"], step.get("Relation Name")) for step in steps(plan)}
            assert not [kind for kind in kinds if kind[0] == "Seq Scan"], (given, statement.sql, kinds)
            assert plan["Actual Rows"] == (rows if chosen.whole else max(rows, 1)), (given, statement.sql)
            touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert touched <= most, (given, statement.sql, touched)


def explained(web: psycopg.Connection[Any], statement: Statement, values: dict[str, Any]) -> dict[str, Any]:
    row = web.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", {**statement.constants, **values}
    ).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan
