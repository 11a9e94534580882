"""Reads of the catalogue: what is on sale, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, or_, select

from checkout_service.catalog.models import Listing, School, Spec, Vendor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement

_on_sale = (
    select(
        Listing.id,
        Listing.title,
        Listing.unit_price,
        Listing.currency,
        Listing.stock,
        Vendor.name.label("vendor"),
        School.name.label("school"),
        Spec.attributes,
    )
    .join(Vendor, Vendor.id == Listing.vendor_id)
    .outerjoin(School, School.id == Listing.school_id)
    .outerjoin(Spec, Spec.id == Listing.spec_id)
    .where(Listing.active, Listing.id > bindparam("after"))
    .order_by(Listing.id)
    .limit(bindparam("limit"))
)

_page = Statement(_on_sale)

_matching_page = Statement(
    _on_sale.where(
        or_(
            Listing.title.ilike(bindparam("pattern")),
            Vendor.name.ilike(bindparam("pattern")),
            School.name.ilike(bindparam("pattern")),
        )
    )
)

FIRST = UUID(int=0)


class ListingOnSale(NamedTuple):
    """A listing with the names of its vendor and school; ``stock`` is None where it is not known."""

    id: UUID
    title: str
    unit_price: Decimal
    currency: str
    stock: int | None
    vendor: str
    school: str | None
    attributes: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingsPage:
    """A page of what is on sale, and the ``after`` of the next page, if there is one."""

    listings: Sequence[ListingOnSale]
    following: UUID | None


def listings_on_sale(*, search: str = "", after: UUID = FIRST, limit: int) -> ListingsPage:
    """A page of what is on sale, by id, behind the listing ``after``.

    ``search`` is looked for in titles and in the names of vendors and schools, whatever their case.
    """
    values: dict[str, Any] = {"after": after, "limit": limit + 1}
    pattern = {"pattern": f"%{_escaped(search)}%"}
    rows = execute(_matching_page, values | pattern) if search else execute(_page, values)
    found = [ListingOnSale._make(row) for row in rows]
    return ListingsPage(listings=found[:limit], following=found[limit - 1].id if len(found) > limit else None)


def _escaped(text: str) -> str:
    """The text, with what LIKE takes for a wildcard taken literally."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
