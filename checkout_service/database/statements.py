"""Statements in the form that the driver takes, compiled once: hot paths run them without SQLAlchemy's Core.

SQLAlchemy still builds them, and still lends the connections. What is left out is what Core does each time it runs one:
finding the compiled form, looking at values that psycopg takes as they are, and wrapping the result. That costs more
than psycopg's own work.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Connection, Engine, Enum, Executable, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

_DIALECT: Final[Any] = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # its constructor has no types

Convert = Callable[[Any], Any]

_WRITES: Final = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|UPDATE\s+(?:ONLY\s+)?[\w.]+\s+(?:(?:AS\s+)?\w+\s+)?SET)\b",
    re.IGNORECASE,
)


_LONG: Final = 4096
"""Bytes above which psycopg looks for a statement's parameters each time it runs, which costs as much as three
short statements. So we look once, and give psycopg what PostgreSQL takes."""

_PARAMETER: Final = re.compile(r"%(?:%|\(([^)]+)\)s)")


class Statement:
    """One complete statement, built once at module level; ``database.execute`` runs it.

    ``sql`` is the statement as psycopg takes it, with the ``constants`` among the parameters. ``writes`` says whether
    it is seen to change rows, or said to by ``calls_writer``: a function that does. A long one is sent as it stands in
    ``numbered``, with the names of its parameters in their order.
    """

    def __init__(
        self, source: str | Executable, *, binary: bool = False, named: bool = True, calls_writer: bool = False
    ) -> None:
        """From SQL with ``:name`` for a parameter, or from what SQLAlchemy builds.

        A ``binary`` statement has its rows sent as the server holds them: worth it for hundreds of rows, or for bytes,
        which as text are twice as long. Its columns must be of types that psycopg reads so; our enums are not. Rows
        that are not ``named`` are plain tuples: worth it where there are many and all are read by place.
        """
        built: Any = text(_without_indents(source)) if isinstance(source, str) else source
        compiled = built.compile(dialect=_DIALECT)
        self.sql: str = compiled.string
        self.constants: dict[str, Any] = compiled.params
        self.writes = calls_writer or bool(_WRITES.search(self.sql))
        self._binary = binary
        self._is_named = named
        self._converters = _converters(source)
        self.numbered = _numbered(self.sql) if len(self.sql.encode()) > _LONG else None
        self._row: Callable[[Sequence[Any]], Any] | None = None

    def run(self, engine: Engine, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Its rows as tuples, none for a statement without RETURNING. Raises what Core would raise."""
        try:
            lent = engine.raw_connection()
        except psycopg.Error as error:
            raise self._as_core(error, lost=False) from error
        try:
            return self._rows(lent, parameters)
        except psycopg.Error as error:
            lost: bool = engine.dialect.is_disconnect(cast("Any", error), lent, None)
            if lost:
                # As Core does: what broke this connection broke the idle ones too, so they are replaced when next lent.
                engine.pool._invalidate(lent, error)
            raise self._as_core(error, lost=lost) from error
        finally:
            lent.close()

    def within(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The same in the transaction that the connection is in."""
        with self._failing_as_core(connection):
            return self._rows(connection.connection, parameters)

    def _rows(self, lent: Any, parameters: Mapping[str, Any]) -> Sequence[Any]:
        return self._read(self._sent(lent, parameters))

    def _sent(self, lent: Any, parameters: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        values = {**self.constants, **parameters}
        cursor: psycopg.Cursor[Any]
        if self.numbered is None:
            cursor = lent.cursor()
            cursor.execute(self.sql, values, binary=self._binary)
        else:
            cursor = psycopg.RawCursor(lent.driver_connection)
            numbered, names = self.numbered
            cursor.execute(numbered, [values[name] for name in names], binary=self._binary)
        return cursor

    def _read(self, cursor: psycopg.Cursor[Any]) -> Sequence[Any]:
        result = cursor.pgresult
        if result is None or not result.nfields:
            return ()
        rows = cursor.fetchall()
        for place, convert in self._converters:
            rows = [(*row[:place], convert(row[place]), *row[place + 1 :]) for row in rows]
        return self._named(cursor, rows) if self._is_named else rows

    def _named(self, cursor: psycopg.Cursor[Any], rows: list[Any]) -> list[Any]:
        if self._row is None:
            names = [column.name for column in cursor.description or ()]
            # rename: what has no name of its own, such as a cast, is read by its place.
            self._row = cast("Any", collections.namedtuple("Row", names, rename=True))._make
        return list(map(self._row, rows))

    @contextmanager
    def _failing_as_core(self, connection: Connection) -> Iterator[None]:
        lent = connection.connection
        try:
            yield
        except psycopg.Error as error:
            lost: bool = connection.dialect.is_disconnect(cast("Any", error), lent, None)
            if lost:
                connection.engine.pool._invalidate(lent, error)
                connection.invalidate(error)
            raise self._as_core(error, lost=lost) from error

    def _as_core(self, error: psycopg.Error, *, lost: bool) -> BaseException:
        return DBAPIError.instance(
            self.sql, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=_DIALECT
        )


Run = tuple[Statement, Mapping[str, Any]]
"""A statement and its parameters."""


def together(connection: Connection, *runs: Run) -> list[Sequence[Any]]:
    """The rows of each of these, run one after the other in the transaction that the connection is in.

    All are sent before the first answer is waited for: so none may need what another one finds. The begin of the
    transaction goes before them, by itself. What one raises is raised in the name of the first; those behind it are not
    run then. The time that the client waits for one statement is for all of them.
    """
    if len(runs) < 2:
        return [statement.within(connection, parameters) for statement, parameters in runs]
    with runs[0][0]._failing_as_core(connection):
        lent: Any = connection.connection
        with lent.pipeline():
            cursors = [statement._sent(lent, parameters) for statement, parameters in runs]
        return [statement._read(cursor) for (statement, _), cursor in zip(runs, cursors, strict=True)]


def writes(statement: Statement | Executable) -> bool:
    """Whether the statement is seen to change rows."""
    if isinstance(statement, Statement):
        return statement.writes
    return bool(getattr(statement, "is_dml", False) or _WRITES.search(str(getattr(statement, "text", ""))))


def _without_indents(sql: str) -> str:
    """Shorter, and the same unless a quoted text goes over lines."""
    return "\n".join(line.strip() for line in sql.splitlines())


def _numbered(sql: str) -> tuple[str, Sequence[str]]:
    """The statement with PostgreSQL's own ``$1`` for a parameter, and the parameters' names in that order."""
    names = dict[str, int]()

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${names.setdefault(name, len(names) + 1)}"

    return _PARAMETER.sub(number, sql), list(names)


def _converters(source: str | Executable) -> list[tuple[int, Convert]]:
    """The places of enums, which psycopg reads as text, and what makes our members of them."""
    kinds: list[Any] = [column.type for column in getattr(source, "exported_columns", ())]
    return [
        (place, cast("Any", kind).result_processor(_DIALECT, None))
        for place, kind in enumerate(kinds)
        if isinstance(kind, Enum)
    ]
