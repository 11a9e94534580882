"""What docs/data-model.md says: words from the models, everything else from a migrated database."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Engine, text
from sqlalchemy.orm import Mapper

import checkout_service.tables  # noqa: F401 (fills the metadata)
from checkout_service.database.engine import Base, Dated

ROLES: Final = {"checkout_web": "web", "checkout_worker": "worker"}

HEAD: Final = """\
# The data model

Made by `make data-model` from the models and a migrated database; do not edit by hand.

**web** and **worker** are the database roles `checkout_web` and `checkout_worker`. *Writes* says which of them may
insert (I) or update (U) a column; PostgreSQL refuses everything else. Where nobody is named, the database fills the
column in, by a default or by a trigger. Both roles may read every table. Amounts are in the currency's major unit,
times are UTC.

Every table has `id` (a uuid, made by the database, in order of time), `created_at` and `updated_at`.
"""

COLUMNS: Final = text("""
    SELECT attribute.attname AS name, format_type(attribute.atttypid, attribute.atttypmod) AS type,
        attribute.attnotnull AS needed
    FROM pg_attribute AS attribute
    WHERE attribute.attrelid = CAST(:table AS regclass) AND attribute.attnum > 0 AND NOT attribute.attisdropped
    ORDER BY attribute.attnum
""")

RIGHTS: Final = text("""
    SELECT grantee, column_name AS name, privilege_type AS privilege FROM information_schema.column_privileges
    WHERE table_schema = current_schema() AND table_name = :table AND grantee = ANY(:roles)
    UNION
    SELECT grantee, '', privilege_type FROM information_schema.table_privileges
    WHERE table_schema = current_schema() AND table_name = :table AND grantee = ANY(:roles)
""")

CONSTRAINTS: Final = text("""
    SELECT conname AS name, pg_get_constraintdef(oid) AS definition, contype AS kind FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'f') ORDER BY contype DESC, conname
""")

INDEXES: Final = text("""
    SELECT indexrelid::regclass::text AS name, indisunique AS is_unique,
        substring(pg_get_indexdef(indexrelid) FROM 'USING \\w+ (.*)') AS definition
    FROM pg_index WHERE indrelid = CAST(:table AS regclass) AND NOT indisprimary ORDER BY 1
""")

TRIGGERS: Final = text("""
    SELECT tgname AS name, substring(pg_get_triggerdef(oid) FROM '((BEFORE|AFTER) [A-Za-z_, ]+) ON ') AS moment
    FROM pg_trigger WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal ORDER BY tgname
""")


def render(engine: Engine) -> str:
    """The page as text. ``engine`` leads to a migrated database, as a role that sees every table's rights."""
    tables = ["\n".join(_table(engine, mapper)) for mapper in sorted(Base.registry.mappers, key=_order)]
    return "\n".join([HEAD, *tables]) + "\n"


def _order(mapper: Mapper[Any]) -> tuple[str, int]:
    """Rooms by name, tables as they stand in their file."""
    return mapper.class_.__module__, inspect.getsourcelines(mapper.class_)[1]


def _table(engine: Engine, mapper: Mapper[Any]) -> Iterator[str]:
    table = str(mapper.local_table)
    room = mapper.class_.__module__.split(".")[1]
    with engine.connect() as connection:
        columns = connection.execute(COLUMNS, {"table": table}).all()
        rights = connection.execute(RIGHTS, {"table": table, "roles": list(ROLES)}).all()
        constraints = connection.execute(CONSTRAINTS, {"table": table}).all()
        indexes = connection.execute(INDEXES, {"table": table}).all()
        triggers = connection.execute(TRIGGERS, {"table": table}).all()
    words = explanations(mapper.class_)
    yield f"## `{table}`"
    yield ""
    yield inspect.cleandoc(mapper.class_.__doc__ or "").replace("``", "`")
    yield ""
    yield f"Room `{room}`, class `{mapper.class_.__name__}`.{_deletes(rights)}"
    yield ""
    yield "| column | type | writes | what it is |"
    yield "|---|---|---|---|"
    for column in columns:
        if column.name in {"id", "created_at"}:
            continue
        if column.name == "updated_at" and not _writers(rights, "updated_at"):
            continue
        kind = column.type.replace("timestamp with time zone", "timestamptz").replace("character", "char")
        writers = _writers(rights, column.name)
        kind += "" if column.needed else ", or none"
        yield f"| `{column.name}` | {kind} | {writers} | {words.get(column.name, '')} |"
    yield ""
    for constraint in constraints:
        definition = constraint.definition.removeprefix("CHECK ").replace("|", "\\|")
        yield f"- {'check' if constraint.kind == 'c' else 'key'} `{constraint.name}`: `{definition}`"
    for index in indexes:
        yield f"- {'unique ' if index.is_unique else ''}index `{index.name}` on `{index.definition}`"
    for trigger in triggers:
        yield f"- trigger `{trigger.name}`, {trigger.moment.lower()}"
    yield ""


def _deletes(rights: Any) -> str:
    """Which role may delete rows, in a sentence."""
    roles = sorted(ROLES[right.grantee] for right in rights if right.privilege == "DELETE")
    return f" Rows are deleted by the {' and the '.join(roles)}." if roles else " Nobody may delete rows."


def _writers(rights: Any, column: str) -> str:
    """Such as ``web I · worker U``."""
    found: dict[str, str] = {}
    for role in ROLES:
        kinds = "".join(
            privilege[0]
            for privilege in ("INSERT", "UPDATE")
            if any((right.grantee, right.name, right.privilege) == (role, column, privilege) for right in rights)
        )
        if kinds:
            found[ROLES[role]] = kinds
    return " · ".join(f"{role} {what}" for role, what in found.items())


def explanations(model: type[Any]) -> dict[str, str]:
    """What the model says of its columns: the string that stands below each, on one line."""
    found: dict[str, str] = {}
    for kind in (Dated, *(base for base in model.__mro__ if base.__module__ == model.__module__)):
        body = ast.parse(inspect.getsource(kind)).body[0]
        assert isinstance(body, ast.ClassDef)
        for column, words in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(column, ast.AnnAssign)
                and isinstance(words, ast.Expr)
                and isinstance(words.value, ast.Constant)
            ):
                name = column.target.id if isinstance(column.target, ast.Name) else ""
                found[name] = " ".join(str(words.value.value).replace("``", "`").split()).replace("|", "\\|")
    return found
