"""What ``database init`` does on the server, in one transaction: roles, extension, schema, rights, bounds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import Diagnostic

from checkout_service.database.preparing import EXTENSIONS, ROLES, rights
from checkout_service.database.setup_roles import KNOWN, Role, SetupError
from checkout_service.settings.database_names import DatabaseNames

DONE: Final = "done"
"""The detail of a notice that says what was done, and not what could not be."""

# Connections of the server that our roles together may have, by what it gives to those who are no superusers, and what
# other roles may have of it. What is set stays, unless a number is given. Roles of somebody else are theirs to bound.
_LIMITS: Final = """
DO $$
DECLARE
    given integer := current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int - current_setting('reserved_connections')::int;
    chosen integer := nullif(current_setting('checkout.connections', true), '')::int;
    others integer := (SELECT coalesce(sum(rolconnlimit), 0) FROM pg_roles
        WHERE rolcanlogin AND rolconnlimit > 0
            AND rolname NOT IN ('checkout_owner', 'checkout_web', 'checkout_worker', 'checkout_settlements'));
    ours integer;
    share integer;
    is_set boolean := false;
    role record;
    login text;
BEGIN
    ours := least(coalesce(chosen, greatest((given - others) * 9 / 10, 20)), given);
    FOR role IN SELECT oid, rolname, rolconnlimit FROM pg_roles
        WHERE rolname IN ('checkout_web', 'checkout_worker', 'checkout_settlements')
            AND (rolconnlimit = -1 OR chosen IS NOT NULL)
        ORDER BY rolname
    LOOP
        share := CASE role.rolname
            WHEN 'checkout_web' THEN ours * 5 / 9 WHEN 'checkout_worker' THEN ours * 4 / 9 ELSE least(ours, 5) END;
        CONTINUE WHEN role.rolconnlimit = share;
        IF NOT pg_has_role(role.oid, 'MEMBER WITH ADMIN OPTION') THEN
            RAISE NOTICE '% has no limit of connections from here: who made it may run ALTER ROLE % CONNECTION LIMIT %',
                role.rolname, role.rolname, share;
            CONTINUE;
        END IF;
        EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', role.rolname, share);
        is_set := true;
        IF chosen IS NOT NULL AND role.rolconnlimit <> -1 THEN
            RAISE NOTICE '% may have % connections', role.rolname, share USING DETAIL = 'done';
        END IF;
    END LOOP;
    IF is_set AND others > 0 AND ours + others > given THEN
        RAISE NOTICE 'others may have % of the % connections, and these roles %: give each a share by --connections',
            others, given, ours;
    END IF;
    IF has_parameter_privilege('temp_file_limit', 'SET') THEN
        FOR role IN SELECT oid, rolname FROM pg_roles
            WHERE rolname IN ('checkout_web', 'checkout_worker') AND pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')
                AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting
                    WHERE setrole = pg_roles.oid AND setting LIKE 'temp_file_limit=%'
                        AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
        LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET temp_file_limit = ''1GB''', role.rolname,
                current_database());
        END LOOP;
    END IF;
    FOREACH login IN ARRAY ARRAY['checkout_owner', 'checkout_web', 'checkout_worker', 'checkout_settlements'] LOOP
        IF NOT has_database_privilege(login, current_database(), 'CONNECT') THEN
            EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), login);
        END IF;
        -- Without the right to give it, PostgreSQL warns and goes on.
        IF NOT has_database_privilege(login, current_database(), 'CONNECT') THEN
            RAISE EXCEPTION 'the administrator may not give %: run GRANT CONNECT ON DATABASE % TO % as the owner of '
                'the database or as a superuser', login, current_database(), login;
        END IF;
    END LOOP;
    -- The import of the catalogue makes a temporary table.
    IF NOT has_database_privilege('checkout_owner', current_database(), 'TEMPORARY') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO checkout_owner', current_database());
    END IF;
    IF NOT has_database_privilege('checkout_owner', current_database(), 'TEMPORARY') THEN
        RAISE EXCEPTION 'the administrator may not give it: run GRANT TEMPORARY ON DATABASE % TO checkout_owner as the '
            'owner of the database or as a superuser', current_database();
    END IF;
END
$$
"""


def make_all(
    connection: psycopg.Connection[Any],
    names: DatabaseNames,
    roles: Collection[Role],
    connections: int | None,
) -> tuple[list[str], list[str]]:
    """Do it, in the transaction that the connection is in; what was done, and what could not be. Raises SetupError."""
    there = {name for (name,) in connection.execute(KNOWN, ([role.name for role in roles],))}
    steps: list[str] = []
    notes: list[str] = []

    def note(diagnostic: Diagnostic) -> None:
        # Of our own blocks: the server's notices have codes.
        if diagnostic.severity_nonlocalized == "NOTICE" and diagnostic.sqlstate == "00000":
            (steps if diagnostic.message_detail == DONE else notes).append(str(diagnostic.message_primary))

    for role in roles:
        if role.name in there and role.is_new:
            raise SetupError(
                f"{role.name} was made by somebody else meanwhile, whose password it keeps: put the address that "
                f"they have into {role.setting}, or have a new one made by --renew."
            )
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
    connection.add_notice_handler(note)
    try:
        for block in (ROLES, EXTENSIONS, rights(["alembic_version"]), _LIMITS):
            connection.execute(names.in_sql(block).encode())
    finally:
        connection.remove_notice_handler(note)
    return steps, notes


def _verifier(connection: psycopg.Connection[Any], role: Role) -> str:
    made = connection.pgconn.encrypt_password((role.password or "").encode(), role.name.encode(), b"scram-sha-256")
    return made.decode()
