"""What migration 0024 makes of what is there: carts that guests' went into, and prices that somebody wrote by hand.

And what it does beside traffic: no table is held while another is waited for, and a merge under way is counted.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from tests.migrations.conftest import Alembic, finish, run_as, start_upgrade
from tests.migrations.schema import describe

GUEST_MERGE = "guest_merge(bytea, interval, uuid, text, text, text, integer, integer, numeric)"

OF_BEFORE = (
    "INSERT INTO vendors (name) VALUES ('A')",
    """INSERT INTO listings (vendor_id, title, unit_price, currency)
    SELECT id, title, 1, 'USD' FROM vendors, unnest(ARRAY['One', 'Two']) AS title""",
    """INSERT INTO listing_prices (listing_id, currency, unit_price)
    SELECT id, other, 2 FROM listings, unnest(ARRAY['USD', 'EUR']) AS other""",
    "INSERT INTO users (id) SELECT uuidv7() FROM generate_series(1, 4)",
    "INSERT INTO carts (user_id) SELECT id FROM users",
    """INSERT INTO guests (id, customer_id, linked_at, merged_cart_id, merged_generation, into_generation)
    SELECT max(carts.user_id::text)::uuid, min(carts.user_id::text)::uuid, now(), min(carts.id::text)::uuid, 0, 0
    FROM carts""",
)


def test_carts_that_guests_went_into_are_counted_and_second_prices_go(fresh_database: str, alembic: Alembic) -> None:
    alembic("upgrade", "0023")
    run_as(fresh_database, *OF_BEFORE)

    for _ in range(2):
        alembic("upgrade", "0024")
        engine = create_engine(fresh_database)
        with engine.connect() as connection:
            prices = connection.execute(text("SELECT DISTINCT currency, count(*) FROM listing_prices GROUP BY 1")).all()
            counted = connection.execute(
                text(
                    "SELECT merges, count(*), bool_or(id IN (SELECT merged_cart_id FROM guests)) FROM carts GROUP BY 1"
                )
            ).all()
            numbers = connection.execute(text("SELECT merge_number FROM guests")).scalars().all()
        engine.dispose()
        assert [tuple(row) for row in prices] == [("EUR", 2)]
        assert {tuple(row) for row in counted} == {(1, 1, True), (0, 3, False)}
        assert numbers == [None]
        alembic("downgrade", "0023")


@pytest.fixture
def engine(fresh_database: str, alembic: Alembic) -> Iterator[Engine]:
    """Connections to the database as it was before."""
    alembic("upgrade", "0023")
    made = create_engine(fresh_database)
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("first", "then"), [("payments", "checkout_sessions"), ("listing_prices", "listings")], ids=["mates", "prices"]
)
def test_no_table_is_held_while_another_is_waited_for(
    fresh_database: str, alembic: Alembic, engine: Engine, first: str, then: str
) -> None:
    """Whoever writes the first goes on, and the migration may be broken off there and run again."""
    with engine.connect() as one, engine.connect() as other, engine.connect() as third:
        _write(one, first)
        migration = start_upgrade(fresh_database)
        _until_waiting_for(fresh_database, migration, first)
        _write(other, then)
        one.rollback()
        _until_waiting_for(fresh_database, migration, then)
        _write(third, first)
        run_as(
            fresh_database,
            f"""SELECT pg_terminate_backend(pid) FROM pg_locks
            WHERE NOT granted AND relation = CAST('{then}' AS regclass)""",
        )
        status, _ = finish(migration)
        assert status != 0

    alembic("upgrade", "0024")
    again = describe(fresh_database)
    alembic("downgrade", "0023")
    alembic("upgrade", "0024")
    assert describe(fresh_database) == again


def test_a_merge_that_began_under_the_function_of_before_is_counted(fresh_database: str, engine: Engine) -> None:
    run_as(
        fresh_database,
        "INSERT INTO users (id) SELECT uuidv7() FROM generate_series(1, 2)",
        "INSERT INTO carts (user_id) SELECT id FROM users",
        """INSERT INTO guests (id, token_hash) SELECT max(id::text)::uuid, sha256('token') FROM users""",
        "INSERT INTO vendors (name) VALUES ('A')",
        "INSERT INTO listings (vendor_id, title, unit_price, currency) SELECT id, 'One', 1, 'USD' FROM vendors",
        """INSERT INTO cart_items (cart_id, listing_id, qty)
        SELECT carts.id, listings.id, 1 FROM carts, listings WHERE carts.user_id IN (SELECT id FROM guests)""",
    )
    with engine.connect() as operator, engine.connect() as web:
        # The migration waits for this before it replaces the function.
        operator.execute(text(f"ALTER FUNCTION {GUEST_MERGE} COST 99"))
        migration = start_upgrade(fresh_database)
        _until_waiting(fresh_database, migration, "locktype = 'transactionid'")
        merged = web.execute(
            text("""SELECT result FROM guest_merge(sha256('token'), interval '1 day',
                (SELECT id FROM users WHERE id NOT IN (SELECT id FROM guests)), NULL, NULL, 'sum', 50, 99, 1000000)""")
        )
        assert merged.scalar_one() == "merged"
        operator.rollback()
        with pytest.raises(subprocess.TimeoutExpired):
            migration.wait(4)
        web.commit()
        assert finish(migration) == (0, "")
        counted = web.execute(text("SELECT merges FROM carts WHERE id IN (SELECT merged_cart_id FROM guests)"))
        assert counted.scalars().all() == [1]


def _write(connection: Connection, table: str) -> None:
    """Hold the table as every INSERT and UPDATE does."""
    connection.execute(text(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE NOWAIT"))


def _until_waiting_for(url: str, migration: subprocess.Popen[str], table: str) -> None:
    _until_waiting(url, migration, f"relation = CAST('{table}' AS regclass)")


def _until_waiting(url: str, migration: subprocess.Popen[str], condition: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    until = monotonic() + 60
    with engine.connect() as connection:
        while not connection.execute(text(f"SELECT FROM pg_locks WHERE NOT granted AND {condition}")).all():
            assert migration.poll() is None, finish(migration)
            assert monotonic() < until, "the migration waits for nobody"
            sleep(0.02)
    engine.dispose()
