"""The database itself judges what is asked of orders: whoever took the web tier over, or read too early, is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import IntegrityError

from tests.capturing import insert_capture_request, insert_void
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.money import dispute
from tests.order_requests import (
    Ordered,
    authorized_order,
    handed_over,
    ordered,
    pieces,
    set_stock,
    status_of,
    stock_of,
)

FULFIL = """INSERT INTO fulfilments (order_id, lines, requested_by, idempotency_key, request_hash)
    VALUES (:order, CAST(:lines AS jsonb), uuidv7(), 'key', '')"""

CANCEL = """INSERT INTO order_cancellations (order_id, requested_by, idempotency_key, request_hash)
    VALUES (:order, uuidv7(), 'key', '')"""


@pytest.fixture
def web(servers: Servers) -> Iterator[Engine]:
    engine = create_engine(servers.web_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing()


@pytest.fixture
def order(sql: Sql, customer: Customer, listing: dict[str, Any]) -> Ordered:
    """Of three pieces, all of them authorized."""
    return authorized_order(sql, customer, (listing, 3))


def refused(web: Engine, statement: str, order_id: object, lines: object = None) -> str | None:
    """The constraint that refuses it."""
    values = {"order": order_id} | ({"lines": orjson.dumps(lines).decode()} if ":lines" in statement else {})
    if lines is None and ":lines" in statement:
        values["lines"] = None
    with web.connect() as connection, pytest.raises(IntegrityError) as error:
        connection.execute(text(statement), values)
    return error.value.orig.diag.constraint_name


def unmoved(sql: Sql, order: Ordered, listing: dict[str, Any]) -> bool:
    (row,) = sql("""SELECT (SELECT count(*) FROM fulfilments) + (SELECT count(*) FROM order_cancellations)
        + (SELECT count(*) FROM refunds) AS total""")
    return (row.total, handed_over(sql, order), stock_of(sql, listing)[1]) == (0, [(0, 0)], 3)


@pytest.mark.parametrize("statement", [FULFIL, CANCEL], ids=["fulfil", "cancel"])
def test_of_an_order_that_is_not_here(web: Engine, statement: str) -> None:
    constraint = refused(web, statement, uuid4())
    assert constraint in {"fulfilments_order_id_fkey", "order_cancellations_order_id_fkey"}


@pytest.mark.parametrize("statement", [FULFIL, CANCEL], ids=["fulfil", "cancel"])
def test_of_an_order_that_is_canceled(web: Engine, sql: Sql, order: Ordered, statement: str) -> None:
    sql(CANCEL.replace("'key'", "'first'"), order=order.id)
    constraint = refused(web, statement, order.id)
    assert constraint in {"fulfilments_not_canceled", "order_cancellations_not_canceled"}


def test_on_hold(web: Engine, sql: Sql, customer: Customer, listing: dict[str, Any]) -> None:
    order = ordered(sql, customer, (listing, 3))
    dispute(sql, order.payment_id, "10.00")
    assert refused(web, FULFIL, order.id) == "fulfilments_not_on_hold"
    assert unmoved(sql, order, listing)


def test_while_its_money_is_being_released(web: Engine, sql: Sql, order: Ordered, listing: dict[str, Any]) -> None:
    insert_void(sql, order.payment_id)
    assert refused(web, FULFIL, order.id) == "fulfilments_not_voided"
    assert unmoved(sql, order, listing)


def test_lines_that_are_not_its_own(
    web: Engine, sql: Sql, customer: Customer, order: Ordered, listing: dict[str, Any], make_listing: MakeListing
) -> None:
    own, other = order.lines[0], ordered(sql, customer, (make_listing(), 1)).lines[0]
    for lines in ([pieces(other, 1)], [pieces(own, 1), pieces(uuid4(), 1)], [pieces(own, 1), pieces(own, 1)]):
        assert refused(web, FULFIL, order.id, lines) == "fulfilments_lines_of_order"
    assert unmoved(sql, order, listing)


@pytest.mark.parametrize("qty", [4, 0, -1])
def test_pieces_that_are_not_left(web: Engine, sql: Sql, order: Ordered, listing: dict[str, Any], qty: int) -> None:
    assert refused(web, FULFIL, order.id, [pieces(order.lines[0], qty)]) == "fulfilments_of_what_is_left"
    assert refused(web, FULFIL, order.id, []) == "fulfilments_of_what_is_left"
    assert unmoved(sql, order, listing)


def test_nothing_is_left(web: Engine, sql: Sql, order: Ordered) -> None:
    sql(FULFIL.replace("'key'", "'first'"), order=order.id, lines=None)
    assert refused(web, FULFIL, order.id) == "fulfilments_of_what_is_left"
    assert status_of(sql, order) == "fulfilled"


def test_pieces_that_are_not_there(web: Engine, sql: Sql, order: Ordered, listing: dict[str, Any]) -> None:
    set_stock(sql, listing, 2)
    assert refused(web, FULFIL, order.id) == "fulfilments_in_stock"
    assert unmoved(sql, order, listing)


def test_pieces_that_others_hold(
    web: Engine, sql: Sql, customer: Customer, make_customer: Any, make_listing: MakeListing
) -> None:
    """Nobody counted them when it was paid; one is here by now, and somebody else's."""
    listing = make_listing(stock=None)
    order = ordered(sql, customer, (listing, 1))
    set_stock(sql, listing, 1)
    ordered(sql, make_customer(), (listing, 1))
    assert refused(web, FULFIL, order.id) == "fulfilments_in_stock"
    assert (handed_over(sql, order), stock_of(sql, listing)) == ([(0, 0)], (1, 1))


def test_canceling_what_was_fulfilled(web: Engine, sql: Sql, order: Ordered) -> None:
    line = orjson.dumps([pieces(order.lines[0], 1)]).decode()
    sql(FULFIL, order=order.id, lines=line)
    assert refused(web, CANCEL, order.id) == "order_cancellations_unfulfilled"
    assert status_of(sql, order) == "partially_fulfilled"


def test_canceling_what_is_being_captured(web: Engine, sql: Sql, order: Ordered, listing: dict[str, Any]) -> None:
    insert_capture_request(sql, order.payment_id)
    assert refused(web, CANCEL, order.id) == "order_cancellations_not_capturing"
    assert unmoved(sql, order, listing)
