"""Makes what a deployment needs in PostgreSQL: database, roles with passwords, schema, rights, limits of connections.

An administrator does it once; releases then migrate as the owner of the tables and need nobody. The administrator may
be no superuser: whoever may make roles, and owns the database or may make it. Passwords have 256 bits. They go into the
environment file, and to the server as SCRAM verifiers alone, so that no log of its statements holds one.

The file is written first: where it ends in between, the next run makes the roles with the passwords that stand there.
All else is one transaction. Who does the same at this moment waits, and finds nothing left to do.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from psycopg import sql

from checkout_service.database.environment_lines import EnvironmentLines
from checkout_service.database.preparing import EXTENSIONS, MADE_BY_ANOTHER, ROLES, rights
from checkout_service.database.role_addresses import (
    UnwritableAddressError,
    address_for,
    options_of,
    user_and_password,
)
from checkout_service.settings.database_addresses import AddressError
from checkout_service.settings.database_names import PREFIX, SCHEMA, DatabaseAddress, DatabaseNames, connection_to
from checkout_service.settings.secret import Secret

OLDEST: Final = 180000

SETTINGS: Final[Mapping[str, str]] = {
    "owner": "MIGRATION_DATABASE_URL",
    "web": "DATABASE_URL",
    "worker": "WORKER_DATABASE_URL",
    "settlements": "SETTLEMENTS_DATABASE_URL",
}
"""Where the address of each role stands."""

BYTES: Final = 32
"""Of a password that is made."""

_OPTIONS: Final = "-c lock_timeout=60000 -c statement_timeout=120000"

_AGAIN_FOR: Final = 30.0
"""Seconds for which it begins again, while somebody else makes the same."""

_KNOWN: Final = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
_WITHOUT_PASSWORD: Final = "SELECT rolname FROM pg_authid WHERE rolname = ANY(%s) AND rolpassword IS NULL"  # noqa: S105
_SERVER: Final = """
    SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), rolsuper,
        rolsuper OR rolcreaterole
    FROM pg_roles WHERE rolname = current_user
"""

# Connections of the server that both roles together may have, by what it gives to those who are no superusers.
_LIMITS: Final = """
DO $$
DECLARE
    given integer := current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int - current_setting('reserved_connections')::int;
    ours integer := nullif(current_setting('checkout.connections', true), '')::int;
    login text;
