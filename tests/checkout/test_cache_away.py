"""The cache may be wiped, frozen or gone at any moment: it costs time, never an answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest
import redis

from checkout_service.local.guard import Guard
from checkout_service.local.servers import Valkey, free_port, start_valkey
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, frozen
from tests.conftest import Customer, MakeListing, Sql
from tests.purchases import ONE_OF_EACH, ask, counts, fill_cart, remembered, replayed


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A cache of the test's own, to be killed and frozen."""
    with closing(Guard()) as guard:
        valkey = start_valkey(tmp_path / "valkey", guard=guard, durable=False)
        with valkey.server:
            yield valkey


@pytest.fixture
def buyer(make_app: MakeApp, own_valkey: Valkey, customer: Customer) -> Customer:
    return replace(customer, client=make_app(redis_url=Secret(own_valkey.url)).test_client())


def test_session_opens_and_replays_without_any_cache(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    app = make_app(redis_url=Secret(f"redis://127.0.0.1:{free_port()}/0"))
    buyer = replace(customer, client=app.test_client())
    cart_id = fill_cart(buyer, (make_listing(), 1))

    first, second = ask(buyer, cart_id), ask(buyer, cart_id)

    assert (first.status_code, second.status_code) == (201, 201)
    assert replayed(second)
    assert first.data == second.data
    assert counts(sql) == ONE_OF_EACH


def test_cache_that_is_killed_and_started_again_changes_no_answer(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey, sql: Sql
) -> None:
    cart_id = fill_cart(buyer, (make_listing(), 1))
    first = ask(buyer, cart_id)
    own_valkey.server.stop()
    while_away = [ask(buyer, cart_id) for _ in range(3)]
    fresh = ask(buyer, cart_id, "while-away")
    own_valkey.server.start()
    afterwards = [ask(buyer, cart_id), ask(buyer, cart_id, "while-away")]

    assert [answer.data for answer in (*while_away, afterwards[0])] == [first.data] * 4
    assert fresh.status_code == 201
    assert fresh.data == afterwards[1].data
    assert counts(sql) == (2, 2)


def test_frozen_cache_costs_a_moment_and_no_answer(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey, sql: Sql
) -> None:
    cart_id = fill_cart(buyer, (make_listing(), 1))
    first = ask(buyer, cart_id)
    with frozen(own_valkey.server):
        started = monotonic()
        second = ask(buyer, cart_id)
        took = monotonic() - started
        third = ask(buyer, cart_id)

    assert took < 6, "half a second and some, where nothing else is at work"
    assert [second.data, third.data] == [first.data] * 2
    assert counts(sql) == ONE_OF_EACH


def test_cache_wiped_between_any_two_steps_changes_no_answer(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey, sql: Sql
) -> None:
    cache = redis.Redis.from_url(own_valkey.url)
    cart_id = fill_cart(buyer, (make_listing(), 1))
    answers = []
    for _ in range(5):
        cache.flushall()
        answers += [ask(buyer, cart_id), ask(buyer, cart_id)]
    cache.close()

    assert len({answer.data for answer in answers}) == 1
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize("junk", [b"", b"junk", b"[]", b'{"request_hash": "zz", "answer": {}}', b'{"answer": {}}'])
def test_junk_in_the_cache_changes_no_answer(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey, sql: Sql, junk: bytes
) -> None:
    cart_id = fill_cart(buyer, (make_listing(), 1))
    first = ask(buyer, cart_id)
    (name,) = remembered(own_valkey.url)
    with redis.Redis.from_url(own_valkey.url) as cache:
        cache.set(name, junk)

    assert ask(buyer, cart_id).data == first.data
    assert counts(sql) == ONE_OF_EACH


def test_answer_stays_in_the_cache_for_five_minutes(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey
) -> None:
    ask(buyer, fill_cart(buyer, (make_listing(), 1)))

    (name,) = remembered(own_valkey.url)
    with redis.Redis.from_url(own_valkey.url) as cache:
        assert 290 <= cache.ttl(name) <= 300


def test_cached_answer_of_one_customer_is_not_anothers(
    buyer: Customer, other_customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    mine = ask(buyer, fill_cart(buyer, (make_listing(), 1)))
    other = replace(other_customer, client=buyer.client)
    theirs = ask(other, fill_cart(other, (make_listing(), 2)))

    assert not replayed(theirs)
    assert mine.json["payment_id"] != theirs.json["payment_id"]
    assert counts(sql) == (2, 2)


def test_a_system_without_threads_costs_the_cache_and_no_answer(
    buyer: Customer, make_listing: MakeListing, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    cart_id = fill_cart(buyer, (make_listing(), 1))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert ask(buyer, cart_id, "first").status_code == 201

    assert ask(buyer, cart_id, "second").status_code == 201
    until = monotonic() + 60
    with redis.Redis.from_url(own_valkey.url) as cache:
        while len(cache.keys("*:session:*")) < 2:
            assert monotonic() < until, "the writer never came"
            sleep(0.01)
