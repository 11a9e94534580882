"""Orders as customers and workers make them, and what staff ask of them."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import redis
from werkzeug.test import TestResponse

from tests.conftest import Customer, Servers, Sql
from tests.money import attempt, bring_to, capture, fold
from tests.purchases import fill_cart, opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order, its payment, and its lines in their order."""

    id: UUID
    payment_id: UUID
    reference: str
    lines: Sequence[UUID]


Bought = tuple[dict[str, Any], int]
"""A listing, and how many pieces of it."""


def opened_for(customer: Customer, *bought: Bought) -> UUID:
    """The payment of a session for these pieces, of which nobody has paid anything."""
    return UUID(opened(customer, fill_cart(customer, *bought), uuid4().hex)["payment_id"])


def ordered(sql: Sql, customer: Customer, *bought: Bought) -> Ordered:
    """What these pieces become once they are paid."""
    payment_id = opened_for(customer, *bought)
    bring_to(sql, payment_id, "paid")
    return order_of(sql, payment_id)


def ordered_by_captures(sql: Sql, customer: Customer, *bought: Bought, amounts: Sequence[str]) -> Ordered:
    """The same, paid by captures that have names: ca_1 and so on, each with the order's payment in it."""
    payment_id = opened_for(customer, *bought)
    for number, amount in enumerate(amounts, start=1):
        capture(sql, payment_id, f"ca_{number}_{payment_id}", amount)
    fold(sql, payment_id)
    return order_of(sql, payment_id)


def authorized_order(sql: Sql, customer: Customer, *bought: Bought, refs: Sequence[str] = ("",)) -> Ordered:
    """The same where money is only authorized: all of it, by each of these attempts."""
    payment_id = opened_for(customer, *bought)
    for ref in refs:
        attempt(sql, payment_id, "authorized", ref=ref or f"at_{payment_id}", authorized=_amount(sql, payment_id))
    fold(sql, payment_id)
    return order_of(sql, payment_id)


def short_order(sql: Sql, customer: Customer, *bought: Bought, left: int, authorized: bool = False) -> Ordered:
    """An order for whose money to come everything was given back, and only so many pieces of each listing were left."""
    payment_id = opened_for(customer, *bought)
    sql("SELECT holds_end(ARRAY[CAST(:id AS uuid)], 'held')", id=payment_id)
    for listing, _ in bought:
        set_stock(sql, listing, left)
    bring_to(sql, payment_id, "authorized" if authorized else "paid", amount=_amount(sql, payment_id))
    return order_of(sql, payment_id)


def _amount(sql: Sql, payment_id: UUID) -> Any:
    return sql("SELECT amount FROM payments WHERE id = :id", id=payment_id)[0].amount


def order_of(sql: Sql, payment_id: UUID) -> Ordered:
    (row,) = sql(
        """SELECT made.id, payment.provider_ref, (SELECT array_agg(line.id ORDER BY line.place)
            FROM order_lines AS line WHERE line.order_id = made.id) AS lines
        FROM orders AS made JOIN payments AS payment ON payment.id = made.payment_id WHERE made.payment_id = :id""",
        id=payment_id,
    )
    return Ordered(id=row.id, payment_id=payment_id, reference=row.provider_ref, lines=row.lines)


def lost(sql: Sql, payment_id: UUID) -> None:
    """All of the payment's money went again by a chargeback that is lost."""
    sql(
        """INSERT INTO disputes
            (payment_id, provider, dispute_ref, stage, status, money_step, money_out, currency, amount)
        SELECT id, provider, 'dp', 'chargeback', 'lost', 1, true, currency, amount FROM payments WHERE id = :id""",
        id=payment_id,
    )
    fold(sql, payment_id)


def ask_fulfilment(staff: Customer, order_id: object, key: str | None = "fulfilment-1", **body: Any) -> TestResponse:
    """Ask to fulfil; lines, carrier, tracking and capture as keywords."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return staff.post(f"/api/admin/orders/{order_id}/fulfilments", json=body, headers=headers)


def ask_cancellation(staff: Customer, order_id: object, key: str | None = "cancel-1", **body: Any) -> TestResponse:
    """Ask to cancel; the reason as a keyword."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return staff.post(f"/api/admin/orders/{order_id}/cancel", json=body, headers=headers)


def pieces(line_id: UUID, qty: int | None = None) -> dict[str, Any]:
    return {"line_id": str(line_id)} | ({} if qty is None else {"qty": qty})


def set_stock(sql: Sql, listing: dict[str, Any], stock: int | None) -> None:
    """What people say lies there."""
    sql("UPDATE listings SET stock = :stock WHERE id = :id", stock=stock, id=listing["id"])


def stock_of(sql: Sql, listing: dict[str, Any]) -> tuple[int | None, int]:
    """What lies there of it, and how much of that is reserved; proves that it adds up."""
    (row,) = sql(
        """SELECT listing.stock, counter.stock AS counted, counter.reserved,
            (SELECT coalesce(sum(hold.reserved), 0) FROM holds AS hold WHERE hold.listing_id = listing.id) AS held
        FROM listings AS listing JOIN stock_counters AS counter ON counter.listing_id = listing.id
        WHERE listing.id = :id""",
        id=listing["id"],
    )
    assert (row.stock, row.held) == (row.counted, row.reserved)
    return row.stock, row.reserved


def status_of(sql: Sql, order: Ordered) -> str:
    return sql("SELECT status::text AS now FROM orders WHERE id = :id", id=order.id)[0].now


def handed_over(sql: Sql, order: Ordered) -> list[tuple[int, int]]:
    """Of each line, how many pieces were fulfilled and how many nobody has."""
    rows = sql("SELECT qty_fulfilled, qty_short FROM order_lines WHERE order_id = :id ORDER BY place", id=order.id)
    return [(row.qty_fulfilled, row.qty_short) for row in rows]


def reasons_of(sql: Sql, order: Ordered) -> str | None:
    return sql("SELECT review_reason FROM payments WHERE id = :id", id=order.payment_id)[0].review_reason


def notified(servers: Servers, *, least: int = 1) -> list[tuple[str, tuple[str, ...]]]:
    """The tasks that were sent to the queue of payments; they are taken off it."""
    until = monotonic() + 60
    with redis.Redis.from_url(servers.redis_url) as broker:
        while broker.llen("payments") < least and monotonic() < until:
            sleep(0.01)
        found = [json.loads(message)["headers"] for message in broker.lrange("payments", 0, -1)]
        broker.delete("payments")
    return [(headers["task"], ast.literal_eval(headers["argsrepr"])) for headers in found]


def problem(answer: TestResponse) -> tuple[int, str]:
    assert answer.content_type == "application/problem+json", answer.text
    return answer.status_code, answer.json["type"].removeprefix("/problems/")
