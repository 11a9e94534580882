"""Checks of PostgreSQL: whether a commit is durable, and whether each role may do what it must and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from flask import current_app
from sqlalchemy import text

from checkout_service.database.engine import execute
from checkout_service.doctor.environment import unusable
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.doctor.reasons import reason
from checkout_service.oversight.invariants import INVARIANTS, Limits, count_violations
from checkout_service.providers.registry import account_forms
from checkout_service.settings.values import SettingsError, WebSettings, WorkerSettings

OLDEST: Final = 180000

_server = text("""
    SELECT name, setting FROM pg_settings WHERE name IN
        ('fsync', 'full_page_writes', 'synchronous_commit', 'server_version_num', 'statement_timeout')
""")

# By what the connected role may do, whoever granted it.
ROLE: Final = """
    SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        has_any_column_privilege('payments', 'UPDATE'), has_table_privilege('payments', 'DELETE'),
        has_any_column_privilege('payments', 'INSERT'), has_any_column_privilege('payment_events', 'INSERT'),
        has_column_privilege('payments', 'status', 'UPDATE'), coalesce(has_function_privilege(
            to_regprocedure('payments_fold(uuid[], payment_status[], timestamptz[], bytea[])'), 'EXECUTE'), false)
"""


def check_server() -> Iterator[Finding]:
    """A 202 promises a commit that outlives a power cut."""
    found = {row.name: row.setting for row in execute(_server)}
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if found[name] == "off"]
    if off:
        yield wrong(
            "durability", f"{', '.join(off)} off", "A power cut loses webhooks that were answered 202: turn on."
        )
    else:
        yield ok("durability", f"fsync on, synchronous_commit {found['synchronous_commit']}")
    if int(found["server_version_num"]) < OLDEST:
        yield wrong(
            "postgresql", f"version {found['server_version_num']}", "Upgrade to 18: uuidv7() and RETURNING old."
        )
    settings: WebSettings = current_app.extensions["settings"]
    if settings.database_pooler == "transaction" and found["statement_timeout"] == "0":
        yield advice(
            "pooler",
            "statements have no time limit on the server",
            "ALTER ROLE checkout_web SET statement_timeout = '2s'; ALTER ROLE checkout_worker SET statement_timeout = "
            "'14s'; and lock_timeout alike: behind a pooler the service cannot set them itself.",
        )


def check_readiness() -> Iterator[Finding]:
    """The checks of /readyz, migrations among them."""
    remedies = {
        "database": "See DATABASE_URL and whether PostgreSQL accepts connections.",
        "migrations": "Run `flask --app wsgi db upgrade` with MIGRATION_DATABASE_URL set.",
        "broker": "See CELERY_BROKER_URL. Webhooks are taken meanwhile, and processed when it is back.",
        "cache": "See REDIS_URL. Everything works without it, slower.",
    }
    for name, result in current_app.extensions["readiness"].checks().items():
        if result == "ok":
            yield ok(name, "at head" if name == "migrations" else "answers")
        else:
            yield wrong(name, result, remedies[name])


def check_roles() -> Iterator[Finding]:
    """Only the worker has payments computed, and nobody writes their status: PostgreSQL refuses it."""
    (row,) = execute(text(ROLE))
    never = {"update payments", "insert events", "write a payment's status", "have payments computed"}
    yield from _judge("web role", row, must={"insert payments"}, never=never)
    try:
        worker = WorkerSettings.from_environment(account_forms())
    except SettingsError as error:
        yield unusable("worker settings", error, remedy="Run the doctor where the worker's environment is, too.")
        return
    yield ok("worker settings", f"complete, accounts at {', '.join(worker.accounts)}")
    url = worker.database_url.reveal().replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
            found = connection.execute(ROLE).fetchone()
    except psycopg.Error as error:
        yield wrong("worker role", reason(error), "See WORKER_DATABASE_URL: webhooks wait until it works.")
        return
    must = {"update payments", "insert events", "have payments computed"}
    yield from _judge("worker role", found, must=must, never={"insert payments", "write a payment's status"})


def check_invariants() -> Iterator[Finding]:
    """The same numbers as the metrics'; ``payments check`` looks at all rows."""
    counts = count_violations(Limits())
    for invariant in INVARIANTS:
        if counts[invariant.name]:
            yield wrong(invariant.name, f"{counts[invariant.name]} rows break it", invariant.remedy)
    if not any(counts.values()):
        yield ok("invariants", "hold among the newest and oldest rows; `payments check` looks at all")


def _judge(about: str, row: Any, *, must: set[str], never: set[str]) -> Iterator[Finding]:
    name, superuser, update, delete, insert, events, status, fold = row
    may = {
        "update payments": update,
        "delete payments": delete,
        "insert payments": insert,
        "insert events": events,
        "write a payment's status": status,
        "have payments computed": fold,
    }
    if superuser:
        yield wrong(about, f"{name} is a superuser", "Connect as checkout_web or checkout_worker: nothing guards else.")
        return
    too_much = sorted(what for what in never | {"delete payments"} if may[what])
    too_little = sorted(what for what in must if not may[what])
    if too_much:
        yield wrong(about, f"{name} may {', '.join(too_much)}", "REVOKE it, or connect as the role that is meant.")
    if too_little:
        yield wrong(about, f"{name} may not {', '.join(too_little)}", "Run the migrations: they grant what is needed.")
    if not too_much and not too_little:
        yield ok(about, f"{name} may what it must, and no more")
