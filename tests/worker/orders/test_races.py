"""Orders under many hands, and killed anywhere: one for each filling, and every piece accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from tests.conftest import Sql
from tests.crowd import at_once
from tests.webhook_bodies import insert_webhook, state_of, webhook
from tests.worker.conftest import MakeWorker
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought
from tests.worker.orders.test_carts import wait_for_a_lock
from tests.worker.scripted import event
from tests.worker.transitions.entered import attempt, capture, enter, news
from worker.events.sequencer import sequence_events
from worker.webhooks.task import process


def entering(app: Flask, *sets: Sequence[Any]) -> Callable[[], None]:
    """Record these sets one after the other, as one worker."""

    def job() -> None:
        with app.app_context():
            for events in sets:
                enter(*events)
            sequence_events()

    return job


def check(sql: Sql) -> None:
    """What must hold after every race."""
    assert (
        sql("""SELECT cart_id FROM orders WHERE generation IS NOT NULL GROUP BY cart_id, generation
        HAVING count(*) > 1""")
        == []
    )
    assert (
        sql("""SELECT id FROM payments
        WHERE (amount_captured > 0 OR status = 'authorized')
            AND NOT EXISTS (SELECT FROM orders WHERE payment_id = payments.id)
            AND NOT EXISTS (SELECT FROM order_reasons WHERE payment_id = payments.id)""")
        == []
    )
    assert sql("""SELECT FROM orders JOIN order_reasons USING (payment_id)""") == []
    assert (
        sql("""SELECT listing_id FROM stock_counters AS counter
        WHERE reserved <> (SELECT coalesce(sum(reserved), 0) FROM holds WHERE listing_id = counter.listing_id)
            OR reserved > stock""")
        == []
    )
    assert (
        sql("""SELECT line.id FROM order_lines AS line JOIN orders ON orders.id = order_id
        LEFT JOIN holds USING (payment_id, listing_id)
        WHERE status <> 'canceled' AND line.qty <> coalesce(holds.qty, 0) + line.qty_short
            OR status = 'canceled' AND holds.qty IS NOT NULL""")
        == []
    )
    numbers = [row.number for row in sql("SELECT number FROM orders ORDER BY number")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_one_payment_reported_to_many_workers_has_one_order(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(4)]
    for _ in range(5):
        listing = buying.listing(sql, 2)
        bought = buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2})

        at_once([entering(each, [event(bought.reference, "paid")]) for each in workers])

        assert buying.order(sql, bought) == "placed"
        assert buying.stock(sql, listing) == (2, 2)
    check(sql)


def test_duplicates_paid_at_the_same_moment_have_one_order(sql: Sql, make_worker: MakeWorker) -> None:
    workers = [make_worker() for _ in range(3)]
    for _ in range(8):
        listing = buying.listing(sql, 2)
        cart = buying.cart(sql, {listing: 2})
        duplicates = [buying.session(sql, cart, {listing: 2}, held=False) for _ in workers]

        at_once([entering(app, [event(each.reference, "paid")]) for app, each in zip(workers, duplicates, strict=True)])

        assert sorted(str(buying.order(sql, each)) for each in duplicates) == ["None", "None", "placed"]
        assert buying.stock(sql, listing) == (2, 2)
    check(sql)


def test_everything_at_once_ends_without_a_deadlock_and_adds_up(sql: Sql, make_worker: MakeWorker) -> None:
    """Authorized, voided, captured late, paid twice, expired, in sets that overlap, of listings that are scarce."""
    workers = [make_worker() for _ in range(4)]
    chance = random.Random(13)
    for turn in range(4):
        listings = [buying.listing(sql, 4) for _ in range(3)]
        bought = []
        for _ in range(5):
            pieces = dict.fromkeys(chance.sample(listings, 2), 1)
            cart = buying.cart(sql, pieces)
            bought += [buying.session(sql, cart, pieces, held=False) for _ in range(2)]
        for each in bought[:3]:
            for listing in listings:
                assert buying.stock(sql, listing)
            take(sql, each)
        events = [
            reported
            for each in bought
            for reported in (
                news(each.reference, attempt("", "authorized", authorized=each.amount)),
                news(each.reference, attempt("", chance.choice(["canceled", "expired"]))),
                news(each.reference, capture(f"ca_{turn}_{each.reference}", str(each.amount))),
                event(each.reference, "expired"),
            )
        ]
        sets = []
        for _ in workers:
            shuffled = chance.sample(events, len(events))
            sets.append([shuffled[place : place + 10] for place in range(0, len(shuffled), 10)])

        at_once([entering(app, *each) for app, each in zip(workers, sets, strict=True)])

        assert {buying.order(sql, each) for each in bought} <= {"placed", "short", None}
        check(sql)
    assert buying.orders(sql) == 20


def take(sql: Sql, bought: Bought) -> None:
    """Hold one of the payment's listings, as its session would have; where there is some."""
    sql(
        """SELECT hold_take(session.payment_id, session.user_id, session.cart_id, NULL,
            ARRAY[(session.lines -> 0 ->> 'listing_id')::uuid], ARRAY[1])
        FROM checkout_sessions AS session WHERE payment_id = :id""",
        id=bought.payment,
    )


