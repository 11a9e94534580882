"""Reads of orders: by their customer, and by staff. One statement each, however many lines there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from uuid import UUID

from checkout_service.api.responses import show_time
from checkout_service.cursors import LONGEST_PAGE, PAGE, Cursor, read_cursor
from checkout_service.database.engine import execute
from checkout_service.database.statements import Statement
from checkout_service.money import show
from checkout_service.owners import is_for, owners_of

# Nothing is searched for refunds of lines where nothing of the payment was ever given back.
COLUMNS: Final = """
    made.id, made.number_prefix || made.number AS number, made.status::text AS status, made.payment_id, made.user_id,
    made.amount, made.currency, payment.amount_refunded, payment.amount_refunding, made.buyer, made.delivery_address,
    CASE WHEN made.status = 'on_hold' THEN
        CASE WHEN payment.status = 'reversed' THEN 'payment_reversed' ELSE 'chargeback' END END AS on_hold_reason,
    (SELECT jsonb_agg(jsonb_build_array(line.id, line.listing_id, line.title, line.vendor_id, line.vendor, line.school,
            line.spec, line.qty, line.unit_price::text, line.line_total::text, line.qty_fulfilled, line.qty_short,
            line.qty_canceled, coalesce(back.refunded, 0), coalesce(back.refunding, 0)) ORDER BY line.place)
        FROM order_lines AS line LEFT JOIN LATERAL (
            SELECT done.refunded, done.refunding FROM order_line_refunds(line.id) AS done
            WHERE payment.amount_refunded + payment.amount_refunding > 0
        ) AS back ON true
        WHERE line.order_id = made.id) AS lines,
    made.version, made.canceled_at, made.created_at, made.updated_at
"""
"""What every order shows: of ``made``, a row of orders, and of ``payment``, its payment."""

_ONE: Final = f"""
    SELECT {COLUMNS},
        (SELECT jsonb_agg(jsonb_build_array(shipped.id, shipped.carrier, shipped.tracking, shipped.lines,
            shipped.requested_by, shipped.created_at) ORDER BY shipped.id)
        FROM fulfilments AS shipped WHERE shipped.order_id = made.id) AS fulfilments,
        (SELECT jsonb_build_array(cancellation.id, cancellation.reason, cancellation.requested_by,
            cancellation.created_at)
        FROM order_cancellations AS cancellation
        WHERE {{anybodys}} AND cancellation.order_id = made.id
        ORDER BY cancellation.id DESC LIMIT 1) AS cancellation,
        (SELECT jsonb_agg(jsonb_build_array(refund.id, refund.status, refund.amount::text, refund.reason,
            refund.requested_by, refund.created_at, (
                SELECT jsonb_agg(jsonb_build_array(line.id, part.qty, part.amount::text) ORDER BY line.place)
                FROM refund_lines AS part JOIN order_lines AS line ON line.id = part.order_line_id
                WHERE part.refund_id = refund.id)) ORDER BY refund.id)
        FROM refunds AS refund
        WHERE {{anybodys}} AND refund.payment_id = made.payment_id) AS refunds
    FROM orders AS made JOIN payments AS payment ON payment.id = made.payment_id
    WHERE {{by}} AND {{of_caller}}
"""  # noqa: S608 (only our own constants)


def _whole(by: str) -> Mapping[bool, Statement]:
    """Reads one order: anybody's (True), or the customer's own."""
    return {
        anybodys: Statement(_ONE.format(by=by, anybodys=anybodys, of_caller=is_for("made.user_id", anybodys=anybodys)))
        for anybodys in (True, False)
    }


_by_id = _whole("made.id = :id")

_by_payment = _whole("made.payment_id = :id")

_NEWEST: Final = f"""
    SELECT {COLUMNS}
    FROM (
        SELECT one.* FROM {owners_of()} AS owner CROSS JOIN LATERAL (
            SELECT * FROM orders WHERE user_id = owner.id AND {{bound}}
            ORDER BY created_at DESC, id DESC LIMIT {LONGEST_PAGE} + 1
        ) AS one
        ORDER BY one.created_at DESC, one.id DESC LIMIT {PAGE}
    ) AS made
    JOIN payments AS payment ON payment.id = made.payment_id
    ORDER BY made.created_at DESC, made.id DESC
"""  # noqa: S608 (only our own constants)

_first_page = Statement(_NEWEST.format(bound="true"))

_next_page = Statement(_NEWEST.format(bound="(created_at, id) < (:created_at, :id)"))


class OrderRow(Protocol):
    """The values of ``COLUMNS``; a line is a list of the values that ``_show_line`` takes."""

    id: UUID
    number: str | None
    status: str
    payment_id: UUID
    user_id: UUID
    amount: Decimal
    currency: str
    amount_refunded: Decimal
    amount_refunding: Decimal
    buyer: dict[str, Any] | None
    delivery_address: dict[str, Any] | None
    on_hold_reason: str | None
    lines: list[list[Any]] | None
    version: int
    canceled_at: datetime | None
    created_at: datetime
    updated_at: datetime


class _WholeRow(OrderRow, Protocol):
    """The same with what was done about the order, each a list of values."""

    fulfilments: list[list[Any]] | None
    cancellation: list[Any] | None
    refunds: list[list[Any]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPage:
    """Orders as the API shows them, newest first; ``next_cursor`` is None where no page follows."""

    orders: list[dict[str, Any]]
    next_cursor: str | None


def orders_of(*, user_id: UUID, limit: int, cursor: str | None) -> OrderPage:
    """A page of the customer's orders. Raises BadCursorError and DatabaseUnavailableError."""
    values: dict[str, Any] = {"user_id": user_id, "limit": limit + 1}
    rows: Sequence[OrderRow]
    if cursor is None:
        rows = execute(_first_page, values)
    else:
        after = read_cursor(cursor)
        rows = execute(_next_page, values | {"created_at": after.moment, "id": after.id})
    page = rows[:limit]
    more = str(Cursor(page[-1].created_at, page[-1].id)) if len(rows) > limit else None
    return OrderPage(orders=[show_order(row) for row in page], next_cursor=more)


