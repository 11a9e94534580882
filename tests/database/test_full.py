"""The server gives no further connection: those that the pool has go on, and nobody is kept from them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from checkout_service.database.engine import RECENTLY, background_connection, db, execute, transaction
from checkout_service.database.errors import DatabaseUnavailableError
from tests.apps import MakeApp
from tests.conftest import Sql

ONE = text("SELECT 1 AS one")


@pytest.fixture
def web(make_app: MakeApp) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def full(sql: Sql) -> Iterator[None]:
    """The role of the web has as many connections as it may."""
    sql("ALTER ROLE checkout_web CONNECTION LIMIT 0")
    yield
    sql("ALTER ROLE checkout_web CONNECTION LIMIT -1")


def test_a_refused_connection_keeps_nobody_from_those_that_work(web: Flask, request: pytest.FixtureRequest) -> None:
    assert execute(ONE)[0].one == 1
    with db.engine.connect():
        request.getfixturevalue("full")
        with pytest.raises(DatabaseUnavailableError):
            execute(ONE)
        with pytest.raises(DatabaseUnavailableError), transaction():
            raise AssertionError("it has no connection")
    assert execute(ONE)[0].one == 1
    with transaction() as connection:
        assert connection.execute(ONE).scalar_one() == 1


@pytest.mark.parametrize("worked_before", [False, True])
def test_where_none_works_callers_fail_without_a_try(
    web: Flask, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sql: Sql, worked_before: bool
) -> None:
    breaker = web.extensions["database_breaker"]
    monkeypatch.setattr(breaker, "_pause", 3600.0)
    if worked_before:
        assert execute(ONE)[0].one == 1
        db.engine.dispose()
        breaker.succeeded_at -= RECENTLY
    request.getfixturevalue("full")
    with pytest.raises(DatabaseUnavailableError):
        execute(ONE)
    sql("ALTER ROLE checkout_web CONNECTION LIMIT -1")
    with background_connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(DatabaseUnavailableError):
        execute(ONE)
