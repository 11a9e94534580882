"""Reads of the catalogue: listings that are on sale, by their ids, as everybody sees them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show

_PRICES: Final = {
    False: "unit_price, listing.currency",
    True: """CASE WHEN listing.currency = CAST(:currency AS char(3)) THEN listing.unit_price ELSE (
        SELECT other.unit_price FROM listing_prices AS other
        WHERE other.listing_id = listing.id AND other.currency = CAST(:currency AS char(3))
    ) END AS unit_price, CAST(:currency AS char(3)) AS currency""",
}


class Named(NamedTuple):
    """A vendor or a school."""

    id: UUID
    name: str


class Spec(NamedTuple):
    """What a listing is, with its free attributes."""

    id: UUID
    name: str
    attributes: dict[str, Any]


class ListingOnSale(NamedTuple):
    """A listing as customers see it, at its price in ``currency``.

    ``available`` is how many pieces anybody may still take, and None where stock is not tracked.
    """

    id: UUID
    title: str
    description: str | None
    images: list[dict[str, str]]
    unit_price: Decimal
    currency: str
    available: int | None
    vendor: Named
    school: Named | None
    spec: Spec | None

    def as_json(self) -> dict[str, Any]:
        """The listing in plain JSON values."""
        return {
            "id": str(self.id),
            "title": self.title,
            "description": self.description,
            "images": self.images,
            "unit_price": show(self.unit_price, self.currency),
            "currency": self.currency,
            "available": self.available,
            "vendor": self.vendor._asdict(),
            "school": self.school._asdict() if self.school else None,
            "spec": self.spec._asdict() if self.spec else None,
        }


def listings_by_id(ids: Sequence[UUID], *, currency: str | None = None) -> Sequence[ListingOnSale]:
    """Those of these listings that are on sale, in the order of the ids; with a currency those with a price in it."""
    if not ids:
        return []
    rows = execute(_statement(currency is not None), {"ids": list(ids), "currency": currency})
    found = {row.id: _listing(row) for row in rows if row.unit_price is not None}
    return [found[each] for each in ids if each in found]


# A subselect: no plan is made for so many ids and no others, so one is kept for all.
@lru_cache(maxsize=2)
def _statement(in_currency: bool) -> Statement:
    return Statement(f"""
        SELECT listing.id, listing.title, listing.description, listing.images, {_PRICES[in_currency]},
            (SELECT CASE WHEN counter.stock IS NOT NULL THEN greatest(counter.stock - counter.reserved, 0) END
                FROM stock_counters AS counter WHERE counter.listing_id = listing.id) AS available,
            vendor.id AS vendor_id, vendor.name AS vendor, school.id AS school_id, school.name AS school,
            spec.id AS spec_id, spec.name AS spec, spec.attributes
        FROM listings AS listing
        JOIN vendors AS vendor ON vendor.id = listing.vendor_id
        LEFT JOIN schools AS school ON school.id = listing.school_id
        LEFT JOIN specs AS spec ON spec.id = listing.spec_id
        WHERE listing.id = ANY(CAST((SELECT CAST(:ids AS uuid[])) AS uuid[])) AND listing.active
    """)  # noqa: S608 (only our own constants)


def _listing(row: Any) -> ListingOnSale:
    return ListingOnSale(
        id=row.id,
        title=row.title,
        description=row.description,
        images=row.images,
        unit_price=row.unit_price,
        currency=row.currency,
        available=row.available,
        vendor=Named(row.vendor_id, row.vendor),
        school=None if row.school_id is None else Named(row.school_id, row.school),
        spec=None if row.spec_id is None else Spec(row.spec_id, row.spec, row.attributes),
    )
