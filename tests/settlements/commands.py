"""``checkout settlements`` as real processes, beside a provider whose reports lie in a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.conftest import ROOT, Servers
from tests.flower_pages.stack import eventually
from tests.providers.adding.added import write_distribution

GOOD = "payout po_1 18.30\ntxn_1 capture 20.00 0.70\ntxn_2 fee -1.00 0\n"
"""A report that adds up: a capture that nobody here knows, and a fee of its own."""


BACKENDS = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'checkout-settlements' AND pid <> pg_backend_pid()"
)
"""What the server does for commands of this test: other processes of the run may have databases beside this one."""

TERMINATED = BACKENDS.replace("SELECT pid", "SELECT pg_terminate_backend(pid)")

WAITS = (
    "SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database "
    "WHERE datname = current_database() AND NOT granted"
)
"""Whether one waits for a lock of a table here."""


@dataclass(frozen=True, kw_only=True)
class Commands:
    """The settings of the commands, and the folder of the provider's reports."""

    settings: Mapping[str, str]
    reports: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *arguments: str, within: Sequence[str] = (), **given: str) -> subprocess.CompletedProcess[str]:
        """Run one to its end. A setting that is given as '' is not set."""
        process = self.start(*arguments, within=within, **given)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def start(self, *arguments: str, within: Sequence[str] = (), **given: str) -> subprocess.Popen[str]:
        """Begin one; ``within`` is a command that runs it, such as a shell's with limits."""
        environment = {name: value for name, value in {**self.settings, **given}.items() if value}
        process = subprocess.Popen(
            # Whatever runs the tests may be in the background of a shell, which has its children ignore Ctrl-C.
            ["/usr/bin/env", "--default-signal=INT", *within, sys.executable, "-m",
             "checkout_service.command_line", "settlements", *arguments],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the commands' role, for whoever is in their way."""
        return psycopg.connect(self.settings["SETTLEMENTS_DATABASE_URL"])

    def report(self, name: str, text: str = GOOD) -> Path:
        """Put a report where the next fetch finds it."""
        path = self.reports / name
        path.write_text(text)
        return path


@pytest.fixture
def run(servers: Servers, tmp_path: Path) -> Iterator[Commands]:
    reports, site = tmp_path / "reports", tmp_path / "site"
    reports.mkdir()
    write_distribution(site, "acme-payments", acme="tests.settlements.acme:spec")
    url = make_url(servers.superuser_url).set(drivername="postgresql", username="checkout_settlements", password=None)
    commands = Commands(
        reports=reports,
        settings={
            "PATH": str(Path(sys.executable).parent),
            "PYTHONPATH": f"{site}:{ROOT}",
            "ENVIRONMENT": "test",
            "SETTLEMENTS_DATABASE_URL": url.render_as_string(hide_password=False),
            "ACME_REPORTS_FOLDER": str(reports),
        },
    )
    yield commands
    for process in commands.started:
        with process:
            process.kill()
    # What the server goes on with for one that was killed, the next test would take for its own.
    with psycopg.connect(servers.superuser_url.replace("+psycopg", ""), autocommit=True) as superuser:
        eventually(lambda: not superuser.execute(BACKENDS).fetchall())