TABLES = {
    "payment_attempts": "INSERT OR UPDATE",
    "payments": "UPDATE",
    "orders": "INSERT",
    "order_lines": "INSERT",
    "cart_items": "DELETE",
    "carts": "UPDATE",
    "holds": "UPDATE",
    "payment_events": "INSERT",
    "webhook_deliveries": "UPDATE OF state",
}


@pytest.mark.parametrize("table", TABLES)
def test_killed_anywhere_the_set_is_done_again_and_there_is_one_order(
    sql: Sql, make_worker: MakeWorker, table: str
) -> None:
    listing = buying.listing(sql, 4)
    made = [buying.session(sql, buying.cart(sql, {listing: 2}), {listing: 2}) for _ in range(2)]
    deliveries = [insert_webhook(sql, webhook(each.reference, amount="80.00", currency="USD")) for each in made]
    sql("""CREATE FUNCTION test_die() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$""")
    sql(f"CREATE TRIGGER test_die AFTER {TABLES[table]} ON {table} FOR EACH ROW EXECUTE FUNCTION test_die()")
    try:
        with make_worker().app_context():
            process(str(deliveries[0]))
    finally:
        sql("DROP FUNCTION test_die() CASCADE")
    assert buying.orders(sql) == 0
    assert buying.stock(sql, listing) == (4, 4)
    assert [buying.in_cart(sql, each.cart) for each in made] == [{listing: 2}] * 2

    sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
    with make_worker().app_context():
        for delivery in deliveries:
            process(str(delivery))

    assert {state_of(sql, delivery) for delivery in deliveries} == {"applied"}
    assert [buying.order(sql, each) for each in made] == ["placed"] * 2
    assert buying.stock(sql, listing) == (4, 4)
    check(sql)


def test_a_payment_is_locked_before_its_order(sql: Sql, superuser: Engine, worker_app: Flask) -> None:
    """Who locks the order first deadlocks with the fold; who locks the payment first does not."""
    people = superuser.execution_options(isolation_level="READ COMMITTED")
    listing = buying.listing(sql, None)
    found = {}
    for first, then in (("orders", "payments"), ("payments", "orders")):
        bought = buying.session(sql, buying.cart(sql, {}), {listing: 1}, held=False)
        entering(worker_app, [event(bought.reference, "paid")])()
        with ThreadPoolExecutor(1) as other, people.connect() as connection:
            connection.execute(text("SET deadlock_timeout = '50ms'"))
            lock(connection, first, bought.payment)
            money = other.submit(entering(worker_app, [news(bought.reference, capture("ca_" + first, "99.00"))]))
            wait_for_a_lock(sql)
            try:
                lock(connection, then, bought.payment)
                found[first] = "done"
            except OperationalError as error:
                found[first] = "deadlock" if "deadlock detected" in str(error) else str(error)
            connection.rollback()
            money.result()

    assert found == {"orders": "deadlock", "payments": "done"}


def lock(connection: Any, table: str, payment: UUID) -> None:
    column = "id" if table == "payments" else "payment_id"
    connection.execute(text(f"SELECT FROM {table} WHERE {column} = :id FOR NO KEY UPDATE"), {"id": payment})
