"""What was bought leaves the cart with the order; what was added meanwhile stays, whoever writes the line when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from tests.conftest import Sql
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.scripted import event
from tests.worker.transitions.entered import capture, enter, news
from worker.payments.settling import accept_amount

PUT = """INSERT INTO cart_items (cart_id, listing_id, qty) VALUES (:cart, :listing, :qty)
    ON CONFLICT (cart_id, listing_id) DO UPDATE SET qty = excluded.qty"""


@pytest.fixture
def listings(sql: Sql) -> list[UUID]:
    """Three, in the order of their ids."""
    return sorted(buying.listing(sql) for _ in range(3))


def paid(bought: Bought) -> Any:
    return event(bought.reference, "paid")


@pytest.mark.usefixtures("worker")
def test_what_was_added_meanwhile_stays(sql: Sql, listings: list[UUID]) -> None:
    gone, fewer, new = listings
    cart = buying.cart(sql, {gone: 2, fewer: 1})
    bought = buying.session(sql, cart, {gone: 2, fewer: 1})
    buying.put(sql, cart, {fewer: 4, new: 1})

    enter(paid(bought))
    enter(paid(bought))

    assert buying.in_cart(sql, cart) == {fewer: 3, new: 1}
    assert buying.generation(sql, cart) == 1


@pytest.mark.usefixtures("worker")
def test_a_line_that_was_taken_out_is_not_missed(sql: Sql, listings: list[UUID]) -> None:
    cart = buying.cart(sql, {listings[0]: 2, listings[1]: 5})
    bought = buying.session(sql, cart, {listings[0]: 2, listings[1]: 5})
    sql("DELETE FROM cart_items WHERE listing_id = :id", id=listings[0])
    buying.put(sql, cart, {listings[1]: 2})

    enter(paid(bought))

    assert (buying.in_cart(sql, cart), buying.order(sql, bought)) == ({}, "placed")


@pytest.mark.usefixtures("worker")
def test_an_erased_cart_has_nothing_to_lose(sql: Sql, listings: list[UUID]) -> None:
    """Its lines are gone, its customer is nobody, its generation is over."""
    cart = buying.cart(sql, {listings[0]: 2})
    bought = buying.session(sql, cart, {listings[0]: 2})
    sql("DELETE FROM cart_items")
    sql("UPDATE carts SET generation = generation + 1")

    enter(paid(bought))

    assert (buying.order(sql, bought), buying.generation(sql, cart)) == ("placed", 1)


@pytest.mark.usefixtures("worker")
def test_what_was_put_in_after_a_later_purchase_stays(sql: Sql, listings: list[UUID]) -> None:
    """Part of the money of the first filling came, the second was bought, and then somebody accepts the part."""
    (listing, *_) = listings
    cart = buying.cart(sql, {listing: 2})
    first = buying.session(sql, cart, {listing: 2})
    enter(news(first.reference, capture("ca_1", "70.00")))
    second = buying.session(sql, cart, {listing: 2})
    enter(paid(second))
    assert buying.in_cart(sql, cart) == {}
    buying.put(sql, cart, {listing: 1})
    command = sql(
        """INSERT INTO audit (key, door, operator, action, subject, why)
        VALUES (uuidv7(), 'cli', 'ada', 'accept', :id, 'by telephone') RETURNING id""",
        id=str(first.payment),
    )[0].id

    accept_amount(first.payment, amount=first.amount - 10, command_id=command)

    assert (buying.order(sql, first), buying.order(sql, second)) == ("placed", "placed")
    assert buying.in_cart(sql, cart) == {listing: 1}


@pytest.mark.usefixtures("worker")
def test_two_fillings_of_one_cart_in_one_set_are_two_orders(sql: Sql, listings: list[UUID]) -> None:
    (listing, *_) = listings
    cart = buying.cart(sql, {listing: 5})
    first = buying.session(sql, cart, {listing: 2})
    sql("UPDATE carts SET generation = 1")
    second = buying.session(sql, cart, {listing: 2})

    enter(paid(first), paid(second))

    assert [buying.order(sql, each) for each in (first, second)] == ["placed", "placed"]
    assert (buying.in_cart(sql, cart), buying.generation(sql, cart)) == ({listing: 3}, 2)


@pytest.mark.parametrize("first", ["edit", "order"])
@pytest.mark.parametrize("qty", [1, 2, 5])
def test_an_edit_of_a_line_while_it_is_bought_is_before_or_after(
    sql: Sql, superuser: Engine, worker_app: Flask, listings: list[UUID], first: str, qty: int
) -> None:
    """Two pieces are bought; the customer sets another quantity at the same moment."""
    (listing, *_) = listings
    cart = buying.cart(sql, {listing: 2})
    bought = buying.session(sql, cart, {listing: 2})
    values = {"cart": cart, "listing": listing, "qty": qty}
    web = superuser.execution_options(isolation_level="READ COMMITTED")
    with ThreadPoolExecutor(1) as other:
        if first == "edit":
            with web.connect() as connection:
                connection.execute(text(PUT), values)
                order = other.submit(in_worker, worker_app, bought)
                wait_for_a_lock(sql)
                connection.commit()
            order.result()
        else:
            in_worker(worker_app, bought)
            sql(PUT, **values)

    left = max(qty - 2, 0) if first == "edit" else qty
    assert buying.in_cart(sql, cart) == ({listing: left} if left else {})
    assert buying.order(sql, bought) == "placed"


def test_whoever_writes_several_lines_locks_the_cart_first(
    sql: Sql, superuser: Engine, worker_app: Flask, listings: list[UUID]
) -> None:
    """The order's lines are taken out in another order than these: without the cart's lock it is a deadlock."""
    lines = dict.fromkeys(listings, 1)
    web = superuser.execution_options(isolation_level="READ COMMITTED")
    found = {}
    for locks in ("none", "cart"):
        cart = buying.cart(sql, lines)
        bought = buying.session(sql, cart, lines)
        with ThreadPoolExecutor(1) as other, web.connect() as connection:
            connection.execute(text("SET deadlock_timeout = '50ms'"))
            if locks == "cart":
                connection.execute(text("SELECT FROM carts WHERE id = :cart FOR NO KEY UPDATE"), {"cart": cart})
            names = {"cart": cart, "last": listings[-1]}
            connection.execute(text("DELETE FROM cart_items WHERE cart_id = :cart AND listing_id = :last"), names)
            order = other.submit(in_worker, worker_app, bought)
            wait_for_a_lock(sql)
            try:
                connection.execute(text("DELETE FROM cart_items WHERE cart_id = :cart"), names)
                connection.commit()
                found[locks] = "done"
            except OperationalError as error:
                connection.rollback()
                found[locks] = "deadlock" if "deadlock detected" in str(error) else str(error)
            order.result()
        assert buying.order(sql, bought) == "placed"
        assert buying.in_cart(sql, cart) == {}

    assert found == {"none": "deadlock", "cart": "done"}


def in_worker(app: Flask, bought: Bought) -> None:
    """The money comes, in another thread than the test's."""
    with app.app_context():
        enter(paid(bought))


def wait_for_a_lock(sql: Sql) -> None:
    """Until a worker waits for a lock that somebody holds."""
    until = monotonic() + 60
    while not sql(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'checkout-worker'"
    ):
        assert monotonic() < until, "nobody waits"
        sleep(0.005)
