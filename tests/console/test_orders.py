"""Orders at the console: found by what is known of them, read in full, and acted on as staff do over the API."""

from __future__ import annotations

import csv
import io
import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.console import order_pages
from tests.conftest import MakeListing, Sql
from tests.console.conftest import InWorker, Operator, link
from tests.console.test_commands import Messages, messages
from tests.money import attempt, dispute, fold
from tests.ordering import ADDRESS, BUYER, number_orders, open_session, paid_order
from tests.refunding import insert_refund, paid_payment
from tests.stock.holding import end_holds
from worker.commands import run_commands

__all__ = ["messages"]

HOSTILE = "<script>alert(1)</script>"


def orders_on(text: str) -> list[UUID]:
    return [UUID(found) for found in re.findall(r'<td><a href="/ops/orders/([0-9a-f-]{36})">', text)]


def _line(sql: Sql, order: UUID, place: int = 1) -> UUID:
    found: UUID = sql("SELECT id FROM order_lines WHERE order_id = :id AND place = :place", id=order, place=place)[0].id
    return found


@pytest.fixture
def order(sql: Sql, make_listing: MakeListing) -> UUID:
    """An order of 3 pieces of a listing with 10, and 2 of another, of 200.00 in all."""
    made, _ = paid_order(sql, (make_listing(), 3), (make_listing(title="Geometry"), 2), buyer=BUYER, address=ADDRESS)
    number_orders(sql, prefix="HB-")
    return made


def _status(sql: Sql, order: UUID) -> str:
    found: str = sql("SELECT status::text FROM orders WHERE id = :id", id=order)[0].status
    return found


def _made_earlier(sql: Sql, order: UUID, *, days: int) -> UUID:
    """The order as if it had been made so many days ago: its id tells the time as well."""
    (made,) = sql("SELECT uuidv7(make_interval(days => :days)) AS id", days=-days)
    for statement in (
        f"UPDATE order_lines SET order_id = '{made.id}' WHERE order_id = '{order}'",
        f"UPDATE order_numbers SET id = '{made.id}' WHERE id = '{order}'",
        f"UPDATE orders SET id = '{made.id}', created_at = now() - interval '{days} days' WHERE id = '{order}'",
    ):
        sql(f"SET session_replication_role = replica; {statement}; RESET session_replication_role")
    found: UUID = made.id
    return found


def test_orders_are_found_by_what_is_known_of_them(operator: Operator, sql: Sql, make_listing: MakeListing) -> None:
    first_listing, second_listing = make_listing(), make_listing(unit_price="12.50")
    sql("UPDATE vendors SET name = 'Quay Prints' WHERE id = :id", id=second_listing["vendor_id"])
    first, _ = paid_order(sql, (first_listing, 1), buyer=BUYER)
    second, _ = paid_order(sql, (second_listing, 2))
    number_orders(sql, prefix="HB-")
    customer = sql("SELECT user_id FROM orders WHERE id = :id", id=second)[0].user_id
    first = _made_earlier(sql, first, days=3)

    assert orders_on(operator.get("/ops/orders").text) == [second, first]
    for query, expected in {
        "number=1": [first],
        "number=hb-2": [second],
        f"customer={customer}": [second],
        "customer=ada@EXAMPLE.com": [first],
        "amount=25": [second],
        "amount=40.00": [first],
        "status=placed": [second, first],
        "status=fulfilled": [],
        "since=2d": [second],
        "until=2d": [first],
        f"vendor={first_listing['vendor_id']}": [first],
        "vendor=quay+prints": [second],
        "status=placed&amount=25.00&since=1h": [second],
    }.items():
        page = operator.get(f"/ops/orders?{query}")
        assert page.status_code == 200
        assert orders_on(page.text) == expected, query
        assert ("No orders match" in page.text) is not bool(expected)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("number=one", "A number such as 1042"),
        ("customer=ada", "whole e-mail address"),
        ("amount=many", "Not an amount"),
        ("amount=1e9", "Not an amount"),
        ("amount=999999999999", "Not an amount"),
        ("status=lost", "There is no such status."),
        ("vendor=nobody", "There is no vendor of this name."),
        ("vendor=Harbour+Books", "Several vendors have this name."),
        ("since=yesterday", "Write 90s"),
        ("until=0001-01-01", "Write 90s"),
        (f"number={'1' * 300}", "nothing that could be found"),
        ("customer=a%1b@b", "nothing that could be found"),
        ("vendor=%ED%B2%80", "There is no vendor of this name."),
    ],
)
def test_what_cannot_be_read_is_reported_beside_its_field(
    operator: Operator, order: UUID, query: str, words: str
) -> None:
    page = operator.get(f"/ops/orders?{query}")
    assert page.status_code == 400
    assert words in page.text
    assert f'id="{query.partition("=")[0]}-fault"' in page.text
    assert order
    assert orders_on(page.text) == [], "what cannot be read lists nothing"
    assert "as CSV" not in page.text
    answer = operator.get(f"/ops/orders.csv?{query}")
    assert answer.status_code == 400
    assert "A filter cannot be read" in answer.text


