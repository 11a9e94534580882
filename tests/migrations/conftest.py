"""Databases to migrate up and down, and a PostgreSQL of our own that has never heard of our roles."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

from checkout_service.local.servers import Postgres
from tests.apps import another_postgres
from tests.conftest import ROOT, Servers, with_psycopg

MIGRATIONS = ROOT / "migrations"
CONFIG = MIGRATIONS / "alembic.ini"
Alembic = Callable[..., None]


@pytest.fixture
def fresh_database(servers: Servers) -> Iterator[str]:
    """The superuser's URL of an empty database."""
    name = f"migrations_{uuid4().hex[:12]}"
    run_as(servers.superuser_url, f"CREATE DATABASE {name}")
    yield with_psycopg(make_url(servers.superuser_url).set(database=name))
    run_as(servers.superuser_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def alembic(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> Alembic:
    """Run an Alembic command on the fresh database: ``alembic("upgrade", "head", schema="shop")``."""
    monkeypatch.setenv("MIGRATION_DATABASE_URL", fresh_database)

    def run(name: str, *arguments: str, schema: str | None = None) -> None:
        options = Namespace(x=[f"schema={schema}"] if schema else [])
        getattr(command, name)(Config(CONFIG, cmd_opts=options), *arguments)

    return run


@pytest.fixture(scope="module")
def virgin() -> Iterator[Postgres]:
    """A PostgreSQL without our roles; a test that makes them takes them away."""
    with another_postgres() as postgres:
        yield postgres


def run_as(url: str, *statements: str) -> None:
    """Statements in autocommit."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def start_upgrade(url: str, *options: str) -> subprocess.Popen[str]:
    """``alembic upgrade head`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(CONFIG), *options, "upgrade", "head"],
        env=os.environ | {"MIGRATION_DATABASE_URL": url},
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status, and what it output."""
    _, output = process.communicate(timeout=60)
    return process.returncode, output
