"""One key, one answer: as long as the session's row lives, whatever happened since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from prometheus_client import REGISTRY

from checkout_service.database import history
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.purchases import ONE_OF_EACH, ask, counts, fill_cart, remembered, replayed
from tests.threads.scenes import wait_until


@pytest.fixture
def listing(make_listing: MakeListing) -> dict[str, Any]:
    return make_listing()


@pytest.fixture
def cart_id(customer: Customer, listing: dict[str, Any]) -> str:
    return fill_cart(customer, (listing, 2))


@pytest.fixture
def wipe_cache(app: Flask, servers: Servers) -> Iterator[Any]:
    with redis.Redis.from_url(servers.redis_url) as server:

        def wipe() -> None:
            app.extensions["cache"]._later.clear()  # or it would be put there a moment later
            server.flushall()

        yield wipe


def test_checkout_idempotency(customer: Customer, cart_id: str, sql: Sql) -> None:
    first, second = ask(customer, cart_id), ask(customer, cart_id)

    assert (first.status_code, second.status_code) == (201, 201)
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.data == second.data
    assert first.headers["Location"] == second.headers["Location"]
    assert counts(sql) == ONE_OF_EACH


def test_replay_outlives_the_cache(customer: Customer, cart_id: str, sql: Sql, wipe_cache: Any) -> None:
    first = ask(customer, cart_id)
    wipe_cache()
    second = ask(customer, cart_id)

    assert replayed(second)
    assert first.data == second.data
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize("cached", [True, False])
def test_replay_does_not_look_at_the_cart_again(
    customer: Customer, cart_id: str, listing: dict[str, Any], sql: Sql, wipe_cache: Any, cached: bool
) -> None:
    first = ask(customer, cart_id)
    item = customer.get("/api/cart").json["items"][0]["id"]
    answers = []
    for change in (
        lambda: fill_cart(customer, (listing, 9)),
        lambda: sql("UPDATE listings SET unit_price = 1, active = false"),
        lambda: customer.delete(f"/api/cart/items/{item}"),
    ):
        change()
        if not cached:
            wipe_cache()
        answers.append(ask(customer, cart_id))

    assert [answer.data for answer in answers] == [first.data] * 3
    assert all(map(replayed, answers))
    assert counts(sql) == ONE_OF_EACH


def test_replay_a_month_later_is_still_the_same_answer(
    customer: Customer, cart_id: str, sql: Sql, wipe_cache: Any
) -> None:
    first = ask(customer, cart_id).json
    sql("UPDATE payments SET created_at = created_at - interval '30 days'")
    sql("""UPDATE checkout_sessions
        SET created_at = created_at - interval '30 days', expires_at = expires_at - interval '30 days'""")
    wipe_cache()
    later = ask(customer, cart_id)

    assert later.status_code == 201
    assert replayed(later)
    assert later.json | {"expires_at": first["expires_at"]} == first
    assert later.json["expires_at"] < first["expires_at"]
    assert counts(sql) == ONE_OF_EACH


@pytest.mark.parametrize("cached", [True, False])
def test_replay_says_pending_even_when_the_payment_is_paid(
    customer: Customer, cart_id: str, sql: Sql, wipe_cache: Any, cached: bool
) -> None:
    first = ask(customer, cart_id)
    sql("UPDATE payments SET status = 'paid'")
    if not cached:
        wipe_cache()

    assert ask(customer, cart_id).data == first.data
    assert sql("SELECT status::text FROM payments")[0].status == "paid"


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(
    "other",
    [
        {"expected_total": "80.00"},
        {"expected_total": "80.01"},
        {"provider": "mock"},
        {"provider": "unknown"},
        {"cart_id": "0190a1b2-0000-7000-8000-000000000000"},
    ],
)
def test_same_key_with_another_request_is_refused(
    customer: Customer, cart_id: str, sql: Sql, wipe_cache: Any, other: dict[str, str], cached: bool
) -> None:
    first = ask(customer, cart_id)
    if not cached:
        wipe_cache()
    refused = ask(customer, **({"cart_id": cart_id} | other))

    assert refused.status_code == 422
    assert refused.json["type"] == "/problems/idempotency-key-reused"
    assert counts(sql) == ONE_OF_EACH
    assert ask(customer, cart_id).data == first.data


def test_one_amount_written_in_two_ways_is_one_request(customer: Customer, cart_id: str, sql: Sql) -> None:
    first = ask(customer, cart_id, expected_total="80")
    second = ask(customer, cart_id, expected_total="80.00")

    assert replayed(second)
    assert first.data == second.data
    assert counts(sql) == ONE_OF_EACH


def test_one_cart_id_written_in_two_ways_is_one_request(customer: Customer, cart_id: str, sql: Sql) -> None:
    assert ask(customer, cart_id).data == ask(customer, cart_id.upper()).data
    assert counts(sql) == ONE_OF_EACH


def test_a_refused_request_does_not_use_up_its_key(customer: Customer, cart_id: str, sql: Sql) -> None:
    assert ask(customer, cart_id, expected_total="1.00").status_code == 409

    accepted = ask(customer, cart_id, expected_total="80.00")

    assert accepted.status_code == 201
    assert not replayed(accepted)
    assert counts(sql) == ONE_OF_EACH


def test_replay_takes_no_statement_from_the_cache_and_two_from_the_database(
    customer: Customer,
    cart_id: str,
    statements: Statements,
    servers: Servers,
    wipe_cache: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "LOOK_EVERY", 3600.0)
    wipe_cache()
    ask(customer, cart_id)
    remembered(servers.redis_url)
    with statements() as from_cache:
        assert replayed(ask(customer, cart_id))
    wipe_cache()
    with statements() as from_database:
        assert replayed(ask(customer, cart_id))
    remembered(servers.redis_url)
    with statements() as from_cache_again:
        assert replayed(ask(customer, cart_id))

    monkeypatch.setattr(history, "LOOK_EVERY", 0.0)
    with statements() as after_a_while:
        assert replayed(ask(customer, cart_id))

    assert [len(from_cache), len(from_database), len(from_cache_again)] == [0, 2, 0]
    assert after_a_while == [history.ASK.strip()], "whether the database is in the history that the answer is of"


def test_sessions_are_counted_as_opened_or_replayed(customer: Customer, cart_id: str) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("checkout_sessions_total", {"outcome": outcome}) or 0.0

    before = count("opened"), count("replayed")
    ask(customer, cart_id), ask(customer, cart_id), ask(customer, cart_id)

    assert (count("opened"), count("replayed")) == (before[0] + 1, before[1] + 2)


def test_an_answer_of_another_history_is_not_given(
    app: Flask, customer: Customer, cart_id: str, sql: Sql, servers: Servers
) -> None:
    """The database failed over and lost the session's commit; the cache did not."""
    first = ask(customer, cart_id)
    with redis.Redis.from_url(servers.redis_url) as server:
        wait_until(lambda: bool(server.keys("*:session:*")))
    known = app.extensions["database_history"]
    row = [1, "00000001", 1, "a primary that is gone"]
    try:
        known.see(row)
        elsewhere = ask(customer, cart_id)
        assert replayed(elsewhere), "by the database, which has it here"
        sql("""SET session_replication_role = replica; DELETE FROM checkout_sessions; DELETE FROM payments;
            RESET session_replication_role""")
        known.see([*row, "again"])
        again = ask(customer, cart_id)
    finally:
        known.see(None)
    assert first.status_code == again.status_code == 201
    assert not replayed(again)
    assert counts(sql) == ONE_OF_EACH
