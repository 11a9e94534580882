"""Refunds by line: the price of pieces, to the cent, and of no more pieces than were bought."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from checkout_service.refunds.operations import PiecesBack, RefundRequest
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.money import fold
from tests.order_requests import Ordered, ask_fulfilment, notified, ordered, ordered_by_captures, pieces, problem
from tests.refunding import ask_refund, paid_payment, staff_of, sums


@pytest.fixture
def staff(customer: Customer) -> Customer:
    return staff_of(customer)


@pytest.fixture
def listings(make_listing: MakeListing) -> list[dict[str, Any]]:
    return [make_listing(unit_price="33.33"), make_listing(unit_price="40.00")]


@pytest.fixture
def order(sql: Sql, customer: Customer, listings: list[dict[str, Any]]) -> Ordered:
    """Of 3 × 33.33 and 2 × 40.00: 179.99, paid."""
    return ordered(sql, customer, (listings[0], 3), (listings[1], 2))


def lines_of(sql: Sql) -> list[tuple[int, str]]:
    rows = sql("SELECT qty, amount FROM refund_lines ORDER BY id")
    return [(row.qty, str(row.amount)) for row in rows]


def test_pieces_are_given_back_at_the_price_that_was_paid(
    staff: Customer, order: Ordered, sql: Sql, servers: Servers, listings: list[dict[str, Any]]
) -> None:
    sql("UPDATE listings SET unit_price = 99 WHERE id = :id", id=listings[0]["id"])

    lines = [pieces(order.lines[0], 2), pieces(order.lines[1], 1)]
    answer = ask_refund(staff, order.payment_id, lines=lines, reason="returned")

    assert answer.status_code == 202, answer.text
    assert (answer.json["amount"], answer.json["reason"], answer.json["status"]) == ("106.66", "returned", "requested")
    assert answer.json["lines"] == [
        {"line_id": str(order.lines[0]), "qty": 2, "amount": "66.66"},
        {"line_id": str(order.lines[1]), "qty": 1, "amount": "40.00"},
    ]
    assert lines_of(sql) == [(2, "66.66"), (1, "40.00")]
    assert {row.refund_id for row in sql("SELECT refund_id FROM refund_lines")} == {
        row.id for row in sql("SELECT id FROM refunds")
    }
    assert sums(sql, order.payment_id) == ("0.00", "106.66")
    assert notified(servers) == [("payments.refund", (answer.json["id"],))]
    (listed,) = staff.get(f"/api/payments/{order.payment_id}/refunds").json["data"]
    assert listed == answer.json


def test_lines_come_to_all_that_was_paid_to_the_cent(staff: Customer, order: Ordered, sql: Sql) -> None:
    for number, (line, qty) in enumerate([(0, 1), (1, 2), (0, 1), (0, 1)]):
        answer = ask_refund(staff, order.payment_id, f"{number}", lines=[pieces(order.lines[line], qty)])
        assert answer.status_code == 202, answer.text

    assert sums(sql, order.payment_id) == ("0.00", "179.99")
    assert sum(Decimal(amount) for _, amount in lines_of(sql)) == Decimal("179.99")


def test_no_more_pieces_than_were_bought(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_refund(staff, order.payment_id, "1", lines=[pieces(order.lines[0], 2)])

    answer = ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[1], 1), pieces(order.lines[0], 2)])

    assert problem(answer) == (409, "refund-lines-too-large")
    assert answer.json["lines"] == [{"line_id": str(order.lines[0]), "qty": 2, "left": 1}]
    assert len(lines_of(sql)) == 1
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 1)]).status_code == 202


def test_pieces_of_a_refund_that_failed_may_be_given_back_again(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_refund(staff, order.payment_id, "1", lines=[pieces(order.lines[0], 3)])
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 1)]).status_code == 409
    sql("UPDATE refunds SET status = 'failed', next_attempt_at = NULL")
    fold(sql, order.payment_id)

    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 3)]).status_code == 202


def test_a_request_over_several_captures_counts_until_all_of_it_failed(
    staff: Customer, customer: Customer, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    order = ordered_by_captures(sql, customer, (listings[1], 3), amounts=["50.00", "70.00"])

    answer = ask_refund(staff, order.payment_id, "1", lines=[pieces(order.lines[0], 2)])
    assert (answer.json["amount"], len(answer.json["parts"])) == ("80.00", 2)
    assert answer.json["lines"] == [{"line_id": str(order.lines[0]), "qty": 2, "amount": "80.00"}]
    assert sql("SELECT part FROM refunds JOIN refund_lines ON refund_id = refunds.id")[0].part == 0
    listed = staff.get(f"/api/payments/{order.payment_id}/refunds").json["data"]
    assert ["lines" in refund for refund in listed] == [True, False]

    sql("UPDATE refunds SET status = 'failed', next_attempt_at = NULL WHERE part = 0")
    fold(sql, order.payment_id)
    assert problem(ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)])) == (
        409,
        "refund-lines-too-large",
    )
    sql("UPDATE refunds SET status = 'failed', next_attempt_at = NULL")
    fold(sql, order.payment_id)
    assert ask_refund(staff, order.payment_id, "2", lines=[pieces(order.lines[0], 2)]).status_code == 202


def test_an_amount_stays_free_within_what_is_left(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_refund(staff, order.payment_id, "1", lines=[pieces(order.lines[0], 3)])

    by_hand = ask_refund(staff, order.payment_id, "2", amount="70.00")
    assert by_hand.status_code == 202
    assert "lines" not in by_hand.json
    answer = ask_refund(staff, order.payment_id, "3", lines=[pieces(order.lines[1], 1)])
    assert problem(answer) == (409, "refund-too-large")
    assert answer.json["amount_left"] == "10.00"
    assert lines_of(sql) == [(3, "99.99")]


def test_lines_may_be_of_one_capture(
    staff: Customer, customer: Customer, sql: Sql, listings: list[dict[str, Any]]
) -> None:
    order = ordered_by_captures(sql, customer, (listings[1], 3), amounts=["50.00", "70.00"])
    (second,) = sql("SELECT id FROM captures WHERE amount = 70")

    answer = ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1)], capture_id=str(second.id))

    assert answer.status_code == 202
    assert sql("SELECT capture_ref FROM refunds")[0].capture_ref == f"ca_2_{order.payment_id}"


def test_what_was_handed_over_may_be_given_back_too(staff: Customer, order: Ordered, sql: Sql) -> None:
    ask_fulfilment(staff, order.id)
    assert ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 3)]).status_code == 202


@pytest.mark.parametrize("key", ["refund-1", '"refund-1"'])
def test_the_same_key_and_request_get_the_same_answer(staff: Customer, order: Ordered, sql: Sql, key: str) -> None:
    first = ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 3)])
    sql("UPDATE refunds SET status = 'failed', decline = 'other', next_attempt_at = NULL")

    again = ask_refund(staff, order.payment_id, key, lines=[pieces(order.lines[0], 3)])

    assert (again.status_code, again.json) == (202, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    for other in (
        {"amount": "99.99"},
        {},
        {"lines": [pieces(order.lines[0], 2)]},
        {"lines": [pieces(order.lines[1], 2), pieces(order.lines[0], 3)]},
    ):
        assert problem(ask_refund(staff, order.payment_id, key, **other)) == (422, "idempotency-key-reused")
    assert lines_of(sql) == [(3, "99.99")]


def test_lines_of_another_order_or_of_none_are_refused(
    staff: Customer, customer: Customer, order: Ordered, sql: Sql, make_listing: MakeListing
) -> None:
    other = ordered(sql, customer, (make_listing(), 1))
    without, _ = paid_payment(sql)
    for payment_id, line in ((order.payment_id, other.lines[0]), (order.payment_id, uuid4()), (without, uuid4())):
        answer = ask_refund(staff, payment_id, lines=[pieces(line, 1)])
        assert problem(answer) == (422, "invalid")
        assert [fault["pointer"] for fault in answer.json["errors"]] == ["/lines/0/line_id"]
    assert sql("SELECT count(*) FROM refunds")[0].count == 0


LINE = "01a206b6-2617-7632-98bf-296e992e5fa1"


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"lines": [{"line_id": LINE, "qty": 1}], "amount": "1.00"}, "/lines"),
        ({"lines": []}, "/lines"),
        ({"lines": None}, "/lines"),
        ({"lines": {}}, "/lines"),
        ({"lines": [None]}, "/lines/0"),
        ({"lines": [{"line_id": LINE}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": 0}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": 0.5}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": "1"}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": False}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": LINE, "qty": 10000}]}, "/lines/0/qty"),
        ({"lines": [{"line_id": "x", "qty": 1}]}, "/lines/0/line_id"),
        ({"lines": [{"line_id": LINE, "qty": 1, "amount": "0.01"}]}, "/lines/0/amount"),
        ({"lines": [{"line_id": LINE, "qty": 1}] * 2}, "/lines/1/line_id"),
        ({"lines": [{"line_id": LINE, "qty": 1}] * 1001}, "/lines"),
    ],
)
def test_a_request_must_make_sense(
    staff: Customer, order: Ordered, sql: Sql, members: dict[str, Any], pointer: str
) -> None:
    answer = ask_refund(staff, order.payment_id, **members)

    assert problem(answer) == (422, "invalid")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert sql("SELECT count(*) FROM refunds")[0].count == 0


def test_hashes_of_requests_without_lines_are_those_of_before() -> None:
    """A retry across a deployment finds its answer."""
    given = {"payment_id": uuid4(), "requested_by": uuid4(), "key": "a", "amount": Decimal("1.00"), "reason": None}
    plain = RefundRequest(**given)
    fixed = RefundRequest(
        **given | {"payment_id": "37ead6b5-d8a0-5dc2-ba73-81115ccb02a4", "reason": "returned", "capture_id": None}
    )
    assert fixed.request_hash.hex() == ("a6f895c83d1af0f3776a0943dbebf5609e48494c5ed015a23434c27f61f616ef")
    assert plain.request_hash != RefundRequest(**given, lines=[PiecesBack(uuid4(), 1)]).request_hash


def test_by_line_takes_as_many_statements_as_by_amount(staff: Customer, order: Ordered, statements: Statements) -> None:
    with statements() as seen:
        answer = ask_refund(staff, order.payment_id, lines=[pieces(order.lines[0], 1), pieces(order.lines[1], 2)])
    assert answer.status_code == 202
    assert len(seen) == 2, "\n".join(seen)


@pytest.fixture
def web(servers: Servers) -> Any:
    engine: Engine = create_engine(servers.web_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


WITH_LINE = """
    WITH made AS (
        INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash, part)
        VALUES (:payment, CAST(:amount AS numeric), uuidv7(), 'key', '', :part) RETURNING id
    )
    INSERT INTO refund_lines (refund_id, order_line_id, qty, amount)
    SELECT id, :line, :qty, CAST(:line_amount AS numeric) FROM made
"""


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({}, None),
        ({"line_amount": "33.32"}, "refund_lines_at_price"),
        ({"amount": "33.32"}, "refund_lines_add_up"),
        ({"amount": "33.34"}, "refund_lines_add_up"),
        ({"part": 1}, "refund_lines_add_up"),
        ({"qty": 4, "amount": "133.32", "line_amount": "133.32"}, "refund_lines_bought"),
        ({"line": uuid4()}, "refund_lines_of_order"),
    ],
)
def test_the_database_itself_refuses_lines_that_are_wrong(
    web: Engine, order: Ordered, sql: Sql, changes: dict[str, Any], constraint: str | None
) -> None:
    """Whoever took the web tier over writes what it may write, and no more than that."""
    given = {"payment": order.payment_id, "line": order.lines[0], "qty": 1, "part": 0} | {
        "amount": "33.33",
        "line_amount": "33.33",
    }
    with web.connect() as connection:
        if constraint is None:
            connection.execute(text(WITH_LINE), given | changes)
            return
        with pytest.raises(IntegrityError) as refused:
            connection.execute(text(WITH_LINE), given | changes)
    assert refused.value.orig.diag.constraint_name == constraint
    assert sql("SELECT count(*) FROM refunds")[0].count == 0
