"""Money of two carts that were merged, and sessions that are being opened meanwhile, under many hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import make_url

from tests.carts.guest_carts import begin, lines, make_guest, merge
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.purchases import ask, fill_cart, opened
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.transitions import entered

__all__ = ["make_worker"]  # fixtures

ROUNDS = 12


def recording(app: Flask, sql: Sql, *payments: str) -> Callable[[], None]:
    """A worker that records all the money of these payments, as one set."""
    rows = sql("SELECT provider_ref, amount::text FROM payments WHERE id = ANY(CAST(:ids AS uuid[]))", ids=[*payments])

    def record() -> None:
        with app.app_context():
            events = [entered.news(row.provider_ref, entered.capture(uuid4().hex, row.amount)) for row in rows]
            entered.enter(*events)

    return record


def reasons(sql: Sql, *payments: str) -> list[str | None]:
    return [sql("SELECT review_reason FROM payments WHERE id = :id", id=id_)[0].review_reason for id_ in payments]


@pytest.mark.parametrize("erased", [False, True], ids=["with their guest", "with a guest who is gone"])
def test_a_guests_payment_and_the_customers_paid_at_once_are_both_flagged(
    app: Flask,
    make_worker: MakeWorker,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
    sql: Sql,
    erased: bool,
) -> None:
    """The second waits at the carts, so that it sees the first."""
    listing = make_listing(stock=1000)
    workers = [make_worker() for _ in range(2)]
    for turn in range(ROUNDS):
        customer, guest = make_customer(), make_guest(app, sql)
        theirs = opened(guest, fill_cart(guest, (listing, 2)), "theirs")["payment_id"]
        begin(sql, theirs)
        merge(customer, guest)
        mine = opened(customer, customer.get("/api/cart").json["id"], "own")["payment_id"]
        if erased:
            sql("DELETE FROM guests WHERE id = :id", id=guest.id)
        pair = [theirs, mine] if turn % 2 else [mine, theirs]

        at_once([recording(worker, sql, payment) for worker, payment in zip(workers, pair, strict=True)])

        assert reasons(sql, theirs, mine) == ["paid_twice"] * 2
        assert sql("SELECT count(*) AS n FROM orders WHERE payment_id = ANY(CAST(:ids AS uuid[]))", ids=pair)[0].n == 2


def test_sets_that_name_many_such_payments_in_any_order_wait_for_each_other_and_never_in_a_ring(
    app: Flask, make_worker: MakeWorker, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    """Each set has a payment of every pair; one more customer signs in beside them."""
    listing = make_listing(stock=1000)
    workers = [make_worker() for _ in range(2)]
    for _ in range(4):
        pairs = []
        for _ in range(4):
            customer, guest = make_customer(), make_guest(app, sql)
            theirs = opened(guest, fill_cart(guest, (listing, 1)), "theirs")["payment_id"]
            begin(sql, theirs)
            merge(customer, guest)
            pairs.append((theirs, opened(customer, customer.get("/api/cart").json["id"], "own")["payment_id"]))
        crossed = [[pair[place % 2] for place, pair in enumerate(pairs)]]
        crossed.append([pair[1 - place % 2] for place, pair in enumerate(pairs)][::-1])
        another, late = make_customer(), make_guest(app, sql)
        fill_cart(late, (listing, 1))

        at_once(
            [
                *(recording(worker, sql, *each) for worker, each in zip(workers, crossed, strict=True)),
                lambda another=another, late=late: merge(another, late),
            ]
        )

        assert reasons(sql, *(payment for pair in pairs for payment in pair)) == ["paid_twice"] * 8


@contextmanager
def held_cart(servers: Servers, customer: Customer) -> Iterator[None]:
    """Somebody holds the customer's cart: whoever comes for it stands in a queue behind them, in their order."""
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM carts WHERE user_id = %s FOR UPDATE", (customer.id,))
        yield
        holder.rollback()


