"""Runs migrations as ``checkout_owner``, over an engine of its own from MIGRATION_DATABASE_URL.

The connecting role may be a superuser, the database's owner with CREATEROLE, or ``checkout_owner`` itself. No migration
names a schema: the search_path of this connection leads to the one that is migrated, DATABASE_SCHEMA or
``alembic -x schema=NAME``. Where it is missing it is made. Migrations name roles by their usual names; each statement
is sent with those of DATABASE_ROLE_PREFIX.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from alembic import context
from sqlalchemy import Connection, Engine, create_engine, event, pool
from sqlalchemy.exc import DBAPIError

# For Alembic's own command in a checkout. In an installed package the folder above is the package itself.
_above = Path(__file__).resolve().parent.parent
if (_above / "checkout_service").is_dir():
    sys.path.insert(0, str(_above))

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import DIALECT, Base
from checkout_service.database.preparing import EXTENSIONS, MADE_BY_ANOTHER, ROLES, WORDS_OF_OURS, rights
from checkout_service.settings.database_names import (
    DatabaseAddress,
    DatabaseNames,
    connection_to,
    fault_of_schema,
    names_at,
)
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import MigrationSettings, SettingsError

OWNER: Final = "checkout_owner"
"""This and the other roles by their usual names, as in all SQL of migrations."""

OPTIONS: Final = (
    "-c lock_timeout=5000 -c timezone=UTC -c idle_in_transaction_session_timeout=0 -c transaction_timeout=0"
)
"""A migration that cannot have its lock within 5 s must fail, not stand waiting in front of every customer. The last
two keep the transaction alive that holds the lock on migrations, however long they take."""

# As Alembic would make it. It is made at once, since it is also what migrations lock.
VERSION_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS alembic_version (
        version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
    )
"""

# Parts of tables, which the models have once.
PARTITIONS: Final = """
    SELECT relname FROM pg_class WHERE relispartition AND relnamespace = to_regnamespace(current_schema()::text)
"""

TRY_LOCK: Final = "LOCK TABLE alembic_version IN SHARE UPDATE EXCLUSIVE MODE NOWAIT"
"""Only the owner may take this lock: the login roles may read the table, and no more. An advisory lock would be
anybody's who may connect. It lets /readyz read the version, and another connection of ours write it."""

WAIT_FOR_OTHERS: Final = 600
"""Seconds."""

DEADLOCK: Final = "40P01"

MOST_DEADLOCKS: Final = 20
"""A migration that locks two tables may meet a customer who has the second and needs the first; PostgreSQL ends either.
It is rolled back then, and begins again. One that has to wait is not: see OPTIONS."""


def chosen_names(url: Secret) -> DatabaseNames:
    """The names of what is migrated. Ends the process if a schema's would have to be quoted, as search_path is not."""
    names = names_at(url)
    schema = context.get_x_argument(as_dictionary=True).get("schema", names.schema)
    if fault := fault_of_schema(schema):
        sys.exit(f"{schema!r} cannot be the schema: {fault}.")
    return replace(names, schema=schema)


def engine_for(url: Secret, names: DatabaseNames) -> Engine:
    """An engine that sends every statement with the roles' names as they are here."""
    arguments = connection_to(DatabaseAddress(url.reveal(), names)) | {"connect_timeout": 5, "prepare_threshold": None}
    arguments["options"] = f"{arguments['options']} {OPTIONS}"
    engine = create_engine(DIALECT, poolclass=pool.NullPool, creator=lambda: psycopg.connect(**arguments))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _with_names(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        return names.in_sql(statement), parameters

    return engine


def become_owner(connection: Connection) -> None:
    """Make the roles, the schema and the table of versions that are missing, where that is allowed; go on as the owner.

    Other migrations may do the same at this moment, of this database or of another one. Then it looks again.
    """
    deadline = monotonic() + 10
    while True:
        try:
            # Without parameters, so that the percent signs of format() are not read as placeholders.
            for block in (ROLES, EXTENSIONS, rights(["alembic_version", *sorted(Base.metadata.tables)])):
                connection.exec_driver_sql(block, execution_options={"no_parameters": True})
            connection.exec_driver_sql(f"SET ROLE {OWNER}")
            connection.exec_driver_sql(VERSION_TABLE)
            connection.commit()
            return
        except DBAPIError as error:
            connection.rollback()
            if _sqlstate(error) == WORDS_OF_OURS:
                sys.exit(str(getattr(getattr(error.orig, "diag", None), "message_primary", None) or error.orig))
            if _sqlstate(error) not in MADE_BY_ANOTHER or monotonic() > deadline:
                raise
            sleep(0.2)


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """Nobody else migrates this schema meanwhile; who comes second finds nothing left to do.

    The lock is held by a transaction of another connection, since migrations commit in between. That transaction holds
    no snapshot, for which CREATE INDEX CONCURRENTLY would wait, nor does it keep VACUUM from any other table. Who waits
    asks again and again: inside PostgreSQL it would stand in front of others.
    """
    deadline = monotonic() + WAIT_FOR_OTHERS
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        while True:
            try:
                connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
                connection.exec_driver_sql(TRY_LOCK)
                break
            except DBAPIError as error:
                connection.rollback()
                if _sqlstate(error) != "55P03":
                    raise
                if monotonic() > deadline:
                    message = f"Another migration of this database has been running for {WAIT_FOR_OTHERS} seconds"
                    sys.exit(f"{message}: try later.")
                sleep(0.2)
        yield connection


def migrate() -> None:
    """Run what the Alembic command is about, alone in this database and as the owner."""
    try:
        url = MigrationSettings.from_environment().database_url
    except SettingsError as error:
        sys.exit(f"The environment cannot be used:\n{error}")
    engine = engine_for(url, chosen_names(url))
    with engine.connect() as connection:
        become_owner(connection)
        with alone(engine) as lock:

            def still_alone(**_step: Any) -> None:
                # Within the transaction of each migration: one that has lost its lock is rolled back. To lock again
                # takes no snapshot; a SELECT may, and keeps it, once psycopg has prepared it.
                lock.exec_driver_sql(TRY_LOCK)

            def in_models(name: str | None, kind: str, _parents: Any) -> bool:
                return kind != "table" or name not in connection.exec_driver_sql(PARTITIONS).scalars().all()

            for deadlocks in range(MOST_DEADLOCKS + 1):
                context.configure(
                    connection=connection,
                    include_name=in_models,
                    target_metadata=Base.metadata,
                    transaction_per_migration=True,
                    compare_server_default=True,
                    on_version_apply=still_alone,
                )
                try:
                    with context.begin_transaction():
                        context.run_migrations()
                    break
                except DBAPIError as error:
                    connection.rollback()
                    if _sqlstate(error) != DEADLOCK or deadlocks == MOST_DEADLOCKS:
                        raise
                    sleep(0.5)


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


migrate()
