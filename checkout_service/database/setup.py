"""Makes what a deployment needs in PostgreSQL: database, roles with passwords, schema, rights, limits of connections.

An administrator does it once; releases then migrate as the owner of the tables and need nobody. The administrator may
be no superuser: whoever may make roles, and owns the database or may make it. Passwords have 256 bits. They go into the
environment file, and to the server as SCRAM verifiers alone, so that no log of its statements holds one.

The file is written first: where it ends in between, the next run makes the roles with the passwords that stand there.
What it replaces there is kept beside it until the server has the new passwords. All else is one transaction. Who does
the same at this moment waits, and finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from psycopg import sql

from checkout_service.database.environment_lines import EnvironmentLines
from checkout_service.database.logging_in import REFUSED, fault_of_login, why
from checkout_service.database.preparing import MADE_BY_ANOTHER
from checkout_service.database.role_addresses import options_of
from checkout_service.database.setup_roles import SETTINGS, Role, SetupError, decide_roles
from checkout_service.database.setup_statements import make_all
from checkout_service.settings.database_names import PREFIX, SCHEMA, DatabaseAddress, DatabaseNames, connection_to
from checkout_service.settings.secret import Secret

OLDEST: Final = 180000

_OPTIONS: Final = "-c lock_timeout=60000 -c statement_timeout=120000"

_AGAIN_FOR: Final = 30.0
"""Seconds for which it begins again, while somebody else makes the same."""

_SERVER: Final = """
    SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), rolsuper,
        rolsuper OR rolcreaterole
    FROM pg_roles WHERE rolname = current_user
"""


@dataclass(kw_only=True)
class Prepared:
    """What was done, in words that hold no secret."""

    steps: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Roles that cannot log in by the address that stands in the file."""

    notes: list[str] = field(default_factory=list)
    """What somebody else has to do, or may want to."""


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
        try_login = _Logins(names=names, environment=environment, file=file)
        if file is not None:
            _settle(file, try_login, renew, done)
        in_file = {} if file is None else file.settings()
        roles = decide_roles(connection, address, names, in_file, environment, superuser=superuser, renew=renew)
        _write(file, in_file, environment, address, names, roles, done)
        try:
            _in_turn(connection, lambda: _done(done, make_all(connection, names, roles, connections)))
        except _UndoneError:
            if file is not None:
                file.put_back()
            raise
        if file is not None:
            file.forget_former()
    for role in roles:
        if fault := try_login(role.setting, role.address):
            remedy = f"; --renew {role.key} makes a new one" if fault == REFUSED else ""
            done.faults.append(f"{role.name} cannot log in by {role.setting}: {fault}{remedy}")
    return done


def _done(done: Prepared, found: tuple[list[str], list[str]]) -> None:
    done.steps += found[0]
    done.notes += found[1]


class _UndoneError(SetupError):
    """The server has rolled all of it back."""


@dataclass(frozen=True, kw_only=True)
class _Logins:
    """Tries addresses as processes will: with what file and environment set, by the pooler where there is one."""

    names: DatabaseNames
    environment: Mapping[str, str]
    file: EnvironmentLines | None

    def __call__(self, setting: str, address: str) -> str | None:
        """Why nobody can log in by it, or None."""
        settings = {**(self.file.settings() if self.file else {}), **self.environment}
        # Migrations go to the server itself.
        pooler = "none" if setting == SETTINGS["owner"] else settings.get("DATABASE_POOLER") or "none"
        return fault_of_login(address, self.names, settings=settings, pooler=pooler)


def _settle(file: EnvironmentLines, try_login: _Logins, renew: Collection[str], done: Prepared) -> None:
    """After a run that was ended between the file and the server: have the file hold what the server has.

    Raises SetupError where that cannot be found out.
    """
    former, written = file.former(), file.settings()
    back = {}
    for key, setting in SETTINGS.items():
        old, new = former.get(setting), written.get(setting)
        if not old or not new or old == new:
            continue
        if (fault := try_login(setting, new)) is None:
            continue
        if try_login(setting, old) is not None:
            if key in renew:
                continue  # it gets another one now
            raise SetupError(f"A renewal of {setting} was interrupted, and neither address logs in: {fault}.")
        back[setting] = old
    if back:
        file.write(back)
        done.steps.append(f"put back {', '.join(back)}: a renewal had not reached the server")
    file.forget_former()


def _connected(address: Mapping[str, Any], done: Prepared) -> psycopg.Connection[Any]:
    """A connection to the database, which is made where it is missing. Raises SetupError."""
    try:
        return psycopg.connect(**address, autocommit=True)
    except psycopg.OperationalError as error:
        refused = error
    for other in ("postgres", "template1"):
        try:
            with psycopg.connect(**{**address, "dbname": other}, autocommit=True) as beside:
                if beside.execute("SELECT 1 FROM pg_database WHERE datname = %s", (address["dbname"],)).fetchone():
                    break
                statement = sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0")
                try:
                    beside.execute(statement.format(sql.Identifier(address["dbname"])))
                except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
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


def _write(
    file: EnvironmentLines | None,
    in_file: Mapping[str, str],
    environment: Mapping[str, str],
    admin: Mapping[str, Any],
    names: DatabaseNames,
    roles: Collection[Role],
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
    file.write(new, keep_former=bool(new.keys() & in_file.keys() & set(SETTINGS.values())))
    done.steps.append(f"wrote {', '.join(new)}")


def _in_turn(connection: psycopg.Connection[Any], work: Callable[[], None]) -> None:
    """Do it in a transaction, and again where somebody else has just made the same. Raises SetupError."""
    until = monotonic() + _AGAIN_FOR
    while True:
        try:
            with connection.transaction():
                work()
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith("57"):
                # It may have been committed, and only its answer lost.
                raise SetupError(
                    f"The server went away, maybe at the very end: run it again ({_primary(error)})."
                ) from None
            if error.sqlstate not in MADE_BY_ANOTHER or monotonic() > until:
                raise _UndoneError(f"PostgreSQL refused, and all is as before: {_primary(error)}.") from None
            sleep(0.2)
        except SetupError as error:
            raise _UndoneError(str(error)) from None
        else:
            return


def _primary(error: psycopg.Error) -> str:
    """What PostgreSQL says, in one line; it holds names, and no value of ours."""
    return str(error.diag.message_primary or type(error).__name__).rstrip(".")
