"""What is reserved of listings, with names: whoever says that less lies there is told what stands against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from checkout_service.terminal import printable

LISTED: Final = 10
"""How many orders are named. The others are counted."""

_RESERVED: Final = """
SELECT listing.id, listing.title, listing.stock, held.pieces, sold.pieces, sold.orders, sold.count,
    coalesce(nobodys.pieces, 0)
FROM listings AS listing
CROSS JOIN LATERAL (
    SELECT coalesce(sum(hold.reserved), 0)::bigint AS pieces FROM holds AS hold
    WHERE hold.listing_id = listing.id AND hold.state = 'held'
) AS held
CROSS JOIN LATERAL (
    SELECT coalesce(sum(waiting.reserved), 0)::bigint AS pieces, count(*)::integer AS count,
        coalesce((array_agg(waiting.name ORDER BY waiting.number, waiting.id))[:%(listed)s], '{}') AS orders
    FROM (
        SELECT hold.reserved, made.number, made.id,
            coalesce(made.number_prefix || made.number, made.id::text, 'of payment ' || hold.payment_id) AS name
        FROM holds AS hold LEFT JOIN orders AS made ON made.payment_id = hold.payment_id
        WHERE hold.listing_id = listing.id AND hold.state = 'sold'
    ) AS waiting
) AS sold
LEFT JOIN (
    SELECT line.listing_id, sum(line.qty_short)::bigint AS pieces
    FROM orders AS made JOIN order_lines AS line ON line.order_id = made.id AND line.qty_short > 0
    WHERE made.status IN ('short', 'partially_fulfilled', 'on_hold') GROUP BY line.listing_id
) AS nobodys ON nobodys.listing_id = listing.id
WHERE listing.id = ANY(%(listings)s)
ORDER BY listing.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What lies there of a listing (``stock``; None where nobody counts), and what of it is reserved.

    ``held`` pieces are for payments that may come, ``sold`` ones for orders that are not fulfilled: the first
    ``orders`` of ``order_count``, by number, or by id as long as there is none. ``unreserved`` ones were
    bought as well, when there were too few: their orders are short of them.
    """

    listing_id: UUID
    title: str
    stock: int | None
    held: int
    sold: int
    orders: Sequence[str]
    order_count: int
    unreserved: int

    @property
    def short(self) -> int:
        """Pieces that people are to get, and that do not lie there; 0 where nobody counts."""
        return 0 if self.stock is None else max(self.reserved + self.unreserved - self.stock, 0)

    @property
    def reserved(self) -> int:
        """All that is reserved."""
        return self.held + self.sold

    @property
    def available(self) -> int | None:
        """What anybody may still take; None where nobody counts."""
        return None if self.stock is None else max(self.stock - self.reserved, 0)

    def against(self, stock: int | None = None) -> str:
        """What stands against so many pieces, else against its own stock, in one sentence."""
        lower = self.stock if stock is None else stock
        return f"{self.name}: a stock of {lower} is below what is reserved: {self.in_words}"

    @property
    def name(self) -> str:
        """Its title and id, safe to print."""
        return f"{printable(self.title)} ({self.listing_id})"

    @property
    def in_words(self) -> str:
        """What is reserved, with the orders."""
        return f"{self.held} held, {self.sold} sold and not fulfilled" + (f" ({self._orders()})" if self.sold else "")

    def _orders(self) -> str:
        others = self.order_count - len(self.orders)
        named = ", ".join(self.orders) + (f" and {others} others" if others else "")
        return f"{'order' if self.order_count == 1 else 'orders'} {named}"


def reserved_of(cursor: psycopg.Cursor[Any], listings: Sequence[UUID]) -> Sequence[Reserved]:
    """What is reserved of these listings, by their ids; those that are not there are left out."""
    rows = cursor.execute(_RESERVED, {"listings": list(listings), "listed": LISTED}).fetchall()
    return [
        Reserved(
            listing_id=listing,
            title=title,
            stock=stock,
            held=held,
            sold=sold,
            orders=orders,
            order_count=count,
            unreserved=unreserved,
        )
        for listing, title, stock, held, sold, orders, count, unreserved in rows
    ]
