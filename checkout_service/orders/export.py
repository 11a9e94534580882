"""Orders as CSV (RFC 4180): one row a line of an order, read in short statements of which none waits for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.api.csv_rows import harmless, written
from checkout_service.api.responses import show_time
from checkout_service.cursors import Cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.orders.searching import OrderFilters, Selection, edge_values, parameters, selection, with_seen

ROWS: Final = 500
"""Rows that one statement reads at most."""

_BUYER: Final = ("email", "name", "phone")
_ADDRESS: Final = ("name", "line1", "line2", "postal_code", "city", "region", "country", "phone")

# By the names of the file's columns. All of it is text, which neither side takes apart and puts together again.
_CELLS: Final = {
    "order_id": "made.id::text",
    "number": "made.number_prefix || made.number",
    "status": "made.status::text",
    "created_at": "NULL",
    "customer": "made.user_id::text",
    "payment_id": "made.payment_id::text",
    "currency": "made.currency::text",
    "order_amount": "made.amount::text",
    "order_amount_refunded": "payment.amount_refunded::text",
    "order_amount_refunding": "payment.amount_refunding::text",
    "order_refunds": """(
        SELECT string_agg(refund.amount || ' ' || refund.status || ' ' || refund.id, ', ' ORDER BY refund.id)
        FROM refunds AS refund WHERE refund.payment_id = made.payment_id
    )""",
    "line_id": "line.id::text",
    "listing_id": "line.listing_id::text",
    "vendor_id": "line.vendor_id::text",
    "vendor": "line.vendor",
    "title": "line.title",
    "school": "line.school",
    "spec": "line.spec",
    "qty": "line.qty::text",
    "unit_price": "line.unit_price::text",
    "line_total": "line.line_total::text",
    "qty_fulfilled": "line.qty_fulfilled::text",
    "qty_refunded": """coalesce((
        SELECT back.refunded FROM order_line_refunds(line.id) AS back WHERE payment.amount_refunded > 0
    ), 0)::text""",
    "qty_short": "line.qty_short::text",
    **{f"buyer_{member}": f"made.buyer ->> '{member}'" for member in _BUYER},
    **{f"delivery_{member}": f"made.delivery_address ->> '{member}'" for member in _ADDRESS},
}

HEADER: Final = tuple(_CELLS)
"""The first row. Amounts are in the order's currency, times in UTC."""

_CREATED_AT: Final = HEADER.index("created_at")
_CURRENCY: Final = HEADER.index("currency")
_REFUNDS: Final = HEADER.index("order_refunds")
_AMOUNTS: Final = [
    HEADER.index(name)
    for name in ("order_amount", "order_amount_refunded", "order_amount_refunding", "unit_price", "line_total")
]

# What people write, of the shop and of its customers. The rest are ids, numbers and words of ours.
_WRITTEN: Final = [
    place
    for place, name in enumerate(HEADER)
    if name in {"number", "vendor", "title", "school", "spec"} or name.startswith(("buyer_", "delivery_"))
]


class ExportRow(NamedTuple):
    """A line of an order: where it is among all, and its cells by the names in ``HEADER``, exact and not guarded."""

    created_at: datetime
    order_id: UUID
    place: int
    cells: Sequence[str | None]


def export_rows(filters: OrderFilters) -> Iterator[Sequence[ExportRow]]:
    """All lines of the orders that the filters let through, the newest order first, ``ROWS`` at a time.

    Each is read by a statement of its own when it is asked for, and between them nothing is held. An order that comes
    meanwhile is not among them. Raises DatabaseUnavailableError.
    """
    chosen = selection(filters)
    edge: Cursor | None = None
    place: int | None = None
    while True:
        # What an order's lines are cut at, the next statement begins with; else after it.
        comparison = None if edge is None else "<" if place is None else "<="
        values = parameters(filters) | edge_values(edge) | {"edge_place": place, "limit": ROWS}
        if chosen.whole:
            values["looked_through"] = ROWS + 1
        found = execute(lines_statement(chosen, comparison), values)
        seen = None if chosen.whole or found[0][1] is None else Cursor(*found[0][:2])
        rows = [
            ExportRow(created_at, order_id, line, cells)
            for _, _, created_at, order_id, line, *cells in found
            if order_id is not None
        ]
        if rows:
            yield rows
        if len(rows) == ROWS:
            edge, place = Cursor(rows[-1].created_at, rows[-1].order_id), rows[-1].place
        elif seen is not None:
            edge, place = seen, None
        else:
            return


def csv_pages(filters: OrderFilters) -> Iterator[bytes]:
    """The same as CSV in UTF-8, the header first; each row ends with CR LF. Raises as ``export_rows``."""
    yield written([HEADER])
    for rows in export_rows(filters):
        yield written([_cells(row) for row in rows])


@lru_cache(maxsize=256)
def lines_statement(chosen: Selection, comparison: str | None) -> Statement:
    """Reads lines: the first, or what begins at an edge (see ``Selection.edge``)."""
    edge = "true" if comparison is None else chosen.edge(comparison)
    further = "true"
    if comparison == "<=":
        further = "(made.id <> CAST(:edge_id AS uuid) OR line.place > CAST(:edge_place AS integer))"
    nothing = "NULL, NULL, " if chosen.whole else ""  # in the places of ``with_seen``
    page = f"""
        SELECT {nothing}made.created_at, made.id, line.place, {", ".join(_CELLS.values())}
        FROM (
            -- An order has a line at least, and of the first all may have been read.
            SELECT * FROM ({chosen.rows(edge)}) AS made WHERE {chosen.rest}
            ORDER BY {chosen.newest("made")} LIMIT CAST(:limit AS integer) + 1
        ) AS made
        JOIN payments AS payment ON payment.id = made.payment_id
        JOIN order_lines AS line ON line.order_id = made.id
        WHERE {further}
        ORDER BY {chosen.newest("made")}, line.place LIMIT :limit
    """  # noqa: S608 (only our own constants)
    if chosen.whole:
        return Statement(page, named=False)
    columns = ", ".join(["created_at", "id", "place", *(f"cell_{number}" for number in range(len(_CELLS)))])
    page = with_seen(chosen, edge, page, columns=f"({columns})")
    return Statement(f"{page} ORDER BY {chosen.newest('page')}, page.place", named=False)


def _cells(row: ExportRow) -> list[str | None]:
    """The row as it is written. What a spreadsheet would run gets an apostrophe before it."""
    cells = list(row.cells)
    cells[_CREATED_AT] = show_time(row.created_at)
    for place in _AMOUNTS:
        cells[place] = _shown(cells[place] or "0", cells[_CURRENCY] or "")
    if refunds := cells[_REFUNDS]:
        parts = (refund.split(" ", 1) for refund in refunds.split(", "))
        cells[_REFUNDS] = ", ".join(f"{_shown(amount, cells[_CURRENCY] or '')} {rest}" for amount, rest in parts)
    for place in _WRITTEN:
        text = cells[place]
        if text:
            cells[place] = harmless(text)
    return cells


@lru_cache(maxsize=4096)
def _shown(amount: str, currency: str) -> str:
    return show(Decimal(amount), currency)
