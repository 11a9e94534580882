"""The database: one engine a process, single statements in autocommit, and the only transactions.

Reads and complete single statements run in autocommit, so they cost one round trip and stay prepared. Everything that
needs two statements to be true together runs inside ``transaction()``, the only place that commits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from threading import get_ident
from time import monotonic
from typing import Any, Final
from uuid import UUID

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Connection, Executable, MetaData, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from checkout_service.at_work import app_at_work
from checkout_service.breaker import Breaker, BreakerOpenError
from checkout_service.database.connections import (
    ANSWER_WITHIN,
    DeadlineConnection,
    NoConnectionError,
    PatientConnection,
    UnconfirmedCommitError,
)
from checkout_service.database.errors import DatabaseLockedError, DatabaseUnavailableError
from checkout_service.database.history import ASK, History
from checkout_service.database.statements import Statement, writes
from checkout_service.settings.database_names import DatabaseNames, connection_to, names_at
from checkout_service.settings.secret import Secret

LOCK_WITHIN: Final = 2000
"""Milliseconds that any statement waits for a row that another transaction holds."""

DIALECT: Final = "postgresql+psycopg://"
"""What SQLAlchemy learns of the address: it cannot read all that libpq can, so psycopg is given the rest by us."""

RECENTLY: Final = 2.0
"""Seconds since a statement succeeded, for which a connection that is refused says little about the server."""

_commit_something: Final = text("SELECT pg_logical_emit_message(true, 'checkout', '')")
"""It changes nothing, and its commit waits for the standby like any other."""

_ask_history: Final = text(ASK.strip())

Conflict = IntegrityError
"""A unique or foreign key constraint refused a statement."""


class Base(DeclarativeBase):
    """The tables' common root; constraint names are predictable, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s",
            "ck": "%(table_name)s_%(constraint_name)s",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


class Dated:
    """What every table has: a key, and when its row came and last changed. The database fills in all three."""

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


# There are no sessions of the ORM: what Flask-SQLAlchemy looks for at the end of each request it finds by the thread.
db = SQLAlchemy(metadata=Base.metadata, session_options={"scopefunc": get_ident})


def connect_database(
    app: Flask, url: Secret, *, name: str, pool_size: int, patient: bool = False, pooler: str = "none"
) -> None:
    """Bind ``db`` to the app: one pool, autocommit by default, bounded waits on the server and on the client.

    Behind a ``transaction`` pooler (PgBouncer) a connection is another one with every transaction, so nothing is left
    on it: no prepared statements and no options of ours; the server's waits are then bounded by the roles' settings,
    and these lead to the schema as well.
    """
    kind = PatientConnection if patient else DeadlineConnection
    timeout = int(kind.answer_within * 1000) - 500
    parameters = connection_to(url, pooler=pooler) | {"application_name": name, "connect_timeout": 2}
    given = parameters.get("options", "")
    own = parameters | {"prepare_threshold": None}
    if pooler == "none":
        if patient:
            # Of several children each has its own connection: where little happens they come to the usual five runs of
            # a statement only after long, and it is parsed and planned anew until then.
            parameters["prepare_threshold"] = 1
        parameters["options"] = (
            f"{given} -c statement_timeout={timeout} -c lock_timeout={LOCK_WITHIN} "
            f"-c idle_in_transaction_session_timeout=10000 -c timezone=UTC"
        )
        own = parameters | {"options": f"{given} -c statement_timeout=14000 -c timezone=UTC"}
    else:
        parameters["prepare_threshold"] = None
    app.extensions["database_parameters"] = own
    app.extensions["database_names"] = names_at(url)
    history = app.extensions["database_history"] = History(behind_pooler=pooler != "none")

    def connect() -> psycopg.Connection[Any]:
        try:
            connection = kind.connect(**parameters)
        except psycopg.OperationalError as error:
            raise NoConnectionError(*error.args) from error
        if pooler == "none":
            try:
                _look_at_history(connection, history)
            except BaseException:
                connection.close()
                raise
        # As text, a list would have each of its items searched for quotes by a regular expression in Python.
        connection.adapters.register_dumper(list, ListBinaryDumper)
        return connection

    app.config["SQLALCHEMY_DATABASE_URI"] = DIALECT
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "creator": connect,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 1,
        "pool_recycle": 1800,
        "pool_use_lifo": True,
        "isolation_level": "AUTOCOMMIT",
        # A statement's values are the customers' and providers' own: they belong in no log.
        "hide_parameters": True,
        # A rollback of a read would throw away every prepared statement of the connection.
        "skip_autocommit_rollback": True,
    }
    app.extensions["database_breaker"] = Breaker()
    app.extensions["commit_breaker"] = Breaker()
    db.init_app(app)


