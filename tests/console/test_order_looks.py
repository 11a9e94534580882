"""The pages of orders in every state, as a browser shows them: as ``test_looks`` looks at the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.conftest import MakeListing, Sql
from tests.console.test_looks import address, browser, context, look_at, page
from tests.money import attempt, bring_to, dispute, fold
from tests.ordering import ADDRESS, BUYER, number_orders, open_session, paid_order
from tests.pages.browser import DESKTOP, PHONE
from tests.refunding import insert_refund
from tests.stock.holding import end_holds

__all__ = ["address", "browser", "context", "page"]  # fixtures

SHOWN = ("orders", "order")
"""Those that the documentation shows."""


@pytest.fixture
def paths(sql: Sql, make_listing: MakeListing) -> dict[str, str]:
    """Orders in each state, a payment whose duplicate has the order, and the pages of all of them."""
    algebra, geometry = (
        make_listing(stock=40),
        make_listing(title="Geometry with a ruler", unit_price="12.50", stock=40),
    )
    sealed: dict[str, Any] = {"buyer": BUYER, "address": ADDRESS}
    made = {name: paid_order(sql, (algebra, 3), (geometry, 2), **sealed) for name in ("partly", "canceled", "erased")}
    made |= {"held": paid_order(sql, (algebra, 1), **sealed), "placed": paid_order(sql, (geometry, 4))}
    rare = make_listing(title="Rare maps", stock=3)
    late = open_session(sql, (rare, 3), **sealed)
    end_holds(sql, late)
    sql("SELECT holds_sweep(100, '{}')")
    sql("UPDATE listings SET stock = 1 WHERE id = :id", id=rare["id"])
    bring_to(sql, late, "paid")
    (short,) = sql("SELECT id FROM orders WHERE payment_id = :id", id=late)
    orders = {name: order for name, (order, _) in made.items()} | {"short": short.id}
    number_orders(sql, prefix="HB-")
    dispute(sql, made["held"][1], "40", evidence_due_at="now() + interval '9 days'")
    lines = sql("SELECT id FROM order_lines WHERE order_id = :id ORDER BY place", id=orders["partly"])
    sql(
        """INSERT INTO fulfilments (order_id, carrier, tracking, lines, requested_by, idempotency_key, request_hash)
        SELECT order_id, 'DHL', '00340434161094000001', jsonb_build_array(jsonb_build_object('line_id', id, 'qty', 2)),
            uuidv7(), 'key', ''
        FROM order_lines WHERE id = :line""",
        line=lines[0].id,
    )
    refund = insert_refund(sql, made["partly"][1], "12.50", reason="'torn'")
    sql(
        "INSERT INTO refund_lines (refund_id, order_line_id, qty, amount) VALUES (:refund, :line, 1, 12.50)",
        refund=refund,
        line=lines[1].id,
    )
    sql(
        """INSERT INTO order_cancellations (order_id, reason, requested_by, idempotency_key, request_hash)
        VALUES (:id, 'the press broke', uuidv7(), 'key', '')""",
        id=orders["canceled"],
    )
    sql("UPDATE orders SET erased_at = now() WHERE id = :id", id=orders["erased"])
    user = uuid4()
    twice = [open_session(sql, (algebra, 1), owner=user) for _ in range(2)]
    for payment in twice:
        attempt(sql, payment, "started", presumed="40")
    fold(sql, *twice)
    return {
        "orders": "/ops/orders",
        "orders-faults": "/ops/orders?number=one&amount=many&vendor=nobody&since=nonsense&customer=ada&status=lost",
        "orders-none": "/ops/orders?number=4711",
        **{f"order-{name}": f"/ops/orders/{order}" for name, order in orders.items()},
        "order": f"/ops/orders/{orders['partly']}",
        "order-fulfil": f"/ops/orders/{orders['partly']}/fulfil",
        "order-refund": f"/ops/orders/{orders['partly']}/refund",
        "order-cancel": f"/ops/orders/{orders['short']}/cancel",
        "order-cancel-not": f"/ops/orders/{orders['partly']}/cancel",
        "order-fulfil-not": f"/ops/orders/{orders['canceled']}/fulfil",
        "order-refund-not": f"/ops/orders/{orders['canceled']}/refund",
        "payment-duplicate": f"/ops/payments/{twice[1]}",
    }


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_of_orders_is_accessible_and_fits(
    page: Page, address: str, paths: dict[str, str], size: dict[str, int], tmp_path: Path
) -> None:
    look_at(page, address, paths, size=size, folder=tmp_path, shown=SHOWN)


def test_no_column_of_an_order_is_cut_on_a_laptop(
    page: Page, address: str, paths: dict[str, str], sql: Sql, tmp_path: Path
) -> None:
    sql("""UPDATE order_lines SET vendor = 'Harbour Books and Maps, Stationers to the Northern Schools',
        school = 'Northgate School for Navigation and Cartography', spec = 'Hardcover with a slipcase',
        unit_price = 99999, line_total = 99999 * qty""")
    page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("order", "order-short", "order-fulfil", "order-refund"):
        page.goto(address + paths[name])
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        for table in page.locator(".table").all():
            wide, seen = table.evaluate("box => [box.scrollWidth, box.clientWidth]")
            assert wide <= seen, (name, wide, seen)
