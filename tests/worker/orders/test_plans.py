"""What the making of an order reads: it does not depend on how many other payments are open, and hold pieces."""

from __future__ import annotations

import psycopg

from benchmarks import seeds
from tests.conftest import Servers

BEFORE = 400
"""Payments that the statistics know, all of them paid."""

OPEN = 600
"""Payments that came since, which they do not know."""

_READ = """
    SELECT sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)) FROM pg_stat_xact_user_tables
    WHERE relname IN ('payments', 'holds')
"""


def test_order_is_made_without_a_look_at_payments_that_others_have_open(servers: Servers) -> None:
    """Where the planner takes pending payments for rare, it would begin with them to find those of the same cart."""
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        seeds.add_payments(connection, first=0, count=BEFORE)
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE payments SET status = 'paid', amount_captured = amount")
        connection.execute("UPDATE holds SET state = 'sold', until = NULL, user_id = NULL")
        connection.execute("RESET session_replication_role")
        connection.execute("ANALYZE payments, checkout_sessions, orders, guests, carts, holds")
        seeds.add_payments(connection, first=BEFORE, count=OPEN)
        with connection.transaction(force_rollback=True):
            connection.execute(
                """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency,
                    amount_presumed)
                SELECT id, provider, '', 'started', now(), currency, amount FROM payments
                WHERE id = md5('payment ' || %s)::uuid""",
                (BEFORE,),
            )
            before = connection.execute(_READ).fetchone()
            folded = connection.execute(
                """SELECT status_to FROM payments_fold(
                    ARRAY(SELECT payment_id FROM payment_attempts WHERE reported_at = now()), NULL, NULL, NULL)"""
            ).fetchall()
            made = connection.execute("SELECT count(*) FROM orders WHERE created_at = now()").fetchone()
            read = connection.execute(_READ).fetchone()

    assert [status for (status,) in folded] == ["paid"]
    assert made == (1,)
    assert before is not None
    assert read is not None
    assert read[0] - before[0] < OPEN / 4
