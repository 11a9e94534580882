"""The import: all listings of a file, as the tables' owner, or none.

The file streams through COPY into a temporary table, so memory stays flat; then some statements store what is new or
different, in one transaction with the judging of every line. Customers go on meanwhile: readers see the catalogue as it
was, and a line put into a cart takes no lock that the import holds.

What lies there of listings that were there before is entered right after that, ``STEP`` of them with a transaction, in
the order of their ids: whoever wants pieces of one waits for one step. An import that is killed in between leaves the
others with the stock of before, and the same file imported again enters it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any, BinaryIO, Final, LiteralString
from uuid import UUID

import psycopg

from checkout_service.catalog.jsonl import BadLineError, read_lines
from checkout_service.catalog.rows import ListingRow, left_out, parse_line
from checkout_service.catalog.shortages import Reserved, reserved_of
from checkout_service.database.owner import STEP, OwnersConnection, as_owner, owner_steps
from checkout_service.settings.origins import Origins
from checkout_service.settings.secret import Secret

REPORT_EVERY: Final = 1000
"""Lines between two reports of progress."""


class ImportRefusedError(Exception):
    """A line of the file is wrong. ``number`` counts from 1, ``reason`` says what to repair. Nothing was stored."""

    def __init__(self, number: int, reason: str) -> None:
        self.number = number
        self.reason = reason
        super().__init__(f"line {number}: {reason}")


class ShortagesRefusedError(ImportRefusedError):
    """Lines say that less lies there than is reserved; ``number`` is the first of them. Nothing was stored.

    Or, if ``stored``, all was but the stock of these: their pieces were taken while the import ran.
    """

    def __init__(self, shortages: Sequence[tuple[int, Reserved]], *, stored: bool = False) -> None:
        super().__init__(shortages[0][0], shortages[0][1].against())
        self.shortages = shortages
        self.stored = stored


class StockLeftError(Exception):
    """The database failed while the stock was entered. All else was stored; the same file imported again enters it."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did to the listings of its file. ``shortages`` are those with less stock than is reserved.

    ``left_out`` counts lines by the withdrawn currencies in which their prices were left out.
    """

    new: int
    changed: int
    unchanged: int
    shortages: Sequence[Reserved] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def import_listings(
    *,
    file: BinaryIO,
    database_url: Secret,
    progress: Callable[[int], None] = lambda _bytes: None,
    accept_shortages: bool = False,
    image_origins: Origins | None = None,
) -> Imported:
    """Upsert every listing of a JSON Lines file by its id, with the vendors, schools and specs that it names.

    ``progress`` is called now and then with how many more bytes were read. A listing may have one line, since two could
    not both be right. Of a vendor, school or spec the last line counts; a spec without attributes keeps those
    it has. A line that brings the stock of its listing below what is reserved is refused, unless shortages are
    accepted; so is one with an image at none of the origins.
    Raises ImportRefusedError, and psycopg.Error where the database does; StockLeftError once all but some
    stock is stored.
    """
    unsold = Counter[str]()
    with owner_steps(database_url, name="catalog-import") as connection:
        with as_owner(connection) as cursor:
            cursor.execute(_STAGE)
            with cursor.copy("COPY staged FROM STDIN") as copy:
                for row in _rows(file, progress, image_origins, unsold):
                    copy.write_row(row)
            total = cursor.rowcount
            _refuse_twice(cursor)
            # Imports that overlap would lock the same rows in different orders; the second waits here for the first.
            # Only the owner may take this lock, and nobody who reads listings, or refers to one, waits for it.
            cursor.execute("LOCK TABLE listings IN SHARE UPDATE EXCLUSIVE MODE")
            for statement in (_UPSERT_VENDORS, _UPSERT_SCHOOLS, _UPSERT_SPECS, _NOTE_STOCK, _UPSERT_LISTINGS):
                cursor.execute(statement)
            for statement in (_DROP_PRICES, _UPSERT_PRICES, _COUNT):
                cursor.execute(statement)
            new, changed = cursor.fetchone() or (0, 0)
            shortages = _shortages(cursor, _SHORT)
            if shortages and not accept_shortages:
                raise ShortagesRefusedError(shortages)
        try:
            taken = _enter_stock(connection, accept_shortages=accept_shortages)
        except psycopg.Error as error:
            raise StockLeftError(str(error)) from error
        if taken:
            raise ShortagesRefusedError(taken, stored=True)
    return Imported(
        new=new,
        changed=changed,
        unchanged=total - new - changed,
        shortages=tuple(reserved for _, reserved in shortages),
        left_out=unsold,
    )


def take_off_sale(*, listings: Sequence[UUID], database_url: Secret) -> int:
    """Make these listings inactive, as the tables' owner, and pass over those that are not there; how many were active.

    Carts and orders keep them. Raises psycopg.Error.
    """
    with owner_steps(database_url, name="catalog-off-sale") as connection, as_owner(connection) as cursor:
        cursor.execute(_TAKE_OFF_SALE, {"listings": list(listings)})
        return cursor.rowcount


def _enter_stock(connection: OwnersConnection, *, accept_shortages: bool) -> Sequence[tuple[int, Reserved]]:
    """Enter what lies there of all listings that were there before, step by step.

    Unless shortages are accepted, those are left as they are, and returned, whose pieces were taken since the lines
    were judged. Under the locks of its counters nobody takes more of a step.
    """
    taken: list[tuple[int, Reserved]] = []
    after: UUID | None = UUID(int=0)
    while after is not None:
        with as_owner(connection) as cursor:
            (after,) = cursor.execute(_NEXT_STEP, {"after": after, "step": STEP}).fetchone() or (None,)
            if after is None:
                break
            for statement in (_LOCK_LISTINGS, _LOCK_COUNTERS):
                cursor.execute(statement)
            if not accept_shortages:
                short = _shortages(cursor, _SHORT_OF_STEP)
                cursor.execute(_LEAVE, {"listings": [reserved.listing_id for _, reserved in short]})
                taken += short
            cursor.execute(_ENTER)
    return taken


def _shortages(cursor: psycopg.Cursor[Any], statement: LiteralString) -> Sequence[tuple[int, Reserved]]:
    """The first lines that bring a stock below what is reserved, by number."""
    lines = {listing: (line, stock) for line, listing, stock in cursor.execute(statement).fetchall()}
    named = reserved_of(cursor, list(lines))
    found = [(lines[each.listing_id][0], replace(each, stock=lines[each.listing_id][1])) for each in named]
    return sorted(found, key=itemgetter(0))


def _rows(
    file: BinaryIO, progress: Callable[[int], None], image_origins: Origins | None, unsold: Counter[str]
) -> Iterator[tuple[Any, ...]]:
    """Each line as a row of the temporary table; blank lines are passed over but counted.

    ``unsold`` counts prices that are left out, by currency.
    """
    read = 0
    for number, line in enumerate(read_lines(file), 1):
        read += len(line)
        if number % REPORT_EVERY == 0:
            progress(read)
            read = 0
        if line.isspace():
            continue
        try:
            yield number, *_staged(parse_line(line, image_origins))
            unsold.update(left_out(line))
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
    line bigint, id uuid, title text, description text, images jsonb, unit_price numeric, currency char(3),
    prices jsonb, stock integer, active boolean,
    vendor_id uuid, vendor_name text, school_id uuid, school_name text,
    spec_id uuid, spec_name text, spec_attributes jsonb
) ON COMMIT DROP;
CREATE TEMPORARY TABLE restocked (id uuid PRIMARY KEY, line bigint, stock integer, is_new boolean);
CREATE TEMPORARY TABLE step (id uuid, line bigint, stock integer);
CREATE TEMPORARY TABLE touched (id uuid, is_new boolean) ON COMMIT DROP;
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

# Of what is new, too: holds may have been left by a listing of this id that was deleted.
_NOTE_STOCK = """
INSERT INTO restocked (id, line, stock, is_new)
SELECT staged.id, staged.line, staged.stock, stored.id IS NULL
FROM staged LEFT JOIN listings AS stored USING (id)
WHERE stored.id IS NULL OR stored.stock IS DISTINCT FROM staged.stock
"""

# By id, as everybody who locks several of them: whoever hands pieces over locks the listings of an order.
_UPSERT_LISTINGS = """
WITH written AS (
    INSERT INTO listings AS stored
        (id, vendor_id, school_id, spec_id, title, description, images, unit_price, currency, stock, active)
    SELECT id, vendor_id, school_id, spec_id, title, description, images, unit_price, currency, stock, active
    FROM staged ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        vendor_id = excluded.vendor_id, school_id = excluded.school_id, spec_id = excluded.spec_id,
        title = excluded.title, description = excluded.description, images = excluded.images,
        unit_price = excluded.unit_price, currency = excluded.currency, active = excluded.active, updated_at = now()
    WHERE (stored.vendor_id, stored.school_id, stored.spec_id, stored.title, stored.description, stored.images,
           stored.unit_price, stored.currency, stored.active)
        IS DISTINCT FROM (excluded.vendor_id, excluded.school_id, excluded.spec_id, excluded.title,
                          excluded.description, excluded.images, excluded.unit_price, excluded.currency,
                          excluded.active)
    RETURNING new.id, old.id IS NULL AS is_new
)
INSERT INTO touched (id, is_new) SELECT id, is_new FROM written UNION ALL SELECT id, is_new FROM restocked
"""

# By id, as everybody who locks several of them.
_TAKE_OFF_SALE = """
WITH locked AS (
    SELECT id FROM listings WHERE id = ANY(%(listings)s::uuid[]) AND active ORDER BY id FOR NO KEY UPDATE
)
UPDATE listings SET active = false, updated_at = now() FROM locked WHERE listings.id = locked.id
"""

# Before the others are written: a price in what is the listing's own currency from now on is none of these.
_DROP_PRICES = """
WITH gone AS (
    DELETE FROM listing_prices AS stored USING staged
    WHERE stored.listing_id = staged.id AND NOT staged.prices ? stored.currency::text
    RETURNING stored.listing_id
)
INSERT INTO touched (id, is_new) SELECT listing_id, false FROM gone
"""

_UPSERT_PRICES = """
WITH written AS (
    INSERT INTO listing_prices AS stored (listing_id, currency, unit_price)
    SELECT staged.id, price.key, price.value::numeric FROM staged, jsonb_each_text(staged.prices) AS price
    ORDER BY staged.id, price.key
    ON CONFLICT (listing_id, currency) DO UPDATE SET unit_price = excluded.unit_price, updated_at = now()
    WHERE stored.unit_price <> excluded.unit_price
    RETURNING listing_id
)
INSERT INTO touched (id, is_new) SELECT listing_id, false FROM written
"""

_COUNT = """
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)
FROM (SELECT bool_or(is_new) AS is_new FROM touched GROUP BY id) AS each
"""

_SHORT = """
SELECT restocked.line, restocked.id, restocked.stock
FROM restocked JOIN stock_counters AS counter ON counter.listing_id = restocked.id
WHERE restocked.stock < counter.reserved
ORDER BY restocked.line
LIMIT 1000
"""

_NEXT_STEP = """
WITH gone AS (
    DELETE FROM step
), chosen AS (
    INSERT INTO step (id, line, stock)
    SELECT id, line, stock FROM restocked WHERE id > %(after)s AND NOT is_new ORDER BY id LIMIT %(step)s
    RETURNING id
)
SELECT id FROM chosen ORDER BY id DESC LIMIT 1
"""

_LOCK_LISTINGS = "SELECT FROM listings WHERE id IN (SELECT id FROM step) ORDER BY id FOR NO KEY UPDATE"

_LOCK_COUNTERS = """
SELECT FROM stock_counters WHERE listing_id IN (SELECT id FROM step) ORDER BY listing_id FOR NO KEY UPDATE
"""

_SHORT_OF_STEP = """
SELECT step.line, step.id, step.stock
FROM step JOIN stock_counters AS counter ON counter.listing_id = step.id
WHERE step.stock < counter.reserved
"""

_LEAVE = "DELETE FROM step WHERE id = ANY(%(listings)s::uuid[])"

# The trigger listings_carry_stock brings it to the counters.
_ENTER = """
UPDATE listings AS listing SET stock = step.stock, updated_at = now()
FROM step WHERE listing.id = step.id AND listing.stock IS DISTINCT FROM step.stock
"""
