"""What must hold of orders, of the pieces that they hold, and of those that lie there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from checkout_service.database.engine import execute
from checkout_service.money import show
from checkout_service.oversight.order_statements import (
    COUNT_PAID_WITHOUT_ORDER,
    COUNT_PAST_END,
    COUNT_STOCK,
    COUNT_UNNUMBERED,
    COUNT_UNSEQUENCED,
    COUNTERS,
    PAID_WITHOUT_ORDER,
    PAST_END,
    SHORT_WITHOUT_HOLD,
    SOLD,
    UNNUMBERED,
    UNSEQUENCED,
)
from checkout_service.oversight.promises import Invariant, Limits, paged
from checkout_service.oversight.statements import ALL
from checkout_service.payments.status import PaymentStatus


class _Money(NamedTuple):
    id: UUID
    at: datetime
    came: Decimal
    currency: str
    wrong: bool


class _Counter(NamedTuple):
    id: UUID
    at: datetime
    stock: int | None
    counted: int | None
    reserved: int
    held: int
    wrong: bool


class _Sold(NamedTuple):
    id: UUID
    at: datetime
    payment_id: UUID
    listing_id: UUID
    sold: int
    bought: int
    wrong: bool


def _without_order(_: Limits) -> Iterator[str]:
    for status in PaymentStatus:
        if status.money_came or status is PaymentStatus.AUTHORIZED:
            for row in paged(_Money._make, PAID_WITHOUT_ORDER, status=status.value):
                came = f"{show(row.came, row.currency)} {row.currency} came" if row.came else "all is authorized"
                yield f"payment {row.id}: {came}, and it has neither an order nor a reason why not"


def _stock_astray(_: Limits) -> Iterator[str]:
    for row in paged(_Counter._make, COUNTERS):
        really, counted = _pieces(row.stock, row.held), _pieces(row.counted, row.reserved)
        yield f"listing {row.id}: {really}, but its counter says {counted}"
    for sold in paged(_Sold._make, SOLD):
        yield _lacking(sold.payment_id, sold.listing_id, held=sold.sold, bought=sold.bought)
    for short in execute(SHORT_WITHOUT_HOLD, {"limit": ALL}):
        yield _lacking(short.payment_id, short.listing_id, held=0, bought=short.bought)


def _pieces(stock: int | None, reserved: int) -> str:
    return f"{'uncounted' if stock is None else stock} there and {reserved} reserved"


def _lacking(payment_id: UUID, listing_id: UUID, *, held: int, bought: int) -> str:
    return f"payment {payment_id}: {held} of listing {listing_id} held as sold, but its order still needs {bought}"


def _unnumbered(limits: Limits) -> Iterator[str]:
    for row in execute(UNNUMBERED, {"numbered": limits.numbered, "limit": ALL}):
        yield f"order {row.id} has no number since {row.created_at:%Y-%m-%d %H:%M:%S} UTC"


def _unsequenced(limits: Limits) -> Iterator[str]:
    for row in execute(UNSEQUENCED, {"numbered": limits.numbered, "limit": ALL}):
        yield f"event {row.id} ({row.type}) has no number since {row.created_at:%Y-%m-%d %H:%M:%S} UTC"


def _past_end(limits: Limits) -> Iterator[str]:
    for row in execute(PAST_END, {"swept": limits.swept, "limit": ALL}):
        yield (
            f"{row.qty} of listing {row.listing_id} are held for payment {row.payment_id}, which ended "
            f"{row.until:%Y-%m-%d %H:%M:%S} UTC"
        )


ORDER_INVARIANTS: Final = (
    Invariant(
        name="paid_has_order",
        promise="a payment with money has an order, or a reason why it has none",
        remedy="Somebody else wrote the payment or took the order away: find out who may write. As the workers' role "
        "`SELECT * FROM payments_fold(ARRAY['ID']::uuid[])` makes it. After an upgrade: let the migrations end.",
        find=_without_order,
        count=COUNT_PAID_WITHOUT_ORDER,
    ),
    Invariant(
        name="order_without_number",
        promise="an order has its number within a minute",
        remedy="Do workers and beat run? As the workers' role `SELECT events_sequence('PREFIX', 1000)` gives them.",
        find=_unnumbered,
        count=COUNT_UNNUMBERED,
    ),
    Invariant(
        name="event_without_number",
        promise="an event has its number within a minute, so the shop hears of it",
        remedy="Do the sender, workers and beat run? As the workers' role `SELECT events_sequence('PREFIX', 1000)` "
        "gives them. Those of one payment that stay behind wait for its order's number.",
        find=_unsequenced,
        count=COUNT_UNSEQUENCED,
    ),
    Invariant(
        name="stock_adds_up",
        promise="available pieces are what lies there, without what is held and what is sold and not fulfilled",
        remedy="Somebody wrote counters, holds or lines by hand, or triggers were switched off: see docs/operating.md.",
        find=_stock_astray,
        count=COUNT_STOCK,
    ),
    Invariant(
        name="hold_past_end",
        promise="no hold outlives its end by more than the sweep takes",
        remedy="Do housekeeping and beat run? The sweep gives them back, once it runs.",
        find=_past_end,
        count=COUNT_PAST_END,
    ),
)
