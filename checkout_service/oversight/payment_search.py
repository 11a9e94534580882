"""Finds payments for staff and programs by what is known of them, in keyset pages, at a bounded cost.

As in ``checkout_service.orders.searching``: a search walks along one index, chosen by the filter that tells most, and
looks the other filters up in the rows that it meets, a thousand of them with a statement, and so many statements at
most. A page that found fewer payments than it may hold then says where to go on.

What a statement finds, and how far it looked, are of one snapshot. Were they read one after the other, payments that
move meanwhile (each change does with ``updated_after``, each change of status with ``status``) would shift what is
looked through, and others would be passed unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from checkout_service.cursors import Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.owners import is_theirs, owners_of
from checkout_service.payments.queries import PaymentPage, PaymentRow, columns, show_payment
from checkout_service.payments.status import PaymentStatus

LOOKED_THROUGH: Final = 1_000
"""Payments that one statement looks through at most."""

MOST_LOOKS: Final = 20
"""So many times a page looks through payments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilters:
    """What payments are narrowed to; all of what is given must hold.

    Times are aware. A payment that was made at the very ``until`` is not among them, nor is one that was changed at the
    very ``updated_after``. ``reference`` is the provider's name for the payment, whole.
    """

    status: PaymentStatus | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    customer: UUID | None = None
    reference: str | None = None
    updated_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A search as SQL: rows of payments that ``along`` lets through, in the order of an index, and what filters them.

    The order is that of ``moment``, a column, and of the ids of one moment; ``newest`` first, or the oldest.
    """

    along: str
    rest: str
    moment: str = "created_at"
    newest: bool = True
    of_customer: bool = False
    """Whether all are of one customer, the parameter ``customer``: then each of their owner rows is walked along."""

    @property
    def whole(self) -> bool:
        """Whether nothing but the index decides."""
        return self.rest == "true"

    def order(self, table: str) -> str:
        """The ORDER BY, of this table's columns."""
        way = "DESC" if self.newest else "ASC"
        return f"{table}.{self.moment} {way}, {table}.id {way}"

    def rows(self, columns: str, *, goes_on: bool) -> str:
        """As many rows as a statement looks through: from the beginning, or after the row of a cursor."""
        after = "true"
        if goes_on:
            after = (
                f"({self.moment}, id) {'<' if self.newest else '>'} "
                "(CAST(:edge_moment AS timestamptz), CAST(:edge_id AS uuid))"
            )
        if self.of_customer:
            return f"""
                SELECT {columns} FROM (
                    SELECT one.* FROM {owners_of("customer")} AS owner CROSS JOIN LATERAL (
                        SELECT * FROM payments WHERE user_id = owner.id AND {self.along} AND {after}
                        ORDER BY {self.order("payments")} LIMIT :looked_through
                    ) AS one ORDER BY {self.order("one")} LIMIT :looked_through
                ) AS owned
            """  # noqa: S608 (only our own constants)
        return f"""
            SELECT {columns} FROM payments WHERE {self.along} AND {after}
            ORDER BY {self.order("payments")} LIMIT :looked_through
        """  # noqa: S608 (only our own constants)


def find_payments(filters: PaymentFilters, *, limit: int, cursor: str | None) -> PaymentPage:
    """A page of the payments that the filters let through, as staff see them: the newest first.

    With ``updated_after`` it is those that changed first. It may hold fewer than ``limit`` and have a next page all the
    same: see the module. Raises BadCursorError and DatabaseUnavailableError.
    """
    chosen, edge = selection(filters), None if cursor is None else read_cursor(cursor)
    found = list[PaymentRow]()
    for _ in range(MOST_LOOKS):
        values = parameters(filters, edge) | {"limit": limit + 1 - len(found)}
        rows = execute(page_statement(chosen, edge is not None), values)
        found += [row for row in rows if row.id is not None]
        if len(found) > limit:
            edge = Cursor(getattr(found[limit - 1], chosen.moment), found[limit - 1].id)
            break
        # Where the index alone decides, there is no more than was found.
        edge = None if chosen.whole or rows[0].seen_id is None else Cursor(rows[0].seen_moment, rows[0].seen_id)
        if edge is None:
            break
    shown = [show_payment(row, anybodys=True) for row in found[:limit]]
    return PaymentPage(payments=shown, next_cursor=None if edge is None else str(edge))


