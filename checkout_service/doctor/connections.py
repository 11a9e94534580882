"""Checks of connections: the web leaves some to the workers, and each role has as many as its processes need.

What a role may have is one number for the whole cluster: all hosts, and all databases of that cluster, share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flask import current_app
from sqlalchemy import text

from checkout_service.database.engine import database_names, execute
from checkout_service.database.pools import web_connections, worker_connections
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.settings.database_names import connection_to
from checkout_service.settings.process_counts import ProcessCounts
from checkout_service.settings.values import DatabaseSettings, SettingsError, WebSettings

ABOUT: Final = "connections"

UNLIMITED: Final = -1

# A database may have a limit of its own. It is no superuser that connects: what is reserved for others is not there.
_LIMITS: Final = text("""
    SELECT current_user::text AS web_role, web.rolsuper AS is_superuser,
        web.rolconnlimit AS web, worker.rolconnlimit AS worker,
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - current_setting('reserved_connections')::int AS given,
        datconnlimit AS of_database,
        (SELECT coalesce(sum(rolconnlimit), 0) FROM pg_roles
            WHERE rolcanlogin AND rolconnlimit > 0 AND rolname NOT IN (current_user, :worker, :settlements)) AS others
    FROM pg_database, pg_roles AS web LEFT JOIN pg_roles AS worker ON worker.rolname = :worker
    WHERE datname = current_database() AND web.rolname = current_user
""")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the server gives to all, and to each role; ``UNLIMITED`` where a role has no limit of its own."""

    given: int
    web: int
    worker: int
    others: int = 0
    """What roles that are not ours may have together, by limits of their own; those without one are not counted."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the processes of one host have at most, and by what name each role's connect."""

    web: int
    worker: int
    web_role: str = "checkout_web"
    worker_role: str = "checkout_worker"


def check_connections() -> Iterator[Finding]:
    """Compare what the server gives with what this host's configuration needs."""
    settings: WebSettings | DatabaseSettings = current_app.extensions["settings"]
    worker_role = _worker_role()
    [row] = execute(_LIMITS, {"worker": worker_role, "settlements": database_names().settlements})
    if row.is_superuser or row.worker is None:
        return  # the checks of roles say so
    given = row.given if row.of_database == UNLIMITED else min(row.given, row.of_database)
    limits = Limits(given=given, web=row.web, worker=row.worker, others=int(row.others))
    yield from judge_shares(limits, web_role=row.web_role, worker_role=worker_role)
    if settings.database_pooler == "none":
        counts = ProcessCounts.from_environment()
        needs = Needs(
            web=web_connections(children=counts.web, threads=settings.web_threads),
            worker=worker_connections(worker=counts.worker, housekeeping=counts.housekeeping),
            web_role=row.web_role,
            worker_role=worker_role,
        )
        yield from judge_needs(limits, needs)


def judge_shares(limits: Limits, *, web_role: str, worker_role: str) -> Iterator[Finding]:
    """Whether both roles together find room, so that neither keeps the other out."""
    if limits.web == UNLIMITED:
        yield advice(
            ABOUT,
            f"{web_role} has no limit: it may leave none to the workers",
            f"As a superuser: ALTER ROLE {web_role} CONNECTION LIMIT {max(1, limits.given * 5 // 9)}; it is for the "
            "whole cluster. Webhooks would be answered 202 and not be applied.",
        )
        return
    kept = 0 if limits.worker == UNLIMITED else limits.worker
    result = f"web {limits.web} and workers {kept or 'without limit'}, of {limits.given}"
    if limits.web + kept >= limits.given:
        yield wrong(
            ABOUT,
            result,
            f"The web may leave too few to the workers: raise max_connections above {limits.web + kept} and what is "
            f"reserved, or ALTER ROLE {web_role} CONNECTION LIMIT {max(1, limits.given - kept - 1)};",
        )
    elif limits.web + kept + limits.others > limits.given:
        yield advice(
            ABOUT,
            f"{result}, and roles of others {limits.others}",
            "Together they may leave none to the workers: raise max_connections, or give each its share by `checkout "
            "database init --connections N` or ALTER ROLE … CONNECTION LIMIT.",
        )
    else:
        yield ok(ABOUT, result)


def judge_needs(limits: Limits, needs: Needs) -> Iterator[Finding]:
    """Whether each role may have what its processes on one host need; while a release is rolled out they are twice."""
    for about, role, limit, need in (
        ("web's connections", needs.web_role, limits.web, needs.web),
        ("workers' connections", needs.worker_role, limits.worker, needs.worker),
    ):
        most = limits.given if limit == UNLIMITED else limit
        result = f"{need} at most on a host like this one, of {most}"
        remedy = f"As a superuser, once max_connections allows it: ALTER ROLE {role} CONNECTION LIMIT "
        if need > most:
            yield wrong(about, result, f"{remedy}{need}; and as many more for each other host.")
        elif 2 * need > most:
            yield advice(about, result, f"{remedy}{2 * need}; where a rollout runs old and new processes at once.")
        else:
            yield ok(about, result)


def _worker_role() -> str:
    """By what name the workers connect; the usual one where this host does not know."""
    try:
        url = DatabaseSettings.from_environment("WORKER_DATABASE_URL").database_url
    except SettingsError:
        return database_names().worker
    return str(connection_to(url).get("user") or database_names().worker)
