"""Attempts to pay that failed are counted for their customer and for the address from where the session was opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import redis

from checkout_service.local.servers import free_port
from checkout_service.settings.secret import Secret
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.purchases import ask, fill_cart, opened
from tests.webhook_bodies import insert_payment
from tests.worker.conftest import MakeWorker
from tests.worker.scripted import event
from tests.worker.transitions.entered import attempt, news, recorded
from worker.transitions.failing import count_failed_attempts

pytestmark = pytest.mark.usefixtures("worker")

ADDRESS = bytes(range(16))


def failed(servers: Servers) -> dict[str, int]:
    """What is counted, by whose it is."""
    with redis.Redis.from_url(servers.redis_url) as cache:
        return {
            name.rpartition(b":")[2].decode(): int(cache.get(name) or 0) for name in cache.keys("*failed-attempts:*")
        }


def owner(sql: Sql, reference: str) -> str:
    return str(sql("SELECT user_id FROM payments WHERE provider_ref = :reference", reference=reference)[0].user_id)


def opened_at(sql: Sql, reference: str) -> None:
    sql(
        """INSERT INTO session_addresses (payment_id, address, ends_at)
        SELECT id, :address, now() + interval '1 day' FROM payments WHERE provider_ref = :reference""",
        address=ADDRESS,
        reference=reference,
    )


def test_each_attempt_counts_once_for_its_customer_and_its_address(sql: Sql, servers: Servers) -> None:
    here, there = insert_payment(sql), insert_payment(sql)
    opened_at(sql, here)
    events = [
        news(here, attempt("at_1", "failed")),
        news(here, attempt("at_2", "failed")),
        news(here, attempt("at_3", "under_way")),
        news(there, attempt("at_4", "failed")),
    ]
    recorded(*events).follow_up()

    assert failed(servers) == {owner(sql, here): 2, ADDRESS.hex(): 2, owner(sql, there): 1}
    with redis.Redis.from_url(servers.redis_url) as cache:
        assert {0 < cache.ttl(name) <= 3600 for name in cache.keys("*failed-attempts:*")} == {True}

    recorded(*events).follow_up()
    recorded(news(here, attempt("at_1", "failed", decline="do_not_honor"))).follow_up()
    assert failed(servers)[owner(sql, here)] == 2, "what was known to have failed"
    recorded(news(here, attempt("at_3", "failed"))).follow_up()
    assert failed(servers)[owner(sql, here)] == 3, "what was under way"


def test_the_web_tier_holds_it_against_whoever_asks_next(customer: Customer, make_listing: MakeListing) -> None:
    cart_id = fill_cart(customer, (make_listing(), 1))
    session = opened(customer, cart_id)
    for number in range(20):
        assert ask(customer, cart_id, f"try-{number}", expected_total="0.01").status_code == 409
        recorded(news(session["payment_token"], attempt(f"at_{number}", "failed"))).follow_up()
    assert ask(customer, cart_id, "another").json["type"] == "/problems/rate-limited"


def test_what_failed_long_ago_is_not_held_against_anybody(sql: Sql, servers: Servers) -> None:
    reference = insert_payment(sql)
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    recorded(news(reference, attempt("at_1", "failed"), occurred_at=long_ago)).follow_up()
    assert failed(servers) == {}


def test_what_does_not_fail_costs_no_statement(sql: Sql, statements: Statements) -> None:
    for status, more in (("paid", 0), ("failed", 1)):
        result = recorded(event(insert_payment(sql), status))
        assert len(result.failed) == more
        with statements() as seen:
            result.follow_up()
        assert len([each for each in seen if "session_addresses" in each]) == more


@pytest.mark.parametrize("away", ["database_url", "redis_url"])
def test_what_cannot_be_counted_is_left_and_breaks_nothing(
    sql: Sql, servers: Servers, make_worker: MakeWorker, away: str
) -> None:
    result = recorded(event(insert_payment(sql), "failed"))
    scheme = "postgresql+psycopg" if away == "database_url" else "redis"
    with make_worker(**{away: Secret(f"{scheme}://127.0.0.1:{free_port()}/0")}).app_context():
        count_failed_attempts(result.failed)
    assert failed(servers) == {}