def order_of(*, order_id: UUID, user_id: UUID | None) -> dict[str, Any] | None:
    """The customer's order with what was handed over of it; None when it is not this customer's.

    Without a customer it may be anybody's, and what only staff may read is there too: whose it is, why it is on hold,
    what is short, its cancellation and the refunds of its payment. Raises DatabaseUnavailableError.
    """
    return _one(_by_id, order_id, user_id)


def order_of_payment(*, payment_id: UUID, user_id: UUID | None) -> dict[str, Any] | None:
    """The order that this payment pays for, as ``order_of`` gives it; None when it has none, or another customer's."""
    return _one(_by_payment, payment_id, user_id)


def show_order(row: OrderRow, *, anybodys: bool = False) -> dict[str, Any]:
    """An order as the API shows it: to its customer, or with ``anybodys`` to staff."""
    lines = [_show_line(values, row.currency, anybodys=anybodys) for values in row.lines or ()]
    shown: dict[str, Any] = {
        "id": str(row.id),
        "number": row.number,
        "status": row.status,
        "payment_id": str(row.payment_id),
        "amount": show(row.amount, row.currency),
        "currency": row.currency,
        "amount_refunded": show(row.amount_refunded, row.currency),
        "amount_refunding": show(row.amount_refunding, row.currency),
        "lines": lines,
        "parts": _parts(lines, row.currency),
        "buyer": row.buyer,
        "delivery_address": row.delivery_address,
        "version": row.version,
        "created_at": show_time(row.created_at),
        "updated_at": show_time(row.updated_at),
    }
    if anybodys:
        canceled_at = None if row.canceled_at is None else show_time(row.canceled_at)
        shown |= {"customer": str(row.user_id), "on_hold_reason": row.on_hold_reason, "canceled_at": canceled_at}
    return shown


def _one(statements: Mapping[bool, Statement], which: UUID, user_id: UUID | None) -> dict[str, Any] | None:
    anybodys = user_id is None
    rows: Sequence[_WholeRow] = execute(statements[anybodys], {"id": which, "user_id": user_id})
    if not rows:
        return None
    row = rows[0]
    shown = show_order(row, anybodys=anybodys)
    shown["fulfilments"] = [_show_fulfilment(values, anybodys=anybodys) for values in row.fulfilments or ()]
    if anybodys:
        shown |= {"cancellation": _show_cancellation(row.cancellation), "refunds": _show_refunds(row)}
    return shown


def _show_line(values: list[Any], currency: str, *, anybodys: bool) -> dict[str, Any]:
    (line_id, listing_id, title, vendor_id, vendor, school, spec, qty, unit_price, line_total, *pieces) = values
    fulfilled, short, canceled, refunded, refunding = pieces
    shown = {
        "id": line_id,
        "listing_id": listing_id,
        "title": title,
        "vendor": {"id": vendor_id, "name": vendor},
        "school": school,
        "spec": spec,
        "qty": qty,
        "unit_price": show(Decimal(unit_price), currency),
        "line_total": show(Decimal(line_total), currency),
        "qty_fulfilled": fulfilled,
        "qty_refunded": refunded,
        "qty_refunding": refunding,
        "qty_canceled": canceled,
    }
    return shown | {"qty_short": short} if anybodys else shown


def _parts(lines: list[dict[str, Any]], currency: str) -> list[dict[str, Any]]:
    """A part for each vendor, in the order of their first lines, with the total of its lines."""
    parts: dict[tuple[Any, Any], Decimal] = {}
    for line in lines:
        vendor = (line["vendor"]["id"], line["vendor"]["name"])
        parts[vendor] = parts.get(vendor, Decimal(0)) + Decimal(line["line_total"])
    return [
        {"vendor": {"id": vendor_id, "name": name}, "amount": show(amount, currency)}
        for (vendor_id, name), amount in parts.items()
    ]


def _show_fulfilment(values: list[Any], *, anybodys: bool) -> dict[str, Any]:
    fulfilment_id, carrier, tracking, lines, requested_by, created_at = values
    shown = {
        "id": fulfilment_id,
        "carrier": carrier,
        "tracking": tracking,
        "lines": [{"line_id": line["line_id"], "qty": line["qty"]} for line in lines or ()],
        "created_at": show_time(datetime.fromisoformat(created_at)),
    }
    return shown | {"requested_by": requested_by} if anybodys else shown


def _show_cancellation(values: list[Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    cancellation_id, reason, requested_by, created_at = values
    return {
        "id": cancellation_id,
        "reason": reason,
        "requested_by": requested_by,
        "created_at": show_time(datetime.fromisoformat(created_at)),
    }


def _show_refunds(row: _WholeRow) -> list[dict[str, Any]]:
    """All refunds of its payment, oldest first: those that name lines, and those of an amount alone."""
    return [
        {
            "id": refund_id,
            "status": status,
            "amount": show(Decimal(amount), row.currency),
            "reason": reason,
            "requested_by": requested_by,
            "lines": [
                {"line_id": line_id, "qty": qty, "amount": show(Decimal(of_line), row.currency)}
                for line_id, qty, of_line in lines or ()
            ],
            "created_at": show_time(datetime.fromisoformat(created_at)),
        }
        for refund_id, status, amount, reason, requested_by, created_at, lines in row.refunds or ()
    ]
