"""A statement that is not answered in time leaves no connection that somebody else could be lent."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from checkout_service.database.connections import DeadlineConnection
from checkout_service.database.engine import db, execute
from checkout_service.database.errors import DatabaseUnavailableError
from tests.apps import MakeApp

SLOW = text("SELECT pg_sleep(30)")
ONE = text("SELECT 1 AS one")


@pytest.fixture
def web(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    app = make_app()
    monkeypatch.setattr(DeadlineConnection, "answer_within", 0.2)  # the server's own limit stays above it
    with app.app_context():
        yield app


@pytest.mark.usefixtures("web")
def test_one_that_can_be_canceled_leaves_its_connection_as_good_as_before() -> None:
    with db.engine.connect() as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with pytest.raises(DatabaseUnavailableError):
        execute(SLOW)
    assert execute(text("SELECT pg_backend_pid() AS pid"))[0].pid == backend


@pytest.mark.parametrize("error", [psycopg.OperationalError, psycopg.errors.CancellationTimeout, OSError])
def test_one_that_cannot_be_canceled_leaves_none(
    web: Flask, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The way to cancel is another connection, which may be refused."""

    def refuse(*_: object, **__: object) -> None:
        raise error("connection refused")

    monkeypatch.setattr(DeadlineConnection, "cancel_safe", refuse)
    monkeypatch.setattr(web.extensions["database_breaker"], "_pause", 0.0)
    with pytest.raises(DatabaseUnavailableError):
        execute(SLOW)
    for _ in range(3):
        assert execute(ONE)[0].one == 1