def selection(filters: PaymentFilters) -> Selection:
    """How to search with these filters."""
    rest, of_customer = _conditions(filters), False
    if filters.reference is not None:
        along = rest.pop("reference")
    elif filters.updated_after is not None:
        along = rest.pop("updated_after")
    else:
        spans = [rest.pop(name) for name in ("since", "until") if name in rest]
        of_customer = rest.pop("customer", None) is not None
        first = [rest.pop("status")] if "status" in rest and not of_customer else []
        along = " AND ".join(first + spans) or "true"
    changed = filters.updated_after is not None
    filtering = " AND ".join(rest.values()) or "true"
    moment = "updated_at" if changed else "created_at"
    return Selection(along, filtering, moment=moment, newest=not changed, of_customer=of_customer)


def parameters(filters: PaymentFilters, edge: Cursor | None) -> dict[str, Any]:
    """The values of a search with these filters, from the row of a cursor on."""
    return {
        "looked_through": LOOKED_THROUGH,
        "provider": filters.provider,
        "since": filters.since,
        "until": filters.until,
        "customer": filters.customer,
        "reference": filters.reference,
        "updated_after": filters.updated_after,
        "edge_moment": None if edge is None else edge.moment,
        "edge_id": None if edge is None else edge.id,
    }


@lru_cache(maxsize=256)
def page_statement(chosen: Selection, goes_on: bool) -> Statement:
    """Reads a page: the first, or one that goes on after a cursor.

    Where more than the index decides, each row has the last that the statement may look through, as ``seen_moment`` and
    ``seen_id``: NULL where there are no more, or the page is full. A page with nothing is a row without an ``id``.
    """
    page = f"""
        SELECT {columns(anybodys=True)}
        FROM (
            SELECT * FROM ({chosen.rows("*", goes_on=goes_on)}) AS made WHERE {chosen.rest}
            ORDER BY {chosen.order("made")} LIMIT :limit
        ) AS payment
    """  # noqa: S608 (only our own constants)
    if chosen.whole:
        return Statement(f"{page} ORDER BY {chosen.order('payment')}")
    return Statement(f"""
        WITH page AS MATERIALIZED ({page})
        SELECT seen.{chosen.moment} AS seen_moment, seen.id AS seen_id, page.*
        FROM (SELECT) AS always
        LEFT JOIN (
            SELECT * FROM ({chosen.rows(f"{chosen.moment}, id", goes_on=goes_on)}) AS key
            WHERE (SELECT count(*) FROM page) < CAST(:limit AS integer)
            ORDER BY {chosen.order("key")} OFFSET CAST(:looked_through AS integer) - 1 LIMIT 1
        ) AS seen ON true
        LEFT JOIN page ON true
        ORDER BY {chosen.order("page")}
    """)  # noqa: S608 (only our own constants)


def _conditions(filters: PaymentFilters) -> dict[str, str]:
    """Each filter that is given, as a condition on a row of payments."""
    given = {
        "reference": (filters.reference, "provider_ref = CAST(:reference AS text)"),
        "updated_after": (filters.updated_after, "updated_at > CAST(:updated_after AS timestamptz)"),
        "customer": (filters.customer, is_theirs("user_id", "customer")),
        # As a constant: a plan for any status would not know how many there are of this one.
        "status": (filters.status, f"status = '{filters.status.value}'" if filters.status else ""),
        "provider": (filters.provider, "provider = CAST(:provider AS text)"),
        "since": (filters.since, "created_at >= CAST(:since AS timestamptz)"),
        "until": (filters.until, "created_at < CAST(:until AS timestamptz)"),
    }
    return {name: condition for name, (value, condition) in given.items() if value is not None}
