"""Orders as CSV: one row a line, complete or not at all, harmless in a spreadsheet, and bounded."""

from __future__ import annotations

import csv
import io
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from checkout_service.api.responses import show_time
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.orders import export, routes
from checkout_service.orders.export import HEADER, csv_pages
from checkout_service.orders.searching import OrderFilters
from checkout_service.server import downloads
from checkout_service.server.spools import Spool
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.order_requests import ask_fulfilment, pieces
from tests.orders.buying import (
    ADDRESS,
    BUYER,
    bought,
    ids,
    many_orders,
    name_buyer,
    numbered,
    refund_amount,
    refund_line,
)
from tests.refunding import staff_of

PATH = "/api/admin/orders.csv"


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


def rows(staff: Customer, **query: Any) -> list[dict[str, str]]:
    answer = staff.get(PATH, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_each_line_of_each_order_is_a_row(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    books, other = make_listing(unit_price="12.50"), make_listing(title='Maps, "old"\r\nand new')
    first = bought(customer, sql, (books, 2), (other, 1))
    second = bought(customer, sql, (make_listing(unit_price="1.234", currency="KWD"), 1))
    name_buyer(sql, first.id)
    numbered(sql, "W-")
    line = sql("SELECT id FROM order_lines WHERE order_id = :id ORDER BY place", id=first.id)[0]
    refund_line(sql, staff, first.payment_id, line.id, 1, "succeeded")
    refund_amount(sql, staff, first.payment_id, "5.00", "succeeded")
    refund_amount(sql, staff, first.payment_id, "1.00", "failed")
    ask_fulfilment(staff, first.id, lines=[pieces(str(line.id), 1)])
    refunds = sql("SELECT id FROM refunds ORDER BY id")

    found = rows(staff)

    assert [row["order_id"] for row in found] == ids([second, first, first])
    assert found[1] == {
        "order_id": str(first.id),
        "number": "W-1",
        "status": "partially_fulfilled",
        "created_at": customer.get(f"/api/orders/{first.id}").json["created_at"],
        "customer": str(customer.id),
        "payment_id": str(first.payment_id),
        "currency": "USD",
        "order_amount": "65.00",
        "order_amount_refunded": "17.50",
        "order_amount_refunding": "0.00",
        "order_refunds": ", ".join(
            f"{shown} {refund.id}"
            for shown, refund in zip(("12.50 succeeded", "5.00 succeeded", "1.00 failed"), refunds, strict=True)
        ),
        "line_id": str(line.id),
        "listing_id": str(books["id"]),
        "vendor_id": str(books["vendor_id"]),
        "vendor": "Harbour Books",
        "title": "Algebra for beginners",
        "school": "Northgate School",
        "spec": "Hardcover",
        "qty": "2",
        "unit_price": "12.50",
        "line_total": "25.00",
        "qty_fulfilled": "1",
        "qty_refunded": "1",
        "qty_short": "0",
        "buyer_email": BUYER["email"],
        "buyer_name": BUYER["name"],
        "buyer_phone": f"'{BUYER['phone']}",
        "delivery_name": ADDRESS["name"],
        "delivery_line1": ADDRESS["line1"],
        "delivery_line2": "",
        "delivery_postal_code": ADDRESS["postal_code"],
        "delivery_city": ADDRESS["city"],
        "delivery_region": "",
        "delivery_country": ADDRESS["country"],
        "delivery_phone": "",
    }
    assert found[2]["title"] == 'Maps, "old"\r\nand new'
    assert (found[0]["line_total"], found[0]["currency"], found[0]["buyer_email"]) == ("1.234", "KWD", "")
    assert found[0]["order_refunds"] == ""


def test_headers_say_what_it_is_and_keep_it_from_caches(staff: Customer) -> None:
    answer = staff.get(PATH)

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert answer.text == ",".join(HEADER) + "\r\n"


def test_to_head_nothing_is_read(staff: Customer, statements: Statements) -> None:
    with statements() as seen:
        answer = staff._open("HEAD", PATH)

    assert (answer.status_code, answer.data, seen) == (200, b"", [])
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\uff1d1+1", '=HYPERLINK("http://evil.test")']
)
def test_a_cell_that_would_be_a_formula_is_text(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, text: str
) -> None:
    made = bought(customer, sql, (make_listing(title=text), 1))
    sql("UPDATE order_lines SET vendor = :text, school = :text, spec = :text", text=text)
    name_buyer(sql, made.id, name=text, email=text)
    numbered(sql, text)

    [row] = rows(staff)

    for column in ("title", "vendor", "school", "spec", "buyer_name", "buyer_email"):
        assert row[column] == f"'{text}"
    assert row["number"] == f"'{text}1"


@pytest.mark.parametrize(
    ("text", "written"),
    [("Ada;=1+1;b", "Ada;'=1+1;b"), ("Ada; -1", "Ada;' -1"), ("=1;@x", "'=1;'@x"), ("Ada; Bob;", "Ada; Bob;")],
)
def test_a_formula_after_a_semicolon_is_text_too(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, text: str, written: str
) -> None:
    """Spreadsheets of half of Europe begin a cell there, whatever RFC 4180 says."""
    made = bought(customer, sql, (make_listing(), 1))
    name_buyer(sql, made.id, name=text)

    assert rows(staff)[0]["buyer_name"] == written


def test_what_begins_otherwise_is_left_alone(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    bought(customer, sql, (make_listing(title="a=1 + b, \u00e9\u4e2d"), 1))
    assert rows(staff)[0]["title"] == "a=1 + b, \u00e9\u4e2d"


def test_filters_narrow_the_file_as_they_do_the_list(
    customer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer
) -> None:
    mine = bought(customer, sql, (make_listing(), 1), (make_listing(), 1))
    bought(other_customer, sql, (make_listing(), 1))
    numbered(sql)

    for query in ({"customer": customer.id}, {"number": "1"}, {"until": show_time(mine.created_at)}):
        expected = [] if "until" in query else ids([mine, mine])
        assert [row["order_id"] for row in rows(staff, **query)] == expected


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 7, 500])
def test_statements_read_so_many_rows_and_cut_orders_where_they_must(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql, statements: Statements,
    monkeypatch: pytest.MonkeyPatch, at_once: int,
) -> None:  # fmt: skip
    for lines in (1, 3, 2, 4):
        bought(customer, sql, *[(make_listing(), 1) for _ in range(lines)])
    monkeypatch.setattr(export, "ROWS", at_once)
    expected = sql("""SELECT line.id FROM order_lines AS line JOIN orders AS made ON made.id = order_id
        ORDER BY made.id DESC, place""")

    for filters in (OrderFilters(), OrderFilters(customer=customer.id)):
        with app.app_context(), statements() as seen:
            pages = [[row.cells[HEADER.index("line_id")] for row in page] for page in export.export_rows(filters)]
        assert [each for page in pages for each in page] == ids(expected)
        assert max(map(len, pages)) <= at_once
        assert len(seen) <= 10 // at_once + 1