def test_pages_of_orders_go_on(
    operator: Operator, sql: Sql, make_listing: MakeListing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_pages, "PAGE", 2)
    listing = make_listing(stock=None)
    made = [paid_order(sql, (listing, 1))[0] for _ in range(5)]
    path: str | None = "/ops/orders?status=placed"
    found = []
    while path:
        page = operator.get(path)
        found.append(orders_on(page.text))
        path = link(page, "next")
    assert [each for orders in found for each in orders] == made[::-1]
    assert [len(orders) for orders in found] == [2, 2, 1]
    assert orders_on(operator.get(link(page, "first") or "").text) == made[:-3:-1]
    assert operator.get("/ops/orders?before=nonsense").status_code == 400


def test_the_list_is_exported_as_it_is_narrowed(operator: Operator, sql: Sql, make_listing: MakeListing) -> None:
    first, _ = paid_order(sql, (make_listing(title="=1+1"), 2), buyer=BUYER)
    paid_order(sql, (make_listing(unit_price="12.50"), 1))
    page = operator.get("/ops/orders?amount=80")
    path = re.search(r'href="(/ops/orders\.csv[^"]*)"', page.text)
    assert path
    answer = operator.get(path[1])

    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["order_id"], row["title"], row["buyer_email"]) == (str(first), "'=1+1", BUYER["email"])
    assert len(list(csv.DictReader(io.StringIO(operator.get("/ops/orders.csv").text)))) == 2


def test_an_order_is_shown_in_full(operator: Operator, sql: Sql, order: UUID) -> None:
    payment = sql("SELECT payment_id FROM orders")[0].payment_id
    text = operator.get(f"/ops/orders/{order}").text

    for shown in (
        "HB-1",
        "Geometry",
        "Harbour Books",
        "200.00",
        "Ada Lovelace",
        "St James&#39;s Square",
        "SW1Y 4LE",
    ):
        assert shown in text, shown
    assert f'href="/ops/payments/{payment}"' in text
    assert text.count("sold") >= 2, "its holds"
    for way in ("fulfil", "cancel", "refund"):
        assert f'href="/ops/orders/{order}/{way}"' in text
    payment_page = operator.get(f"/ops/payments/{payment}").text
    assert f'href="/ops/orders/{order}"' in payment_page
    assert "placed, number HB-1" in payment_page
    assert operator.get(f"/ops/orders/{uuid4()}").status_code == 404


def test_what_strangers_wrote_is_shown_and_never_run(operator: Operator, sql: Sql, make_listing: MakeListing) -> None:
    buyer = BUYER | {"name": f"{HOSTILE}\u202e", "email": "a@b.example"}
    order, _ = paid_order(sql, (make_listing(title=HOSTILE), 1), buyer=buyer, address=ADDRESS | {"line1": HOSTILE})
    for path in ("/ops/orders", *(f"/ops/orders/{order}{way}" for way in ("", "/fulfil", "/cancel", "/refund"))):
        text = operator.get(path).text
        assert HOSTILE not in text, path
        assert "\u202e" not in text, path


def test_lines_are_fulfilled_once_for_each_form(operator: Operator, sql: Sql, order: UUID) -> None:
    path = f"/ops/orders/{order}/fulfil"
    first, second = _line(sql, order), _line(sql, order, 2)
    form = operator.form(path, path) | {
        f"qty-{first}": "2",
        f"qty-{second}": "0",
        "carrier": " by\n bike ",
        "tracking": "B-1",
    }
    for _ in range(2):
        answer = operator.post(path, form)
        assert (answer.status_code, answer.location) == (303, f"/ops/orders/{order}")

    assert _status(sql, order) == "partially_fulfilled"
    (row,) = sql("SELECT * FROM fulfilments")
    assert (row.carrier, row.tracking) == ("by bike", "B-1")
    assert row.lines == [{"qty": 2, "line_id": str(first)}]
    assert sql("SELECT stock FROM listings ORDER BY id")[0].stock == 8
    text = operator.get(f"/ops/orders/{order}").text
    assert "by bike" in text
    assert f'href="/ops/orders/{order}/cancel"' not in text
    assert "Something of it was handed over" in operator.get(f"/ops/orders/{order}/cancel").text

    rest = operator.form(path, path) | {f"qty-{first}": "1", f"qty-{second}": "2"}
    assert operator.post(path, rest).status_code == 303
    assert _status(sql, order) == "fulfilled"
    assert "nothing of it is handed over" in operator.get(path).text


