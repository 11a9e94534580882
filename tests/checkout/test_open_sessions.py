"""How many sessions one caller may have open: a customer, a guest, an address; what is decided counts no longer."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from checkout_service.api.problem_documents import CONTENT_TYPE
from checkout_service.checkout.beginning import _begin_of_address, _why_not
from checkout_service.checkout.inserting import _insert
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.conftest import Customer, MakeListing, Sql, Statements
from tests.guests import Guest
from tests.provider import MockProvider
from tests.purchases import ask, counts, fill_cart, opened, remembered, replayed
from tests.refunding import staff_of

REFUSED = ("checkout_callers_refused_total", {"problem": "too-many-open-sessions"})
PROXIES = (ip_network("127.0.0.0/8"),)


def refused(answer: TestResponse) -> bool:
    """Also checks what its caller needs to go on."""
    if answer.status_code != 429:
        return False
    assert answer.content_type == CONTENT_TYPE
    assert answer.json["type"] == "/problems/too-many-open-sessions"
    assert int(answer.headers["Retry-After"]) >= 1
    return True


@pytest.fixture
def buyer(make_app: MakeApp, customer: Customer) -> Customer:
    """One who may have three sessions open."""
    return replace(customer, client=make_app(open_sessions_per_customer=3).test_client())


@pytest.fixture
def cart_id(buyer: Customer, make_listing: MakeListing) -> str:
    return fill_cart(buyer, (make_listing(), 1))


def test_a_customer_with_as_many_open_sessions_as_one_may_have_opens_no_other(
    buyer: Customer, cart_id: str, sql: Sql, statements: Statements, make_listing: MakeListing, other_customer: Customer
) -> None:
    for number in range(3):
        opened(buyer, cart_id, f"purchase-{number}")

    before = REGISTRY.get_sample_value(*REFUSED) or 0
    with statements() as seen:
        answer = ask(buyer, cart_id, "one-more")

    assert refused(answer)
    assert REGISTRY.get_sample_value(*REFUSED) == before + 1
    assert 86_390 <= int(answer.headers["Retry-After"]) <= 86_400, "until the first of them ends"
    assert len(seen) == 2, "one reads, the other says until when; nothing is tried"
    assert counts(sql) == (3, 3)
    somebody = replace(other_customer, client=buyer.client)
    assert ask(somebody, fill_cart(somebody, (make_listing(), 1))).status_code == 201


def test_a_key_is_replayed_at_the_bound_too(buyer: Customer, cart_id: str, sql: Sql, servers: Any) -> None:
    first = [opened(buyer, cart_id, f"purchase-{number}") for number in range(3)]
    remembered(servers.redis_url)

    for forgotten in (False, True):
        if forgotten:
            sql("UPDATE checkout_sessions SET idempotency_key = idempotency_key || '-not-in-the-cache'")
        suffix = "-not-in-the-cache" if forgotten else ""
        for number, session in enumerate(first):
            answer = ask(buyer, cart_id, f"purchase-{number}{suffix}")
            assert (answer.status_code, answer.json) == (201, session)
            assert replayed(answer)
        assert ask(buyer, cart_id, "purchase-0" + suffix, expected_total="1.00").status_code == 422
    assert refused(ask(buyer, cart_id, "another"))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payments SET status = 'paid' WHERE id = :id",
        "UPDATE payments SET status = 'failed' WHERE id = :id",
        "UPDATE payments SET status = 'canceled' WHERE id = :id",
        "UPDATE payments SET under_way = true WHERE id = :id",
        "UPDATE checkout_sessions SET expires_at = now() WHERE payment_id = :id",
    ],
)
def test_what_is_paid_or_tried_or_ended_counts_no_longer(buyer: Customer, cart_id: str, sql: Sql, change: str) -> None:
    session = [opened(buyer, cart_id, f"purchase-{number}") for number in range(3)][1]
    assert refused(ask(buyer, cart_id, "another"))

    sql(change, id=session["payment_id"])

    assert ask(buyer, cart_id, "another").status_code == 201
    assert refused(ask(buyer, cart_id, "yet-another"))


def test_retry_after_is_until_the_first_of_them_ends(
    buyer: Customer, cart_id: str, sql: Sql, make_app: MakeApp
) -> None:
    sessions = [opened(buyer, cart_id, f"purchase-{number}") for number in range(3)]
    for seconds, session in zip((40, 70, 50), sessions, strict=True):
        sql(
            "UPDATE checkout_sessions SET expires_at = now() + :ends WHERE payment_id = :id",
            ends=timedelta(seconds=seconds),
            id=session["payment_id"],
        )
    stricter = replace(buyer, client=make_app(open_sessions_per_customer=2).test_client())
    for each in (buyer, stricter):
        assert 35 <= int(ask(each, cart_id, "another").headers["Retry-After"]) <= 40

    sql("UPDATE checkout_sessions SET expires_at = now() + interval '300 milliseconds'")
    assert ask(buyer, cart_id, "another").headers["Retry-After"] == "1"


def test_no_provider_hears_of_a_session_that_cannot_be_opened(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, mock_provider: MockProvider
) -> None:
    app = make_app(open_sessions_per_customer=1, accounts={"mock": mock_provider.account})
    buyer = replace(customer, client=app.test_client())
    cart_id = fill_cart(buyer, (make_listing(), 1))
    opened(buyer, cart_id)

    assert refused(ask(buyer, cart_id, "another"))

    assert mock_provider.calls["open"] == 1


def test_the_statement_that_opens_a_session_counts_itself(
    make_app: MakeApp, customer: Customer, make_listing: MakeListing, mock_provider: MockProvider, sql: Sql
) -> None:
    """One that was let through before, while its provider took its time, is refused if another was faster."""
    app = make_app(open_sessions_per_customer=1, accounts={"mock": mock_provider.account})
    slow, fast = (replace(customer, client=app.test_client()) for _ in range(2))
    cart_id = fill_cart(fast, (make_listing(), 1))
    mock_provider.behave(seconds=5)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ask, slow, cart_id, "slow")
        until = monotonic() + 60
        while not mock_provider.calls.get("open"):
            assert monotonic() < until
            sleep(0.01)
        mock_provider.behave()
        opened(fast, cart_id, "fast")

        assert refused(late.result())
    assert counts(sql) == (1, 1)


def test_staff_may_open_any_number(buyer: Customer, make_listing: MakeListing) -> None:
    for scope in ("refunds", "ops"):
        staff = staff_of(buyer, scope=scope)
        cart_id = fill_cart(staff, (make_listing(), 1))
        payments = {opened(staff, cart_id, f"purchase-{number}")["payment_id"] for number in range(5)}
        assert len(payments) == 5


def test_a_guest_has_a_bound_of_their_own_and_sees_why(make_app: MakeApp, make_listing: MakeListing, sql: Sql) -> None:
    listing = make_listing()
    guest = Guest(make_app(pages=True, open_sessions_per_guest=2, open_sessions_per_customer=1).test_client())
    guest.put(listing)
    assert [guest.check_out().status_code for _ in range(2)] == [303, 303]
    form = guest.checkout_form()

    answer = guest.check_out(**form)

    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 1
    assert "Too many open sessions" in answer.text
    assert form["key"] in answer.text, "nothing was decided, so the same attempt goes on"
    assert counts(sql) == (2, 2)


class TestAddresses:
    """Guests come anew with each request, so the address counts too where a trusted proxy names it."""

    @pytest.fixture
    def callers(self, make_app: MakeApp, make_customer: Any, make_listing: MakeListing) -> Any:
        app = make_app(trusted_proxies=PROXIES, open_sessions_per_address=2)
        listing = make_listing()

        def ask_from(address: str | None, app: Any = app) -> TestResponse:
            """A session of a new customer each time."""
            customer = replace(make_customer(), client=app.test_client())
            if address:
                customer = replace(customer, headers={**customer.headers, "X-Forwarded-For": address})
            return ask(customer, fill_cart(customer, (listing, 1)))

        return ask_from

    def test_an_address_has_no_more_sessions_open_than_one_may_have(self, callers: Any, sql: Sql) -> None:
        assert [callers("192.0.2.1").status_code for _ in range(2)] == [201, 201]

        assert refused(callers("192.0.2.1"))
        assert refused(callers("198.51.100.3, 192.0.2.1")), "what a caller wrote themselves is not read"
        assert callers("192.0.2.2").status_code == 201
        assert counts(sql) == (3, 3)

        sql("UPDATE payments SET status = 'paid'")
        assert callers("192.0.2.1").status_code == 201

    def test_of_ipv6_a_network_is_one_caller(self, callers: Any) -> None:
        assert [callers(f"2001:db8:1:2::{number}").status_code for number in (1, 2)] == [201, 201]
        assert refused(callers("2001:db8:1:2:ffff::3"))
        assert callers("2001:db8:1:3::1").status_code == 201

    def test_an_address_is_kept_as_a_keyed_hash_for_a_day_at_most(
        self, callers: Any, make_app: MakeApp, sql: Sql
    ) -> None:
        week = timedelta(days=7)
        app = make_app(trusted_proxies=PROXIES, session_ttl=week)
        another_key = make_app(trusted_proxies=PROXIES, open_sessions_per_address=2, pages_secret=Secret("another"))
        for each in (app, app, another_key):
            assert callers("192.0.2.1", each).status_code == 201

        rows = sql("SELECT address, ends_at - created_at AS kept_for FROM session_addresses ORDER BY created_at")
        assert [len(row.address) for row in rows] == [16] * 3
        assert rows[0].address == rows[1].address != rows[2].address
        assert rows[0].kept_for == timedelta(days=1)
        assert not any(b"192.0.2.1" in row.address for row in rows)
        # Another key knows nothing of who has what open, and goes on.
        assert callers("192.0.2.1", another_key).status_code == 201
        assert refused(callers("192.0.2.1", another_key))

    def test_where_no_proxies_are_configured_nothing_is_kept_of_an_address(
        self, callers: Any, make_app: MakeApp, sql: Sql
    ) -> None:
        app = make_app(open_sessions_per_address=1)
        assert [callers("192.0.2.1", app).status_code for _ in range(2)] == [201, 201]
        assert sql("SELECT FROM session_addresses") == []

    def test_a_proxy_that_names_nobody_makes_not_all_callers_one(self, callers: Any, sql: Sql) -> None:
        assert [callers(None).status_code for _ in range(3)] == [201] * 3
        assert sql("SELECT FROM session_addresses") == []


def test_counting_reads_open_sessions_alone_however_many_there_were(
    customer: Customer, make_listing: MakeListing, sql: Sql
) -> None:
    """A million sessions beside a customer's own few change nothing: indexes hold those that are open."""
    cart_id = fill_cart(customer, (make_listing(), 1))
    opened(customer, cart_id)
    sql("""
        INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
        SELECT user_id, 'mock', 'mock_pi_' || n, 1, 'USD' FROM carts, generate_series(1, 20000) AS n""")
    sql("""
        INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at)
        SELECT payments.user_id, carts.id, provider_ref, '', payments.id, provider_ref, 1, 'USD', '[]', now() + '1 day'
        FROM payments JOIN carts USING (user_id) WHERE payments.amount = 1""")
    sql("INSERT INTO session_addresses (payment_id, address, ends_at) SELECT id, '\\x01', now() FROM payments")
    sql("UPDATE payments SET status = 'paid' WHERE amount = 1")
    sql("ANALYZE payments, checkout_sessions, session_addresses, holds")
    values = {"user_id": str(customer.id), "idempotency_key": "new", "sessions_of_caller": 20}
    values |= {"sessions_of_address": 100, "address": b"\x01", "cart_id": cart_id, "payment_id": str(uuid4())}
    values |= {"may_hold": False, "expected_total": None, "largest": 1, "most_of_owner": 0, "most_of_address": 0}

    for statement in (_begin_of_address, _why_not):
        plan = sql("EXPLAIN (ANALYZE, FORMAT JSON) " + re.sub(r"%\((\w+)\)s", r":\1", statement.sql), **values)[0][0]
        assert _most_rows(plan[0]["Plan"]) <= 20
        assert "payments_open" in str(plan)
        assert "session_addresses_address_ends_at" in str(plan)
    assert "bound.full_for IS NULL" in _insert.sql


def _most_rows(plan: dict[str, Any]) -> float:
    """The most rows that any part of the plan has read, or read and dropped."""
    here = max(plan["Actual Rows"], plan.get("Rows Removed by Filter", 0), plan.get("Rows Removed by Index Recheck", 0))
    return max([here, *(_most_rows(part) for part in plan.get("Plans", []))])
