"""A server whose connections are all in use: the workers have theirs, and apply what the web was told is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from sqlalchemy import create_engine, text

from checkout_service.app import create_app
from checkout_service.database.engine import execute
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.local.servers import Postgres
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings, WorkerSettings
from tests.apps import another_postgres, close_app
from tests.conftest import Sql, _migrate
from tests.webhook_bodies import insert_payment, post_webhook, status_of, webhook
from worker.context import make_context
from worker.webhooks.task import process as process_webhook

MOST = 20
"""Of which three are reserved for superusers."""

WEB, WORKERS = 10, 6
WEBHOOKS = 5


@pytest.fixture(scope="module")
def small() -> Iterator[Postgres]:
    """A PostgreSQL with few connections, and our tables."""
    with another_postgres() as postgres:
        postgres.create_database("shop")
        _migrate(postgres.url("postgres", "shop"))
        _run(postgres, f"ALTER SYSTEM SET max_connections = {MOST}")
        postgres.server.restart()
        yield postgres


@pytest.fixture
def small_sql(small: Postgres) -> Iterator[Sql]:
    yield lambda query, **parameters: _run(small, query, **parameters)
    for role in ("checkout_web", "checkout_worker"):
        _run(small, f"ALTER ROLE {role} CONNECTION LIMIT -1")


@pytest.fixture
def web(small: Postgres, settings: WebSettings) -> Iterator[Flask]:
    app = create_app(replace(settings, database_url=Secret(small.url("checkout_web", "shop"))))
    yield app
    close_app(app)


@pytest.fixture
def inside_worker(small: Postgres, worker_settings: WorkerSettings) -> Iterator[Flask]:
    app = make_context(replace(worker_settings, database_url=Secret(small.url("checkout_worker", "shop"))))
    with app.app_context():
        yield app
    close_app(app)


@pytest.fixture
def crowd(small: Postgres) -> Iterator[Callable[[], int]]:
    """Have the web take what connections there are; how many those were."""
    with ExitStack() as held:

        def fill() -> int:
            for count in range(MOST):
                try:
                    held.enter_context(psycopg.connect(host=small.socket_folder, user="checkout_web", dbname="shop"))
                except psycopg.OperationalError:
                    return count
            raise AssertionError("it is never full")

        yield fill


def _run(postgres: Postgres, query: str, **parameters: Any) -> list[Any]:
    engine = create_engine(postgres.url("postgres", "shop"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            result = connection.execute(text(query), parameters)
            return list(result.all()) if result.returns_rows else []
    finally:
        engine.dispose()


def _stored(web: Flask, small_sql: Sql) -> tuple[str, UUID]:
    reference = insert_payment(small_sql)
    return reference, post_webhook(web.test_client(), webhook(reference))


def test_with_limits_the_workers_apply_what_was_acknowledged(
    web: Flask, inside_worker: Flask, small_sql: Sql, crowd: Callable[[], int]
) -> None:
    small_sql(f"ALTER ROLE checkout_web CONNECTION LIMIT {WEB}")
    small_sql(f"ALTER ROLE checkout_worker CONNECTION LIMIT {WORKERS}")
    first = _stored(web, small_sql)  # from here on the web's own pool has a connection
    assert 0 < crowd() < WEB
    for reference, delivery in [first, *(_stored(web, small_sql) for _ in range(WEBHOOKS - 1))]:
        process_webhook(str(delivery))
        assert status_of(small_sql, reference) == "paid"


def test_without_limits_the_web_keeps_them_out(
    web: Flask, inside_worker: Flask, small_sql: Sql, crowd: Callable[[], int]
) -> None:
    _stored(web, small_sql)
    assert crowd() > WEB
    reference, _ = _stored(web, small_sql)
    with pytest.raises(DatabaseUnavailableError):
        execute(text("SELECT 1"))
    assert status_of(small_sql, reference) == "pending"
