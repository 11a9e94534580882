"""Finds orders for staff by what is known of them, in keyset pages, at a bounded cost whatever is filtered by.

Each search walks along one index, chosen by the filter that tells most, and looks the other filters up in the rows that
it meets: a thousand of them with a statement, and so many statements at most. A page that found fewer orders than it
may hold then says where to go on.

What a statement finds, and how far it looked, are of one snapshot. Were they read one after the other, orders that come
or change their status meanwhile would shift what is looked through, and others would be passed unseen or found twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.orders.queries import COLUMNS, OrderPage, OrderRow, show_order
from checkout_service.orders.status import OrderStatus
from checkout_service.owners import is_theirs, owners_of

LOOKED_THROUGH: Final = 1_000
"""Orders that one statement looks through at most. With many more PostgreSQL would read all lines of a vendor first."""

MOST_LOOKS: Final = 20
"""So many times a page looks through orders."""

_LATE: Final = 15 * 60 * 1000
"""Milliseconds. An id is made when its row is, which is after the beginning of the transaction, its ``created_at``."""

_LARGEST_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilters:
    """What orders are narrowed to; all of what is given must hold.

    ``since`` and ``until`` are aware; an order of the very ``until`` is not among them. ``number`` is as people write
    it, with its prefix or without. ``email`` is the buyer's whole address, in whatever case. ``amount`` is exact, in
    the order's currency; ``currency`` is ISO 4217.
    """

    status: OrderStatus | None = None
    vendor: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    customer: UUID | None = None
    email: str | None = None
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A search as SQL. ``source`` gives rows of orders along an index, from ``{edge}`` on; ``rest`` filters them.

    ``order`` is the index's own, and ``whole`` whether nothing but the index decides.
    """

    source: str
    rest: str
    order: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return self.rest == "true"

    def rows(self, edge: str) -> str:
        """The source, from the edge on."""
        return self.source.format(edge=edge, newest=self.newest("orders"))

    def newest(self, table: str) -> str:
        """The ORDER BY of a page, of this table's columns."""
        return ", ".join(f"{table}.{column} DESC" for column in self.order)

    def edge(self, comparison: str) -> str:
        """What begins at the order of a cursor: after it (``<``) or with it (``<=``)."""
        if len(self.order) == 1:
            return f"id {comparison} CAST(:edge_id AS uuid)"
        return f"(created_at, id) {comparison} (CAST(:edge_moment AS timestamptz), CAST(:edge_id AS uuid))"


def find_orders(filters: OrderFilters, *, limit: int, cursor: str | None) -> OrderPage:
    """A page of the orders that the filters let through, as staff see them.

    It may hold fewer than ``limit`` and have a next page all the same: see the module. Raises BadCursorError and
    DatabaseUnavailableError.
    """
    chosen, edge = selection(filters), None if cursor is None else read_cursor(cursor)
    found = list[OrderRow]()
    for _ in range(MOST_LOOKS):
        goes_on = edge is not None
        values = parameters(filters) | edge_values(edge) | {"limit": limit + 1 - len(found)}
        rows = execute(page_statement(chosen, goes_on), values)
        found += [row for row in rows if row.id is not None]
        if len(found) > limit:
            edge = Cursor(found[limit - 1].created_at, found[limit - 1].id)
            break
        # Where the index alone decides, there is no more than was found.
        edge = None if chosen.whole or rows[0].seen_id is None else Cursor(rows[0].seen_moment, rows[0].seen_id)
        if edge is None:
            break
    shown = [show_order(row, anybodys=True) for row in found[:limit]]
    return OrderPage(orders=shown, next_cursor=None if edge is None else str(edge))


def edge_values(edge: Cursor | None) -> dict[str, Any]:
    """The values that ``Selection.edge`` names."""
    return {} if edge is None else {"edge_id": edge.id, "edge_moment": edge.moment}


