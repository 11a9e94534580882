"""Carts under many hands: real threads, real commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic, sleep
from typing import Any

import psycopg
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.identity.test_subjects import customer_called

ROUNDS = 15
HANDS = 6


def at_once(app: Flask, customer: Customer, requests: list[Callable[[Customer], TestResponse]]) -> list[TestResponse]:
    """Every request from a thread and a client of its own, let go at the same moment."""
    barrier = Barrier(len(requests))

    def run(request: Callable[[Customer], TestResponse]) -> TestResponse:
        hand = Customer(id=customer.id, headers=customer.headers, client=app.test_client())
        barrier.wait(30)
        return request(hand)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(run, requests))


def putting(listing: dict[str, Any], qty: int) -> Callable[[Customer], TestResponse]:
    return lambda hand: hand.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": qty})


def test_first_requests_at_once_make_one_cart(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    listings = [make_listing() for _ in range(HANDS)]
    for _ in range(ROUNDS):
        customer = make_customer()

        answers = at_once(app, customer, [putting(listing, 1) for listing in listings])

        assert [answer.status_code for answer in answers] == [201] * HANDS
        assert sql("SELECT count(*) FROM carts WHERE user_id = :id", id=customer.id)[0].count == 1
        shown = [line["listing"]["id"] for line in customer.get("/api/cart").json["items"]]
        assert sorted(shown) == sorted(str(listing["id"]) for listing in listings)
    assert sql("SELECT count(*) FROM users")[0].count == ROUNDS


def test_first_requests_at_once_are_one_customer_whom_their_tokens_name_by_a_text(
    app: Flask, make_listing: MakeListing, sql: Sql
) -> None:
    """Half of them as a number, half as its digits."""
    listings = [make_listing() for _ in range(HANDS)]
    for number in range(ROUNDS):
        hands = [customer_called(app, sub) for sub in (number, str(number)) * (HANDS // 2)]
        barrier = Barrier(HANDS)

        def put(hand: Customer, listing: dict[str, Any], barrier: Barrier = barrier) -> TestResponse:
            barrier.wait(30)
            return putting(listing, 1)(hand)

        with ThreadPoolExecutor(HANDS) as pool:
            answers = list(pool.map(put, hands, listings))

        assert [answer.status_code for answer in answers] == [201] * HANDS
        (user,) = sql("SELECT id, issuer FROM users WHERE subject = :subject", subject=str(number))
        assert (user.id, user.issuer) == (hands[0].id, "")
        shown = [line["listing"]["id"] for line in hands[0].get("/api/cart").json["items"]]
        assert sorted(shown) == sorted(str(listing["id"]) for listing in listings)
    assert sql("SELECT count(*) FROM users")[0].count == ROUNDS
    assert sql("SELECT count(*) FROM carts")[0].count == ROUNDS


def test_requests_for_one_listing_at_once_make_one_line(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    for _ in range(ROUNDS):
        customer = make_customer()

        answers = at_once(app, customer, [putting(listing, qty) for qty in range(1, HANDS + 1)])

        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: HANDS - 1}
        (line,) = customer.get("/api/cart").json["items"]
        assert {answer.json["id"] for answer in answers} == {line["id"]}
        assert line["qty"] in range(1, HANDS + 1)
    assert sql("SELECT count(*) FROM cart_items")[0].count == ROUNDS


def test_a_line_that_is_changed_while_it_is_removed_is_gone_or_new_but_never_an_error(
    app: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    for _ in range(ROUNDS):
        customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})
        path = f"/api/cart/items/{customer.get('/api/cart').json['items'][0]['id']}"

        changed, removed, put = at_once(
            app,
            customer,
            [
                lambda hand, path=path: hand.patch(path, json={"qty": 2}),
                lambda hand, path=path: hand.delete(path),
                putting(listing, 3),
            ],
        )

        assert changed.status_code in {200, 404}
        assert removed.status_code == 204
        assert put.status_code in {200, 201}
        left = [row.qty for row in sql("SELECT qty FROM cart_items")]
        assert left == ([3] if put.status_code == 201 else [])


def test_a_listing_that_is_deleted_while_it_is_added_is_not_found(
    servers: Servers, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing()
    plain = servers.superuser_url.replace("+psycopg", "")

    with ThreadPoolExecutor(1) as pool, psycopg.connect(plain) as deleting:
        deleting.execute("DELETE FROM listings")
        adding = pool.submit(putting(listing, 1), customer)
        deadline = monotonic() + 60
        while not sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'checkout_web'"):
            assert monotonic() < deadline, "the new line never waited for the listing"
            sleep(0.01)
        deleting.commit()

        assert adding.result(30).status_code == 404

    assert sql("SELECT id FROM users UNION ALL SELECT id FROM carts UNION ALL SELECT id FROM cart_items") == []


def test_first_lines_of_two_currencies_and_a_choice_at_once_leave_a_cart_of_one(
    app: Flask, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    """In a new cart, and in one that was emptied: whoever comes second is refused, or has a price in the currency."""
    dollars = [make_listing(currency="USD", unit_price="9.00") for _ in range(2)]
    euros = [make_listing(currency="EUR", unit_price="8.00") for _ in range(2)]
    hands = [putting(listing, 1) for listing in (*dollars, *euros)]
    seen = Counter[int]()
    for number in range(ROUNDS):
        customer = make_customer()
        if number % 2:
            assert putting(dollars[0], 1)(customer).status_code == 201
            customer.delete("/api/cart")

        answers = at_once(app, customer, [*hands, lambda hand: hand.patch("/api/cart", json={"currency": "EUR"})])

        seen.update(answer.status_code for answer in answers)
        assert {answer.status_code for answer in answers} <= {200, 201, 409}, [answer.text for answer in answers]
        cart = customer.get("/api/cart").json
        kept = {line["listing"]["currency"] for line in cart["items"]}
        assert kept == {cart["currency"]}, "some line came in, and all are of one currency"
        taken = [answer.json["listing"]["id"] for answer in answers if answer.status_code == 201]
        assert sorted(taken) == sorted(line["listing"]["id"] for line in cart["items"])
    assert seen[201]
    assert seen[409]
    assert sql("SELECT count(*) FROM cart_items WHERE currency IS NULL")[0].count == 0
