"""What lies there, as somebody says it who looked: entered as the tables' owner, for one listing or many.

Many are judged together, all or none, and then entered some at a time, in the order of their ids: each step is a
transaction that locks its listings, then their counters, as whoever hands pieces over. So what is reserved stays as it
is while it is compared, two who count at once follow each other, and no customer waits for a whole file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import psycopg

from checkout_service.catalog.rows import LARGEST_STOCK
from checkout_service.catalog.shortages import Reserved, reserved_of
from checkout_service.database.owner import LOCK_WITHIN, STEP, as_owner, owner_connection, owner_steps
from checkout_service.settings.secret import Secret


class Mode(StrEnum):
    """How a number is meant."""

    LIES_THERE = "lies there"
    """So many pieces lie there."""
    MORE = "more"
    """So many pieces came, or went if it is below zero."""


class StockRefusedError(Exception):
    """The number cannot be entered; the message names why, a line for each listing.

    ``entered`` listings of many were entered before something stood against the next ones; with none nothing was.
    """

    def __init__(self, message: str, *, entered: int = 0) -> None:
        super().__init__(message)
        self.entered = entered


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What lies there of a listing now, and what lay there before; ``reserved`` has what is reserved of it."""

    before: int | None
    reserved: Reserved


def enter_stock(
    numbers: Mapping[UUID, int], *, database_url: Secret, mode: Mode = Mode.LIES_THERE, accept_shortages: bool = False
) -> Sequence[Entered]:
    """Enter what lies there of listings, in the order of their ids, ``STEP`` with a transaction.

    All are judged before any is entered. A listing whose stock was not tracked is from now on; but pieces cannot come
    to one (``Mode.MORE``). Less than is reserved is refused, unless shortages are accepted. Raises StockRefusedError,
    also where others took pieces between the judging and a step, and psycopg.Error where the database does before
    anything was entered.
    """
    ids = sorted(numbers)
    steps = [ids[start : start + STEP] for start in range(0, len(ids), STEP)]
    done: list[Entered] = []
    with owner_steps(database_url, name="stock") as connection:
        if len(steps) > 1:
            with as_owner(connection) as cursor:
                _judged(cursor, _LISTINGS, ids, numbers, mode, accept_shortages=accept_shortages)
        for step in steps:
            try:
                with as_owner(connection) as cursor:
                    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_WITHIN}'")
                    done += _entered(cursor, step, numbers, mode, accept_shortages=accept_shortages)
            except (StockRefusedError, psycopg.Error) as error:
                if not done:
                    raise
                raise StockRefusedError(str(error), entered=len(done)) from error
    return done


def _entered(
    cursor: psycopg.Cursor[Any],
    ids: Sequence[UUID],
    numbers: Mapping[UUID, int],
    mode: Mode,
    *,
    accept_shortages: bool,
) -> Sequence[Entered]:
    before, stocks = _judged(cursor, _LOCK_LISTINGS, ids, numbers, mode, accept_shortages=accept_shortages)
    cursor.execute(_UPDATE, {"listings": list(stocks), "stocks": list(stocks.values())})
    return [
        Entered(before=before[reserved.listing_id], reserved=reserved) for reserved in reserved_of(cursor, list(stocks))
    ]


def _judged(
    cursor: psycopg.Cursor[Any],
    statement: LiteralString,
    ids: Sequence[UUID],
    numbers: Mapping[UUID, int],
    mode: Mode,
    *,
    accept_shortages: bool,
) -> tuple[Mapping[UUID, int | None], Mapping[UUID, int]]:
    """What lies there of each, and what is to; under locks if the statement takes them. Raises StockRefusedError."""
    before = _found(cursor, statement, ids)
    if statement is _LOCK_LISTINGS:
        cursor.execute(_LOCK_COUNTERS, {"listings": list(ids)})
    stocks = {listing: _stock(before[listing], listing, numbers[listing], mode) for listing in before}
    if not accept_shortages:
        # That pieces come is never refused, even where there are still too few.
        _refuse_short(
            cursor, {id_: stock for id_, stock in stocks.items() if mode is Mode.LIES_THERE or numbers[id_] < 0}
        )
    return before, stocks


