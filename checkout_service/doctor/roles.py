"""Checks of the login roles: each may do what it must and nothing else, and what no right bounds has a bound.

Each role is looked at from its own connection, so that nothing has to be believed about how it came by a right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import psycopg
from sqlalchemy import text

from checkout_service.database.engine import database_names, execute
from checkout_service.doctor.environment import unusable
from checkout_service.doctor.findings import Finding, advice, ok, wrong
from checkout_service.doctor.reasons import reason
from checkout_service.doctor.rights import (
    CALLABLE,
    HELD,
    SETTLEMENTS,
    SETTLEMENTS_FUNCTIONS,
    WEB,
    WEB_FUNCTIONS,
    WORKER,
    WORKER_FUNCTIONS,
    Rights,
    differences,
    held_rights,
)
from checkout_service.settings.database_names import connection_to
from checkout_service.settings.settlements import has_settlements
from checkout_service.settings.values import DatabaseSettings, SettingsError

NAMED: Final = 3
"""How many differences a finding names; the rest is counted."""

POWERS: Final = """
    SELECT current_user::text, role.rolsuper,
        array_remove(ARRAY[
            CASE WHEN role.rolcreaterole THEN 'make roles' END,
            CASE WHEN role.rolcreatedb THEN 'make databases' END,
            CASE WHEN role.rolreplication THEN 'replicate' END,
            CASE WHEN role.rolbypassrls THEN 'bypass row security' END,
            CASE WHEN EXISTS (SELECT FROM pg_auth_members WHERE member = role.oid) THEN 'act as another role' END,
            CASE WHEN has_schema_privilege(current_schema(), 'CREATE') THEN 'make tables' END,
            CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN 'make schemas' END
        ], NULL),
        array_remove(ARRAY[
            CASE WHEN has_database_privilege(current_database(), 'TEMPORARY') THEN 'temporary tables' END,
            CASE WHEN has_function_privilege('lo_from_bytea(oid, bytea)', 'EXECUTE')
                OR has_function_privilege('lo_create(oid)', 'EXECUTE')
                OR has_function_privilege('lo_creat(integer)', 'EXECUTE') THEN 'large objects' END,
            CASE WHEN has_function_privilege('pg_advisory_lock(bigint)', 'EXECUTE')
                OR has_function_privilege('pg_advisory_xact_lock(bigint)', 'EXECUTE') THEN 'advisory locks' END,
            CASE WHEN current_setting('temp_file_limit') = '-1' THEN 'temporary files' END,
            CASE WHEN role.rolconnlimit = -1 THEN 'connections' END
        ], NULL),
        (SELECT count(*) FROM pg_largeobject_metadata WHERE lomowner = role.oid)
    FROM pg_roles AS role WHERE role.rolname = current_user
"""
"""Whether the role is a superuser, what it may do beyond its tables, and what of it has no bound."""

WHERE: Final = """
    SELECT current_schemas(false)::text[], current_user::text, current_database()::text, ARRAY(
        SELECT proname::text FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace AND prosecdef
            AND NOT coalesce(proconfig @> ARRAY[format('search_path=%I, pg_temp', current_schema())], false)
        ORDER BY 1)
"""
"""Where names lead to, and which functions of the owner look for them elsewhere."""

Ask = Callable[[str], Sequence[Any]]


def check_roles() -> Iterator[Finding]:
    """Only the worker has payments computed, and nobody writes their status: PostgreSQL refuses it."""
    yield from judge("web role", lambda query: execute(text(query)), rights=WEB, functions=WEB_FUNCTIONS)
    yield from judge_place("web's schema", execute(text(WHERE)), schema=database_names().schema)
    yield from _check_role(
        "worker",
        "WORKER_DATABASE_URL",
        rights=WORKER,
        functions=WORKER_FUNCTIONS,
        remedy="See WORKER_DATABASE_URL: webhooks wait until it works.",
    )
    if has_settlements():  # of a command, whose settings are elsewhere as a rule
        yield from _check_role(
            "settlements",
            "SETTLEMENTS_DATABASE_URL",
            rights=SETTLEMENTS,
            functions=SETTLEMENTS_FUNCTIONS,
            remedy="See SETTLEMENTS_DATABASE_URL: nothing is fetched until it works.",
        )


def _check_role(
    role: str, setting: str, *, rights: Rights, functions: frozenset[str], remedy: str
) -> Iterator[Finding]:
    """The role that logs in by this setting, from a connection of its own."""
    about, place = f"{role} role", f"{role}'s schema"
    try:
        settings = DatabaseSettings.from_environment(setting)
    except SettingsError as error:
        yield unusable(about, error, remedy=f"Run it where the {role}'s environment is, too.")
        return
    parameters = connection_to(settings.database_url, pooler=settings.database_pooler) | {"connect_timeout": 3}
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            yield from judge(
                about,
                lambda query: connection.execute(query.encode()).fetchall(),
                rights=rights,
                functions=functions,
            )
            found = connection.execute(WHERE.encode()).fetchall()
            yield from judge_place(place, found, schema=database_names().schema)
    except psycopg.Error as error:
        yield wrong(about, reason(error), remedy)


def judge(about: str, ask: Ask, *, rights: Rights, functions: frozenset[str]) -> Iterator[Finding]:
    """What the role that ``ask`` connects as may do too much, or not enough, and what of it has no bound."""
    ((name, superuser, powers, unbounded, large_objects),) = ask(POWERS)
    if superuser:
        yield wrong(about, f"{name} is a superuser", "Connect as the role that is meant: nothing guards else.")
        return
    may_call = {function for (function,) in ask(CALLABLE)}
    too_much, too_little = differences(rights, held_rights(ask(HELD)))
    too_much = [*powers, *too_much, *(f"call {function}" for function in sorted(may_call - functions))]
    too_little += [f"call {function}" for function in sorted(functions - may_call)]
    if too_much:
        yield wrong(about, f"{name} may {_named(too_much)}", "REVOKE it, or connect as the role that is meant.")
    if too_little:
        yield wrong(about, f"{name} may not {_named(too_little)}", "Run the migrations: they grant what is needed.")
    if not too_much and not too_little:
        yield ok(about, f"{name} may what it must, and no more")
    if unbounded:
        remedy = "No migration may bound it: `checkout database bounds | psql`, once, as a superuser, in this database."
        yield advice(f"{about}'s bounds", f"none on {', '.join(unbounded)}", remedy)
    if large_objects:
        remedy = (
            f"No code of ours makes one: find out who did, then remove what {name} owns in pg_largeobject_metadata."
        )
        yield wrong(f"{about}'s objects", f"{large_objects} large objects", remedy)


def judge_place(about: str, found: Sequence[Any], *, schema: str) -> Iterator[Finding]:
    """Whether names lead to the schema of this deployment alone, in connections and in the owner's functions."""
    ((path, role, database, misled),) = found
    if path != [schema]:
        yield wrong(
            about,
            f"{role} finds tables in {', '.join(path) or 'no schema'}, not in {schema} alone",
            "Behind a pooler it is the role's default. As a superuser, or whoever made the role: "
            f'ALTER ROLE {role} IN DATABASE "{database}" SET search_path = {schema}',
        )
    elif misled:
        yield wrong(
            about,
            f"{_named(misled)} look for tables in another schema",
            f"Was it renamed? As its owner, for each: ALTER FUNCTION NAME SET search_path = {schema}, pg_temp",
        )


def _named(differences: Sequence[str]) -> str:
    more = f", and {len(differences) - NAMED} more" if len(differences) > NAMED else ""
    return f"{', '.join(differences[:NAMED])}{more}"
