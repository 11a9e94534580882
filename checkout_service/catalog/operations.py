"""The import: all listings of a file in one transaction, as the tables' owner, or none.

The file streams through COPY into a temporary table, so memory stays flat; then four statements store what is new or
different. Customers go on meanwhile: readers see the catalogue as it was, and a line put into a cart takes no lock that
the import holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import psycopg

from checkout_service.catalog.jsonl import BadLineError, read_lines
from checkout_service.catalog.schemas import ListingRow, parse_line
from checkout_service.settings.secret import Secret

OWNER: Final = "checkout_owner"
REPORT_EVERY: Final = 1000
"""Lines between two reports of progress."""


class ImportRefusedError(Exception):
    """A line of the file is wrong. ``number`` counts from 1, ``reason`` says what to repair. Nothing was stored."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"line {number}: {reason}")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did to the listings of its file."""

    new: int
    changed: int
    unchanged: int


def import_listings(
    *, file: BinaryIO, database_url: Secret, progress: Callable[[int], None] = lambda _bytes: None
) -> Imported:
    """Upsert every listing of a JSON Lines file by its id, with the vendors, schools and specs that it names.

    ``progress`` is called now and then with how many more bytes were read. A listing may have one line, since two could
    not both be right. Of a vendor, school or spec the last line counts; a spec without attributes keeps those
    it has. Raises ImportRefusedError, and psycopg.Error where the database does.
    """
    with _connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {OWNER}")
        cursor.execute(_STAGE)
        with cursor.copy("COPY staged FROM STDIN") as copy:
            for row in _rows(file, progress):
                copy.write_row(row)
        total = cursor.rowcount
        _refuse_twice(cursor)
        # Imports that overlap would lock the same rows in different orders; the second waits here for the first. Only
        # the owner may take this lock, and nobody who reads listings, or refers to one, waits for it.
        cursor.execute("LOCK TABLE listings IN SHARE UPDATE EXCLUSIVE MODE")
        for statement in (_UPSERT_VENDORS, _UPSERT_SCHOOLS, _UPSERT_SPECS, _UPSERT_LISTINGS):
            cursor.execute(statement)
        new, changed = cursor.fetchone() or (0, 0)
    return Imported(new=new, changed=changed, unchanged=total - new - changed)


def _connect(url: Secret) -> psycopg.Connection[Any]:
    """A connection of its own: the web's engine may not write the catalogue, and gives up after seconds."""
    conninfo = url.reveal().replace("postgresql+psycopg://", "postgresql://", 1)
    return psycopg.connect(conninfo, application_name="catalog-import", connect_timeout=5)


def _rows(file: BinaryIO, progress: Callable[[int], None]) -> Iterator[tuple[Any, ...]]:
    """Each line as a row of the temporary table; blank lines are passed over but counted."""
    read = 0
    for number, line in enumerate(read_lines(file), 1):
        read += len(line)
        if number % REPORT_EVERY == 0:
            progress(read)
            read = 0
        if line.isspace():
            continue
        try:
            yield number, *_staged(parse_line(line))
        except BadLineError as error:
            raise ImportRefusedError(number, str(error)) from error
    progress(read)


def _staged(listing: ListingRow) -> tuple[Any, ...]:
    *own, vendor, school, spec = listing
    return (*own, *vendor[:2], *(school[:2] if school else (None, None)), *(spec or (None, None, None)))


def _refuse_twice(cursor: psycopg.Cursor[Any]) -> None:
    """Refuse a listing that has two lines. PostgreSQL sorts on disk if it must; a set here would grow with the file."""
    found = cursor.execute(_TWICE).fetchone()
    if found:
        number, listing, first = found
        raise ImportRefusedError(number, f"the listing {listing} stands on line {first} already")


_STAGE = """
CREATE TEMPORARY TABLE staged (
    line bigint, id uuid, title text, unit_price numeric, currency char(3), stock integer, active boolean,
    vendor_id uuid, vendor_name text, school_id uuid, school_name text,
    spec_id uuid, spec_name text, spec_attributes jsonb
) ON COMMIT DROP
"""

_TWICE = """
SELECT line, id, first
FROM (SELECT line, id, min(line) OVER (PARTITION BY id) AS first FROM staged) AS numbered
WHERE line > first
ORDER BY line
LIMIT 1
"""

_UPSERT_VENDORS = """
INSERT INTO vendors AS stored (id, name)
SELECT DISTINCT ON (vendor_id) vendor_id, vendor_name FROM staged ORDER BY vendor_id, line DESC
ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now() WHERE stored.name <> excluded.name
"""

_UPSERT_SCHOOLS = """
INSERT INTO schools AS stored (id, name)
SELECT DISTINCT ON (school_id) school_id, school_name FROM staged WHERE school_id IS NOT NULL
ORDER BY school_id, line DESC
ON CONFLICT (id) DO UPDATE SET name = excluded.name, updated_at = now() WHERE stored.name <> excluded.name
"""

# Two passes, since the last line that names a spec need not be the last that gives its attributes.
_UPSERT_SPECS = """
WITH named AS (
    SELECT DISTINCT ON (spec_id) spec_id, spec_name FROM staged WHERE spec_id IS NOT NULL
    ORDER BY spec_id, line DESC
), described AS (
    SELECT DISTINCT ON (spec_id) spec_id, spec_attributes FROM staged WHERE spec_attributes IS NOT NULL
    ORDER BY spec_id, line DESC
)
INSERT INTO specs AS stored (id, name, attributes)
SELECT spec_id, spec_name, coalesce(spec_attributes, kept.attributes, '{}')
FROM named LEFT JOIN described USING (spec_id) LEFT JOIN specs AS kept ON kept.id = spec_id
ON CONFLICT (id) DO UPDATE SET name = excluded.name, attributes = excluded.attributes, updated_at = now()
WHERE (stored.name, stored.attributes) <> (excluded.name, excluded.attributes)
"""

_UPSERT_LISTINGS = """
WITH written AS (
    INSERT INTO listings AS stored
        (id, vendor_id, school_id, spec_id, title, unit_price, currency, stock, active)
    SELECT id, vendor_id, school_id, spec_id, title, unit_price, currency, stock, active FROM staged ORDER BY line
    ON CONFLICT (id) DO UPDATE SET
        vendor_id = excluded.vendor_id, school_id = excluded.school_id, spec_id = excluded.spec_id,
        title = excluded.title, unit_price = excluded.unit_price, currency = excluded.currency,
        stock = excluded.stock, active = excluded.active, updated_at = now()
    WHERE (stored.vendor_id, stored.school_id, stored.spec_id, stored.title, stored.unit_price, stored.currency,
           stored.stock, stored.active)
        IS DISTINCT FROM (excluded.vendor_id, excluded.school_id, excluded.spec_id, excluded.title,
                          excluded.unit_price, excluded.currency, excluded.stock, excluded.active)
    RETURNING old.id IS NULL AS is_new
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM written
"""
