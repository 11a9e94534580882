"""A cart as checkout reads it: the part of a statement that reads its lines, and what becomes of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from checkout_service.carts.lines import NO_MORE
from checkout_service.money import show

# That a guest's cart went into this one of ``carts``, and the customer has not bought it since. A session that was read
# before the merge has none of the guest's lines, so it does not count, though it ends the filling.
MERGED_UNPAID: Final = """
    guest.merged_cart_id = carts.id AND NOT EXISTS (
        SELECT FROM orders AS since JOIN checkout_sessions AS paid ON paid.id = since.session_id
        WHERE since.cart_id = guest.merged_cart_id AND since.generation >= guest.into_generation
            AND session_has_merge(paid.merges, paid.created_at, guest.merge_number, guest.linked_at)
    )
"""

# Not by when they were put in: the same things in another order are the same purchase.
_FROZEN_LINES: Final = f"""
    cart AS MATERIALIZED (
        SELECT id, generation, merges,
            EXISTS (
                SELECT FROM checkout_sessions AS session
                WHERE session.cart_id = carts.id AND session.generation = carts.generation
            ) OR EXISTS (
                SELECT FROM guests AS guest WHERE {MERGED_UNPAID}
            ) AS has_sessions,
            EXISTS (SELECT FROM holds WHERE holds.user_id = :user_id AND state = 'held') AS holds_some
        FROM carts WHERE user_id = :user_id AND id = :cart_id AND {{only_where}}
    ), frozen AS (
        SELECT cart.generation, cart.merges, cart.has_sessions, cart.holds_some, item.id AS item_id,
            listing.id AS listing_id, listing.title, coalesce(listed.unit_price, listing.unit_price) AS unit_price,
            coalesce(listed.currency, listing.currency) AS line_currency, item.qty,
            coalesce(listed.unit_price, listing.unit_price) * item.qty AS line_total,
            vendor.id AS vendor_id, vendor.name AS vendor, school.name AS school, spec.name AS spec,
            listing.active AND (item.currency IS NULL OR item.currency = coalesce(listed.currency, listing.currency))
                AND coalesce(listed.currency, listing.currency) NOT IN ({NO_MORE}) AS available, (
                SELECT greatest(counter.stock - counter.reserved, 0) FROM stock_counters AS counter
                WHERE counter.listing_id = listing.id AND counter.stock IS NOT NULL
            ) AS unreserved_pieces
        FROM cart
        LEFT JOIN cart_items AS item ON item.cart_id = cart.id
        LEFT JOIN listings AS listing ON listing.id = item.listing_id
        LEFT JOIN listing_prices AS listed ON listed.listing_id = listing.id AND listed.currency = item.currency
            AND listed.currency <> listing.currency
        LEFT JOIN vendors AS vendor ON vendor.id = listing.vendor_id
        LEFT JOIN schools AS school ON school.id = listing.school_id
        LEFT JOIN specs AS spec ON spec.id = listing.spec_id
        ORDER BY listing.id
    )
"""  # noqa: S608 (only our own constants)


def frozen_lines(only_where: str) -> str:
    """The part that reads the lines. ``frozen`` has no row where this customer has no such cart, or where the condition
    does not hold. Lines of listings that were taken off sale are among its rows, marked."""
    return _FROZEN_LINES.format(only_where=only_where)


class FrozenLine(NamedTuple):
    """One line of a cart at the moment it was read; ``available`` is whether its listing is still on sale, at a price
    in the line's currency, and that currency is one still.

    ``unreserved_pieces`` is how many of them nobody holds, and None where stock is not tracked. ``line_total`` is exact
    and may be larger than one amount column holds.
    """

    item_id: UUID
    listing_id: UUID
    title: str
    unit_price: Decimal
    currency: str
    qty: int
    line_total: Decimal
    vendor_id: UUID
    vendor: str
    school: str | None
    spec: str | None
    available: bool
    unreserved_pieces: int | None

    def as_json(self) -> dict[str, Any]:
        """What was bought, in plain JSON values, for the session that keeps it; alike for alike things."""
        return {
            "listing_id": str(self.listing_id),
            "title": self.title,
            "unit_price": show(self.unit_price, self.currency),
            "currency": self.currency,
            "qty": self.qty,
            "line_total": show(self.line_total, self.currency),
            "vendor_id": str(self.vendor_id),
            "vendor": self.vendor,
            "school": self.school,
            "spec": self.spec,
        }


class FrozenCart(NamedTuple):
    """A cart at the moment it was read, its lines in the order of their listings' ids.

    ``generation`` counts how often it was filled and paid, ``merges`` how many guests' carts went into it.
    ``has_sessions`` says that a session of this filling was opened before, or that a guest's cart went into it.
    ``holds_some`` says that the customer holds pieces, perhaps for this cart: then they may get more of a listing than
    its ``unreserved_pieces``.
    """

    id: UUID
    generation: int
    merges: int
    has_sessions: bool
    holds_some: bool
    lines: tuple[FrozenLine, ...]

    @property
    def tracked(self) -> tuple[FrozenLine, ...]:
        """The lines of listings whose stock is tracked."""
        return tuple(line for line in self.lines if line.unreserved_pieces is not None)

    @property
    def total_amount(self) -> Decimal:
        """The sum of the lines, whole; says something only where they are of one currency."""
        return sum((line.line_total for line in self.lines), start=Decimal("0.00"))

    @property
    def currency(self) -> str:
        """The currency of the first line, and of all where they are of one; a cart without lines has none."""
        return self.lines[0].currency


def frozen_cart(cart_id: UUID, rows: Sequence[Sequence[Any]]) -> FrozenCart:
    """The cart of rows whose columns are those of ``frozen_lines``, in that order; one at least."""
    generation, merges, has_sessions, holds_some, *_ = rows[0]
    # A cart without items is one row, of nulls.
    lines = tuple(FrozenLine._make(row[4:]) for row in rows if row[4] is not None)
    return FrozenCart(cart_id, generation, merges, has_sessions, holds_some, lines)
