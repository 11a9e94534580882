"""On a database that was never migrated commands say so in one line, with status 1, and no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import make_url

from tests.conftest import ROOT, Servers, Sql, with_psycopg
from tests.flower_pages.stack import environment

COMMANDS = (
    ["payments", "check"],
    ["payments", "show", "00000000-0000-7000-8000-000000000000"],
    ["payments", "disputes"],
    ["payments", "refunds"],
    ["webhooks", "list"],
    ["webhook-endpoints", "list"],
    ["api-keys", "list"],
)


def run(servers: Servers, database: str, *words: str) -> subprocess.CompletedProcess[str]:
    urls = {
        name: with_psycopg(make_url(url).set(database=database))
        for name, url in (
            ("DATABASE_URL", servers.web_url),
            ("WORKER_DATABASE_URL", servers.worker_url),
            ("MIGRATION_DATABASE_URL", servers.superuser_url),
        )
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
    settings = environment(servers, **urls)
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def empty(servers: Servers, sql: Sql) -> str:
    sql("CREATE DATABASE without_tables")
    return "without_tables"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_says_it_in_one_line(servers: Servers, empty: str, words: list[str]) -> None:
    done = run(servers, empty, *words)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("Error: The database lacks what this release needs")


def test_the_doctor_goes_on_to_what_it_can_look_at(servers: Servers, empty: str) -> None:
    done = run(servers, empty, "doctor")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "please report it" not in done.stdout, done.stdout
    assert "none applied" in done.stdout
    assert "Migrate first" in done.stdout
    assert "clock of PostgreSQL" in done.stdout