def selection(filters: OrderFilters) -> Selection:
    """How to search with these filters."""
    along, rest = "true", _rest(filters)
    if filters.number is not None:
        along = rest.pop("number")
    elif filters.email is not None:
        along = rest.pop("email")
    elif filters.customer is not None:
        del rest["customer"]
        spans = [rest.pop(name) for name in ("since", "until") if name in rest]
        return _along_owners(" AND ".join(["true", *spans]), rest)
    elif filters.vendor is not None:
        rest.pop("vendor")
        return _along_lines(_span(filters, "order_id"), rest)
    elif filters.status is not None and filters.status is not OrderStatus.FULFILLED:
        # Whoever is done with most orders has many that are fulfilled, and looks for others.
        along = rest.pop("status")
    return _along_orders(" AND ".join([along, *_span(filters, "id")]), rest, ("id",))


def parameters(filters: OrderFilters) -> dict[str, Any]:
    """The values of a search with these filters."""
    number = filters.number or ""
    return {
        "looked_through": LOOKED_THROUGH,
        "vendor": filters.vendor,
        "customer": filters.customer,
        "email": filters.email,
        "amount": filters.amount,
        "currency": filters.currency,
        "number": number,
        "numbers": _numbers_in(number),
        "since": filters.since,
        "until": filters.until,
        "first_id": None if filters.since is None else _id_at(filters.since),
        "last_id": None if filters.until is None else _id_at(filters.until, later=_LATE),
    }


def _rest(filters: OrderFilters) -> dict[str, str]:
    """Each filter that is given, as a condition on a row of orders."""
    given = {
        "number": (
            filters.number,
            """id IN (SELECT id FROM order_numbers WHERE number = ANY(CAST(:numbers AS bigint[])))
                AND lower(CAST(:number AS text)) IN (number::text, lower(number_prefix) || number)""",
        ),
        "email": (filters.email, "buyer IS NOT NULL AND lower(buyer ->> 'email') = lower(CAST(:email AS text))"),
        "customer": (filters.customer, is_theirs("user_id", "customer")),
        "vendor": (
            filters.vendor,
            "EXISTS (SELECT FROM order_lines WHERE vendor_id = CAST(:vendor AS uuid) AND order_id = made.id)",
        ),
        # As a constant: the index of these is partial, and a plan for any status could not use it.
        "status": (filters.status, f"status = '{filters.status.value}'" if filters.status else ""),
        "amount": (filters.amount, "amount = CAST(:amount AS numeric)"),
        "currency": (filters.currency, "currency = CAST(:currency AS text)"),
        "since": (filters.since, "created_at >= CAST(:since AS timestamptz)"),
        "until": (filters.until, "created_at < CAST(:until AS timestamptz)"),
    }
    return {name: condition for name, (value, condition) in given.items() if value is not None}


def _span(filters: OrderFilters, column: str) -> list[str]:
    """The span of time as a span of ids, which are made in the order of time. ``_rest`` says it exactly."""
    spans = [f"{column} >= CAST(:first_id AS uuid)"] if filters.since is not None else []
    return spans + ([f"{column} < CAST(:last_id AS uuid)"] if filters.until is not None else [])


def _along_orders(along: str, rest: dict[str, str], order: tuple[str, ...]) -> Selection:
    source = f"""
        SELECT * FROM orders WHERE {along} AND {{edge}} ORDER BY {{newest}} LIMIT :looked_through
    """  # noqa: S608 (only our own constants)
    return Selection(source, " AND ".join(rest.values()) or "true", order)


def _along_owners(spans: str, rest: dict[str, str]) -> Selection:
    source = f"""
        SELECT one.* FROM {owners_of("customer")} AS owner CROSS JOIN LATERAL (
            SELECT * FROM orders WHERE user_id = owner.id AND {spans} AND {{edge}}
            ORDER BY {{newest}} LIMIT :looked_through
        ) AS one ORDER BY one.created_at DESC, one.id DESC LIMIT :looked_through
    """  # noqa: S608 (only our own constants)
    return Selection(source, " AND ".join(rest.values()) or "true", ("created_at", "id"))


