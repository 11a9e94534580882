"""Runs migrations as ``checkout_owner``, over an engine of its own from MIGRATION_DATABASE_URL.

The connecting role may be a superuser, the database's owner with CREATEROLE, or ``checkout_owner`` itself. No migration
names a schema: the search_path of this connection leads to the one that is migrated, ``SCHEMA`` or
``alembic -x schema=NAME``. Where it is missing it is made.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from alembic import context
from sqlalchemy import Connection, create_engine, pool

sys.path.insert(0, str(Path(__file__).parent.parent))

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from checkout_service.settings.values import MigrationSettings

SCHEMA: Final = "public"

OWNER: Final = "checkout_owner"

OPTIONS: Final = "-c search_path={schema} -c lock_timeout=5000 -c timezone=UTC"
"""A migration that cannot have its lock within 5 s must fail, not stand waiting in front of every customer."""

TRY_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('checkout migrations', 0))"
WAIT_FOR_OTHERS: Final = 600
"""Seconds."""

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
    """Make the roles and the schema that are missing, where that is allowed, and go on as the tables' owner."""
    # Without parameters, so that the percent signs of format() are not read as placeholders.
    for block in (ROLES, RIGHTS):
        connection.exec_driver_sql(block, execution_options={"no_parameters": True})
    connection.exec_driver_sql(f"SET ROLE {OWNER}")
    connection.commit()


def wait_for_others(connection: Connection) -> None:
    """Until the connection ends, nobody else migrates this database; who comes second finds nothing left to do.

    Asks again and again instead of waiting inside PostgreSQL, where the one who waits would hold a snapshot that
    CREATE INDEX CONCURRENTLY waits for in turn.
    """
    deadline = monotonic() + WAIT_FOR_OTHERS
    while not connection.exec_driver_sql(TRY_LOCK).scalar():
        connection.rollback()
        if monotonic() > deadline:
            sys.exit(f"Another migration of this database has been running for {WAIT_FOR_OTHERS} seconds: try later.")
        sleep(0.2)
    connection.commit()


def migrate() -> None:
    """Run what the Alembic command is about, alone in this database and as the owner."""
    url = MigrationSettings.from_environment().database_url.reveal()
    options = OPTIONS.format(schema=chosen_schema())
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"options": options, "connect_timeout": 5})
    with engine.connect() as connection:
        wait_for_others(connection)
        become_owner(connection)
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()


migrate()
