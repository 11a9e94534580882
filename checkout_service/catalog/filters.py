"""What listings are narrowed to, in which order they come, and where a page of them ended."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from checkout_service.cursors import BadCursorError

SHORTEST_SEARCH: Final = 2
LONGEST_SEARCH: Final = 64
"""Characters of ``q``."""

MOST_IDS: Final = 100


class Sort(StrEnum):
    """The orders that a caller may ask for. A search has one of its own: the best hits first."""

    TITLE = "title"
    PRICE = "price"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFilters:
    """What is looked for among what is on sale; all of what is given must hold.

    ``q`` are words: each must begin a word of the title or of the names of vendor, school and spec, in whatever order,
    case and accents. Prices are those that are shown: in ``currency`` where it is given, else each listing's own.
    ``available`` is whether a piece can be had, as it can of all whose stock is not tracked.
    """

    q: str | None = None
    vendor: UUID | None = None
    school: UUID | None = None
    spec: UUID | None = None
    ids: Sequence[UUID] | None = None
    price_min: Decimal | None = None
    price_max: Decimal | None = None
    available: bool | None = None
    currency: str | None = None
    sort: Sort | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """The listing that a page ended with: by what it is sorted, as text, and its id, which tells alike ones apart."""

    key: str
    id: UUID

    def __str__(self) -> str:
        """The cursor as callers get it: characters that an address takes as they are."""
        return base64.urlsafe_b64encode(f"{self.id} {self.key}".encode()).decode().rstrip("=")


def read_edge(text: str) -> Edge:
    """The edge in a cursor that a caller sent back. Raises BadCursorError."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        first, _, key = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(" ")
        edge = Edge(key, UUID(first))
    except (ValueError, binascii.Error) as error:
        raise BadCursorError(text) from error
    if "\0" in key or str(edge) != text:
        raise BadCursorError(text)
    return edge


def key_text(value: Any) -> str:
    """A sort's value as an edge holds it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def key_value(sort: Sort, text: str) -> Any:
    """The value again. Raises BadCursorError where it is none of this sort: a cursor of another order."""
    try:
        if sort is Sort.NEWEST:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise BadCursorError(text)
            return moment
        if sort is Sort.PRICE:
            price = Decimal(text)
            # No price has an exponent, and not every number of Python's is one of PostgreSQL's.
            if not price.is_finite() or "E" in text or str(price) != text:
                raise BadCursorError(text)
            return price
    except (ValueError, InvalidOperation) as error:
        raise BadCursorError(text) from error
    return text
