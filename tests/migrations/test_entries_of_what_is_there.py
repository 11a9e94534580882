"""Payments of the release before get entries while that release goes on, and come out as they were."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.conftest import Servers

Alembic = Callable[..., None]

PAYMENTS = int(os.environ.get("PAYMENTS", "1000000"))

# One of each kind that the release before could leave behind, again and again.
KINDS = """(VALUES
    (0, 'mock', 'paid', NULL, NULL), (1, 'stripe', 'paid', 'ch_', NULL), (2, 'paypal', 'paid', '2GG', NULL),
    (3, 'adyen', 'paid', '88', NULL), (4, 'mollie', 'paid', NULL, NULL), (5, 'mock', 'pending', NULL, NULL),
    (6, 'mock', 'processing', NULL, NULL), (7, 'stripe', 'failed', NULL, NULL), (8, 'mock', 'expired', NULL, NULL),
    (9, 'adyen', 'canceled', NULL, NULL), (10, 'stripe', 'reversed', 'ch_', NULL), (11, 'mock', 'reversed', NULL, NULL),
    (12, 'mock', 'paid', NULL, 'paid_after_close, paid_twice'), (13, 'mock', 'pending', NULL, 'mismatch'),
    (14, 'stripe', 'paid', NULL, 'Ask Mary!'), (15, 'standard', 'paid', NULL, 'refund_too_large')
) AS kind (number, provider, status, name, reason)"""

FILL = (
    "INSERT INTO users (id) SELECT md5('user ' || n)::uuid FROM generate_series(1, :count) AS n",
    "INSERT INTO carts (id, user_id) SELECT id, id FROM users",
    f"""INSERT INTO payments (user_id, provider, provider_ref, capture_ref, amount, currency, status, review_reason,
            updated_at, next_look_up_at)
        SELECT md5('user ' || n)::uuid, kind.provider, 'ref_' || n, kind.name || n, 240.00, 'USD',
            kind.status::payment_status, kind.reason, now() - interval '1 day',
            CASE WHEN kind.status < 'paid' THEN now() + interval '1 day' END
        FROM generate_series(1, :count) AS n JOIN {KINDS} ON kind.number = n % 16""",
    """INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at)
        SELECT user_id, user_id, 'key', '', id, 'token', amount, currency, '[]', now() FROM payments""",
    """INSERT INTO refunds (payment_id, amount, requested_by, idempotency_key, request_hash, status, next_attempt_at)
        SELECT id, 40, user_id, provider_ref, '', CASE n % 3 WHEN 0 THEN 'succeeded' WHEN 1 THEN 'processing'
            ELSE 'failed' END::refund_status, now()
        FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM payments WHERE status = 'paid') AS paid
        WHERE n % 10 = 0""",
)

BEFORE = "id, status, amount_refunded, amount_refunding, updated_at, next_look_up_at, look_ups"


def engine_of(url: str) -> Any:
    return create_engine(url, isolation_level="AUTOCOMMIT")


def run(url: str, statement: str, **parameters: Any) -> list[Any]:
    engine = engine_of(url)
    with engine.connect() as connection:
        result = connection.execute(text(statement), parameters)
        rows = list(result) if result.returns_rows else []
    engine.dispose()
    return rows


class Traffic:
    """The web tier and a worker of the release before, each in a loop: purchases that are opened, and paid."""

    def __init__(self, servers: Servers, database: str | None) -> None:
        self.longest = {"web": 0.0, "worker": 0.0}
        self.opened = 0
        self.refused = 0
        self._stop = Event()
        self._urls = {
            role: make_url(url).set(database=database, drivername="postgresql").render_as_string(hide_password=False)
            for role, url in (("web", servers.web_url), ("worker", servers.worker_url))
        }

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [Thread(target=work) for work in (self._open, self._pay)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _open(self) -> None:
        with psycopg.connect(self._urls["web"], autocommit=True) as connection:
            while not self._stop.wait(0.005):
                self.opened += 1
                self._timed(
                    "web",
                    connection,
                    f"""
                    WITH me AS (INSERT INTO users DEFAULT VALUES RETURNING id)
                    INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
                    SELECT id, 'mock', 'new_{self.opened}', 100, 'USD' FROM me""",
                )

    def _pay(self) -> None:
        """As its transitions did it: locked, then moved. Once its right is gone, it is refused."""
        with psycopg.connect(self._urls["worker"], autocommit=True) as connection:
            paid = 0
            while not self._stop.wait(0.005):
                if paid < self.opened - 1:
                    paid += 1
                try:
                    self._timed(
                        "worker",
                        connection,
                        f"""UPDATE payments SET status = 'paid', updated_at = now(), next_look_up_at = NULL
                        WHERE id = (SELECT id FROM payments WHERE provider_ref = 'new_{paid}' FOR NO KEY UPDATE)""",
                    )
                except psycopg.errors.InsufficientPrivilege:
                    self.refused += 1

    def _timed(self, role: str, connection: Any, statement: str) -> None:
        began = monotonic()
        connection.execute(statement)
        self.longest[role] = max(self.longest[role], monotonic() - began)


def migrate_beside_traffic(url: str, alembic: Alembic, servers: Servers, count: int) -> None:
    """Fill a database of the release before, migrate it, and compare; then down, and up again."""
    alembic("upgrade", "0001")
    run(url, "ALTER TABLE payments DISABLE TRIGGER payments_guard")
    for statement in FILL:
        run(url, statement, count=count)
    run(url, "ALTER TABLE payments ENABLE TRIGGER payments_guard")
    run(url, "VACUUM ANALYZE")
    run(url, f"CREATE TABLE before AS SELECT {BEFORE}, review_reason FROM payments")
    traffic = Traffic(servers, make_url(url).database)
    began = monotonic()
    with traffic.going_on():
        alembic("upgrade", "head")
    took = monotonic() - began
    if os.environ.get("PAYMENTS"):
        print(f"\n{count} payments: {took:.1f} s, longest statement of {traffic.longest}, {traffic.opened} opened")

    assert traffic.opened > 20
    compare(url, count)
    assert run(url, "SELECT FROM payments WHERE provider_ref LIKE 'new_%' AND status = 'paid'")
    wrong = """SELECT id FROM payments WHERE provider_ref LIKE 'new_%'
        AND (status <> 'pending' AND amount_captured <> amount OR status = 'pending' AND amount_captured <> 0)"""
    assert run(url, wrong) == []
    assert max(traffic.longest.values()) < 5, "nobody waited as long as a request may take"

    alembic("downgrade", "0001")
    assert run(url, f"SELECT {BEFORE} FROM before EXCEPT SELECT {BEFORE} FROM payments") == []
    alembic("upgrade", "head")
    compare(url, count)


def compare(url: str, count: int) -> None:
    """Nothing of a payment is another, and its sums follow from its entries."""
    assert run(url, f"SELECT {BEFORE} FROM before EXCEPT SELECT {BEFORE} FROM payments LIMIT 1") == []
    (row,) = run(
        url,
        """SELECT count(*) AS payments,
            count(*) FILTER (
                WHERE amount_captured <> CASE WHEN payment.status >= 'paid' THEN amount ELSE 0 END) AS came,
            count(*) FILTER (WHERE amount_lost <> CASE payment.status WHEN 'reversed' THEN amount ELSE 0 END) AS lost,
            count(*) FILTER (WHERE under_way <> (payment.status = 'processing')) AS under_way,
            count(*) FILTER (WHERE (closed IS NOT NULL) <> (payment.status IN ('expired', 'canceled'))) AS closed,
            count(*) FILTER (WHERE payment.review_reason IS DISTINCT FROM CASE before.review_reason
                WHEN 'Ask Mary!' THEN 'ask_mary' ELSE before.review_reason END) AS reasons
        FROM before JOIN payments AS payment USING (id)""",
    )
    assert tuple(row) == (count, 0, 0, 0, 0, 0)
    unexplained = """SELECT id FROM payments
        WHERE (amount_captured > 0 OR status = 'authorized')
            AND id NOT IN (SELECT payment_id FROM order_reasons WHERE reason = 'before_orders')"""
    assert run(url, unexplained) == [], "all that was paid was paid before there were orders"
    assert run(url, "SELECT FROM orders") == []
    folded = "SELECT * FROM payments_fold(ARRAY(SELECT id FROM before ORDER BY id LIMIT 2000))"
    assert run(url, folded) == [], "the fold finds what was written down"


def test_payments_of_before_come_out_as_they_were_while_traffic_goes_on(
    fresh_database: str, alembic: Alembic, servers: Servers
) -> None:
    migrate_beside_traffic(fresh_database, alembic, servers, 6_400)
    names = run(
        fresh_database,
        """SELECT DISTINCT payment.provider, regexp_replace(entry.attempt_ref, '\\d+$', '') AS attempt,
            regexp_replace(capture.capture_ref, '\\d+$', '') AS capture, entry.amount_presumed IS NOT NULL AS presumed
        FROM before JOIN payments AS payment USING (id) JOIN payment_attempts AS entry ON entry.payment_id = payment.id
        LEFT JOIN captures AS capture ON capture.payment_id = payment.id
        WHERE payment.status = 'paid' ORDER BY 1, 2""",
    )
    assert [tuple(row) for row in names] == [
        ("adyen", "", None, True),
        ("mock", "", None, True),
        ("mollie", "", None, True),
        ("paypal", "2GG", "2GG", False),
        ("standard", "", None, True),
        ("stripe", "", None, True),
        ("stripe", "ch_", "ch_", False),
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_payments_are_migrated_beside_traffic(
    fresh_database: str, alembic: Alembic, servers: Servers
) -> None:
    migrate_beside_traffic(fresh_database, alembic, servers, PAYMENTS)
