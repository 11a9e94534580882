"""What the web tier writes of events gets its numbers, and is sent, without a sweep; nobody waits for the broker."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic, sleep

import pytest
import redis
from flask import Flask

from checkout_service.cache import cache
from checkout_service.local.servers import Valkey, free_port
from checkout_service.publishing.events_wake_up import WAKE_UP
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, make_app
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import fill_cart, opened
from tests.webhooks.conftest import own_valkey
from tests.worker.events.conftest import MakeShop, Receiver
from worker.events.sweeping import sweep
from worker.events.task import send

__all__ = ["make_app", "own_valkey"]  # fixtures
OPENED = "checkout.session.opened"


def test_a_session_that_was_opened_is_at_the_shop_without_a_sweep(
    sql: Sql,
    make_app: MakeApp,
    own_valkey: Valkey,
    customer: Customer,
    make_listing: MakeListing,
    make_shop: MakeShop,
    receiver: Receiver,
    sender: Flask,
) -> None:
    make_shop(types=[OPENED])
    url = Secret(own_valkey.url)
    customer = replace(customer, client=make_app(redis_url=url, broker_url=url).test_client())
    cart = fill_cart(customer, (make_listing(), 1))
    with redis.Redis.from_url(own_valkey.url) as broker:
        for _ in range(2):
            opened(customer, cart)
        until = monotonic() + 60
        while not broker.llen("events"):
            assert monotonic() < until, "nobody woke the sender"
            sleep(0.01)
        sleep(0.2)
        assert broker.llen("events") == 1, "one message, though it is on its way for a while"
    assert sql("SELECT FROM event_numbers") == []

    send()

    assert [each.data["type"] for each in receiver.received] == [OPENED]
    assert sql("SELECT FROM unsequenced_events") == []


@pytest.mark.usefixtures("sender")
def test_without_a_broker_a_session_is_opened_and_the_sweep_gives_its_event_a_number(
    sql: Sql, make_app: MakeApp, customer: Customer, make_listing: MakeListing
) -> None:
    app = make_app(broker_url=Secret(f"redis://127.0.0.1:{free_port()}/0"))
    customer = replace(customer, client=app.test_client())
    opened(customer, fill_cart(customer, (make_listing(), 1)))
    with app.app_context():
        until = monotonic() + 60
        while not cache().claim(WAKE_UP, milliseconds=1):
            assert monotonic() < until, "the next one tries again"
            sleep(0.05)
    assert sql("SELECT FROM event_numbers") == []

    sweep()

    assert sql("SELECT type FROM event_numbers") == [(OPENED,)]