def stock_of(listing: UUID, *, database_url: Secret) -> Reserved:
    """What lies there of a listing, and what of it is reserved. Raises StockRefusedError where there is none such."""
    with owner_connection(database_url, name="stock") as connection, connection.cursor() as cursor:
        found = reserved_of(cursor, [listing])
    if not found:
        raise StockRefusedError(_unknown(listing))
    return found[0]


class Listed(NamedTuple):
    """A listing, what lies there of it and what is available; both None where nobody counts."""

    id: UUID
    title: str
    active: bool
    stock: int | None
    available: int | None


def list_listings(*, title: str | None, limit: int, database_url: Secret) -> Sequence[Listed]:
    """Listings whose title has a text in it, in whatever case, or all of them; by title. Raises psycopg.Error."""
    with owner_connection(database_url, name="stock") as connection, connection.cursor() as cursor:
        return [Listed(*row) for row in cursor.execute(_LIST, {"title": title, "limit": limit}).fetchall()]


def _found(
    cursor: psycopg.Cursor[Any], statement: LiteralString, listings: Sequence[UUID]
) -> Mapping[UUID, int | None]:
    found = dict(cursor.execute(statement, {"listings": list(listings)}).fetchall())
    if gone := [listing for listing in listings if listing not in found]:
        raise StockRefusedError("\n".join(map(_unknown, gone)))
    return found


def _unknown(listing: UUID) -> str:
    return f"There is no listing {listing}."


def _stock(before: int | None, listing: UUID, number: int, mode: Mode) -> int:
    if mode is Mode.MORE and before is None:
        raise StockRefusedError(f"The stock of listing {listing} is not tracked: say how much lies there first.")
    stock = number if mode is Mode.LIES_THERE else (before or 0) + number
    if not 0 <= stock <= LARGEST_STOCK:
        raise StockRefusedError(
            f"There lie {before} pieces of listing {listing}: {number:+} would make {stock}, which is not from 0 to "
            f"{LARGEST_STOCK}."
        )
    return stock


def _refuse_short(cursor: psycopg.Cursor[Any], stocks: Mapping[UUID, int]) -> None:
    # Few are short as a rule, and only those are looked at one by one.
    below = cursor.execute(_SHORT, {"listings": list(stocks), "stocks": list(stocks.values())}).fetchall()
    short = [
        reserved.against(stocks[reserved.listing_id])
        for reserved in reserved_of(cursor, [listing for (listing,) in below])
        if stocks[reserved.listing_id] < reserved.reserved
    ]
    if short:
        raise StockRefusedError(
            "\n".join([*short, "If no more lie there, enter the shortage: stock count LISTING N --accept"])
        )


_LIST: Final = """
SELECT listing.id, listing.title, listing.active, listing.stock,
    CASE WHEN listing.stock IS NOT NULL THEN greatest(listing.stock - coalesce(counter.reserved, 0), 0) END
FROM listings AS listing LEFT JOIN stock_counters AS counter ON counter.listing_id = listing.id
WHERE %(title)s::text IS NULL OR strpos(lower(listing.title), lower(%(title)s)) > 0
ORDER BY listing.title, listing.id LIMIT %(limit)s
"""

_LISTINGS: Final = "SELECT id, stock FROM listings WHERE id = ANY(%(listings)s) ORDER BY id"

_LOCK_LISTINGS: Final = """
SELECT id, stock FROM listings WHERE id = ANY(%(listings)s) ORDER BY id FOR NO KEY UPDATE
"""

_LOCK_COUNTERS: Final = """
SELECT FROM stock_counters WHERE listing_id = ANY(%(listings)s) ORDER BY listing_id FOR NO KEY UPDATE
"""

_SHORT: Final = """
SELECT counter.listing_id FROM stock_counters AS counter
JOIN unnest(%(listings)s::uuid[], %(stocks)s::integer[]) AS given (id, stock) ON given.id = counter.listing_id
WHERE counter.reserved > given.stock
"""

# The trigger listings_carry_stock brings it to the counters.
_UPDATE: Final = """
UPDATE listings AS listing SET stock = given.stock, updated_at = now()
FROM unnest(%(listings)s, %(stocks)s::integer[]) AS given (id, stock)
WHERE listing.id = given.id AND listing.stock IS DISTINCT FROM given.stock
"""
