"""0032: a reference is unique at its provider. Beside the release before, broken off at any step, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event, Thread, Timer
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tests.conftest import Servers
from tests.migrations.conftest import Alembic
from tests.migrations.schema import describe

PAYMENT = """
    WITH customer AS (INSERT INTO users DEFAULT VALUES RETURNING id)
    INSERT INTO payments (user_id, provider, provider_ref, amount, currency)
    SELECT id, :provider, :ref, 1, 'USD' FROM customer RETURNING id
"""
INDEXES = """
    SELECT indexname::text, substring(indexdef FROM '\\(.*\\)$') FROM pg_indexes
    WHERE tablename = 'payments' AND indexname LIKE 'idx_payment_provider_ref%' ORDER BY 1
"""
ALONE, BY_PROVIDER = (
    ("idx_payment_provider_ref", "(provider_ref)"),
    ("idx_payment_provider_ref", "(provider, provider_ref)"),
)
LEFT = ("idx_payment_provider_ref_next", "idx_payment_provider_ref_before")

Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def run(fresh_database: str) -> Iterator[Run]:
    engine = create_engine(fresh_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield lambda statement, **values: _rows(connection, statement, values)
    engine.dispose()


def _rows(connection: Connection, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    result = connection.execute(text(statement), values)
    return [tuple(row) for row in result] if result.returns_rows else []


def test_two_providers_may_name_alike_and_one_may_not_twice(alembic: Alembic, run: Run) -> None:
    alembic("upgrade", "0031")
    run(PAYMENT, provider="stripe", ref="alike")
    with pytest.raises(IntegrityError, match="idx_payment_provider_ref"):
        run(PAYMENT, provider="adyen", ref="alike")

    alembic("upgrade", "0032")

    assert run(INDEXES) == [BY_PROVIDER]
    run(PAYMENT, provider="adyen", ref="alike")
    with pytest.raises(IntegrityError, match="idx_payment_provider_ref"):
        run(PAYMENT, provider="adyen", ref="alike")


def test_there_is_no_way_back_once_two_name_alike_and_nothing_is_changed_by_the_try(
    alembic: Alembic, run: Run, fresh_database: str
) -> None:
    alembic("upgrade", "0032")
    for provider in ("stripe", "adyen"):
        run(PAYMENT, provider=provider, ref="alike")
    before = describe(fresh_database)

    with pytest.raises(ProgrammingError, match="two providers name payments alike"):
        alembic("downgrade", "0031")

    assert describe(fresh_database) == before
    assert run("SELECT version_num FROM alembic_version") == [("0032",)]
    run("DELETE FROM payments WHERE provider = 'adyen'")
    alembic("downgrade", "0031")
    assert run(INDEXES) == [ALONE]


@pytest.mark.parametrize(
    "broken",
    [
        ["CREATE INDEX idx_payment_provider_ref_next ON payments (provider)"],
        ["CREATE UNIQUE INDEX idx_payment_provider_ref_next ON payments (provider, provider_ref)"],
        [
            "ALTER INDEX idx_payment_provider_ref RENAME TO idx_payment_provider_ref_before",
            "CREATE UNIQUE INDEX idx_payment_provider_ref ON payments (provider, provider_ref)",
        ],
        [
            "DROP INDEX idx_payment_provider_ref",
            "CREATE UNIQUE INDEX idx_payment_provider_ref ON payments (provider, provider_ref)",
        ],
        ["DROP INDEX idx_payment_provider_ref"],
    ],
    ids=["before it was built", "before the swap", "after the swap", "before the functions", "by hand"],
)
def test_one_that_was_broken_off_is_run_again(
    alembic: Alembic, run: Run, fresh_database: str, broken: list[str]
) -> None:
    alembic("upgrade", "0032")
    whole = describe(fresh_database)
    alembic("downgrade", "0031")
    for statement in broken:
        run(statement)

    alembic("upgrade", "0032")

    assert run(INDEXES) == [BY_PROVIDER]
    assert describe(fresh_database) == whole


def test_the_index_is_never_missing_while_it_is_replaced(alembic: Alembic, fresh_database: str) -> None:
    """The two change names in one statement: whoever inserts meets the one or the other."""
    alembic("upgrade", "0031")
    engine = create_engine(fresh_database, isolation_level="AUTOCOMMIT")
    seen: list[bool | None] = []
    over = Event()

    def watch() -> None:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('idx_payment_provider_ref')"
        with engine.connect() as onlooker:
            while not over.is_set():
                seen.append(onlooker.execute(text(valid)).scalar_one_or_none())

    thread = Thread(target=watch)
    thread.start()
    try:
        for command, revision in [("upgrade", "0032"), ("downgrade", "0031")] * 3:
            alembic(command, revision)
    finally:
        over.set()
        thread.join()
        engine.dispose()

    assert len(seen) > 10
    assert set(seen) == {True}


def test_workers_of_the_release_before_go_on_beside_it(alembic: Alembic, run: Run, servers: Servers) -> None:
    """They lock carts and payments by reference alone: those of a namesake too, and none too few."""
    alembic("upgrade", "0032")
    ids = [run(PAYMENT, provider=provider, ref="alike")[0][0] for provider in ("stripe", "adyen")]
    engine = create_engine(make_url(servers.worker_url).set(database=run("SELECT current_database()")[0][0]))
    with engine.begin() as worker:
        worker.execute(text("SELECT carts_lock_for_payments(ARRAY['alike'])::text"))
        worker.execute(text("SELECT carts_lock_for_payments(ARRAY['stripe'], ARRAY['alike'])::text"))
        found = worker.execute(
            text("SELECT id FROM payments WHERE provider_ref = ANY(ARRAY['alike']) ORDER BY id FOR NO KEY UPDATE")
        )
        assert [row.id for row in found] == sorted(ids)
    engine.dispose()


@pytest.mark.parametrize(
    ("at", "command", "to"), [("0031", "upgrade", "0032"), ("0032", "downgrade", "0031"), ("0032", "upgrade", "0033")]
)
def test_a_dump_is_waited_for(alembic: Alembic, fresh_database: str, at: str, command: str, to: str) -> None:
    """It has one snapshot from its beginning to its end; nobody who needs the table waits meanwhile."""
    alembic("upgrade", at)
    engine = create_engine(fresh_database, isolation_level="REPEATABLE READ")
    with engine.connect() as dump:
        dump.execute(text("SELECT FROM users"))
        end = Timer(7, dump.rollback)
        end.start()
        alembic(command, to)
        end.join()
    engine.dispose()


def test_an_index_that_could_not_be_made_is_not_left_behind(alembic: Alembic, run: Run, fresh_database: str) -> None:
    """It would be enforced all the same: here, two providers that name alike refused."""
    alembic("upgrade", "0032")
    run(PAYMENT, provider="stripe", ref="alike")
    engine = create_engine(fresh_database)
    faults: list[Exception] = []

    def go_back() -> None:
        try:
            alembic("downgrade", "0031")
        except IntegrityError as error:
            faults.append(error)

    with engine.connect() as customer:
        customer.execute(text(PAYMENT), {"provider": "stripe", "ref": "another"})
        back = Thread(target=go_back)
        back.start()
        while not run("SELECT WHERE to_regclass('idx_payment_provider_ref_next') IS NOT NULL"):
            assert back.is_alive()
        run(PAYMENT, provider="adyen", ref="alike")
        customer.rollback()
        back.join()
    engine.dispose()

    assert len(faults) == 1
    assert run(INDEXES) == [BY_PROVIDER]
    run(PAYMENT, provider="mock", ref="alike")


def test_a_way_back_that_was_broken_off_leaves_what_this_release_calls(alembic: Alembic, run: Run) -> None:
    alembic("upgrade", "0032")
    run("""CREATE FUNCTION broken_off() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'broken off'; END $$""")
    run("CREATE TRIGGER broken_off BEFORE UPDATE ON alembic_version EXECUTE FUNCTION broken_off()")
    function = "SELECT count(*) FROM pg_proc WHERE proname = 'carts_lock_for_payments' AND pronargs = 2"

    with pytest.raises(ProgrammingError, match="broken off"):
        alembic("downgrade", "0031")

    assert run(function) == [(1,)]
    run("DROP FUNCTION broken_off() CASCADE")
    alembic("downgrade", "0031")
    assert run(function) == [(0,)]
