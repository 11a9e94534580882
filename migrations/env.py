"""Runs migrations as ``checkout_owner``, over an engine of its own from MIGRATION_DATABASE_URL.

The connecting role may be a superuser, the database's owner with CREATEROLE, or ``checkout_owner`` itself. No migration
names a schema: the search_path of this connection leads to the one that is migrated, ``SCHEMA`` or
``alembic -x schema=NAME``. Where it is missing it is made.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from alembic import context
from sqlalchemy import Connection, Engine, create_engine, pool
from sqlalchemy.exc import DBAPIError

# For Alembic's own command in a checkout. In an installed package the folder above is the package itself.
_above = Path(__file__).resolve().parent.parent
if (_above / "checkout_service").is_dir():
    sys.path.insert(0, str(_above))

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import DIALECT, Base
from checkout_service.settings.database_addresses import connection_parameters
from checkout_service.settings.values import MigrationSettings, SettingsError

SCHEMA: Final = "public"

OWNER: Final = "checkout_owner"

OPTIONS: Final = (
    "-c search_path={schema} -c lock_timeout=5000 -c timezone=UTC "
    "-c idle_in_transaction_session_timeout=0 -c transaction_timeout=0"
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

MADE_BY_ANOTHER: Final = frozenset({"23505", "42710", "42P06", "42P07", "XX000"})
"""SQLSTATEs of what another migration makes or grants at this moment; the last one is "tuple concurrently updated"."""

DEADLOCK: Final = "40P01"

MOST_DEADLOCKS: Final = 20
"""A migration that locks two tables may meet a customer who has the second and needs the first; PostgreSQL ends either.
It is rolled back then, and begins again. One that has to wait is not: see OPTIONS."""

# Roles belong to the whole cluster, so another database's migration may be creating them at this moment.
ROLES: Final = """
DO $$
DECLARE
    required record;
    may_create boolean := (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user);
BEGIN
    FOR required IN SELECT * FROM (VALUES
        ('checkout_owner', 'NOLOGIN'), ('checkout_web', 'LOGIN'), ('checkout_worker', 'LOGIN')) AS roles (name, login)
    LOOP
        IF may_create AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = required.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', required.name, required.login);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = required.name) THEN
            RAISE EXCEPTION 'role % is missing and % may not create it: run CREATE ROLE % % as a superuser',
                required.name, current_user, required.name, required.login;
        END IF;
    END LOOP;
    IF current_user <> 'checkout_owner' AND NOT pg_has_role(current_user, 'checkout_owner', 'SET') THEN
        EXECUTE format('GRANT checkout_owner TO %I WITH SET TRUE', current_user);
    END IF;
END
$$
"""

# In a schema of its own, so that a schema that is migrated holds our things alone, and two may share it. Where somebody
# installed it already, it is taken from there. It is "trusted": whoever may make schemas in the database may do it.
EXTENSIONS: Final = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'unaccent') THEN
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'unaccent') THEN
        RAISE EXCEPTION 'the extension unaccent is not on this server: install the package postgresql-contrib there';
    END IF;
    IF NOT has_database_privilege(current_user, current_database(), 'CREATE') THEN
        RAISE EXCEPTION 'the extension unaccent is missing and % may not create it: run CREATE EXTENSION unaccent '
            'as the owner of the database or as a superuser', current_user;
    END IF;
    CREATE SCHEMA IF NOT EXISTS checkout_extensions;
    BEGIN
        CREATE EXTENSION unaccent SCHEMA checkout_extensions;
    EXCEPTION WHEN OTHERS THEN
        -- What another migration makes at this moment is looked at again. A managed server has a list of what may be
        -- installed, and an error of its own for that.
        IF SQLSTATE IN ('23505', '42710', '42P06', '42P07', 'XX000') THEN
            RAISE;
        END IF;
        RAISE EXCEPTION 'the extension unaccent cannot be created here (%): allow it in the settings of the server, or '
            'run CREATE EXTENSION unaccent as a superuser', SQLERRM;
    END;
    GRANT USAGE ON SCHEMA checkout_extensions TO checkout_owner;
END
$$
"""

WORDS_OF_OURS: Final = "P0001"
"""The SQLSTATE of what the blocks above raise: one line that says what to do, which a traceback would hide."""

# The login roles get their right only where they lack it: in public, PostgreSQL itself gave it to everybody.
RIGHTS: Final = """
DO $$
DECLARE
    schema text := current_setting('search_path');
    login text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema) THEN
        EXECUTE format('CREATE SCHEMA %I AUTHORIZATION checkout_owner', schema);
    END IF;
    IF NOT (has_schema_privilege('checkout_owner', schema, 'USAGE')
            AND has_schema_privilege('checkout_owner', schema, 'CREATE')) THEN
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO checkout_owner', schema);
    END IF;
    FOREACH login IN ARRAY ARRAY['checkout_web', 'checkout_worker'] LOOP
        IF NOT has_schema_privilege(login, schema, 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema, login);
        END IF;
    END LOOP;
END
$$
"""


def chosen_schema() -> str:
    """The schema to migrate. Ends the process if its name would have to be quoted, which search_path does not do."""
    schema = context.get_x_argument(as_dictionary=True).get("schema", SCHEMA)
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", schema):
        sys.exit(f"{schema!r} cannot be the schema: give it a name of a to z, 0 to 9 and _, not pg_ in front.")
    return schema


def become_owner(connection: Connection) -> None:
    """Make the roles, the schema and the table of versions that are missing, where that is allowed; go on as the owner.

    Other migrations may do the same at this moment, of this database or of another one. Then it looks again.
    """
    deadline = monotonic() + 10
    while True:
        try:
            # Without parameters, so that the percent signs of format() are not read as placeholders.
            for block in (ROLES, EXTENSIONS, RIGHTS):
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
        url = MigrationSettings.from_environment().database_url.reveal()
    except SettingsError as error:
        sys.exit(f"The environment cannot be used:\n{error}")
    arguments = connection_parameters(url) | {"connect_timeout": 5, "prepare_threshold": None}
    arguments["options"] = f"{arguments.get('options', '')} {OPTIONS.format(schema=chosen_schema())}"
    engine = create_engine(DIALECT, poolclass=pool.NullPool, creator=lambda: psycopg.connect(**arguments))
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