def execute(statement: Statement | Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
    """Run one complete statement in autocommit and return its rows (none for a statement without RETURNING).

    A pooled connection that turns out to be dead (the server restarted) is replaced and the statement is run once
    more; so what goes through here must do no harm when it runs twice. Its rows are those of the second run: where the
    first was committed and only its answer lost, an insert finds its row there and a deletion finds nothing. What was
    committed and not confirmed by a standby is not run again: the second run would find it there, and wait for nobody.
    Raises DatabaseUnavailableError and Conflict.
    """
    with _available(), _confirmed() if writes(statement) else nullcontext():
        started = monotonic()
        try:
            return _execute(statement, parameters)
        except DBAPIError as error:
            is_lost = error.connection_invalidated and not isinstance(error.orig, UnconfirmedCommitError)
            if not is_lost or monotonic() - started > ANSWER_WITHIN / 5:
                raise
            return _execute(statement, parameters)


@contextmanager
def transaction() -> Iterator[Connection]:
    """One READ COMMITTED transaction: committed when the block ends, rolled back when it raises.

    Raises DatabaseUnavailableError.
    """
    with _available(), _confirmed(), db.engine.connect() as connection:
        connection.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            yield connection


def confirm_commits() -> None:
    """Where a commit was not confirmed, find out whether commits are again, before anything is said of earlier ones.

    One that is confirmed confirms all before it. Raises DatabaseUnavailableError.
    """
    breaker: Breaker = app_at_work().extensions["commit_breaker"]
    if breaker.is_open:
        with _available(), _confirmed():
            pass


def is_failing() -> bool:
    """Whether the last statement found no database, or the last commit was not confirmed.

    The next one is a trial, which may take its time; all others fail at once meanwhile.
    """
    extensions = app_at_work().extensions
    database: Breaker = extensions["database_breaker"]
    commits: Breaker = extensions["commit_breaker"]
    return database.is_open or commits.is_open


def forget_connections() -> None:
    """Drop the pool without closing its sockets: for a child process just after fork."""
    db.engine.dispose(close=False)


def lacks_schema(error: Exception) -> bool:
    """Whether a statement failed for a table, column, type, function or schema that is not there: migrate first."""
    return isinstance(error, DBAPIError) and _sqlstate(error) in {"42P01", "42703", "42704", "42883", "3F000"}


def constraint_of(error: Conflict) -> str | None:
    """The name of the constraint that refused a statement."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None)


def history(*, now: bool = False) -> str:
    """The name of the history that the database is in, for what is kept elsewhere because of it; empty where unknown.

    It is another one after a failover, a restore and a restart. A process that has sent nothing since then has not
    noticed: before something is believed because of the name, it is to be asked for as of ``now``.
    """
    known: History = app_at_work().extensions["database_history"]
    if not (known.is_of_now if now else known.is_known):
        try:
            rows = execute(_ask_history)
        except (DatabaseUnavailableError, DBAPIError):
            known.see(None)
        else:
            known.see(rows[0])
    return known.name


def _look_at_history(connection: psycopg.Connection[Any], known: History) -> None:
    connection.autocommit = True
    try:
        known.see(connection.execute(ASK).fetchone())
    except psycopg.DatabaseError:
        known.see(None)


def database_names() -> DatabaseNames:
    """The schema and the roles of the deployment whose app this is."""
    found: DatabaseNames = app_at_work().extensions["database_names"]
    return found


def background_connection() -> psycopg.Connection[Any]:
    """A connection beside the pool for a thread that may take its time; it neither asks nor trips the breaker."""
    parameters: dict[str, Any] = app_at_work().extensions["database_parameters"]
    return PatientConnection.connect(**parameters, autocommit=True)


def _execute(statement: Statement | Executable, parameters: Mapping[str, Any] | None) -> Sequence[Any]:
    if isinstance(statement, Statement):
        return statement.run(db.engine, parameters or {})
    with db.engine.connect() as connection:
        result = connection.execute(statement, parameters)
        return result.all() if result.returns_rows else ()


@contextmanager
def _available() -> Iterator[None]:
    """Turn every way in which the server can be away into DatabaseUnavailableError, told at once while it lasts."""
    breaker: Breaker = app_at_work().extensions["database_breaker"]
    try:
        with breaker.guard(_AwayError):
            try:
                yield
            except PoolTimeoutError as error:
                raise _AwayError from error
            except DBAPIError as error:
                if slow := _TOO_SLOW.get(_sqlstate(error)):
                    raise slow from error
                if _is_refused_more(error):
                    raise DatabaseUnavailableError from error
                if not _away(error):
                    raise
                raise _AwayError from error
    except (BreakerOpenError, _AwayError) as error:
        raise DatabaseUnavailableError from error


@contextmanager
def _confirmed() -> Iterator[None]:
    """A breaker of writes alone: while no standby confirms commits, one at a time finds out, and reads go on.

    Raises DatabaseUnavailableError at once for the others, who would each keep a connection for as long as they wait.
    """
    breaker: Breaker = app_at_work().extensions["commit_breaker"]
    try:
        with breaker.guard(_UnconfirmedError):
            try:
                if breaker.is_open:
                    # The trial: its commit waits, whatever the caller's statement is going to write.
                    _execute(_commit_something, None)
                yield
            except DBAPIError as error:
                if isinstance(error.orig, UnconfirmedCommitError):
                    raise _UnconfirmedError from error
                raise
    except (BreakerOpenError, _UnconfirmedError) as error:
        raise DatabaseUnavailableError from error


# By SQLSTATE: this one statement waited too long for a lock, or in a circle, or at all; the server is there for others.
_TOO_SLOW: Final = {"55P03": DatabaseLockedError, "40P01": DatabaseLockedError, "57014": DatabaseUnavailableError}


class _AwayError(Exception):
    """An inner signal, never seen outside."""


class _UnconfirmedError(Exception):
    """Another one."""


def _is_refused_more(error: DBAPIError) -> bool:
    """Whether a further connection was refused while others of the pool work.

    A server that has no more to give (53300) goes on with those that it gave, and a breaker that opened for it would
    keep everybody from these. Where nothing has succeeded for a while the server is away.
    """
    breaker: Breaker = app_at_work().extensions["database_breaker"]
    return isinstance(error.orig, NoConnectionError) and monotonic() - breaker.succeeded_at < RECENTLY


def _away(error: DBAPIError) -> bool:
    """A connection failed or was lost, or the server takes no work: SQLSTATE 08, 53 and 57, or a standby's 25006."""
    state = _sqlstate(error)
    if not state:
        return isinstance(error, (OperationalError, InterfaceError))
    return error.connection_invalidated or state[:2] in {"08", "53", "57"} or state == "25006"


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
