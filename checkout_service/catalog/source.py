"""Reads the tables of another application, as the worker's role: one snapshot, READ ONLY, some rows at a time.

The SELECT is the operator's own text (``CATALOG_SOURCE``). It stands in a subquery of ours, so it is one SELECT; what
the transaction refuses is whatever writes, a function of the source too. What row-level security would hide is an
error.

Functions that a view calls run as the worker's role all the same, with its rights (docs/catalogue.md says how to avoid
it): they find nothing by a name without its schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg import errors, sql

from checkout_service.catalog.jsonl import LONGEST_LINE
from checkout_service.catalog.rows import LONGEST_DESCRIPTION, LONGEST_NAME
from checkout_service.catalog.source_judging import MOST_STORED, Judged, judging
from checkout_service.database.connections import PatientConnection
from checkout_service.settings.catalog_source import CatalogSource
from checkout_service.settings.database_names import connection_to, names_at
from checkout_service.settings.secret import Secret
from checkout_service.terminal import printable

LONGEST_KEY: Final = 255

ROWS_AT_ONCE: Final = 100
"""Of what is fetched: each may be as long as a line of a file."""

RULES: Final = "1"
"""A release that reads rows differently counts this up: then every row is looked at once more."""

_KEYS: Final = frozenset({"uuid", "text", "varchar", "bpchar", "int2", "int4", "int8"})
_TEXTS: Final = frozenset({"text", "varchar", "bpchar"})
_JSON: Final = frozenset({"json", "jsonb"})

COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "id": _KEYS,
    "title": _TEXTS,
    "unit_price": frozenset({"numeric", "int2", "int4", "int8"}),
    "currency": _TEXTS,
    "vendor": _TEXTS,
    "vendor_id": _KEYS,
    "school": _TEXTS,
    "school_id": _KEYS,
    "spec": _TEXTS,
    "spec_id": _KEYS,
    "attributes": _JSON,
    "description": _TEXTS,
    "images": _JSON,
    "prices": _JSON,
    "stock": frozenset({"int2", "int4", "int8"}),
    "active": frozenset({"bool"}),
}
"""The columns that a source may have, and of which types each may be."""

NEEDED: Final = ("id", "title", "unit_price", "currency", "vendor")

OF_ANOTHER: Final = {"vendor_id": "vendor", "school_id": "school", "spec_id": "spec", "attributes": "spec"}
"""Columns that say nothing without the other one."""

_MOST_CHARACTERS: Final = {
    "title": LONGEST_NAME,
    "vendor": LONGEST_NAME,
    "school": LONGEST_NAME,
    "spec": LONGEST_NAME,
    "currency": 3,
    "description": LONGEST_DESCRIPTION,
    **dict.fromkeys(("images", "prices", "attributes"), LONGEST_LINE),
    **dict.fromkeys(("id", "vendor_id", "school_id", "spec_id"), LONGEST_KEY),
}
"""Of longer texts one character more is read, so that they are refused without being held whole."""


class SourceError(Exception):
    """The source cannot be read; the message says what to do. What was written before is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source within its snapshot, and which columns it has."""

    connection: psycopg.Connection[Any]
    select: str
    columns: Sequence[str]
    salt: str
    schema: str
    """Ours: nothing else is found without its schema."""

    def judge(self) -> Judged:
        """Count it, before anything is written. Raises SourceError."""
        query = judging(self.columns, source=self._subquery(), schema=self.schema)
        with _readable(self.connection):
            found: tuple[Any, ...] | None = self.connection.execute(query).fetchone()
        return Judged.of(found or (0, 0, [], 0, 0, 0, [], 0))

    def changed(self) -> Iterator[dict[str, Any]]:
        """The rows that differ from when they were last read, or whose listing somebody else has changed since.

        Each by its columns, as text but for ``active`` and ``stock``; with ``digest``, and with the ``known`` id of its
        listing if it has one, whether that ``was_active``, whether its stock ``was_counted``, and what it ``costs`` in
        each currency that the source gives, as text. Raises SourceError.
        """
        query = sql.SQL(_CHANGED).format(
            bounded=sql.SQL(", ").join(map(_bounded, self.columns)),
            columns=sql.SQL(", ").join(sql.Identifier("bounded", name) for name in self.columns),
            salt=sql.Literal(self.salt),
            # A source without other prices leaves them as they are.
            other_costs=sql.SQL(_OTHER_COSTS if "prices" in self.columns else "").format(
                ours=sql.Identifier(self.schema)
            ),
            source=self._subquery(),
            ours=sql.Identifier(self.schema),
        )
        names = ["digest", "known", "was_active", "was_counted", "costs", *self.columns]
        for values in self._rows(query, name="changed"):
            yield dict(zip(names, values, strict=True))

    def gone(self) -> Iterator[str]:
        """The keys that it no longer has. Raises SourceError."""
        query = sql.SQL(_GONE).format(source=self._subquery(), ours=sql.Identifier(self.schema))
        for (key,) in self._rows(query, name="gone"):
            yield key

    def _rows(self, query: sql.Composed, *, name: str) -> Iterator[Any]:
        with _readable(self.connection), self.connection.cursor(name=name) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from rows

    def _subquery(self) -> sql.SQL:
        return _subquery(self.select)


@contextmanager
def open_source(url: Secret, source: CatalogSource, *, pooler: str, seconds: int, namespace: str) -> Iterator[Source]:
    """The source in one snapshot, that ends with the block; a statement may take so many ``seconds``.

    Raises SourceError, and psycopg.OperationalError where the database is away.
    """
    with patient_connection(url, name="catalog-sync-source", pooler=pooler) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.answer_within = seconds + 5.0
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.SQL(setting), sql.Literal(f"{seconds}s")))
        connection.execute("SET LOCAL lock_timeout = '10s'")
        connection.execute("SET LOCAL timezone = 'UTC'")
        # Rows that a policy hides would be taken off sale, without a word.
        connection.execute("SET LOCAL row_security = off")
        connection.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        columns = _columns(connection, source.select)
        salt = sha256(repr((RULES, columns, namespace, str(source.image_origins))).encode()).hexdigest()
        schema = names_at(url).schema
        yield Source(connection=connection, select=source.select, columns=columns, salt=salt, schema=schema)


def patient_connection(url: Secret, *, name: str, pooler: str) -> PatientConnection:
    """A connection as the worker's role, beside the pool, that the server lists under ``name``. Raises psycopg.Error.

    Behind a ``transaction`` pooler nothing stays on a connection: what a transaction needs it sets for itself.
    """
    parameters = connection_to(url, pooler=pooler)
    if pooler == "none":
        parameters["options"] = f"{parameters.get('options', '')} -c timezone=UTC".lstrip()
    own = {"application_name": name, "connect_timeout": 5, "prepare_threshold": None}
    return PatientConnection.connect(**parameters | own)


def _columns(connection: psycopg.Connection[Any], select: str) -> Sequence[str]:
    """Which columns the source has. Raises SourceError for any that is not known, missing or of another type."""
    with _readable(connection):
        cursor = connection.execute(sql.SQL("SELECT * FROM {} AS source LIMIT 0").format(_subquery(select)))
    found = [(column.name, column.type_code) for column in cursor.description or ()]
    names = [name for name, _ in found]
    faults = [
        *(
            f'it has the column "{printable(name)[:60]}", which is none of a listing'
            for name in names
            if name not in COLUMNS
        ),
        *(f"it has the column {name} twice" for name in COLUMNS if names.count(name) > 1),
        *(f"it lacks the column {name}" for name in NEEDED if name not in names),
        *(
            f"{name} says nothing without {other}"
            for name, other in OF_ANOTHER.items()
            if {name, other} & {*names} == {name}
        ),
        *(
            f"{name} is {kind}: cast it to {' or '.join(sorted(COLUMNS[name]))}"
            for name, code in found
            if name in COLUMNS and (kind := _kind(connection, code)) not in COLUMNS[name]
        ),
    ]
    if faults:
        raise SourceError("CATALOG_SOURCE: " + "; ".join(faults))
    return names


def _kind(connection: psycopg.Connection[Any], code: int) -> str:
    known = connection.adapters.types.get(code)
    return known.name if known else "of a type of its own"


@contextmanager
def _readable(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Turn what the server says of the source into words that help. An OperationalError is not about the source."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        role = connection.info.user
        if error.diag.source_function == "check_enable_rls":
            raise SourceError(
                f"{_first_line(error)}: {role} would not see all rows, and what it does not see would be taken "
                "off sale. Give it a view whose owner sees all of them, or the attribute BYPASSRLS"
            ) from error
        raise SourceError(
            f"{_first_line(error)}: {role} may not read it. `checkout catalog sync --grants` prints the GRANT that "
            "its owner runs"
        ) from error
    except errors.ReadOnlySqlTransaction as error:
        raise SourceError(f"CATALOG_SOURCE writes, and is refused: {_first_line(error)}") from error
    except errors.QueryCanceled as error:
        raise SourceError("CATALOG_SOURCE took too long: give it an index, or less to compute") from error
    except errors.LockNotAvailable as error:
        raise SourceError("somebody keeps a table of CATALOG_SOURCE locked") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise SourceError(f"CATALOG_SOURCE cannot be read: {_first_line(error)}") from error


def _first_line(error: psycopg.Error) -> str:
    """What the server said, without what it quotes of rows behind it."""
    return printable(str(error.diag.message_primary or error).partition("\n")[0])[:300]


def _subquery(select: str) -> sql.SQL:
    # A comment at its end must not reach the bracket.
    return sql.SQL(f"(\n{select}\n)")


def _bounded(name: str) -> sql.Composable:
    """The column as it is read: never more of it than a listing may have, and one character."""
    column, named = sql.Identifier("item", name), sql.Identifier(name)
    if name in _MOST_CHARACTERS:
        text: sql.Composable = sql.SQL("left({}::text, {})").format(column, sql.Literal(_MOST_CHARACTERS[name] + 1))
        if COLUMNS[name] is _JSON:
            # Its text is made whole before it can be cut, and what it would take is known of what is stored alone.
            text = sql.SQL(_JSON_TEXT).format(
                column=column, text=text, most=sql.Literal(MOST_STORED), too_long=sql.Literal(LONGEST_LINE + 1)
            )
    elif name == "unit_price":
        # More digits are no amount, and a number may have a hundred thousand.
        text = sql.SQL("left(trim_scale({}::numeric)::text, 40)").format(column)
    else:
        text = column
    return sql.SQL("{} AS {}").format(text, named)


_JSON_TEXT: Final = """
CASE WHEN pg_column_size({column}) > {most} / CASE WHEN pg_column_compression({column}) IS NULL THEN 1 ELSE 4 END
    THEN repeat(' ', {too_long}) ELSE {text} END
