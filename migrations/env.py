"""Runs migrations as ``checkout_owner``, over an engine of its own from MIGRATION_DATABASE_URL.

The connecting role may be a superuser, the database's owner with CREATEROLE, or ``checkout_owner`` itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic, sleep

from alembic import context
from sqlalchemy import Connection, create_engine, pool

sys.path.insert(0, str(Path(__file__).parent.parent))

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base
from checkout_service.settings.values import MigrationSettings

OWNER = "checkout_owner"

# A migration that cannot have its lock soon must fail, not queue up in front of every customer.
OPTIONS = "-c lock_timeout=5000 -c timezone=UTC"

ALONE = "SELECT pg_try_advisory_lock(hashtextextended('checkout migrations', 0))"
WAIT_FOR_OTHERS = 600

# Roles belong to the whole cluster, so another database's migration may be creating them at this moment.
ROLES = """
DO $$
DECLARE
    wanted record;
    may_create boolean := (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user);
BEGIN
    FOR wanted IN SELECT * FROM (VALUES
        ('checkout_owner', 'NOLOGIN'), ('checkout_web', 'LOGIN'), ('checkout_worker', 'LOGIN')) AS roles (name, login)
    LOOP
        IF may_create AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.login);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            RAISE EXCEPTION 'role % is missing and % may not create it: run CREATE ROLE % % as a superuser',
                wanted.name, current_user, wanted.name, wanted.login;
        END IF;
    END LOOP;
    IF current_user <> 'checkout_owner' THEN
        IF NOT pg_has_role(current_user, 'checkout_owner', 'SET') THEN
            EXECUTE format('GRANT checkout_owner TO %I WITH SET TRUE', current_user);
        END IF;
        IF NOT (has_schema_privilege('checkout_owner', 'public', 'USAGE')
                AND has_schema_privilege('checkout_owner', 'public', 'CREATE')) THEN
            GRANT USAGE, CREATE ON SCHEMA public TO checkout_owner;
        END IF;
    END IF;
END
$$
"""


def become_owner(connection: Connection) -> None:
    """Make the roles that are missing, where that is allowed, and go on as the tables' owner."""
    # Without parameters, so that the percent signs of format() are not read as placeholders.
    connection.exec_driver_sql(ROLES, execution_options={"no_parameters": True})
    connection.exec_driver_sql(f"SET ROLE {OWNER}")
    connection.commit()


def wait_for_others(connection: Connection) -> None:
    """Until the connection ends, nobody else migrates this database; who comes second finds nothing left to do.

    Asks again and again instead of waiting inside PostgreSQL, where the one who waits would hold a snapshot that
    CREATE INDEX CONCURRENTLY waits for in turn.
    """
    deadline = monotonic() + WAIT_FOR_OTHERS
    while not connection.exec_driver_sql(ALONE).scalar():
        connection.rollback()
        if monotonic() > deadline:
            sys.exit(f"Another migration of this database has been running for {WAIT_FOR_OTHERS} seconds: try later.")
        sleep(0.2)
    connection.commit()


def migrate() -> None:
    url = MigrationSettings.from_environment().database_url.reveal()
    engine = create_engine(url, poolclass=pool.NullPool, connect_args={"options": OPTIONS, "connect_timeout": 5})
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
