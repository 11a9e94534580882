"""Two transactions that wait for each other: the one that PostgreSQL ends has done nothing, and may try again."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from checkout_service.database.engine import execute, transaction
from checkout_service.database.errors import DatabaseLockedError
from tests.conftest import Sql

LOCK = text("SELECT FROM carts WHERE id = :id FOR NO KEY UPDATE")

CART = """
    WITH opened AS (INSERT INTO users DEFAULT VALUES RETURNING id)
    INSERT INTO carts (user_id) SELECT id FROM opened RETURNING id
"""


def test_whoever_is_ended_for_a_deadlock_may_try_again(app: Flask, superuser: Engine, sql: Sql) -> None:
    mine, theirs = [sql(CART)[0].id for _ in range(2)]
    people = superuser.execution_options(isolation_level="READ COMMITTED")
    with app.app_context(), ThreadPoolExecutor(1) as thread, people.connect() as other:
        # The other never looks for a deadlock, so it is never the one that is ended.
        other.execute(text("SET LOCAL deadlock_timeout = '10min'"))
        other.execute(LOCK, {"id": theirs})

        def cross() -> None:
            with transaction() as connection:
                connection.execute(LOCK, {"id": mine})
                waiting.append(thread.submit(other.execute, LOCK, {"id": mine}))
                _until_somebody_waits(sql)
                connection.execute(LOCK, {"id": theirs})

        waiting: list[Future[object]] = []
        with pytest.raises(DatabaseLockedError) as ended:
            cross()
        waiting[0].result()
        other.rollback()
        cause = ended.value.__cause__
        assert isinstance(cause, DBAPIError)
        assert getattr(cause.orig, "sqlstate", None) == "40P01"
        # The breaker is closed, and the connection is of use.
        assert execute(text("SELECT 1 AS one"))[0].one == 1


def _until_somebody_waits(sql: Sql) -> None:
    until = monotonic() + 60
    while not sql("SELECT FROM pg_locks WHERE NOT granted"):
        assert monotonic() < until, "nobody waits"
        sleep(0.005)
