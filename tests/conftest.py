"""Real servers, a fresh migrated database, and the customers and listings that most tests begin with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import get_ident
from typing import Any, Final
from uuid import UUID, uuid4

import hypothesis
import jwt
import psycopg
import pytest
import redis
from alembic import command
from alembic.config import Config
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, Row, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ProgrammingError
from werkzeug.test import TestResponse

from checkout_service.database.history import ASK
from checkout_service.local.guard import Guard
from checkout_service.local.servers import start_postgres, start_valkey
from checkout_service.settings.provider_accounts import Account
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings, WorkerSettings
from checkout_service.telemetry import logs
from tests import contract
from tests.webhook_parts import turn_into_parts

pytest_plugins = ["tests.provider", "tests.one_day"]

# Every run tries the same examples, and no slow machine fails one; --hypothesis-profile=explore tries others.
EXPLORE: Final = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("explore", EXPLORE)
hypothesis.settings.register_profile("same", EXPLORE, derandomize=True, database=None)
hypothesis.settings.load_profile("same")

ROOT = Path(__file__).parent.parent
JWT_SECRET = "a secret that is known to the tests alone"
MOCK_SECRET = "the secret that the mock provider signs with"
WEBHOOK_SECRETS_KEY = "YSBrZXkgdGhhdCBpcyBrbm93biB0byB0aGUgdGVzdHM="

Sql = Callable[..., list[Row[Any]]]
MakeListing = Callable[..., dict[str, Any]]
Statements = Callable[[], AbstractContextManager[list[str]]]


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Where this run's servers are; the database is fresh and migrated."""

    superuser_url: str
    web_url: str
    worker_url: str
    redis_url: str


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers named by the environment, or embedded ones; in any case with a database of our own."""
    with tempfile.TemporaryDirectory(prefix="checkout-tests-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
        guard = Guard()
        guard.remove_at_end(folder)
        with closing(guard), _redis(folder, guard) as redis_url, _database(folder, guard) as (superuser, web, worker):
            _migrate(superuser)
            if os.environ.get("WEBHOOKS_IN_PARTS"):
                turn_into_parts(superuser)
            yield Servers(superuser_url=superuser, web_url=web, worker_url=worker, redis_url=redis_url)


@pytest.fixture(scope="session")
def settings(servers: Servers) -> WebSettings:
    return WebSettings(
        database_url=Secret(servers.web_url),
        redis_url=Secret(servers.redis_url),
        broker_url=Secret(servers.redis_url),
        environment="test",
        jwt_secret=Secret(JWT_SECRET),
        webhook_secrets_keys=(Secret(WEBHOOK_SECRETS_KEY),),
    )


@pytest.fixture(scope="session")
def worker_settings(servers: Servers) -> WorkerSettings:
    return WorkerSettings(
        database_url=Secret(servers.worker_url),
        redis_url=Secret(servers.redis_url),
        broker_url=Secret(servers.redis_url),
        environment="test",
        accounts={"mock": Account(secrets=[Secret(MOCK_SECRET)])},
        webhook_secrets_keys=(Secret(WEBHOOK_SECRETS_KEY),),
    )


@pytest.fixture(scope="session")
def app(settings: WebSettings) -> Iterator[Flask]:
    from tests.apps import open_app

    with open_app(settings) as app:
        yield app


@pytest.fixture(scope="session")
def worker_app(worker_settings: WorkerSettings) -> Iterator[Flask]:
    """A worker's context, for all rooms."""
    from tests.apps import close_app
    from worker.context import make_context

    logs.configure(production=False)
    app = make_context(worker_settings)
    yield app
    close_app(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(scope="session")
def superuser(servers: Servers) -> Iterator[Engine]:
    engine = create_engine(servers.superuser_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def sql(superuser: Engine) -> Sql:
    """Run one statement as the superuser: ``sql("SELECT … WHERE id = :id", id=…)``; the rows, or none."""

    def run(query: str, **parameters: Any) -> list[Row[Any]]:
        with superuser.connect() as connection:
            result = connection.execute(text(query), parameters)
            return list(result.all()) if result.returns_rows else []

    return run


EMPTY: Final = """
SET session_replication_role = replica;
DO $do$
BEGIN
    EXECUTE (
        SELECT 'CREATE OR REPLACE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql AS $$ BEGIN '
            || string_agg(format(
            'IF pg_relation_size(%1$s) > 1000000 THEN TRUNCATE %2$I CASCADE;
            ELSIF EXISTS (SELECT FROM %2$I) THEN DELETE FROM %2$I; END IF;',
            format('%I', tablename)::regclass::oid, tablename
        ), ' ') || ' END $$'
        FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    );
END
$do$
"""
"""To truncate all tables makes a new file of each and of each of its indexes, most of them for nothing: that was a
third of a test's time. Triggers and foreign keys are off on the connection that does it, since some rows may never be
deleted. As a function of that one connection, what each table is asked is planned once and not before each test."""


@pytest.fixture(scope="session")
def _empty_tables(superuser: Engine, servers: Servers) -> Iterator[Callable[[], None]]:
    with superuser.connect() as connection, redis.Redis.from_url(servers.redis_url) as cache:
        connection.detach()  # nobody else may be given it

        def prepare() -> None:
            connection.exec_driver_sql(EMPTY, execution_options={"no_parameters": True})

        def empty() -> None:
            try:
                connection.exec_driver_sql("SELECT pg_temp.empty()")
            except ProgrammingError:  # a table is gone: that of a day, since a run may go on past midnight
                prepare()
                connection.exec_driver_sql("SELECT pg_temp.empty()")
            cache.flushdb()

        prepare()
        yield empty


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that touches the servers begins with empty ones; what it leaves can be looked at after a failure.

    What it was answered is as the API's document says.
    """
    if "servers" in request.fixturenames:
        request.getfixturevalue("_empty_tables")()
    yield
    undocumented, contract.found[:] = contract.found[:], []
    assert undocumented == []


@dataclass(frozen=True, kw_only=True)
class Customer:
    """Someone with a token, and the client to use it."""

    id: UUID
    headers: Mapping[str, str]
    client: FlaskClient

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self._open("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self._open("POST", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> TestResponse:
        return self._open("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self._open("DELETE", path, **kwargs)

    def _open(self, method: str, path: str, headers: Mapping[str, str] | None = None, **kwargs: Any) -> TestResponse:
        return self.client.open(path, method=method, headers={**self.headers, **(headers or {})}, **kwargs)


@pytest.fixture
def make_customer(app: Flask) -> Callable[[], Customer]:
    """A new customer each time, with a client of its own, so that it may be used in a thread."""

    def make() -> Customer:
        user_id = uuid4()
        token = jwt.encode({"sub": str(user_id), "exp": datetime.now(UTC) + timedelta(hours=1)}, JWT_SECRET, "HS256")
        return Customer(id=user_id, headers={"Authorization": f"Bearer {token}"}, client=app.test_client())

    return make


@pytest.fixture
def customer(make_customer: Callable[[], Customer]) -> Customer:
    return make_customer()


@pytest.fixture
def other_customer(make_customer: Callable[[], Customer]) -> Customer:
    return make_customer()


@pytest.fixture
def make_listing(sql: Sql) -> MakeListing:
    """Insert a listing with a vendor, a school and a spec of its own; overrides are columns of listings."""

    def make(**overrides: Any) -> dict[str, Any]:
        vendor = sql("INSERT INTO vendors (name) VALUES ('Harbour Books') RETURNING id")[0].id
        school = sql("INSERT INTO schools (name) VALUES ('Northgate School') RETURNING id")[0].id
        spec = sql("""INSERT INTO specs (name, attributes) VALUES ('Hardcover', '{"pages": 320}') RETURNING id""")[0].id
        values = {
            "vendor_id": vendor,
            "school_id": school,
            "spec_id": spec,
            "title": "Algebra for beginners",
            "unit_price": "40.00",
            "currency": "USD",
            "stock": 10,
            "active": True,
        } | overrides
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        row = sql(f"INSERT INTO listings ({names}) VALUES ({marks}) RETURNING *", **values)[0]
        return dict(row._mapping)

    return make


@pytest.fixture
def statements() -> Statements:
    """``with statements() as seen:`` lists the SQL that is sent in this thread within the block, by whatever path."""
    send = psycopg.Cursor.execute

    @contextmanager
    def watch() -> Iterator[list[str]]:
        seen: list[str] = []
        thread = get_ident()

        def note(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
            # Not what a new connection looks at first: when the pool makes one is no business of the caller's.
            if get_ident() == thread and query is not ASK:
                seen.append(str(query))
            return send(cursor, query, *arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", note)
            yield seen

    return watch


@contextmanager
def _redis(folder: Path, guard: Guard) -> Iterator[str]:
    if given := os.environ.get("REDIS_URL"):
        yield given
        return
    valkey = start_valkey(folder / "valkey", guard=guard, durable=False)
    with valkey.server:
        yield valkey.url


@contextmanager
def _database(folder: Path, guard: Guard) -> Iterator[tuple[str, str, str]]:
    """URLs of a new, empty database, as superuser, web and worker."""
    name = f"checkout_test_{uuid4().hex[:12]}"
    given = os.environ.get("MIGRATION_DATABASE_URL") or os.environ.get("DATABASE_URL")
    if not given:
        postgres = start_postgres(folder / "postgres", guard=guard, durable=False)
        with postgres.server:
            postgres.create_database(name)
            yield (
                postgres.url("postgres", name),
                postgres.url("checkout_web", name),
                postgres.url("checkout_worker", name),
            )
        return
    admin = make_url(given)
    web = os.environ.get("DATABASE_URL") if os.environ.get("MIGRATION_DATABASE_URL") else None
    worker = os.environ.get("WORKER_DATABASE_URL")
    _run_alone(admin, f"CREATE DATABASE {name}")
    try:
        yield (
            with_psycopg(admin.set(database=name)),
            _as_role(web, admin, "checkout_web", name),
            _as_role(worker, admin, "checkout_worker", name),
        )
    finally:
        _run_alone(admin, f"DROP DATABASE {name} WITH (FORCE)")


def _as_role(given: str | None, admin: URL, role: str, database: str) -> str:
    url = make_url(given) if given else admin.set(username=role).set(password=None)
    return with_psycopg(url.set(database=database))


def with_psycopg(url: URL) -> str:
    """The address with SQLAlchemy's name of the driver, for engines of tests."""
    return url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _run_alone(url: URL, statement: str) -> None:
    engine = create_engine(with_psycopg(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def _migrate(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIGRATION_DATABASE_URL", url)
        command.upgrade(Config(ROOT / "migrations" / "alembic.ini"), "head")
