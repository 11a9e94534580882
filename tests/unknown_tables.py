"""Tables of which PostgreSQL knows nothing yet, as in a new or a restored database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def unknown(superuser: psycopg.Connection[Any], *tables: str) -> Iterator[None]:
    """There are no statistics of these, and nobody makes any within the block. In autocommit."""
    try:
        for table in tables:
            superuser.execute("SELECT pg_clear_relation_stats('public', %s)", (table,))
            superuser.execute("DELETE FROM pg_statistic WHERE starelid = %s::regclass", (table,))
            superuser.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        yield
    finally:
        for table in tables:
            superuser.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)".encode())
