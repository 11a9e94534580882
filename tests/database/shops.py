"""A server that asks for passwords, and deployments that ``database init`` makes there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import click.testing
import psycopg
import pytest

from checkout_service.database.environment_lines import EnvironmentLines
from checkout_service.database.setup_cli import database
from checkout_service.database.setup_roles import SETTINGS
from checkout_service.local.servers import Postgres
from checkout_service.settings.database_names import DatabaseNames
from tests.apps import another_postgres
from tests.conftest import ROOT

ADMIN_PASSWORD = "the administrator's own"
LOGINS = ("DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATION_DATABASE_URL", "SETTLEMENTS_DATABASE_URL")

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Everybody but its superuser needs a password; every statement is logged."""
    with another_postgres() as postgres:
        with superuser_of(postgres) as superuser:
            (path,) = superuser.execute("SHOW hba_file").fetchone() or ("",)
            Path(path).write_text("local all postgres trust\nlocal all all scram-sha-256\n", encoding="ascii")
            superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
            superuser.execute(f"CREATE ROLE dba LOGIN CREATEROLE CREATEDB PASSWORD $${ADMIN_PASSWORD}$$".encode())
            superuser.execute("SELECT pg_reload_conf()")
        yield postgres


def superuser_of(postgres: Postgres, name: str = "postgres") -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(postgres.socket_folder), user="postgres", dbname=name, autocommit=True)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A deployment of a test's own: its names, its database, and the folder of its environment file."""

    server: Postgres
    folder: Path
    prefix: str = field(default_factory=lambda: f"shop_{next(_NUMBERS)}")

    @property
    def names(self) -> DatabaseNames:
        return DatabaseNames(schema=self.prefix, prefix=self.prefix)

    @property
    def file(self) -> Path:
        return self.folder / "checkout.env"

    @property
    def settings(self) -> dict[str, str]:
        return EnvironmentLines(self.file).settings()

    @property
    def environment(self) -> dict[str, str]:
        """Where nothing is made yet."""
        return {
            "ADMIN_DATABASE_URL": self.admin("dba", ADMIN_PASSWORD),
            "DATABASE_SCHEMA": self.prefix,
            "DATABASE_ROLE_PREFIX": self.prefix,
        }

    def admin(self, user: str, password: str = "") -> str:
        return f"postgresql://{user}:{password.replace(' ', '%20')}@/{self.prefix}?host={self.server.socket_folder}"

    def init(self, *arguments: str, stdin: str | None = None, **environment: str) -> click.testing.Result:
        return click.testing.CliRunner(env=without_ours(self.environment | environment)).invoke(
            database, ["init", "--env-file", str(self.file), *arguments], input=stdin
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same in a process."""
        return subprocess.Popen(
            [sys.executable, "-c", "from checkout_service.database.setup_cli import database; database()",
             "init", "--env-file", str(self.file), *arguments],
            env={"PATH": os.environ["PATH"], **self.environment}, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def verifiers(self) -> dict[str, str]:
        with superuser_of(self.server) as superuser:
            return dict(
                superuser.execute(
                    "SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE %s", (f"{self.prefix}\\_%",)
                ).fetchall()
            )

    def log_in(self, setting: str) -> str:
        with psycopg.connect(self.settings[setting]) as connection:
            (user,) = connection.execute("SELECT current_user::text").fetchone() or ("",)
        return str(user)


def migrate(shop: Shop) -> subprocess.CompletedProcess[str]:
    """All migrations, as the owner of the deployment."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "upgrade", "head"],
        env={"PATH": os.environ["PATH"], **shop.settings}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip


def without_settlements_role(shop: Shop) -> None:
    """Take the fourth role away, and its address, as if it was never made."""
    with superuser_of(shop.server, shop.prefix) as superuser:
        superuser.execute(f"DROP OWNED BY {shop.names.settlements}".encode())
        superuser.execute(f"DROP ROLE {shop.names.settlements}".encode())
    lines = shop.file.read_text().splitlines(keepends=True)
    shop.file.write_text("".join(line for line in lines if not line.startswith("SETTLEMENTS_")))


def without_ours(environment: Mapping[str, str]) -> Mapping[str, str | None]:
    """None takes a variable away."""
    return dict.fromkeys((*SETTINGS.values(), "ADMIN_DATABASE_URL")) | dict(environment)


@pytest.fixture
def shop(server: Postgres, tmp_path: Path) -> Shop:
    return Shop(server=server, folder=tmp_path)


def backends(shop: Shop) -> list[Any]:
    with superuser_of(shop.server) as superuser:
        query = "SELECT FROM pg_stat_activity WHERE application_name = 'database-init'"
        return superuser.execute(query).fetchall()
