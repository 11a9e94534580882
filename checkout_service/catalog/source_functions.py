"""Which functions run as the worker's role while the source is read: those that its views call.

A view reads tables with the rights of its owner, and calls functions with those of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.settings.catalog_source import CatalogSource

# By what PostgreSQL knows views depend on, of views behind views too. Functions of extensions are the administrator's
# choice, and one that is SECURITY DEFINER has rights of its own. A materialized view calls nothing while it is read.
_called: Final = Statement("""
    WITH RECURSIVE named AS (
        SELECT * FROM unnest(CAST(:schemas AS text[]), CAST(:names AS text[])) AS given (schema_name, table_name)
    ), behind (id) AS (
        SELECT pg_class.oid FROM named JOIN pg_namespace ON nspname = schema_name
        JOIN pg_class ON relnamespace = pg_namespace.oid AND relname = table_name
        UNION
        SELECT needed.refobjid FROM behind JOIN pg_class AS view ON view.oid = behind.id AND view.relkind = 'v'
        JOIN pg_rewrite AS rule ON rule.ev_class = view.oid
        JOIN pg_depend AS needed ON needed.classid = 'pg_rewrite'::regclass AND needed.objid = rule.oid
            AND needed.refclassid = 'pg_class'::regclass
    ), called (id) AS (
        SELECT DISTINCT CASE WHEN needed.refclassid = 'pg_proc'::regclass THEN needed.refobjid ELSE operator.oprcode END
        FROM behind JOIN pg_class AS view ON view.oid = behind.id AND view.relkind = 'v'
        JOIN pg_rewrite AS rule ON rule.ev_class = view.oid
        JOIN pg_depend AS needed ON needed.classid = 'pg_rewrite'::regclass AND needed.objid = rule.oid
        LEFT JOIN pg_operator AS operator
            ON operator.oid = needed.refobjid AND needed.refclassid = 'pg_operator'::regclass
        WHERE needed.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)
    )
    SELECT DISTINCT format('%I.%I', nspname, proname) AS name
    FROM called JOIN pg_proc AS function ON function.oid = called.id
    JOIN pg_namespace ON pg_namespace.oid = function.pronamespace
    WHERE NOT function.prosecdef AND nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT FROM pg_depend AS part WHERE part.classid = 'pg_proc'::regclass
            AND part.objid = function.oid AND part.deptype = 'e')
    ORDER BY name LIMIT 10
""")


def functions_of(source: CatalogSource) -> Sequence[str]:
    """The functions, by schema and name, that views of the source call with the rights of who reads; ten at most.

    Not those that ``CATALOG_SOURCE`` itself names: that text is the operator's.
    """
    named = [tuple(map(_plain, names)) for names in source.tables]
    schemas, names = [schema for schema, _ in named], [name for _, name in named]
    return [row.name for row in execute(_called, {"schemas": schemas, "names": names})] if named else []


def _plain(written: str) -> str:
    """A name as the catalogs have it: without quotes, or in lower case."""
    return written[1:-1] if written.startswith('"') else written.lower()