def test_orders_that_come_while_a_file_is_made_are_not_in_it(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = make_listing(stock=None)
    before = [bought(customer, sql, (listing, 1)) for _ in range(3)]
    monkeypatch.setattr(export, "ROWS", 1)
    with app.app_context():
        pages = export.export_rows(OrderFilters())
        seen = [row.order_id for row in next(pages)]
        sql("SELECT 1")
        late = bought(customer, sql, (listing, 1))
        seen += [row.order_id for page in pages for row in page]

    assert seen == [row.id for row in reversed(before)]
    assert late.id not in seen


def test_a_database_that_goes_away_midway_is_a_503_and_no_half_a_file(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        bought(customer, sql, (make_listing(), 1))
    monkeypatch.setattr(export, "ROWS", 1)
    run, calls = export.execute, list[int]()

    def execute(statement: Any, values: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise DatabaseUnavailableError
        return run(statement, values)

    monkeypatch.setattr(export, "execute", execute)
    answer = staff.get(PATH)

    assert (answer.status_code, answer.json["type"]) == (503, "/problems/database-unavailable")
    assert "Content-Disposition" not in answer.headers
    assert len(calls) == 3


@pytest.mark.parametrize(("name", "most"), [("MOST_BYTES", 1000), ("MADE_WITHIN", -1.0)])
def test_a_file_that_would_be_too_large_is_refused(
    customer: Customer, make_listing: MakeListing, sql: Sql, staff: Customer, monkeypatch: pytest.MonkeyPatch,
    name: str, most: float,
) -> None:  # fmt: skip
    bought(customer, sql, *[(make_listing(), 1) for _ in range(5)])
    monkeypatch.setattr(downloads, name, most)

    answer = staff.get(PATH)

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/export-too-large")
    assert "since and until" in answer.json["detail"]


def test_a_full_disk_is_a_503(staff: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(self: Spool, pieces: Iterator[bytes], *, most_bytes: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spool, "fill", fill)
    answer = staff.get(PATH)

    assert (answer.status_code, answer.json["type"]) == (503, "/problems/no-room-for-export")
    assert answer.headers["Retry-After"] == "1"


def test_one_caller_has_one_file_made_at_a_time_and_a_process_two(
    app: Flask, staff: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who are refused are told so at once, and places come back."""
    begun, may_end, statuses = threading.Barrier(3), threading.Event(), list[int]()

    def slow(filters: OrderFilters) -> Iterator[bytes]:
        begun.wait(30)
        assert may_end.wait(30)
        yield b"x"

    monkeypatch.setattr(routes, "csv_pages", slow)

    def ask(who: Customer) -> None:
        statuses.append(who.get(PATH).status_code)

    others = [staff, staff_of(Customer(id=staff.id, headers={}, client=app.test_client()))]
    threads = [threading.Thread(target=ask, args=(each,)) for each in others]
    for thread in threads:
        thread.start()
    begun.wait(30)
    own = staff.get(PATH)
    third = staff_of(staff).get(PATH)
    may_end.set()
    for thread in threads:
        thread.join(30)
    monkeypatch.setattr(routes, "csv_pages", csv_pages)

    assert (own.status_code, third.status_code) == (429, 429)
    assert own.json["type"] == "/problems/too-many-at-once"
    assert statuses == [200, 200]
    assert staff.get(PATH).status_code == 200


@pytest.mark.slow
def test_memory_stays_flat_whatever_the_number_of_orders(app: Flask, sql: Sql) -> None:
    many_orders(sql, 20_000)
    with app.app_context():
        sizes = []
        tracemalloc.start()
        count = 0
        for page in csv_pages(OrderFilters()):
            count += page.count(b"\r\n")
            sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert count == 40_001
    assert sizes[-1] < 2 * sizes[5]
