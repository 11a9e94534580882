"""What the making of an order reads: it does not depend on how many other payments are open, and hold pieces."""

from __future__ import annotations

import runpy
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine

from benchmarks import seeds
from tests.conftest import Servers, Sql
from tests.migrations.conftest import MIGRATIONS
from tests.unknown_tables import unknown
from tests.worker.orders import buying
from tests.worker.orders.buying import Bought

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


def test_order_is_made_without_a_look_at_those_of_others_where_there_are_no_statistics(servers: Servers) -> None:
    """A connection to a new database makes its plans while there is next to no order, and keeps them."""
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    read = """SELECT sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)) FROM pg_stat_xact_user_tables
        WHERE relname IN ('orders', 'holds')"""
    with psycopg.connect(plain, autocommit=True) as connection, unknown(connection, "orders", "holds"):
        seeds.add_payments(connection, first=0, count=OPEN + 2)
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            """INSERT INTO holds (payment_id, listing_id, user_id, qty, reserved, until)
            SELECT gen_random_uuid(), listing_id, user_id, qty, reserved, until FROM holds, generate_series(1, 100)"""
        )
        connection.execute("RESET session_replication_role")
        for first, last in ((0, 0), (1, OPEN), (OPEN + 1, OPEN + 1)):
            with connection.transaction():
                connection.execute(
                    """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency,
                        amount_presumed)
                    SELECT id, provider, '', 'started', now(), currency, amount FROM payments
                    WHERE id IN (
                        SELECT md5('payment ' || n)::uuid FROM generate_series(%s::bigint, %s::bigint) AS n)""",
                    (first, last),
                )
                before = connection.execute(read).fetchone()
                connection.execute(
                    """SELECT FROM payments_fold(
                        ARRAY(SELECT payment_id FROM payment_attempts WHERE reported_at = now()), NULL, NULL, NULL)"""
                )
                after = connection.execute(read).fetchone()

    assert before is not None
    assert after is not None
    assert after[0] - before[0] < OPEN / 4


def test_carts_of_a_set_are_locked_without_a_look_at_those_of_others(servers: Servers) -> None:
    """Five hundred of five thousand would be reason enough for the planner to read all of them."""
    carts = """SELECT coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
        WHERE relname = 'carts'"""
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        seeds.add_payments(connection, first=0, count=5_000)
        connection.execute("ANALYZE payments, checkout_sessions, guests, carts")
        names = list(seeds.reference(connection, first=0, count=500))
        with connection.transaction(force_rollback=True):
            connection.execute("SELECT carts_lock_for_payments(%s, %s)", (["mock"] * len(names), names))
            read = connection.execute(carts).fetchone()

    assert read == (0, 500)


def test_carts_whose_filling_ends_keep_their_places_though_all_of_a_page_are_paid_for(servers: Servers) -> None:
    """Else each payment writes an entry into every index of carts, anywhere in it."""
    plain = servers.superuser_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain, autocommit=True) as connection:
        seeds.add_payments(connection, first=0, count=500)
        with connection.transaction():
            connection.execute(
                """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency,
                    amount_presumed)
                SELECT id, provider, '', 'started', now(), currency, amount FROM payments"""
            )
            connection.execute("SELECT FROM payments_fold(ARRAY(SELECT id FROM payments), NULL, NULL, NULL)")
            moved = connection.execute(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'carts'"
            ).fetchone()

    assert moved == (500, 500)


MIGRATION = runpy.run_path(str(MIGRATIONS / "versions" / "0038_plans_of_one_payment.py"))

PAY = """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at, currency,
        amount_presumed)
    SELECT id, provider, '', 'started', now(), currency, amount FROM payments WHERE id = '{0}'"""
FOLD = "SELECT FROM payments_fold(ARRAY['{0}'::uuid], {1}, NULL, NULL)"

WRITTEN = (
    "SELECT payment_id, requested_by FROM cancel_requests",
    "SELECT payment_id, listing_id, user_id, qty, reserved, state::text, until IS NULL, instead_of FROM holds",
    "SELECT listing_id, stock, reserved FROM stock_counters",
    "SELECT id, generation FROM carts",
    "SELECT cart_id, listing_id, qty FROM cart_items",
    "SELECT payment_id, cart_id, generation, status::text FROM orders",
    "SELECT listing_id, qty, qty_short FROM order_lines",
)


def written(connection: Connection, *statements: str) -> list[list[Any]]:
    """What these leave behind them, and take back with the transaction."""
    for statement in statements:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    return [sorted(map(repr, connection.exec_driver_sql(each))) for each in WRITTEN]


def test_the_functions_of_before_write_the_same_rows(sql: Sql, superuser: Engine) -> None:
    """Other payments of the customer are open, have failed or are under way; others want the same pieces."""
    pieces = {buying.listing(sql, 4): 2, buying.listing(sql, None): 1, buying.listing(sql, 1): 1}
    cart = buying.cart(sql, pieces)
    before = buying.session(sql, cart, pieces, held=False, generation="0")
    sql("UPDATE carts SET generation = 1")
    first, second = buying.session(sql, cart, pieces), buying.session(sql, cart, pieces)
    failed, under_way, canceled = (buying.session(sql, cart, pieces, held=False) for _ in range(3))
    other = buying.session(sql, buying.cart(sql, pieces), dict.fromkeys(pieces, 1), held=False)
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        connection.exec_driver_sql("SET session_replication_role = replica")
        for each, status, is_under_way in (
            (failed, "failed", False),
            (under_way, "failed", True),
            (canceled, "canceled", False),
        ):
            connection.exec_driver_sql(
                "UPDATE payments SET status = %s, under_way = %s WHERE id = %s", (status, is_under_way, each.payment)
            )
        connection.exec_driver_sql("SET session_replication_role = origin")
        connection.commit()

        steps = [step for each in (second, first, other) for step in paid(each)]
        steps.insert(2, FOLD.format(first.payment, "'{canceled}'"))
        now = written(connection, *steps)
        connection.rollback()
        back = [
            MIGRATION["REPLACE"].format(function=function, before=after, after=given)
            for function, (given, after) in MIGRATION["BY_KEY"].items()
        ]
        then = written(connection, *back, f"ALTER FUNCTION {MIGRATION['SETTLE']} RESET plan_cache_mode", *steps)
        ((is_changed,),) = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_proc WHERE prosrc ~ 'OFFSET 0\\) AS other|state::text = .held.'"
        )
        connection.rollback()

    assert is_changed == 0, "else the same is compared with itself"
    assert now == then
    requests = "".join(now[0])
    assert [str(each.payment) in requests for each in (failed, under_way, canceled, before, other)] == [
        *(True, False, False, False, False)
    ]
    assert "'sold'" in "".join(now[1])


def paid(bought: Bought) -> tuple[str, str]:
    return PAY.format(bought.payment), FOLD.format(bought.payment, "NULL")
