"""Many requests of one caller at once: what is open goes past the bound by no more than those in flight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from checkout_service.app import create_app
from checkout_service.settings.values import WebSettings
from tests.apps import close_app
from tests.conftest import Customer, MakeListing, Sql
from tests.crowd import at_once
from tests.purchases import ask, counts, fill_cart, opened

MOST_OPEN = 5
AT_ONCE = 4


@pytest.fixture
def bounded(settings: WebSettings) -> Iterator[Flask]:
    app = create_app(replace(settings, open_sessions_per_customer=MOST_OPEN, web_threads=8))
    yield app
    close_app(app)


def test_sessions_go_past_the_bound_by_no_more_than_those_in_flight(
    bounded: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    devices = [replace(customer, client=bounded.test_client()) for _ in range(AT_ONCE)]
    cart_id = fill_cart(devices[0], (make_listing(), 1))

    def press_on(number: int) -> list[int]:
        return [ask(devices[number], cart_id, f"key-{number}-{turn}").status_code for turn in range(8)]

    statuses = [status for each in at_once([lambda n=n: press_on(n) for n in range(AT_ONCE)]) for status in each]

    assert set(statuses) == {201, 429}
    assert MOST_OPEN <= statuses.count(201) <= MOST_OPEN + AT_ONCE - 1
    assert counts(sql) == (statuses.count(201),) * 2
    assert ask(devices[0], cart_id, "later").status_code == 429


def test_a_place_that_is_paid_for_is_filled_again_by_those_who_wait(
    bounded: Flask, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    devices = [replace(customer, client=bounded.test_client()) for _ in range(AT_ONCE)]
    cart_id = fill_cart(devices[0], (make_listing(), 1))
    sessions = [opened(devices[0], cart_id, f"first-{number}") for number in range(MOST_OPEN)]
    sql("UPDATE payments SET status = 'paid' WHERE id = :id", id=sessions[0]["payment_id"])

    answers = at_once([lambda n=n: ask(devices[n], cart_id, f"key-{n}") for n in range(AT_ONCE)])

    assert 1 <= [answer.status_code for answer in answers].count(201) <= AT_ONCE
    assert ask(devices[0], cart_id, "later").status_code == 429