"""

_OTHER_COSTS: Final = """
|| coalesce((SELECT jsonb_object_agg(price.currency, price.unit_price::text) FROM {ours}.listing_prices AS price
    WHERE price.listing_id = listing.id), '{{}}')
"""

# In no order: what was not reached is read by the next run. Never of a row as a whole, which may be larger than a
# text of PostgreSQL can be. OFFSET keeps what a view computes from being computed for each mention of it.
_CHANGED: Final = """
SELECT encode(read.digest, 'hex'), known.listing_id, listing.active, listing.stock IS NOT NULL,
    CASE WHEN listing.active THEN jsonb_build_object(listing.currency, listing.unit_price::text) {other_costs} END,
    {columns}
FROM (SELECT * FROM {source} AS given OFFSET 0) AS item
CROSS JOIN LATERAL (SELECT {bounded}) AS bounded
CROSS JOIN LATERAL (SELECT sha256(convert_to({salt} || bounded::text, 'UTF8')) AS digest) AS read
LEFT JOIN {ours}.source_listings AS known ON known.key = left(item.id::text, 256)
LEFT JOIN {ours}.listings AS listing ON listing.id = known.listing_id
WHERE known.digest IS DISTINCT FROM read.digest OR known.listing_updated_at IS DISTINCT FROM listing.updated_at
"""

_GONE: Final = """
SELECT known.key FROM {ours}.source_listings AS known
WHERE NOT EXISTS (SELECT FROM {source} AS item WHERE left(item.id::text, 256) = known.key)
"""
