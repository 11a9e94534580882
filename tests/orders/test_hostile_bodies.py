"""Whatever stands in a body that opens a session or acts on an order: a clean 4xx, or it is taken as it was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.conftest import Customer, MakeListing, Sql
from tests.ordering import ADDRESS, BUYER
from tests.orders.buying import bought
from tests.purchases import fill_cart
from tests.refunding import staff_of

NEVER: Final = (
    *("null", "0", "-0", "-1", "1.0", "1e0", "1.5", "99999999999999999999999", "NaN", "Infinity", "1e999"),
    *("[]", "{}", "[null]", "[[]]", "[{}]", '""', '" "', r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"\r\nA: b"'),
    *("[" * 2000 + "]" * 2000, '{"a":' * 300 + "1" + "}" * 300),
)
"""JSON, or nearly, that no member takes."""

REFUSED: Final = {400, 413, 422}


def _members(body: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """The places in a body, its lists by their first."""
    for name, value in body.items():
        yield (name,)
        inner = value[0] if isinstance(value, list) else value
        if isinstance(inner, dict):
            way: tuple[str | int, ...] = (name, 0) if isinstance(value, list) else (name,)
            yield from ((*way, member) for member in inner)


def _with(body: dict[str, Any], place: tuple[str | int, ...], raw: str) -> str:
    changed = json.loads(json.dumps(body))
    inner = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = "@@"
    return json.dumps(changed).replace('"@@"', raw)


@pytest.mark.parametrize("raw", NEVER, ids=[ascii(raw[:12]) for raw in NEVER])
def test_a_member_that_means_nothing_is_refused_and_nothing_is_done(
    customer: Customer, make_listing: MakeListing, sql: Sql, raw: str
) -> None:
    staff = staff_of(customer)
    order = bought(customer, sql, (make_listing(), 3))
    pieces = [{"line_id": str(sql("SELECT id FROM order_lines")[0].id), "qty": 1}]
    cart = fill_cart(customer, (make_listing(), 1))
    session = {"cart_id": cart, "provider": "mock", "expected_total": "40.00"}
    bodies: list[tuple[Customer, str, dict[str, Any]]] = [
        (customer, "/api/checkout/session", session | {"buyer": BUYER, "delivery_address": ADDRESS}),
        (staff, f"/api/admin/orders/{order.id}/fulfilments", {"lines": pieces, "carrier": "DHL", "tracking": "1"}),
        (staff, f"/api/admin/orders/{order.id}/cancel", {"reason": "damaged"}),
        (staff, f"/api/payments/{order.payment_id}/refunds", {"lines": pieces, "reason": "damaged"}),
    ]
    before = _rows(sql)
    for who, path, body in bodies:
        for place in _members(body):
            # Money may be a number, and a refund's reason may be a space.
            if raw in {"0", "-0", "1.0", "1e0", "1.5", "99999999999999999999999"} and place == ("expected_total",):
                continue
            if raw == '" "' and place == ("reason",) and path.endswith("/refunds"):
                continue
            sent = _with(body, place, raw)
            headers = {"Idempotency-Key": uuid4().hex, "Content-Type": "application/json"}
            answer = who.post(path, data=sent, headers=headers)
            assert answer.status_code in REFUSED, (path, place, answer.status_code, answer.text)
            assert answer.content_type == "application/problem+json"
    assert _rows(sql) == before


def _rows(sql: Sql) -> Any:
    return sql("""SELECT (SELECT count(*) FROM payments) AS payments, (SELECT count(*) FROM fulfilments) AS fulfilments,
        (SELECT count(*) FROM order_cancellations) AS cancellations, (SELECT count(*) FROM refunds) AS refunds,
        (SELECT sum(reserved) FROM stock_counters) AS reserved""")
