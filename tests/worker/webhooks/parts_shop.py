"""A shop whose webhooks are in parts, or are turned into them: a database for the tests of one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text

from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings, WorkerSettings
from tests.apps import close_app, open_app
from tests.conftest import Servers, Sql, _migrate, with_psycopg
from tests.webhook_bodies import insert_webhook
from tests.webhook_parts import turn_back, turn_into_parts
from worker.context import make_context


def today() -> date:
    """Asked for when a test needs it: a run may begin on the day before."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A database of one test, with a web tier and a worker; the test runs inside the worker's context."""

    url: str
    sql: Sql
    client: FlaskClient
    run: Callable[..., Result]


@pytest.fixture(scope="module")
def opened(
    one_day: None, servers: Servers, settings: WebSettings, worker_settings: WorkerSettings
) -> Iterator[tuple[Shop, Flask]]:
    """A database of this file, and a worker of it."""
    name = f"parts_{uuid4().hex[:12]}"
    _alone(servers, f"CREATE DATABASE {name}")
    urls = [
        with_psycopg(make_url(url).set(database=name))
        for url in (servers.superuser_url, servers.web_url, servers.worker_url)
    ]
    _migrate(urls[0])
    engine = create_engine(urls[0], isolation_level="AUTOCOMMIT")

    def sql(query: str, **parameters: Any) -> list[Any]:
        with engine.connect() as connection:
            result = connection.execute(text(query), parameters)
            return list(result.all()) if result.returns_rows else []

    worker = make_context(replace(worker_settings, database_url=Secret(urls[2]), payment_namespace=uuid4()))
    with open_app(replace(settings, database_url=Secret(urls[1]))) as web:
        yield Shop(url=urls[0], sql=sql, client=web.test_client(), run=_runner(web)), worker
    close_app(worker)
    engine.dispose()
    _alone(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shop(opened: tuple[Shop, Flask], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Webhooks are one table, and empty."""
    shop, worker = opened
    turn_back(shop.url)
    for bound in bounds(shop.sql):
        shop.sql(f"ALTER TABLE webhook_deliveries DROP CONSTRAINT {bound}")
    shop.sql("TRUNCATE webhook_deliveries, prune_marks, payments, users CASCADE")
    monkeypatch.setenv("MIGRATION_DATABASE_URL", shop.url)
    with worker.app_context():
        yield shop


def _runner(web: Flask) -> Callable[..., Result]:
    return lambda *arguments: web.test_cli_runner().invoke(args=["webhooks", *map(str, arguments)])


def _alone(servers: Servers, statement: str) -> None:
    engine = create_engine(servers.superuser_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def bounds(sql: Sql) -> list[str]:
    rows = sql("""SELECT conname FROM pg_constraint WHERE conrelid = CAST('webhook_deliveries' AS regclass)
        AND conname LIKE '%\\_before\\_%'""")
    return [row.conname for row in rows]


def bind(sql: Sql, day: Any, *, validated: bool = True) -> None:
    sql(f"""DO $$ BEGIN
        EXECUTE format('ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_before_{day:%Y%m%d}
            CHECK (id < %L) {"" if validated else "NOT VALID"}', uuid_of_day('{day}'));
    END $$""")


def parts(sql: Sql) -> list[str]:
    return [row.name.removeprefix("webhook_deliveries_") for row in sql("SELECT name FROM webhooks_parts()")]


def named(*ago: int, days: int = 1) -> list[str]:
    """Names of parts that begin so many days ago."""
    first = [today() - timedelta(days=each) for each in ago]
    return [f"{day:%Y%m%d}_{day + timedelta(days=days):%Y%m%d}" for day in first]


def of_days_ago(sql: Sql, days: float, state: str = "applied", **columns: str) -> UUID:
    moment = f"interval '-{days} days'"
    columns = {"id": f"uuidv7({moment})", "received_at": f"now() + {moment}", "state": f"'{state}'"} | columns
    return insert_webhook(sql, b"{}", **columns)


def part_of(sql: Sql, delivery: UUID) -> str:
    (row,) = sql("SELECT tableoid::regclass::text AS part FROM webhook_deliveries WHERE id = :id", id=delivery)
    return str(row.part).removeprefix("webhook_deliveries_")


@contextmanager
def held(url: str, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody reads there, and does not end."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(False)) as reader:
        reader.execute(f"SELECT FROM {table} LIMIT 1".encode())
        yield reader


def part_over() -> str:
    """Of parts of ten days one that is over after WEBHOOKS_RETENTION_DAYS (30)."""
    return named(40, days=10)[0]


def part_kept() -> str:
    """The next one, which is not."""
    return named(30, days=10)[0]


def part_of_today() -> str:
    """The newest of them."""
    return named(0, days=10)[0]


@pytest.fixture
def parted(shop: Shop) -> Shop:
    """What was there before is over, too. At the same place of each part is a settled webhook."""
    turn_into_parts(shop.url, ago=40, days=10)
    for days in (41, 35, 25, 5):
        of_days_ago(shop.sql, days)
    assert [part_of(shop.sql, row.id) for row in shop.sql("SELECT id FROM webhook_deliveries ORDER BY id")] == [
        f"before_{today() - timedelta(days=40):%Y%m%d}", part_over(), part_kept(), *named(10, days=10),
    ]  # fmt: skip
    return shop
