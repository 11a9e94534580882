"""Everything that a migration can change, as plain values that can be compared."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine, create_engine, text

from checkout_service.settings.database_names import DatabaseNames

PARTS: Final = {
    "columns": """
        SELECT table_name, column_name, udt_name, numeric_precision, numeric_scale, character_maximum_length,
            is_nullable, column_default, generation_expression
        FROM information_schema.columns WHERE table_schema = current_schema()""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = current_schema()::regnamespace""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema()",
    "triggers": """
        SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace""",
    "functions": """
        SELECT pg_get_functiondef(oid), proowner::regrole::text, proacl::text
        FROM pg_proc WHERE pronamespace = current_schema()::regnamespace""",
    "types": """
        SELECT typname, enumlabel, enumsortorder
        FROM pg_type JOIN pg_enum ON enumtypid = pg_type.oid WHERE typnamespace = current_schema()::regnamespace""",
    "options": """
        SELECT relname, reloptions::text, relowner::regrole::text
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'""",
    "tables' rights": """
        SELECT grantee, table_name, privilege_type FROM information_schema.role_table_grants
        WHERE table_schema = current_schema() AND grantee IN ('checkout_web', 'checkout_worker', 'PUBLIC')""",
    "columns' rights": """
        SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges
        WHERE table_schema = current_schema() AND grantee IN ('checkout_web', 'checkout_worker', 'PUBLIC')""",
}


def describe(url: str, schema: str = "public", *, prefix: str = "checkout") -> dict[str, list[Any]]:
    """The schema, with all rights of the two login roles."""
    names = DatabaseNames(prefix=prefix)
    engine = engine_in(url, schema)
    with engine.connect() as connection:
        # As tuples: a row's own repr leaves out the middle of a long value, and with it most of a function.
        parts = {
            part: sorted(repr(tuple(row)) for row in connection.execute(text(names.in_sql(query))))
            for part, query in PARTS.items()
        }
    engine.dispose()
    return parts


def tables(url: str, schema: str = "public") -> set[str]:
    """The names of the tables in the schema; partitions are parts of theirs."""
    engine = engine_in(url, schema)
    with engine.connect() as connection:
        rows = connection.execute(
            text("""SELECT relname AS tablename FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition""")
        )
        names = {row.tablename for row in rows}
    engine.dispose()
    return names


def engine_in(url: str, schema: str) -> Engine:
    """An engine whose search_path leads to the schema; whoever takes it disposes of it."""
    return create_engine(url, connect_args={"options": f"-c search_path={schema}"})
