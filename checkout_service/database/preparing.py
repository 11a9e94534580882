"""What a database needs before its first migration: roles, the extension, the schema, and who may use it.

Every migration looks, and makes what is missing where it may; ``database init`` does it as an administrator, so that no
later release needs one. Roles have their usual names here, as in all SQL of migrations: DatabaseNames.in_sql says them
as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MADE_BY_ANOTHER: Final = frozenset({"23505", "42710", "42P06", "42P07", "XX000"})
"""SQLSTATEs of what another migration makes or grants at this moment; the last one is "tuple concurrently updated"."""

# Roles belong to the whole cluster, so another database's migration may be creating them at this moment.
ROLES: Final = """
DO $$
DECLARE
    required record;
    may_create boolean := (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user);
BEGIN
    FOR required IN SELECT * FROM (VALUES
        ('checkout_owner', 'NOLOGIN'), ('checkout_web', 'LOGIN'), ('checkout_worker', 'LOGIN'),
        ('checkout_settlements', 'LOGIN')) AS roles (name, login)
    LOOP
        IF may_create AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = required.name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I %s', required.name, required.login);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = required.name) THEN
            RAISE EXCEPTION 'role % is missing and % may not create it: run checkout database init as an '
                'administrator, which gives it a password, or CREATE ROLE % % as a superuser',
                required.name, current_user, required.name, required.login;
        END IF;
    END LOOP;
    -- Who may not give it to themselves goes on as far as it goes without.
    IF current_user <> 'checkout_owner' AND NOT pg_has_role(current_user, 'checkout_owner', 'SET')
            AND pg_has_role(current_user, 'checkout_owner', 'MEMBER WITH ADMIN OPTION') THEN
        EXECUTE format('GRANT checkout_owner TO %I WITH SET TRUE', current_user);
    END IF;
END
$$
"""

# In a schema of its own, so that a schema that is migrated holds our things alone, and two may share it. Where somebody
# installed it already, it is taken from there. It is "trusted": whoever may make schemas in the database may do it.
EXTENSIONS: Final = """
DO $$
DECLARE
    place text := (SELECT nspname FROM pg_extension JOIN pg_namespace AS of ON of.oid = extnamespace
        WHERE extname = 'unaccent');
BEGIN
    IF has_schema_privilege('checkout_owner', place, 'USAGE') THEN
        RETURN;
    END IF;
    IF place IS NOT NULL THEN
        -- Another deployment has put it there, or somebody else.
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO checkout_owner', place);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
        IF NOT has_schema_privilege('checkout_owner', place, 'USAGE') THEN
            RAISE EXCEPTION 'the extension unaccent is in the schema %, which the owner of our tables may not use: run '
                'GRANT USAGE ON SCHEMA % TO checkout_owner as the owner of that schema or as a superuser', place, place;
        END IF;
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
_RIGHTS: Final = """
DO $$
DECLARE
    schema text := current_setting('search_path');
    login text;
    foreign_table text;
BEGIN
    -- What a name leads to there has to be ours, or nothing.
    SELECT relname INTO foreign_table FROM pg_class
    WHERE relnamespace = to_regnamespace(quote_ident(schema)) AND relname = ANY(ARRAY[{tables}])
        AND NOT pg_has_role('checkout_owner', relowner, 'USAGE')
    ORDER BY relname <> 'alembic_version', relname LIMIT 1;
    IF foreign_table IS NOT NULL THEN
        RAISE EXCEPTION 'the schema % has a table % that is not of checkout_owner, but of another application or of '
            'another DATABASE_ROLE_PREFIX: set DATABASE_SCHEMA to a schema of its own', schema, foreign_table;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema) THEN
        EXECUTE format('CREATE SCHEMA %I AUTHORIZATION checkout_owner', schema);
    END IF;
    IF NOT (has_schema_privilege('checkout_owner', schema, 'USAGE')
            AND has_schema_privilege('checkout_owner', schema, 'CREATE')) THEN
        BEGIN
            EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO checkout_owner', schema);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
        -- Whoever has the right and may not give it is warned, and nothing was given.
        IF NOT (has_schema_privilege('checkout_owner', schema, 'USAGE')
                AND has_schema_privilege('checkout_owner', schema, 'CREATE')) THEN
            RAISE EXCEPTION '% may not give rights in the schema %: run GRANT USAGE, CREATE ON SCHEMA % TO '
                'checkout_owner as its owner or as a superuser', current_user, schema, schema;
        END IF;
    END IF;
    FOREACH login IN ARRAY ARRAY['checkout_web', 'checkout_worker', 'checkout_settlements'] LOOP
        IF NOT has_schema_privilege(login, schema, 'USAGE') THEN
            BEGIN
                EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema, login);
            EXCEPTION WHEN insufficient_privilege THEN
                NULL;
            END;
            -- A role that came later to a schema of the owner's: the next release, which is the owner, gives it.
            CONTINUE WHEN login = 'checkout_settlements' AND NOT pg_has_role('checkout_owner', 'USAGE')
                AND EXISTS (SELECT FROM pg_namespace WHERE nspname = schema AND nspowner = 'checkout_owner'::regrole);
            IF NOT has_schema_privilege(login, schema, 'USAGE') THEN
                RAISE EXCEPTION '% may not give rights in the schema %: run GRANT USAGE ON SCHEMA % TO % as its owner '
                    'or as a superuser', current_user, schema, schema, login;
            END IF;
        END IF;
    END LOOP;
    IF schema = 'public' THEN
        RETURN;
    END IF;
    -- For who connects without our options: by a pooler in transaction mode, or by hand. Whoever set it otherwise had a
    -- reason: the doctor says where it leads, if it matters. Each may set its own, and whoever made them may set all.
    FOR login IN
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('checkout_owner', 'checkout_web', 'checkout_worker', 'checkout_settlements')
            AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
                WHERE setrole = pg_roles.oid AND setting LIKE 'search_path=%'
                    AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
    LOOP
        BEGIN
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', login, current_database(), schema);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'the default search_path of % cannot be set', login;
        END;
    END LOOP;
END
$$
"""


def rights(tables: Sequence[str]) -> str:
    """SQL that makes the schema and gives the rights in it; ``tables`` are those whose names it has to have for us."""
    return _RIGHTS.replace("{tables}", ", ".join(f"'{name}'" for name in tables))
