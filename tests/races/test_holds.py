"""Holds beside each other and beside everything that moves stock: real threads, real commits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from checkout_service.catalog.operations import ImportRefusedError, import_listings
from checkout_service.database.errors import DatabaseLockedError
from checkout_service.settings.secret import Secret
from checkout_service.stock.counting import Mode, StockRefusedError, enter_stock
from tests.conftest import MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.money import bring_to, fold
from tests.stock.holding import Buyer, MakeBuyer, assert_stock_adds_up, counter_of, end_holds, holds_of, make_buyer
from tests.stock.test_import import jsonl, line_of
from worker.stock.sweeping import sweep

__all__ = ["make_buyer"]

Listing = dict[str, Any]


def test_of_sixteen_customers_on_three_pieces_three_have_one(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    for _ in range(5):
        listing = make_listing(stock=3)
        buyers = [make_buyer() for _ in range(16)]

        def buy(buyer: Buyer, listing: Listing = listing) -> UUID | None:
            payment_id = uuid4()
            result = buyer.take((listing, 1), payment_id=payment_id)
            if not result.held:
                assert [line.available for line in result.short] == [0]
                return None
            return buyer.open((listing, 1), payment_id=payment_id)

        opened = [payment_id for payment_id in at_once([partial(buy, buyer) for buyer in buyers]) if payment_id]

        assert len(opened) == 3
        assert counter_of(sql, listing) == (3, 3)
        assert_stock_adds_up(sql)


def test_retries_of_one_key_hold_once_whatever_their_cart_was(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    first, second = make_listing(stock=3), make_listing(stock=3)
    carts = [[(first, 2), (second, 1)], [(second, 3)], [(first, 1)], [(second, 1), (first, 2)]]
    for _ in range(5):
        buyer, payment_id = make_buyer(), uuid4()

        results = at_once([partial(buyer.take, *cart, payment_id=payment_id) for cart in carts * 2])

        assert all(result.held for result in results)
        held = {listing: qty for listing, (qty, _) in holds_of(sql, payment_id).items()}
        assert held in [{listing["id"]: qty for listing, qty in cart} for cart in carts]
        assert_stock_adds_up(sql)
        buyer.release(payment_id)


def test_what_one_customer_takes_at_once_stays_within_the_bound(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql
) -> None:
    for _ in range(5):
        listing, buyer = make_listing(stock=99), make_buyer()

        results = at_once([partial(buyer.take, (listing, 2), most_of_owner=5)] * 8)

        assert sum(result.held for result in results) == 2
        assert counter_of(sql, listing) == (99, 4)


def test_two_tabs_of_one_cart_on_the_last_piece(make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql) -> None:
    """Both take over from the older session; one of the two newer ones has the piece at the end."""
    for _ in range(5):
        listing, buyer = make_listing(stock=1), make_buyer()
        buyer.buy((listing, 1))

        def open_(buyer: Buyer = buyer, listing: Listing = listing) -> bool:
            payment_id = uuid4()
            for _ in range(5):
                assert buyer.take((listing, 1), payment_id=payment_id).held
                with perhaps_refused("holds_in_stock", "holds_equal_lines"):
                    return buyer.open((listing, 1), payment_id=payment_id) is not None
            return False

        assert any(at_once([open_] * 4))
        assert counter_of(sql, listing) == (1, 1)
        assert_stock_adds_up(sql)


@contextmanager
def perhaps_refused(*names: str) -> Iterator[None]:
    """A statement that may be refused by constraints of these names, and by no other."""
    try:
        yield
    except IntegrityError as error:
        if error.orig.diag.constraint_name not in names:
            raise


WRONG_ORDERS = {
    "a counter before the hold": (
        "SELECT FROM stock_counters WHERE listing_id = :second FOR UPDATE",
        "SELECT FROM holds WHERE listing_id = :first FOR UPDATE",
    ),
    "counters of two listings in the other order": (
        "SELECT FROM stock_counters WHERE listing_id = :second FOR UPDATE",
        "SELECT FROM stock_counters WHERE listing_id = :first FOR UPDATE",
    ),
}


@pytest.mark.parametrize(("first_lock", "second_lock"), WRONG_ORDERS.values(), ids=WRONG_ORDERS)
def test_whoever_locks_in_another_order_deadlocks_with_us(
    make_buyer: MakeBuyer, make_listing: MakeListing, many: Engine, first_lock: str, second_lock: str
) -> None:
    """The control of the test below: the order is what keeps deadlocks away."""
    listings = sorted((make_listing(stock=9) for _ in range(2)), key=lambda listing: listing["id"])
    ids = {"first": listings[0]["id"], "second": listings[1]["id"]}
    buyer, payment_id = make_buyer(), uuid4()
    buyer.take(*[(listing, 1) for listing in listings], payment_id=payment_id)
    ended: list[BaseException | None] = []

    def release() -> None:
        try:
            with many.begin() as ours:
                ours.execute(text("SELECT hold_release(:id)"), {"id": payment_id})
            ended.append(None)
        except OperationalError as error:
            ended.append(error.orig)

    with many.connect() as other:
        other.execute(text(first_lock), ids)
        thread = Thread(target=release)
        thread.start()
        _until_somebody_waits(many)
        try:
            other.execute(text(second_lock), ids)
            ended.append(None)
        except OperationalError as error:
            ended.append(error.orig)
        other.rollback()
        thread.join(20)

    assert sorted(type(error).__name__ for error in ended) == ["DeadlockDetected", "NoneType"]


def _until_somebody_waits(engine: Engine) -> None:
    deadline = monotonic() + 60
    with engine.connect() as looking:
        while not looking.execute(
            text("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        ).all():
            assert monotonic() < deadline, "nobody ever waited"
            looking.rollback()
            sleep(0.01)


def test_carts_with_the_same_lines_in_two_orders_wait_for_each_other(
    make_buyer: MakeBuyer, make_listing: MakeListing, many: Engine, sql: Sql
) -> None:
    """The first has all its pieces and has not committed, while the second asks for the same in the other order."""
    listings = [make_listing(stock=2) for _ in range(2)]
    first, second = make_buyer(), make_buyer()
    results: list[bool] = []
    with many.begin() as ours:
        ours.execute(
            text("SELECT * FROM hold_take(uuidv7(), :user, :cart, 1, :listings, ARRAY[1, 1])"),
            {"user": first.id, "cart": first.cart_id, "listings": [listing["id"] for listing in listings]},
        )
        thread = Thread(target=lambda: results.append(second.take(*[(each, 1) for each in listings[::-1]]).held))
        thread.start()
        _until_somebody_waits(many)
    thread.join(20)

    assert results == [True]
    assert [counter_of(sql, listing) for listing in listings] == [(2, 2), (2, 2)]


@pytest.fixture
def many(servers: Servers) -> Iterator[Engine]:
    """Connections for many threads."""
    engine = create_engine(servers.superuser_url, pool_size=30, isolation_level="READ COMMITTED")
    yield engine
    engine.dispose()


class Shop:
    """All that moves stock at once: each method is one thing that somebody does, at random."""

    def __init__(self, engine: Engine, url: str, listings: list[Listing]) -> None:
        self.engine = engine
        self.url = Secret(url)
        self.listings = listings
        self.payments: list[UUID] = []

    def some_lines(self, rng: random.Random) -> list[tuple[Listing, int]]:
        return [(listing, rng.randint(1, 2)) for listing in rng.sample(self.listings, rng.randint(1, 3))]

    def customer(self, buyer: Buyer, seed: int) -> None:
        rng = random.Random(seed)
        lines = self.some_lines(rng)
        for _ in range(25):
            if rng.random() < 0.5:
                lines = self.some_lines(rng)
            self._buy(buyer, lines, rng)

    def _buy(self, buyer: Buyer, lines: list[tuple[Listing, int]], rng: random.Random) -> None:
        payment_id, generation = uuid4(), buyer.generation
        if not buyer.take(*lines, payment_id=payment_id).held:
            return
        chance = rng.random()
        if chance < 0.1:
            return  # its process dies
        if chance < 0.2:
            buyer.release(payment_id)
            return
        with perhaps_refused("holds_in_stock", "holds_equal_lines"):
            if buyer.open(*lines, payment_id=payment_id, generation=generation):
                self.payments.append(payment_id)
                return
        buyer.release(payment_id)

    def worker(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(60):
            sleep(0.002)
            if self.payments:
                record(self.engine, rng.sample(self.payments, min(len(self.payments), 3)), rng)

    def sweeper(self, app: Flask) -> None:
        with app.app_context():
            for _ in range(20):
                with self.engine.begin() as connection:
                    connection.execute(
                        text("""UPDATE holds SET until = now() WHERE id = ANY(ARRAY(
                            SELECT id FROM holds WHERE state = 'held' AND random() < 0.5 FOR UPDATE SKIP LOCKED))""")
                    )
                sweep()

    def staff(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(30):
            sleep(0.002)
            with self.engine.connect() as connection:
                orders = list(
                    connection.scalars(text("SELECT id FROM orders WHERE status IN ('placed', 'short') LIMIT 9"))
                )
            if orders:
                fulfil(self.engine, rng.choice(orders))

    def counter(self, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(15):
            some = rng.sample(self.listings, 3)
            enter_stock(dict.fromkeys([each["id"] for each in some], 1), database_url=self.url, mode=Mode.MORE)
            try:
                enter_stock(dict.fromkeys([each["id"] for each in some], 4), database_url=self.url)
            except StockRefusedError:
                continue

    def importer(self, seed: int) -> None:
        rng = random.Random(seed)
        for number in range(15):
            lines = [line_of(each, stock=rng.randint(3, 9), title=f"Title {number}") for each in self.listings]
            rng.shuffle(lines)
            try:
                import_listings(file=jsonl(*lines), database_url=self.url)
            except ImportRefusedError:
                continue


def record(engine: Engine, payments: list[UUID], rng: random.Random) -> None:
    """A set of reports, as the worker records one: carts, payments, entries, the fold."""
    with engine.begin() as connection:
        references = [f"mock_{payment_id}" for payment_id in payments]
        connection.execute(text("SELECT carts_lock_for_payments(:refs)"), {"refs": references})
        connection.execute(text("SELECT FROM payments WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"), {"ids": payments})
        closing = [_report(connection, payment_id, rng) for payment_id in payments]
        connection.execute(
            text("SELECT FROM payments_fold(:ids, CAST(:closing AS payment_status[]))"),
            {"ids": payments, "closing": closing},
        )


def _report(connection: Connection, payment_id: UUID, rng: random.Random) -> str | None:
    """Money comes, is under way, or fails; or the payment is closed."""
    status = rng.choice(["paid", "paid", "under_way", "failed", "canceled", "expired"])
    if status in {"canceled", "expired"}:
        return status
    connection.execute(
        text("""INSERT INTO payment_attempts
            (payment_id, provider, attempt_ref, status, reported_at, currency, amount_presumed)
        SELECT id, provider, :ref, CAST(:status AS attempt_status), now(), currency,
            CASE WHEN :paid THEN amount END
        FROM payments WHERE id = :id"""),
        {
            "id": payment_id,
            "ref": uuid4().hex,
            "status": "started" if status == "paid" else status,
            "paid": status == "paid",
        },
    )
    return None


def fulfil(engine: Engine, order: UUID) -> None:
    """All that is left of an order; refused where there are too few pieces, or where it was canceled meanwhile."""
    refusals = ("fulfilments_in_stock", "fulfilments_of_what_is_left", "fulfilments_order_id_fkey")
    with perhaps_refused(*refusals), engine.begin() as connection:
        connection.execute(
            text("""INSERT INTO fulfilments (order_id, requested_by, idempotency_key, request_hash)
                VALUES (:order, :staff, :key, '')"""),
            {"order": order, "staff": uuid4(), "key": uuid4().hex},
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_at_once_neither_deadlocks_nor_sells_a_piece_twice(
    make_buyer: MakeBuyer,
    make_listing: MakeListing,
    many: Engine,
    servers: Servers,
    worker_app: Flask,
    sql: Sql,
    seed: int,
) -> None:
    listings = [make_listing(stock=4) for _ in range(5)]
    shop = Shop(many, servers.superuser_url, listings)
    buyers = [make_buyer() for _ in range(5)]
    over: list[Any] = []
    done = Event()

    def watch() -> None:
        while not done.is_set():
            over.extend(sql("SELECT listing_id, stock, reserved FROM stock_counters WHERE reserved > stock"))
            sleep(0.005)

    watching = Thread(target=watch)
    watching.start()
    try:
        at_once(
            [
                # Two tabs of each.
                *[patient(partial(shop.customer, buyer, seed * 100 + place)) for place, buyer in enumerate(buyers * 2)],
                *[patient(partial(shop.worker, seed * 200 + place)) for place in range(2)],
                patient(partial(shop.sweeper, worker_app)),
                *[patient(partial(shop.staff, seed * 300 + place)) for place in range(2)],
                patient(partial(shop.counter, seed)),
                patient(partial(shop.importer, seed)),
            ]
        )
    finally:
        done.set()
        watching.join(20)

    assert not over, "more was reserved than there is"
    assert_stock_adds_up(sql)
    assert shop.payments
    # How many depends on whose turn it was; five came of it on a busy machine.
    assert sql("SELECT count(*) FROM orders")[0].count >= 3
    assert_orders_have_their_pieces(sql)
    end_holds(sql)
    sql("UPDATE checkout_sessions SET expires_at = now() - interval '1 year'")
    with worker_app.app_context():
        sweep()
    assert not sql("SELECT FROM holds WHERE state = 'held'")
    assert_stock_adds_up(sql)


def patient(job: Callable[[], None]) -> Callable[[], None]:
    """The job, begun again where a statement waited for too long: this machine may be slow. A deadlock is an error."""

    def run() -> None:
        for _ in range(5):
            try:
                return job()
            except DatabaseLockedError:
                continue
        return None

    return run


def assert_orders_have_their_pieces(sql: Sql) -> None:
    """What an order is not short of and has not handed over is reserved for it, and nothing else is sold."""
    wrong = sql("""
        SELECT made.id, made.status, line.listing_id, line.pieces, hold.reserved
        FROM (
            SELECT order_id, listing_id, sum(qty - qty_fulfilled - qty_short) AS pieces FROM order_lines
            GROUP BY order_id, listing_id
        ) AS line
        JOIN orders AS made ON made.id = line.order_id
        FULL JOIN (SELECT * FROM holds WHERE state = 'sold') AS hold
            ON hold.payment_id = made.payment_id AND hold.listing_id = line.listing_id
        WHERE coalesce(hold.reserved, 0) <> CASE WHEN made.status = 'canceled' THEN 0 ELSE coalesce(line.pieces, 0) END
    """)
    assert not wrong, wrong


def test_an_import_that_waits_keeps_nobody_from_what_it_restocks(
    make_buyer: MakeBuyer, make_listing: MakeListing, many: Engine, servers: Servers, sql: Sql
) -> None:
    first, second = sorted((make_listing(stock=3) for _ in range(2)), key=lambda listing: listing["id"])
    file = jsonl(line_of(second, stock=9), line_of(first, stock=9))
    with many.connect() as other:
        # Held, so that the import has changed the first listing, and waits for the second.
        other.execute(text("SELECT FROM listings WHERE id = :id FOR UPDATE"), {"id": second["id"]})
        thread = Thread(target=partial(import_listings, file=file, database_url=Secret(servers.superuser_url)))
        thread.start()
        _until_somebody_waits(many)

        assert make_buyer().take((first, 3), (second, 3)).held
        assert make_buyer().take((first, 1)).short
        other.rollback()
        thread.join(20)

    assert [counter_of(sql, listing) for listing in (first, second)] == [(9, 3), (9, 3)]


@pytest.mark.parametrize(("stock", "is_opened"), [(4, True), (2, False)])
def test_a_session_waits_for_what_is_being_recorded_of_the_older_one(
    make_buyer: MakeBuyer, make_listing: MakeListing, many: Engine, sql: Sql, stock: int, is_opened: bool
) -> None:
    listing, buyer = make_listing(stock=stock), make_buyer()
    older, newer = buyer.buy((listing, 2)), uuid4()
    buyer.take((listing, 2), payment_id=newer)
    opened: list[UUID | None] = []

    def open_() -> None:
        with perhaps_refused("holds_in_stock"):
            opened.append(buyer.open((listing, 2), payment_id=newer))

    with many.begin() as worker:
        worker.execute(text("SELECT FROM payments WHERE id = :id FOR UPDATE"), {"id": older})
        thread = Thread(target=open_)
        thread.start()
        _until_somebody_waits(many)
        worker.execute(
            text("""INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency)
                SELECT id, provider, '', 'under_way', now(), currency FROM payments WHERE id = :id"""),
            {"id": older},
        )
        worker.execute(text("SELECT FROM payments_fold(ARRAY[CAST(:id AS uuid)])"), {"id": older})
    thread.join(20)

    assert opened == ([newer] if is_opened else [])
    assert holds_of(sql, older) == {listing["id"]: (2, 2)}
    assert counter_of(sql, listing) == (stock, 4 if is_opened else 2)
    assert_stock_adds_up(sql)


def test_two_sessions_of_one_cart_that_do_not_see_each_other_are_one_order_and_nobody_misses_the_second_charge(
    make_buyer: MakeBuyer, make_listing: MakeListing, sql: Sql, superuser: Engine
) -> None:
    """Both took their pieces, and both were inserted, before either was committed."""
    buyer, listing = make_buyer(), make_listing(stock=3)
    payments = [uuid4(), uuid4()]
    for payment_id in payments:
        assert buyer.take((listing, 1), payment_id=payment_id).held
    with superuser.connect() as one, superuser.connect() as other:
        for connection, payment_id in zip((one, other), payments, strict=True):
            connection.exec_driver_sql("BEGIN")
            assert replace(buyer, sql=partial(_within, connection)).open((listing, 1), payment_id=payment_id)
        one.exec_driver_sql("COMMIT")
        other.exec_driver_sql("COMMIT")
    assert [holds_of(sql, payment_id) for payment_id in payments] == [{listing["id"]: (1, 1)}] * 2
    assert counter_of(sql, listing) == (3, 2), "each piece is promised once"

    bring_to(sql, payments[0], "paid")
    assert [row.payment_id for row in sql("SELECT payment_id FROM cancel_requests")] == [payments[1]]
    bring_to(sql, payments[1], "paid")
    fold(sql, *payments)

    assert [row.payment_id for row in sql("SELECT payment_id FROM orders")] == [payments[0]]
    assert [tuple(row) for row in sql("SELECT payment_id, reason, other_payment_id FROM order_reasons")] == [
        (payments[1], "duplicate_of", payments[0])
    ]
    assert {row.review_reason for row in sql("SELECT review_reason FROM payments")} == {"paid_twice"}
    assert counter_of(sql, listing) == (3, 1), "what was not bought is for sale again"
    assert_stock_adds_up(sql)


def _within(connection: Connection, statement: str, **values: Any) -> list[Any]:
    return list(connection.execute(text(statement), values))
