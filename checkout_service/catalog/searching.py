"""Finds listings that are on sale: page by page in the order that was asked for, or the best hits of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkout_service.catalog.filters import Edge, ListingFilters, Sort, key_text, key_value, read_edge
from checkout_service.catalog.queries import ListingOnSale, listings_by_id
from checkout_service.catalog.ways import Way, page_statement, values_of, way_to, weigh
from checkout_service.cursors import BadCursorError
from checkout_service.database.engine import execute

MOST_HITS: Final = 200
"""Hits of a search, the best. More are more than anybody reads."""

MOST_LOOKS: Final = 5
"""So many times a page looks through listings, along an order where no filter finds few of them."""

MOST_LOOKS_FOR_WORDS: Final = 10
"""The same of a search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingPage:
    """A page of what is on sale, and the cursor of the next page, if there may be one."""

    listings: Sequence[ListingOnSale]
    next_cursor: str | None


def find_listings(filters: ListingFilters, *, limit: int, cursor: str | None) -> ListingPage:
    """A page of the listings that the filters let through.

    It may hold fewer than ``limit``, even none, and have a next page all the same: where no filter finds few listings,
    a page looks through so many and no more. Raises BadCursorError and DatabaseUnavailableError.
    """
    edge = None if cursor is None else read_edge(cursor)
    rows, last = _hits(filters, edge, limit) if filters.q is not None else _page(filters, edge, limit)
    shown = listings_by_id([row.id for row in rows], currency=filters.currency)
    return ListingPage(listings=shown, next_cursor=None if last is None else str(last))


def _page(filters: ListingFilters, edge: Edge | None, limit: int) -> tuple[Sequence[Any], Edge | None]:
    """The rows of a page, and where the next one begins."""
    sort = filters.sort or Sort.NEWEST
    key = None if edge is None else key_value(sort, edge.key)
    weights = weigh(filters)
    if weights.finds_nothing:
        return [], None
    way, values = way_to(filters, weights), values_of(filters, weights)
    found, last = _looked(way, values, edge, key, most=limit + 1, looks=MOST_LOOKS)
    if len(found) > limit:
        row = found[limit - 1]
        return found[:limit], Edge(key_text(getattr(row, _KEYS[sort])), row.id)
    return found, last


def _hits(filters: ListingFilters, edge: Edge | None, limit: int) -> tuple[Sequence[Any], Edge | None]:
    """The same of a search: of its best hits, which are looked for anew for each page."""
    behind = None if edge is None else _place_of_edge(filters.sort, edge)
    weights = weigh(filters)
    if weights.finds_nothing or not weights.words:
        return [], None
    way, values = way_to(filters, weights), values_of(filters, weights)
    found, _ = _looked(way, values, None, None, most=MOST_HITS, looks=MOST_LOOKS_FOR_WORDS)
    hits = sorted(found, key=lambda row: _place(filters.sort, row))
    left = hits if behind is None else [row for row in hits if _place(filters.sort, row) > behind]
    if len(left) <= limit:
        return left, None
    return left[:limit], Edge(_hit_key(filters.sort, left[limit - 1]), left[limit - 1].id)


def _looked(
    way: Way, values: dict[str, Any], edge: Edge | None, key: Any, *, most: int, looks: int
) -> tuple[list[Any], Edge | None]:
    """Up to ``most`` rows, and where a walk was broken off, if it was."""
    found = list[Any]()
    at = None if edge is None else (key, edge.id)
    for _ in range(looks):
        own = {"limit": most - len(found)} | ({} if at is None else {"edge_key": at[0], "edge_id": at[1]})
        rows = execute(page_statement(way, at is not None), values | own)
        found += [row for row in rows if row.id is not None]
        at = None if rows[0].seen_id is None else (rows[0].seen_key, rows[0].seen_id)
        if at is None or len(found) >= most:
            return found, None
    return found, Edge(key_text(at[0]), at[1]) if at else None


_KEYS: Final = {Sort.NEWEST: "created_at", Sort.TITLE: "title_key", Sort.PRICE: "price"}


def _place(sort: Sort | None, row: Any) -> tuple[Any, ...]:
    """Where a hit stands among the others; without a sort by its rank, and the newer first."""
    if sort is Sort.TITLE:
        return (row.title_key, row.id)
    if sort is Sort.PRICE:
        return (row.price, row.id)
    return (*(() if sort else (-row.rank,)), -row.created_at.timestamp(), -row.id.int)


def _hit_key(sort: Sort | None, row: Any) -> str:
    return key_text(getattr(row, _KEYS[sort])) if sort else f"{row.rank} {key_text(row.created_at)}"


def _place_of_edge(sort: Sort | None, edge: Edge) -> tuple[Any, ...]:
    """Where the hit stood that a page ended with. Raises BadCursorError."""
    if sort in {Sort.TITLE, Sort.PRICE}:
        return (key_value(sort, edge.key), edge.id)
    rank, _, moment = ("", "", edge.key) if sort else edge.key.partition(" ")
    if not sort and rank not in {"0", "1", "2"}:
        raise BadCursorError(edge.key)
    newest = key_value(Sort.NEWEST, moment)
    return (*(() if sort else (-int(rank),)), -newest.timestamp(), -edge.id.int)
