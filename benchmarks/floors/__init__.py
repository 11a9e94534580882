"""Floors: the same bytes, statements and hashes with nothing around them; what a ratio of 1 would be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from checkout_service.database.statements import Statement


def send(
    connection: psycopg.Connection[Any], statement: Statement, values: Mapping[str, Any], *, binary: bool = False
) -> psycopg.Cursor[Any]:
    """Run a statement as the service sends it: a long one with its parameters numbered, as PostgreSQL takes it."""
    values = {**statement.constants, **values}
    if statement.numbered is None:
        return connection.cursor().execute(statement.sql, values, binary=binary)
    numbered, names = statement.numbered
    return psycopg.RawCursor(connection).execute(numbered, [values[name] for name in names], binary=binary)
