"""One caller takes no more than a few of the places at a provider: others find theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import monotonic, sleep
from uuid import uuid4

import pytest
from flask import Flask

from checkout_service.api.callers import Caller
from checkout_service.checkout.bounds import GUESTS, WAITING_OF_ADDRESS, WAITING_OF_CALLER, WAITING_OF_GUESTS, bounds_of
from checkout_service.identity.jwks import MOST_WAITING
from checkout_service.server.granian_server import WAITING
from checkout_service.server.places import Places
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql
from tests.guests import Guest
from tests.provider import MockProvider
from tests.purchases import NOTHING, ask, counts, fill_cart


@contextmanager
def taken(app: Flask, share: str, count: int) -> Iterator[None]:
    """Others hold so many places of a share."""
    places: Places = app.extensions["places"]
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(places.taken({share: 1000}))
        yield


def test_one_customer_waits_for_a_provider_four_times_at_once_and_no_more(
    shopper: Customer,
    make_shopper: Callable[[], Customer],
    make_listing: MakeListing,
    mock_provider: MockProvider,
    provider_app: Flask,
) -> None:
    listing = make_listing()
    cart_id = fill_cart(shopper, (listing, 1))
    neighbour = make_shopper()
    neighbours_cart = fill_cart(neighbour, (listing, 1))
    mock_provider.behave(seconds=6)
    devices = [replace(shopper, client=provider_app.test_client()) for _ in range(WAITING_OF_CALLER)]
    with ThreadPoolExecutor(WAITING_OF_CALLER) as crowd:
        waiting = [crowd.submit(ask, device, cart_id, f"key-{n}") for n, device in enumerate(devices)]
        until = monotonic() + 60
        while mock_provider.calls.get("open", 0) < WAITING_OF_CALLER:
            assert monotonic() < until
            sleep(0.01)
        mock_provider.behave()

        refused = ask(shopper, cart_id, "one-more")
        served = ask(neighbour, neighbours_cart)

        assert not any(each.done() for each in waiting)
        assert (refused.status_code, refused.json["type"]) == (429, "/problems/too-many-at-once")
        assert refused.headers["Retry-After"] == "1"
        assert served.status_code == 201
        assert [each.result().status_code for each in waiting] == [201] * WAITING_OF_CALLER
    assert mock_provider.calls["open"] == WAITING_OF_CALLER + 1, "the refused one never came to the provider"
    assert ask(shopper, cart_id, "one-more").status_code == 201


def test_who_waits_for_a_concurrent_retry_holds_a_place_too(
    shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider, provider_app: Flask, sql: Sql
) -> None:
    cart_id = fill_cart(shopper, (make_listing(), 1))
    mock_provider.behave(in_progress="always")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, replace(shopper, client=provider_app.test_client()), cart_id)
        until = monotonic() + 60
        while not mock_provider.calls.get("open"):
            assert monotonic() < until
            sleep(0.01)
        with taken(provider_app, str(shopper.id), WAITING_OF_CALLER):
            answer = waiting.result()

    assert (answer.status_code, answer.json["type"]) == (429, "/problems/too-many-at-once")
    assert counts(sql) == NOTHING
    mock_provider.behave()
    assert ask(shopper, cart_id).status_code == 201


@pytest.mark.parametrize(
    ("share", "most", "status", "title"),
    [
        ("address", WAITING_OF_ADDRESS, 429, "Too many requests at once"),
        # What other guests have is no fault of this one.
        (GUESTS, WAITING_OF_GUESTS, 503, "The payment provider is unavailable"),
    ],
)
def test_an_address_and_all_guests_leave_places_to_others(
    make_app: MakeApp, mock_provider: MockProvider, make_listing: MakeListing, sql: Sql,
    share: str, most: int, status: int, title: str,
) -> None:  # fmt: skip
    app = make_app(pages=True, accounts={"mock": mock_provider.account}, trusted_proxies=())
    with app.app_context():
        somebody = Caller(uuid4(), is_guest=True)
        bounds = bounds_of(somebody, {"REMOTE_ADDR": "127.0.0.1"}, app.extensions["settings"])
    assert sorted(bounds.shares.values()) == [WAITING_OF_CALLER, WAITING_OF_ADDRESS, WAITING_OF_GUESTS]
    assert WAITING_OF_GUESTS + MOST_WAITING < WAITING, "customers find some whatever guests and keys do"
    guest = Guest(app.test_client())
    guest.put(make_listing())

    with taken(app, GUESTS if share == GUESTS else (bounds.address or b"").hex(), most):
        answer = guest.check_out()

    assert (answer.status_code, title in answer.text) == (status, True), answer.text
    assert counts(sql) == NOTHING
    assert mock_provider.calls.get("open", 0) == 0
    assert guest.check_out().status_code == 303