def test_what_cannot_be_fulfilled_is_refused_with_its_lines(operator: Operator, sql: Sql, order: UUID) -> None:
    path = f"/ops/orders/{order}/fulfil"
    form, line = operator.form(path, path), _line(sql, order, 2)

    answer = operator.post(path, form | {f"qty-{line}": "3"})
    assert answer.status_code == 409
    assert "Geometry: 3 asked for, 2 left." in answer.text
    sql("UPDATE listings SET stock = 1 WHERE title = 'Geometry'")
    answer = operator.post(path, form | {f"qty-{line}": "2"})
    assert answer.status_code == 409
    assert "Geometry: 2 asked for, 1 available." in answer.text
    for wrong in ({f"qty-{line}": "many"}, {f"qty-{line}": "-1"}, {f"qty-{line}": "0"}, {}, {"qty-nonsense": "1"}):
        assert operator.post(path, form | wrong).status_code == 400, wrong
    assert operator.post(path, form | {f"qty-{uuid4()}": "1"}).status_code == 422
    assert operator.post(path, form | {f"qty-{line}": "1", "carrier": "x" * 101}).status_code == 400
    assert operator.post(path, {"qty": "1"}).status_code == 403, "no form of ours"
    assert sql("SELECT FROM fulfilments") == []
    assert _status(sql, order) == "placed"


def test_a_fulfilment_captures_its_share(
    operator: Operator, sql: Sql, messages: Messages, make_listing: MakeListing
) -> None:
    payment = open_session(sql, (make_listing(), 2))
    attempt(sql, payment, "authorized", ref="auth_1", authorized="80")
    fold(sql, payment)
    (order,) = sql("SELECT id FROM orders")
    path = f"/ops/orders/{order.id}/fulfil"
    assert 'name="capture"' in operator.get(path).text
    sent = operator.send(path, path, **{f"qty-{_line(sql, order.id)}": "2", "capture": "yes"})
    assert sent.status_code == 303, sent.text

    (request,) = sql("SELECT id, amount FROM capture_requests")
    assert request.amount == 80
    assert ("payments.capture", (str(request.id),)) in messages()


def test_an_order_is_canceled_once_and_its_money_goes_back(
    operator: Operator, sql: Sql, messages: Messages, order: UUID
) -> None:
    path = f"/ops/orders/{order}/cancel"
    assert "200.00" in operator.get(path).text
    form = operator.form(path, path)
    assert operator.post(path, form).status_code == 400, "it needs a note"
    for _ in range(2):
        assert operator.post(path, form | {"why": "the\tpress\nbroke"}).status_code == 303

    assert _status(sql, order) == "canceled"
    (cancellation,) = sql("SELECT reason FROM order_cancellations")
    assert cancellation.reason == "the press broke"
    (refund,) = sql("SELECT id, amount, reason FROM refunds")
    assert (refund.amount, refund.reason) == (200, "the press broke")
    assert ("payments.refund", (str(refund.id),)) in messages()
    text = operator.get(f"/ops/orders/{order}").text
    assert "the press broke" in text
    assert "they went back" in text
    assert "The order is canceled already." in operator.get(path).text
    again = operator.post(path, form | {"why": "once more", "key": str(uuid4())})
    assert again.status_code == 409


def test_lines_are_given_back_once_for_each_form(operator: Operator, sql: Sql, messages: Messages, order: UUID) -> None:
    path, line = f"/ops/orders/{order}/refund", _line(sql, order, 2)
    form = operator.form(path, path) | {f"qty-{line}": "1", "why": "torn"}
    for _ in range(2):
        assert operator.post(path, form).status_code == 303

    (refund,) = sql("SELECT id, amount, reason FROM refunds")
    assert (refund.amount, refund.reason) == (40, "torn")
    assert ("payments.refund", (str(refund.id),)) in messages()
    text = operator.get(f"/ops/orders/{order}").text
    assert "1 on the way" in text
    assert "1 × Geometry" in text
    too_many = operator.post(path, form | {f"qty-{line}": "2", "key": str(uuid4())})
    assert too_many.status_code == 409
    assert "Geometry:" in too_many.text
    assert len(sql("SELECT FROM refunds")) == 1


