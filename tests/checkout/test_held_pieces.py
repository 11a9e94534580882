"""How many pieces one caller may hold: a customer, a guest, an address. Staff may hold any number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

import pytest
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from checkout_service.api.problem_documents import CONTENT_TYPE
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.guests import Guest
from tests.money import bring_to
from tests.purchases import ask, counts, fill_cart, opened
from tests.refunding import staff_of
from tests.stock.holding import assert_stock_adds_up, counter_of

REFUSED = ("checkout_callers_refused_total", {"problem": "too-many-held-pieces"})
PROXIES = (ip_network("127.0.0.0/8"),)


def seconds(answer: TestResponse) -> int:
    """After how many seconds to ask again, of an answer that is checked to say so."""
    assert answer.status_code == 429, answer.text
    assert answer.content_type == CONTENT_TYPE
    assert answer.json["type"] == "/problems/too-many-held-pieces"
    return int(answer.headers["Retry-After"])


@pytest.fixture
def buyer(make_app: MakeApp, customer: Customer) -> Customer:
    """One who may hold five pieces."""
    return replace(customer, client=make_app(held_pieces_per_customer=5).test_client())


def test_a_cart_alone_that_asks_for_more_than_one_may_hold_is_refused(
    buyer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing, voucher = make_listing(stock=50), make_listing(stock=None)
    cart_id = fill_cart(buyer, (listing, 6), (voucher, 100))
    before = REGISTRY.get_sample_value(*REFUSED) or 0

    answer = ask(buyer, cart_id)

    assert seconds(answer) >= 1
    assert "5 pieces" in answer.json["detail"]
    assert REGISTRY.get_sample_value(*REFUSED) == before + 1
    assert counts(sql) == (0, 0)
    assert counter_of(sql, listing) == (50, 0)
    fill_cart(buyer, (listing, 5))
    assert ask(buyer, cart_id).status_code == 201, "what is not tracked is not counted"
    assert_stock_adds_up(sql)


def test_what_a_payment_under_way_holds_counts_and_what_is_taken_over_does_not(
    buyer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    listing = make_listing(stock=50)
    cart_id = fill_cart(buyer, (listing, 4))
    opened(buyer, cart_id, "first")
    second = opened(buyer, cart_id, "second")["payment_id"]
    bring_to(sql, second, "processing")

    assert 86_000 <= seconds(ask(buyer, cart_id, "third")) <= 87_000, "until the hold ends"

    assert counter_of(sql, listing) == (50, 4)
    bring_to(sql, second, "canceled")
    assert ask(buyer, cart_id, "third").status_code == 201
    assert_stock_adds_up(sql)


def test_a_guest_has_a_bound_of_their_own(make_app: MakeApp, make_listing: MakeListing, sql: Sql) -> None:
    app = make_app(pages=True, held_pieces_per_guest=2, held_pieces_per_customer=1)
    listing = make_listing(stock=50)
    few, many = Guest(app.test_client()), Guest(app.test_client())
    few.put(listing, 2)
    many.put(listing, 3)

    assert few.check_out().status_code == 303
    answer = many.check_out()

    assert answer.status_code == 429
    assert "Too many held pieces" in answer.text
    assert counter_of(sql, listing) == (50, 2)


def test_an_address_holds_no_more_than_one_may(
    make_app: MakeApp, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql
) -> None:
    app = make_app(trusted_proxies=PROXIES, held_pieces_per_address=4)
    listing = make_listing(stock=50)

    def ask_from(address: str, qty: int) -> TestResponse:
        """A session of a new customer each time."""
        made = make_customer()
        somebody = replace(made, client=app.test_client(), headers={**made.headers, "X-Forwarded-For": address})
        return ask(somebody, fill_cart(somebody, (listing, qty)))

    assert ask_from("192.0.2.1", 3).status_code == 201
    assert seconds(ask_from("192.0.2.1", 2)) > 1
    assert ask_from("192.0.2.2", 2).status_code == 201
    assert ask_from("192.0.2.1", 1).status_code == 201
    assert counter_of(sql, listing) == (50, 6)
    assert_stock_adds_up(sql)


@pytest.mark.parametrize("status", ["failed", "processing"])
def test_pieces_count_for_an_address_as_long_as_they_are_held(
    make_app: MakeApp, make_customer: Callable[[], Customer], make_listing: MakeListing, sql: Sql, status: str
) -> None:
    app = make_app(trusted_proxies=PROXIES, held_pieces_per_address=4)
    listing = make_listing(stock=50)

    def customer() -> Customer:
        made = make_customer()
        return replace(made, client=app.test_client(), headers={**made.headers, "X-Forwarded-For": "192.0.2.1"})

    first, second = customer(), customer()
    payment = opened(first, fill_cart(first, (listing, 3)))["payment_id"]
    bring_to(sql, payment, status)
    sql("UPDATE session_addresses SET ends_at = now() - interval '1 second'")

    cart_id = fill_cart(second, (listing, 2))
    assert seconds(ask(second, cart_id)) > 1

    assert counter_of(sql, listing) == (50, 3)
    bring_to(sql, payment, "canceled")
    assert ask(second, cart_id).status_code == 201


@pytest.mark.parametrize("scope", ["refunds", "ops"])
def test_staff_may_hold_any_number(buyer: Customer, make_listing: MakeListing, scope: str) -> None:
    staff = staff_of(buyer, scope=scope)

    assert ask(staff, fill_cart(staff, (make_listing(stock=50), 20))).status_code == 201


def test_0_is_any_number(make_app: MakeApp, customer: Customer, make_listing: MakeListing) -> None:
    buyer = replace(customer, client=make_app(held_pieces_per_customer=0).test_client())

    assert ask(buyer, fill_cart(buyer, (make_listing(stock=5000), 5000))).status_code == 201
