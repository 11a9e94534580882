"""Checks of PostgreSQL: whether it is ready, whether it is new enough, and whether the invariants hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flask import current_app
from sqlalchemy import text

from checkout_service.database.engine import database_names, execute
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.oversight.invariants import INVARIANTS, count_violations
from checkout_service.oversight.promises import Limits
from checkout_service.refused_writes import REFUSED
from checkout_service.settings.values import DatabaseSettings, WebSettings

OLDEST: Final = 180000

_server = text("""
    SELECT name, setting FROM pg_settings WHERE name IN ('server_version_num', 'statement_timeout')
""")


def check_server() -> Iterator[Finding]:
    """Its version, and the waits that a pooler leaves to the roles."""
    found = {row.name: row.setting for row in execute(_server)}
    if int(found["server_version_num"]) < OLDEST:
        yield wrong(
            "postgresql", f"version {found['server_version_num']}", "Upgrade to 18: uuidv7() and RETURNING old."
        )
    settings: WebSettings | DatabaseSettings = current_app.extensions["settings"]
    names = database_names()
    if settings.database_pooler == "transaction" and found["statement_timeout"] == "0":
        yield advice(
            "pooler",
            "statements have no time limit on the server",
            f"ALTER ROLE {names.web} SET statement_timeout = '2s'; ALTER ROLE {names.worker} SET statement_timeout = "
            "'14s'; and lock_timeout alike: behind a pooler the service cannot set them itself.",
        )


def check_readiness() -> Iterator[Finding]:
    """The checks of /readyz, migrations among them."""
    remedies = {
        "database": "See DATABASE_URL and whether PostgreSQL accepts connections.",
        "migrations": "Run `checkout release` with MIGRATION_DATABASE_URL set.",
        "broker": "See CELERY_BROKER_URL. Webhooks are taken meanwhile, and processed when it is back.",
        "cache": "See REDIS_URL. Everything works without it, slower.",
    }
    for name, result in current_app.extensions["readiness"].checks().items():
        if result == "ok":
            yield ok(name, "at head" if name == "migrations" else "answers")
        elif result.startswith(REFUSED):
            setting = "REDIS_URL" if name == "cache" else "CELERY_BROKER_URL"
            remedy = f"Have {setting} lead to the primary (REPLICAOF NO ONE makes it one), or give it what it needs."
            yield wrong(name, result, remedy)
        else:
            yield wrong(name, result, remedies[name])


def check_invariants() -> Iterator[Finding]:
    """The same numbers as the metrics'; ``payments check`` looks at all rows."""
    counts = count_violations(Limits())
    for invariant in INVARIANTS:
        if counts[invariant.name]:
            yield wrong(invariant.name, f"{counts[invariant.name]} rows break it", invariant.remedy)
    if not any(counts.values()):
        yield ok("invariants", "hold among the newest and oldest rows; `payments check` looks at all")