def test_money_given_back_of_no_line_is_on_the_orders_page_too(operator: Operator, sql: Sql, order: UUID) -> None:
    (paid,) = sql("SELECT payment_id FROM orders")
    insert_refund(sql, paid.payment_id, "7.50", reason="'a torn page'")

    text = operator.get(f"/ops/orders/{order}").text

    assert "7.50" in text
    assert "Of no line." in text
    assert "a torn page" in text


def test_who_did_it_is_the_operator(operator: Operator, sql: Sql, order: UUID) -> None:
    path = f"/ops/orders/{order}/fulfil"
    operator.send(path, path, **{f"qty-{_line(sql, order)}": "1"})
    path = f"/ops/orders/{order}/refund"
    operator.send(path, path, why="torn", **{f"qty-{_line(sql, order)}": "1"})
    who = sql("SELECT requested_by FROM fulfilments UNION SELECT requested_by FROM refunds")
    assert len(who) == 1
    assert who[0].requested_by.version == 5


def test_an_order_on_hold_says_why_and_offers_no_fulfilment(operator: Operator, sql: Sql, order: UUID) -> None:
    payment = sql("SELECT payment_id FROM orders")[0].payment_id
    dispute(sql, payment, "200")
    text = operator.get(f"/ops/orders/{order}").text

    assert "open chargeback" in text
    assert f'href="/ops/orders/{order}/fulfil"' not in text
    path = f"/ops/orders/{order}/fulfil"
    assert "The order is on hold" in operator.get(path).text


def test_a_short_order_says_so(operator: Operator, sql: Sql, make_listing: MakeListing) -> None:
    listing = make_listing(stock=3)
    payment = open_session(sql, (listing, 3))
    end_holds(sql)
    sql("SELECT holds_sweep(100, '{}')")
    sql("UPDATE listings SET stock = 2")
    attempt(sql, payment, "started", presumed="120")
    fold(sql, payment)
    (order,) = sql("SELECT id FROM orders")
    text = operator.get(f"/ops/orders/{order.id}").text

    assert "Short:" in text
    assert "paid_without_stock" in text
    assert 'max="3" value="2"' in operator.get(f"/ops/orders/{order.id}/fulfil").text
    assert orders_on(operator.get("/ops/orders?status=short").text) == [order.id]


def test_the_order_of_a_duplicate_is_taken_over(
    operator: Operator, sql: Sql, in_worker: InWorker, make_listing: MakeListing
) -> None:
    user, listing = uuid4(), make_listing()
    payments = [open_session(sql, (listing, 1), owner=user) for _ in range(2)]
    for payment in payments:
        attempt(sql, payment, "started", presumed="40")
    fold(sql, *payments)
    first, second = payments
    (order,) = sql("SELECT id, payment_id FROM orders")
    assert order.payment_id == first
    page = f"/ops/payments/{second}"
    assert f'href="/ops/payments/{first}"' in operator.get(page).text
    assert f'action="/ops/payments/{first}/take-over"' not in operator.get(f"/ops/payments/{first}").text
    form = operator.form(page, f"{page}/take-over")
    assert operator.post(f"{page}/take-over", form).status_code == 400, "it needs a note"
    assert operator.post(f"{page}/take-over", form | {"why": "the first is charged back"}).status_code == 303
    in_worker(run_commands)

    assert [row.state for row in sql("SELECT state FROM command_runs")] == ["done"]
    assert sql("SELECT payment_id FROM orders WHERE id = :id", id=order.id)[0].payment_id == second
    assert f'href="/ops/orders/{order.id}"' in operator.get(page).text
    assert "give it the order" in operator.get("/ops/audit").text


def test_a_payment_without_an_order_says_why(operator: Operator, sql: Sql) -> None:
    payment, _ = paid_payment(sql)
    assert "none: the payment has no session" in operator.get(f"/ops/payments/{payment}").text


def test_an_erased_customers_order_says_what_is_kept(operator: Operator, sql: Sql, order: UUID) -> None:
    sql("UPDATE orders SET erased_at = now()")
    assert "Buyer and address are kept" in operator.get(f"/ops/orders/{order}").text
    sql("UPDATE orders SET buyer = NULL, delivery_address = NULL")
    text = operator.get(f"/ops/orders/{order}").text
    assert "Nothing is kept that names them" in text
    assert "Ada" not in text


def test_a_page_reads_so_many_statements_whatever_there_is(
    operator: Operator, console_app: Flask, sql: Sql, order: UUID, statements: Any
) -> None:
    with statements() as seen:
        operator.get("/ops/orders?status=placed")
    assert len(seen) <= 2, seen
    with statements() as seen:
        operator.get(f"/ops/orders/{order}")
    assert len(seen) == 2, seen
