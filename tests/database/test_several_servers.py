"""Several servers in one address: whoever connects finds the one that takes writes, wherever it stands in the list."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from checkout_service.database.engine import execute
from checkout_service.database.owner import owner_connection
from checkout_service.database.statements import Statement
from checkout_service.local.guard import Guard
from checkout_service.local.servers import start_postgres
from checkout_service.settings.database_addresses import connection_parameters
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp
from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, status_of, webhook

_server = Statement("SELECT current_setting('transaction_read_only') AS read_only, current_user::text AS role")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where nothing listens, where a server takes no writes, and where one does."""

    gone: Path
    read_only: Path
    writable: Path
    database: str

    def url(self, role: str) -> str:
        return f"postgresql://{role}@/{self.database}?host={self.gone},{self.read_only},{self.writable}"

    def words(self, role: str) -> str:
        return f"host={self.gone},{self.read_only},{self.writable} dbname={self.database} user={role}"


@pytest.fixture(scope="module")
def places(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    given = make_url(servers.web_url)
    if "host" not in given.query or given.database is None:
        pytest.skip("NO SECOND SERVER: the tests' PostgreSQL is not ours, so no address can name both")
    folder = tmp_path_factory.mktemp("read-only")
    with closing(Guard()) as guard:
        postgres = start_postgres(folder / "postgres", guard=guard, durable=False)
        with postgres.server:
            postgres.create_database(given.database)
            with psycopg.connect(host=str(postgres.socket_folder), user="postgres", autocommit=True) as connection:
                for role in ("checkout_web", "checkout_worker"):
                    connection.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN").format(psycopg.sql.Identifier(role)))
                connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
                connection.execute("SELECT pg_reload_conf()")
            alone = f"postgresql://checkout_web@/{given.database}?host={postgres.socket_folder}"
            eventually(lambda: _is_read_only(alone))
            yield Places(
                gone=folder / "gone",
                read_only=postgres.socket_folder,
                writable=Path(str(given.query["host"])),
                database=given.database,
            )


def _is_read_only(address: str) -> bool:
    with psycopg.connect(address) as connection:
        return connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_options_of_the_address_stand_beside_those_of_the_service(places: Places, make_app: MakeApp) -> None:
    url = f"{places.url('checkout_web')}&options=-c%20work_mem%3D5MB"
    with make_app(database_url=Secret(url)).app_context():
        (found,) = execute(
            Statement("SELECT current_setting('work_mem') AS work, current_setting('lock_timeout') AS wait")
        )
    assert (found.work, found.wait) == ("5MB", "2s")


@pytest.mark.parametrize("form", ["url", "words"])
def test_web_and_owner_find_the_server_that_takes_writes(places: Places, make_app: MakeApp, form: str) -> None:
    write = places.url if form == "url" else places.words
    with make_app(database_url=Secret(write("checkout_web"))).app_context():
        (found,) = execute(_server)
    assert (found.read_only, found.role) == ("off", "checkout_web")
    with owner_connection(Secret(write("postgres")), name="test") as connection:
        assert connection.execute("SELECT current_user::text, pg_is_in_recovery()").fetchone() == (
            "checkout_owner",
            False,
        )


def test_without_the_default_the_first_that_answers_would_be_taken(places: Places) -> None:
    parameters = connection_parameters(places.url("checkout_web"))
    del parameters["target_session_attrs"]
    with psycopg.connect(**parameters) as connection:
        assert connection.execute("SHOW transaction_read_only").fetchone() == ("on",)


def test_every_process_works_on_several_servers(places: Places, servers: Servers, sql: Sql, tmp_path: Path) -> None:
    settings = stack.environment(
        servers,
        DATABASE_URL=places.url("checkout_web"),
        WORKER_DATABASE_URL=places.words("checkout_worker"),
        MIGRATION_DATABASE_URL=places.url("postgres"),
    )
    upgraded = _flask(settings, "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    reference = insert_payment(sql)
    with stack.run(tmp_path, settings, "web", "worker"), httpx.Client(timeout=60) as client:
        answer = client.post(
            f"http://127.0.0.1:{settings['PORT']}/api/payments/webhook",
            content=webhook(reference),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 202, answer.text
        eventually(lambda: status_of(sql, reference) == "paid")
        report = _flask(settings, "doctor").stdout
    lines = {line[9:32].strip(): line for line in report.splitlines() if not line.startswith(" ")}
    for about in ("database", "migrations", "web role", "worker role"):
        assert lines[about].startswith("ok "), report


def _flask(settings: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *words],
        cwd=ROOT,
        env={**settings, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