BEGIN
    ours := least(coalesce(ours, given * 9 / 10), given);
    FOR login IN SELECT rolname FROM pg_roles
        WHERE rolname IN ('checkout_web', 'checkout_worker', 'checkout_settlements') AND rolconnlimit = -1
    LOOP
        EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', login, CASE login
            WHEN 'checkout_web' THEN ours * 5 / 9 WHEN 'checkout_worker' THEN ours * 4 / 9 ELSE least(ours, 5) END);
    END LOOP;
    IF has_parameter_privilege('temp_file_limit', 'SET') THEN
        FOREACH login IN ARRAY ARRAY['checkout_web', 'checkout_worker'] LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET temp_file_limit = ''1GB''', login, current_database());
        END LOOP;
    END IF;
    FOREACH login IN ARRAY ARRAY['checkout_owner', 'checkout_web', 'checkout_worker', 'checkout_settlements'] LOOP
        IF NOT has_database_privilege(login, current_database(), 'CONNECT') THEN
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), login);
        END IF;
    END LOOP;
    -- The import of the catalogue makes a temporary table.
    IF NOT has_database_privilege('checkout_owner', current_database(), 'TEMPORARY') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO checkout_owner', current_database());
    END IF;
END
$$
"""


class SetupError(Exception):
    """It cannot be done, and nothing was; or what was done is said. No part of an address is in the message."""


@dataclass(kw_only=True)
class Prepared:
    """What was done, in words that hold no secret."""

    steps: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Roles that cannot log in by the address that stands in the file."""


@dataclass(frozen=True, kw_only=True)
class _Role:
    name: str
    setting: str
    address: str
    password: str | None
    """To be set; None where it stays as it is."""


def prepare_database(
    admin: Secret,
    *,
    names: DatabaseNames,
    environment: Mapping[str, str],
    file: EnvironmentLines | None,
    renew: Collection[str] = (),
    connections: int | None = None,
) -> Prepared:
    """Make what is missing. ``renew`` are roles, by the keys of SETTINGS, that get a new password.

    ``connections`` are how many of the server's web and workers may have together, where they have no limit yet.
    Raises SetupError, EnvironmentLinesError and AddressError.
    """
    address = connection_to(DatabaseAddress(admin.reveal(), names))
    address |= {"application_name": "database-init", "options": f"{address['options']} {_OPTIONS}"}
    address.setdefault("connect_timeout", 10)
    if not address.get("dbname"):
        raise SetupError("The administrator's address names no database.")
    done = Prepared()
    with _connected(address, done) as connection:
        superuser = _look(connection)
        in_file = {} if file is None else file.settings()
        roles = _decide(connection, address, names, in_file, environment, superuser=superuser, renew=renew)
        _write(file, in_file, environment, address, names, roles, done)
        _in_turn(connection, lambda: _make(connection, names, roles, connections, done))
    for role in roles:
        if fault := _log_in(role, names):
            done.faults.append(f"{role.name} cannot log in by {role.setting}: {fault}")
    return done


def _connected(address: Mapping[str, Any], done: Prepared) -> psycopg.Connection[Any]:
    """A connection to the database, which is made where it is missing. Raises SetupError."""
    try:
        return psycopg.connect(**address, autocommit=True)
    except psycopg.OperationalError as error:
        refused = error
    for other in ("postgres", "template1"):
        try:
            with psycopg.connect(**{**address, "dbname": other}, autocommit=True) as beside:
                if beside.execute("SELECT FROM pg_database WHERE datname = %s", (address["dbname"],)).fetchone():
                    break
                statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
                try:
                    beside.execute(statement.format(sql.Identifier(address["dbname"])))
                except psycopg.errors.DuplicateDatabase:
                    pass  # somebody else has just made it
                except psycopg.Error as error:
                    raise SetupError(f"The database is missing and cannot be made: {_primary(error)}.") from None
                else:
                    done.steps.append("made the database")
            return psycopg.connect(**address, autocommit=True)
        except psycopg.OperationalError:
            continue
    raise SetupError(f"The administrator cannot connect: {why(refused)}.") from None


def _look(connection: psycopg.Connection[Any]) -> bool:
    """Whether the administrator is a superuser. Raises SetupError where server or administrator will not do."""
    version, encoding, superuser, may_create = connection.execute(_SERVER).fetchone() or (0, "", False, False)
    if version < OLDEST:
        raise SetupError(f"This is PostgreSQL {version // 10_000}: 18 is needed.")
    if encoding != "UTF8":
        raise SetupError(f"The database's encoding is {encoding}: make it with ENCODING 'UTF8' TEMPLATE template0.")
    if not may_create:
        raise SetupError("The administrator may make no roles: it needs CREATEROLE, or to be a superuser.")
    return bool(superuser)


def _decide(
    connection: psycopg.Connection[Any],
    admin: Mapping[str, Any],
    names: DatabaseNames,
    in_file: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    superuser: bool,
    renew: Collection[str],
) -> list[_Role]:
    """What becomes of each role. Raises SetupError where one's password is nowhere, before anything is changed."""
    every = [getattr(names, key) for key in SETTINGS]
    there = {name for (name,) in connection.execute(_KNOWN, (every,))}
    bare = {name for (name,) in connection.execute(_WITHOUT_PASSWORD, (every,))} if superuser else set()
    try:
        options, _ = options_of(admin)
    except UnwritableAddressError as error:
        raise SetupError(f"{error}.".capitalize()) from None
    found = []
    for key, setting in SETTINGS.items():
        name: str = getattr(names, key)
        known = in_file.get(setting) or environment.get(setting)
        if key in renew and setting in environment and setting not in in_file:
            raise SetupError(f"{setting} is not in the file: where it is given, it has to be renewed as well.")
        if known is not None and key not in renew:
            user, password = _read(setting, known)
            if user != name and key != "owner":
                raise SetupError(f"{setting} is the address of another role than {name}.")
            is_set = user == name and (name not in there or name in bare)
            found.append(_Role(name=name, setting=setting, address=known, password=password if is_set else None))
            continue
        if name in there and name not in bare and key not in renew:
            raise SetupError(
                f"The role {name} exists, and its password is nowhere: set {setting}, or have a new one made by "
                f"--renew {key}, after which nobody logs in with the old one."
            )
        password = secrets.token_urlsafe(BYTES)
        address = address_for(admin, user=name, password=password, database=str(admin["dbname"]), options=options)
        found.append(_Role(name=name, setting=setting, address=address, password=password))
    return found


def _write(
    file: EnvironmentLines | None,
    in_file: Mapping[str, str],
    environment: Mapping[str, str],
    admin: Mapping[str, Any],
    names: DatabaseNames,
    roles: Collection[_Role],
    done: Prepared,
) -> None:
    """Write what is new. Raises SetupError where it may not be lost and there is no file."""
    _, variables = options_of(admin)
    given = {**environment, **in_file}
    new = {role.setting: role.address for role in roles if given.get(role.setting) != role.address}
    if not new:
        return
    if file is None:
        raise SetupError("Passwords are to be made: name the file that they are written to by --env-file.")
    for name, value in variables.items():
        if in_file.get(name, value) != value:
            raise SetupError(f"The file sets {name} to something else than the administrator's address has.")
    ours = {"DATABASE_SCHEMA": (names.schema, SCHEMA), "DATABASE_ROLE_PREFIX": (names.prefix, PREFIX)}
    new |= variables
    new |= {name: value for name, (value, usual) in ours.items() if value != usual and name not in in_file}
    file.write(new)
    done.steps.append(f"wrote {', '.join(new)}")


def _in_turn(connection: psycopg.Connection[Any], work: Callable[[], None]) -> None:
    """Do it in a transaction, and again where somebody else has just made the same. Raises SetupError."""
    until = monotonic() + _AGAIN_FOR
    while True:
        try:
            with connection.transaction():
                work()
        except psycopg.Error as error:
            if error.sqlstate not in MADE_BY_ANOTHER or monotonic() > until:
                raise SetupError(f"PostgreSQL refused, and all is as before: {_primary(error)}.") from None
            sleep(0.2)
        else:
            return


def _make(
    connection: psycopg.Connection[Any],
    names: DatabaseNames,
    roles: Collection[_Role],
    connections: int | None,
    done: Prepared,
) -> None:
    there = {name for (name,) in connection.execute(_KNOWN, ([role.name for role in roles],))}
    steps = []
    for role in roles:
        if role.name in there and role.password is None:
            continue
        # A verifier, made here: what the server logs of the statement opens nothing.
        verifier = (
            sql.SQL("PASSWORD {}").format(sql.Literal(_verifier(connection, role))) if role.password else sql.SQL("")
        )
        # The owner of whom somebody else runs the migrations logs in nowhere.
        login = sql.SQL("LOGIN" if role.password or role.name != names.owner else "NOLOGIN")
        verb = sql.SQL("ALTER" if role.name in there else "CREATE")
        connection.execute(sql.SQL("{} ROLE {} {} {}").format(verb, sql.Identifier(role.name), login, verifier))
        steps.append(f"{'gave a password to' if role.name in there else 'made'} {role.name}")
    connection.execute("SELECT set_config('checkout.connections', %s, true)", (str(connections or ""),))
    for block in (ROLES, EXTENSIONS, rights(["alembic_version"]), _LIMITS):
        connection.execute(names.in_sql(block).encode())
    done.steps += steps


def _verifier(connection: psycopg.Connection[Any], role: _Role) -> str:
    made = connection.pgconn.encrypt_password((role.password or "").encode(), role.name.encode(), b"scram-sha-256")
    return made.decode()


def _log_in(role: _Role, names: DatabaseNames) -> str | None:
    """Why the role cannot log in, or None."""
    parameters = connection_to(DatabaseAddress(role.address, names)) | {"connect_timeout": 10}
    try:
        psycopg.connect(**parameters).close()
    except psycopg.OperationalError as error:
        return why(error)
    return None


def _read(setting: str, address: str) -> tuple[str, str]:
    try:
        return user_and_password(address)
    except AddressError as error:
        raise SetupError(f"{setting} {error}.") from None


def why(error: psycopg.OperationalError) -> str:
    """Why somebody cannot connect, in words of ours: libpq's hold what it took for a host, which may be a password."""
    text = str(error).lower()
    for phrase, meaning in (
        ("password authentication failed", "the password is refused"),
        ("no password supplied", "a password is needed"),
        ("pg_hba.conf", "pg_hba.conf of the server refuses it"),
        ("too many connections", "the server has no connection left"),
        ("permission denied for database", "it may not connect to the database"),
        ("not permitted to log in", "the role may not log in"),
        ("certificate", "TLS fails: its certificate"),
        ("ssl", "TLS fails"),
        ("refused", "nobody listens there"),
        ("timeout", "no answer in time"),
        ("resolve", "its host is not known"),
    ):
        if phrase in text:
            return meaning
    return "the server cannot be reached, or does not know the user or the database"


def _primary(error: psycopg.Error) -> str:
    """What PostgreSQL says, in one line; it holds names, and no value of ours."""
    return str(error.diag.message_primary or type(error).__name__).rstrip(".")
