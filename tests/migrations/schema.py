"""Everything that a migration can change, as plain values that can be compared."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import create_engine, text

PARTS: Final = {
    "columns": """
        SELECT table_name, column_name, udt_name, numeric_precision, numeric_scale, character_maximum_length,
            is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public'""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "types": """
        SELECT typname, enumlabel, enumsortorder
        FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid WHERE typnamespace = 'public'::regnamespace""",
    "options": """
        SELECT relname, reloptions::text, relowner::regrole::text
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""",
    "tables' rights": """
        SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = 'public' AND grantee IN ('checkout_web', 'checkout_worker', 'PUBLIC')""",
    "columns' rights": """
        SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges
        WHERE table_schema = 'public' AND grantee IN ('checkout_web', 'checkout_worker', 'PUBLIC')""",
}


def describe(url: str) -> dict[str, list[Any]]:
    """The schema ``public`` with all rights of the two login roles."""
    engine = create_engine(url)
    with engine.connect() as connection:
        found = {part: sorted(map(repr, connection.execute(text(query)))) for part, query in PARTS.items()}
    engine.dispose()
    return found


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        found = {row.tablename for row in rows}
    engine.dispose()
    return found
