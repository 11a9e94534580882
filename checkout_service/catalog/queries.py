"""Reads of the catalogue: what is on sale, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

SEARCHED: Final = 10_000
"""Listings that one search looks through at most: some 20 ms. What matches nothing would else read the catalogue."""

# What is available is looked up for the listings of the page alone, not for all that a search looks through.
_COLUMNS: Final = """
    listing.id, listing.title, listing.unit_price, listing.currency,
    (SELECT CASE WHEN counter.stock IS NOT NULL THEN greatest(counter.stock - counter.reserved, 0) END
        FROM stock_counters AS counter WHERE counter.listing_id = listing.id) AS available,
    vendor.name AS vendor, school.name AS school, spec.attributes
"""

_JOINED: Final = """
    JOIN vendors AS vendor ON vendor.id = listing.vendor_id
    LEFT JOIN schools AS school ON school.id = listing.school_id
    LEFT JOIN specs AS spec ON spec.id = listing.spec_id
"""

_page = Statement(f"""
    SELECT {_COLUMNS} FROM listings AS listing {_JOINED}
    WHERE listing.active AND listing.id > :after ORDER BY listing.id LIMIT :limit
""")  # noqa: S608 (only our own constants)

# One row at least: the last listing that is looked at, where others follow it.
_matching_page = Statement(f"""
    SELECT looked.until, found.* FROM (SELECT (
        SELECT id FROM listings WHERE active AND id > :after ORDER BY id OFFSET {SEARCHED} - 1 LIMIT 1
    ) AS until) AS looked
    LEFT JOIN (
        SELECT {_COLUMNS}
        FROM (
            SELECT * FROM listings WHERE active AND id > :after ORDER BY id LIMIT {SEARCHED}
        ) AS listing {_JOINED}
        WHERE listing.title ILIKE :pattern OR vendor.name ILIKE :pattern OR school.name ILIKE :pattern
        ORDER BY listing.id LIMIT :limit
    ) AS found ON true
    ORDER BY found.id
""")  # noqa: S608 (only our own constants)

FIRST: Final = UUID(int=0)


class ListingOnSale(NamedTuple):
    """A listing with the names of its vendor and school.

    ``available`` is how many pieces anybody may still take, and None where stock is not tracked.
    """

    id: UUID
    title: str
    unit_price: Decimal
    currency: str
    available: int | None
    vendor: str
    school: str | None
    attributes: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsPage:
    """A page of what is on sale, and the ``after`` of the next page, if there is one.

    ``looked_through`` is False where a search ended before the page was full, and may find more behind ``following``.
    """

    listings: Sequence[ListingOnSale]
    following: UUID | None
    looked_through: bool = True


def listings_on_sale(*, search: str = "", after: UUID = FIRST, limit: int) -> ListingsPage:
    """A page of what is on sale, by id, behind the listing ``after``.

    ``search`` is looked for in titles and in the names of vendors and schools, whatever their case, among ``SEARCHED``
    listings at most.
    """
    values: dict[str, Any] = {"after": after, "limit": limit + 1}
    until: UUID | None = None
    if search:
        rows = execute(_matching_page, values | {"pattern": f"%{_escaped(search)}%"})
        until = rows[0].until
        found = [ListingOnSale._make(row[1:]) for row in rows if row.id is not None]
    else:
        found = [ListingOnSale._make(row) for row in execute(_page, values)]
    if len(found) > limit:
        return ListingsPage(listings=found[:limit], following=found[limit - 1].id)
    return ListingsPage(listings=found, following=until, looked_through=until is None)


def _escaped(text: str) -> str:
    """The text, with what LIKE takes for a wildcard taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
