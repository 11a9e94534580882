"""``checkout database check``: the part of the doctor that is about PostgreSQL, without the application.

It needs the addresses alone, so it can be run once the database was made, before there is anything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from checkout_service.database.engine import connect_database, database_names, execute
from checkout_service.database.environment_lines import EnvironmentLines, EnvironmentLinesError
from checkout_service.database.errors import DatabaseUnavailableError
from checkout_service.database.schema import REVISION, what_is_missing
from checkout_service.doctor.cli import report
from checkout_service.doctor.connections import check_connections
from checkout_service.doctor.database import check_server
from checkout_service.doctor.days import check_days
from checkout_service.doctor.durability import check_durability
from checkout_service.doctor.extensions import check_extensions
from checkout_service.doctor.findings import Finding, ok, wrong
from checkout_service.doctor.parts import check_parts
from checkout_service.doctor.roles import check_roles
from checkout_service.settings.values import DatabaseSettings, SettingsError
from checkout_service.telemetry import logs

_REVISION = text(REVISION)


@click.command("check")
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The environment file with the addresses; what the environment sets goes before it.",
)
def check(env_file: Path | None) -> None:
    """Look whether the database is as this release needs it, and say what to do; exits with 1 if something is wrong.

    By DATABASE_URL and, where they are there, WORKER_DATABASE_URL and SETTLEMENTS_DATABASE_URL: each role is looked at
    by its own connection.
    """
    try:
        if env_file is not None:
            if not env_file.exists():
                raise click.UsageError(f"{env_file} is not there.")
            for name, value in EnvironmentLines(env_file).settings().items():
                os.environ.setdefault(name, value)
        settings = DatabaseSettings.from_environment("DATABASE_URL")
    except (EnvironmentLinesError, SettingsError) as error:
        raise click.UsageError(str(error)) from None
    logs.configure(production=False)
    app = Flask("database-check")
    app.extensions["settings"] = settings
    connect_database(app, settings.database_url, name="database-check", pool_size=1, pooler=settings.database_pooler)
    checks = (
        *(check_migrations, check_server, check_durability, check_extensions),
        *(check_roles, check_connections, check_parts, check_days),
    )
    with app.app_context():
        if report(checks):
            raise SystemExit(1)


def check_migrations() -> Iterator[Finding]:
    """Whether it answers, and has the schema of this code."""
    remedy = "Run `checkout release` with MIGRATION_DATABASE_URL set."
    try:
        rows = execute(_REVISION)
    except DatabaseUnavailableError:
        yield wrong("database", "away", "See DATABASE_URL and whether PostgreSQL accepts connections.")
        return
    except ProgrammingError:
        yield wrong("migrations", "none applied", remedy)
        return
    yield ok("database", "answers")
    if missing := what_is_missing(rows[0] if rows else None, schema=database_names().schema):
        yield wrong("migrations", missing, remedy)
    else:
        yield ok("migrations", "at head")