def wait_in_the_queue(sql: Sql, statement: str, job: Future[Any]) -> None:
    """Until the statement of this job waits for a lock."""
    until = monotonic() + 60
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE :statement"
    while not sql(waiting, statement=f"%{statement}%"):
        assert not job.done(), job.result()
        assert monotonic() < until, "it does not wait"
        sleep(0.02)


@pytest.mark.parametrize("merged_first", [False, True], ids=["session first", "merge first"])
def test_a_session_that_was_read_before_a_merge_is_one_of_before_it_whichever_is_written_first(
    app: Flask,
    make_worker: MakeWorker,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
    servers: Servers,
    sql: Sql,
    merged_first: bool,
) -> None:
    """It has none of the guest's lines: what the guest pays for leaves the cart, and nothing was paid twice."""
    shared, worker = make_listing(stock=1000), make_worker()
    customer, guest = make_customer(), make_guest(app, sql)
    cart_id = fill_cart(customer, (shared, 1))
    theirs = opened(guest, fill_cart(guest, (shared, 2)), "theirs")["payment_id"]
    begin(sql, theirs)
    hands = [replace(customer, client=app.test_client()) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        with held_cart(servers, customer):
            jobs: dict[str, Future[Any]] = {}
            started = {
                "guest_merge": lambda: merge(hands[0], guest),
                "INSERT INTO checkout_sessions": lambda: ask(hands[1], cart_id, "own"),
            }
            for statement, job in list(started.items())[:: 1 if merged_first else -1]:
                jobs[statement] = pool.submit(job)
                wait_in_the_queue(sql, statement, jobs[statement])
        assert jobs["guest_merge"].result(30).status_code == 200
        answer = jobs["INSERT INTO checkout_sessions"].result(30)
    assert answer.status_code == 201
    assert answer.json["also_under_way"] == []
    assert sql("SELECT FROM payment_mates") == []
    assert lines(customer) == {str(shared["id"]): 3}

    recording(worker, sql, answer.json["payment_id"])()
    assert lines(customer) == {str(shared["id"]): 2}
    later = opened(customer, cart_id, "later")
    assert later["also_under_way"] == [theirs], "that has the guest's lines"
    recording(worker, sql, theirs)()

    assert lines(customer) == {}
    assert reasons(sql, theirs, answer.json["payment_id"]) == [None, None]
    recording(worker, sql, later["payment_id"])()
    assert reasons(sql, theirs, answer.json["payment_id"], later["payment_id"]) == ["paid_twice", None, "paid_twice"]


def test_what_a_session_has_of_a_cart_that_is_merged_at_this_moment_is_what_it_is_taken_for(
    app: Flask, make_worker: MakeWorker, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    own, shared, worker = make_listing(stock=1000), make_listing(stock=1000), make_worker()
    for turn in range(ROUNDS):
        customer, guest = make_customer(), make_guest(app, sql)
        cart_id = fill_cart(customer, (own, 1))
        theirs = opened(guest, fill_cart(guest, (shared, 2)), "theirs")["payment_id"]
        begin(sql, theirs)
        hand = replace(customer, client=app.test_client())
        jobs: list[Callable[[], Any]] = [
            lambda hand=hand, cart_id=cart_id: ask(hand, cart_id, "own"),
            lambda customer=customer, guest=guest: merge(customer, guest),
        ]

        answers = at_once(jobs if turn % 2 else jobs[::-1])

        assert {answer.status_code for answer in answers} == {200, 201}
        (session,) = sql("SELECT payment_id, lines FROM checkout_sessions WHERE user_id = :id", id=customer.id)
        both = len(session.lines) == 2
        recording(worker, sql, str(session.payment_id))()
        recording(worker, sql, theirs)()
        assert reasons(sql, theirs, session.payment_id) == ["paid_twice" if both else None] * 2
        assert lines(customer) == {}