def _along_lines(spans: list[str], rest: dict[str, str]) -> Selection:
    span = " AND ".join(["true", *spans])
    # As a span of vendors, which only the index of vendors is in the order of: the one of orders alone, which the
    # planner likes better where vendors are few, is walked in vain where one has sold nothing for long. OFFSET 0 has
    # each order found by its key, where else all of them might be hashed.
    source = f"""
        SELECT of_sold.* FROM (
            SELECT DISTINCT vendor_id, id FROM (
                SELECT vendor_id, order_id AS id FROM order_lines
                WHERE vendor_id >= CAST(:vendor AS uuid) AND vendor_id <= CAST(:vendor AS uuid) AND {span}
            ) AS of_vendor
            WHERE {{edge}} ORDER BY vendor_id DESC, id DESC LIMIT :looked_through
        ) AS sold CROSS JOIN LATERAL (SELECT * FROM orders WHERE orders.id = sold.id OFFSET 0) AS of_sold
    """  # noqa: S608 (only our own constants)
    return Selection(source, " AND ".join(rest.values()) or "true", ("id",))


@lru_cache(maxsize=256)
def page_statement(chosen: Selection, goes_on: bool) -> Statement:
    """Reads a page: the first, or one that goes on after a cursor.

    Where more than the index decides, it is that of ``with_seen``.
    """
    edge = chosen.edge("<") if goes_on else "true"
    page = f"""
        SELECT {COLUMNS}
        FROM (
            SELECT * FROM ({chosen.rows(edge)}) AS made WHERE {chosen.rest}
            ORDER BY {chosen.newest("made")} LIMIT :limit
        ) AS made
        JOIN payments AS payment ON payment.id = made.payment_id
    """  # noqa: S608 (only our own constants)
    if chosen.whole:
        return Statement(f"{page} ORDER BY {chosen.newest('made')}")
    return Statement(f"{with_seen(chosen, edge, page)} ORDER BY {chosen.newest('page')}")


def with_seen(chosen: Selection, edge: str, page: str, *, columns: str = "") -> str:
    """The rows of ``page``, a SELECT of at most ``:limit``, each with the last order that a statement may look through
    from this edge on, as ``seen_moment`` and ``seen_id``: NULL where there are no more, or the page is full.

    A page with nothing is one row of NULL otherwise. ``columns`` names the page's own, in brackets.
    """
    return f"""
        WITH page {columns} AS MATERIALIZED ({page})
        SELECT seen.created_at AS seen_moment, seen.id AS seen_id, page.*
        FROM (SELECT) AS always
        LEFT JOIN (
            SELECT made.created_at, made.id FROM ({chosen.rows(edge)}) AS made
            WHERE (SELECT count(*) FROM page) < CAST(:limit AS integer)
            ORDER BY {chosen.newest("made")} OFFSET CAST(:looked_through AS integer) - 1 LIMIT 1
        ) AS seen ON true
        LEFT JOIN page ON true
    """  # noqa: S608 (only our own constants)


def _numbers_in(text: str) -> list[int]:
    """The numbers that a text may end with: whether digits are the number's or the prefix's, only the row tells."""
    digits = text[len(text.rstrip("0123456789")) :][-19:]
    ends = (digits[place:] for place in range(len(digits)))
    return [int(end) for end in ends if end[0] != "0" and int(end) <= _LARGEST_NUMBER]


def _id_at(moment: datetime, *, later: int = 0) -> UUID:
    """The first id that can be made at this moment, or so many milliseconds later (RFC 9562, UUID version 7)."""
    milliseconds = min(max(int(moment.timestamp() * 1000) + later, 0), 2**48 - 1)
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62)
