"""A primary that was demoted keeps its connections and takes no writes: they are left for those of the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Barrier
from uuid import uuid4

import pytest
from flask import Flask

from checkout_service.database.engine import db, execute, transaction
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.statements import Statement
from tests.apps import MakeApp
from tests.conftest import Sql, Statements
from tests.crowd import at_once
from tests.threads.scenes import wait_until

USER = Statement("INSERT INTO users (id) VALUES (:id) RETURNING id")


@pytest.fixture
def demote(sql: Sql) -> Iterator[Callable[..., None]]:
    """From its call on the connections that are there may not write; new ones of the web may, if there is a primary."""
    role = f"ALTER ROLE checkout_web IN DATABASE {sql('SELECT current_database() AS name')[0].name}"

    def read_only(state: str) -> None:
        sql(f"ALTER SYSTEM SET default_transaction_read_only = {state}")
        sql("SELECT pg_reload_conf()")
        wait_until(lambda: bool(sql("SHOW default_transaction_read_only")[0][0] == state))

    def demote(*, has_primary: bool = True) -> None:
        if has_primary:
            sql(f"{role} SET default_transaction_read_only = off")
        read_only("on")

    yield demote
    read_only("off")
    sql(f"{role} RESET default_transaction_read_only")


@pytest.fixture
def web(make_app: MakeApp) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


def open_connections(app: Flask, count: int) -> set[int]:
    """The backends of so many connections of the pool, all idle."""

    def one() -> int:
        with app.app_context(), db.engine.connect() as connection:
            here.wait()
            return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    here = Barrier(count)
    return set(at_once([one] * count))


def test_a_statement_goes_to_the_new_primary_at_once(
    web: Flask, demote: Callable[..., None], statements: Statements, sql: Sql
) -> None:
    old = open_connections(web, 4)
    assert len(old) == 4
    demote()

    with statements() as sent:
        for _ in range(5):
            assert len(execute(USER, {"id": uuid4()})) == 1
    assert sent.count(USER.sql) == 6, "one of them was sent twice, and found all the others of the pool replaced"
    assert open_connections(web, 4).isdisjoint(old)
    assert sql("SELECT count(*) FROM users")[0].count == 5


def test_a_transaction_fails_once_and_the_next_goes_to_the_new_primary(
    web: Flask, demote: Callable[..., None], sql: Sql
) -> None:
    open_connections(web, 4)
    demote()

    def write() -> bool:
        with suppress(DatabaseUnavailableError), transaction() as connection:
            USER.within(connection, {"id": uuid4()})
            return True
        return False

    assert not write()
    assert sql("SELECT count(*) FROM users")[0].count == 0
    wait_until(write)
    assert write()
    assert write()


def test_where_nobody_takes_writes_the_database_is_away_and_its_connections_are_left(
    web: Flask, demote: Callable[..., None], sql: Sql
) -> None:
    old = open_connections(web, 3)
    demote(has_primary=False)
    with pytest.raises(DatabaseUnavailableError):
        execute(USER, {"id": uuid4()})
    assert sql("SELECT count(*) FROM users")[0].count == 0
    assert open_connections(web, 3).isdisjoint(old)
