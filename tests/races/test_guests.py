"""Guests who sign in under many hands: merges, cart writes, sessions and money at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import psycopg
from flask import Flask
from sqlalchemy import make_url
from werkzeug.test import TestResponse

from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.crowd import at_once
from tests.purchases import ask, fill_cart, opened
from tests.worker.conftest import MakeWorker, make_worker
from tests.worker.transitions import entered

__all__ = ["make_worker"]  # fixtures

ROUNDS = 12


def merging(customer: Customer, guest: Customer, how: str = "sum") -> Callable[[], TestResponse]:
    hand = replace(customer, client=customer.client.application.test_client())
    return lambda: hand.post("/api/cart/merge", json={"cart_token": token_of(guest), "how": how})


def lines(customer: Customer) -> dict[str, int]:
    return {item["listing"]["id"]: item["qty"] for item in customer.get("/api/cart").json["items"]}


def test_merges_at_once_add_a_guests_cart_once(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    """Half of the rounds while the customer writes their first line, so that both make the customer's rows."""
    listing, other = make_listing(), make_listing()
    for turn in range(ROUNDS):
        customer, guest = make_customer(), make_guest(app, sql)
        fill_cart(guest, (listing, 2))
        jobs: list[Callable[[], Any]] = [merging(customer, guest) for _ in range(4)]
        if turn % 2:
            hand = replace(customer, client=app.test_client())
            jobs.append(lambda hand=hand: hand.post("/api/cart/items", json={"listing": str(other["id"]), "qty": 1}))

        answers = at_once(jobs)

        assert {answer.status_code for answer in answers} <= {200, 201}
        assert len({answer.json["id"] for answer in answers[:4]}) == 1
        assert lines(customer) == {str(listing["id"]): 2} | ({str(other["id"]): 1} if turn % 2 else {})


def test_of_two_customers_at_once_one_has_the_guest(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    for _ in range(ROUNDS):
        customers, guest = [make_customer() for _ in range(4)], make_guest(app, sql)
        fill_cart(guest, (listing, 2))

        answers = at_once([merging(customer, guest) for customer in customers])

        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 3}
        assert sorted(lines(customer).get(str(listing["id"]), 0) for customer in customers) == [0, 0, 0, 2]


def test_what_comes_into_a_guests_cart_while_it_is_merged_is_merged_or_refused(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    listings = [make_listing() for _ in range(4)]
    seen: Counter[int] = Counter()
    for _ in range(ROUNDS * 2):
        customer, guest = make_customer(), make_guest(app, sql)
        hands = [replace(guest, client=app.test_client()) for _ in listings]

        answers = at_once(
            [
                *(
                    lambda hand=hand, one=one: hand.post("/api/cart/items", json={"listing": str(one["id"]), "qty": 1})
                    for hand, one in zip(hands, listings, strict=True)
                ),
                merging(customer, guest),
            ]
        )

        codes = [answer.status_code for answer in answers[:-1]]
        assert answers[-1].status_code == 200
        assert set(codes) <= {201, 401}
        taken = {str(one["id"]): 1 for one, code in zip(listings, codes, strict=True) if code == 201}
        assert lines(customer) == taken
        assert sql("SELECT count(*) AS n FROM cart_items JOIN carts ON carts.id = cart_id WHERE user_id = :id",
                   id=guest.id)[0].n == 0  # fmt: skip
        seen.update(codes)
    assert seen[201] > 0


def test_a_session_of_a_cart_that_is_merged_is_canceled_or_not_opened(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=1000)
    for _ in range(ROUNDS):
        customer, guest = make_customer(), make_guest(app, sql)
        cart_id = fill_cart(guest, (listing, 1))
        hand = replace(guest, client=app.test_client())

        answer, merged = at_once([lambda hand=hand, cart_id=cart_id: ask(hand, cart_id), merging(customer, guest)])

        assert merged.status_code == 200
        # Not the guest's any more, or changed while it was read: before its lines were taken, or after.
        assert answer.status_code in {201, 401, 409, 422}, answer.text
        opened_ones = sql("SELECT payment_id FROM checkout_sessions WHERE user_id = :id", id=guest.id)
        assert len(opened_ones) == (answer.status_code == 201)
        canceled = sql("SELECT payment_id FROM cancel_requests WHERE requested_by = :id", id=customer.id)
        assert canceled == opened_ones
        assert lines(customer) == {str(listing["id"]): 1}


def test_what_is_paid_while_its_cart_is_merged_is_in_no_cart_any_more(
    app: Flask,
    make_worker: MakeWorker,
    make_customer: Callable[[], Customer],
    make_listing: MakeListing,
    sql: Sql,
) -> None:
    listing, other = make_listing(stock=1000), make_listing()
    worker = make_worker()

    def record(reference: str) -> None:
        with worker.app_context():
            assert len(entered.enter(entered.news(reference, entered.capture(uuid4().hex, "1000.00")))) == 1

    for turn in range(ROUNDS):
        customer, guest = make_customer(), make_guest(app, sql)
        fill_cart(customer, (other, 1))
        payment_id = opened(guest, fill_cart(guest, (listing, 2)))["payment_id"]
        reference = sql("SELECT provider_ref FROM payments WHERE id = :id", id=payment_id)[0].provider_ref
        jobs: list[Callable[[], Any]] = [lambda reference=reference: record(reference), merging(customer, guest)]

        at_once(jobs if turn % 2 else jobs[::-1])

        assert lines(customer) == {str(other["id"]): 1}
        assert sql("SELECT count(*) AS n FROM cart_items")[0].n == turn + 1
        assert [one["payment_id"] for one in customer.get("/api/orders").json["data"]] == [payment_id]


def test_a_merge_that_is_killed_leaves_nothing_and_is_done_once_when_it_is_sent_again(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, servers: Servers, sql: Sql
) -> None:
    """Its connection is ended while it waits for a line, with the link, the carts and a request to cancel behind it."""
    customer, guest, listing = make_customer(), make_guest(app, sql), make_listing()
    opened(guest, fill_cart(guest, (listing, 2)))
    fill_cart(customer, (listing, 1))
    url = make_url(servers.superuser_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT FROM carts WHERE user_id = %s FOR UPDATE", (guest.id,))
        answer = pool.submit(merging(customer, guest))
        for _ in range(2):  # one that is lost is sent once more by itself
            deadline = monotonic() + 60
            waiting = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%guest_merge%' AND wait_event_type = 'Lock'"
            while not (rows := sql(waiting)) and not answer.done():
                assert monotonic() < deadline, "no merge waits"
                sleep(0.02)
            sql(
                "SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS integer[])) AS pid",
                pids=[r.pid for r in rows],
            )
        assert sql("SELECT FROM guests WHERE customer_id IS NOT NULL") == []
        assert sql("SELECT FROM cancel_requests") == []
        assert [row.qty for row in sql("SELECT qty FROM cart_items ORDER BY qty")] == [1, 2]
        holder.rollback()
        assert answer.result(60).status_code in {200, 503}, "it was sent once more in time, or not"

    # The database counts as away for a moment.
    until = monotonic() + 60
    while (again := merging(customer, guest)()).status_code == 503:
        assert monotonic() < until
        sleep(0.1)
    assert again.status_code == 200
    assert lines(customer) == {str(listing["id"]): 3}
