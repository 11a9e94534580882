"""Values as long as anybody may make them: every table of the console fits a screen of 1280 pixels all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.capturing import authorized_payment
from tests.conftest import MakeListing, Sql
from tests.console.test_looks import address, browser, context, page
from tests.money import dispute
from tests.ordering import ADDRESS, BUYER, number_orders, paid_order
from tests.pages.browser import DESKTOP, overflows, picture
from tests.refunding import insert_refund, paid_payment

__all__ = ["address", "browser", "context", "page"]

LONG = "W" * 120
WORDS = "Wonderfully wide words \u202e<b>bold</b> " * 5

WIDER = """() => Array.from(document.querySelectorAll(".table"))
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => `${each.getAttribute("aria-label")}: ${each.scrollWidth} in ${each.clientWidth}`)"""
"""Tables that have to be moved sideways to be read."""


@pytest.fixture
def wide(sql: Sql, make_listing: MakeListing) -> dict[str, str]:
    """The pages with tables, each filled with what is as long as it may be."""
    order, _ = paid_order(
        sql, (make_listing(title=WORDS[:200]), 3), (make_listing(title=LONG), 2), buyer=BUYER, address=ADDRESS
    )
    number_orders(sql, prefix="WWWWWWWW-")
    sql(
        "UPDATE orders SET buyer = CAST(:buyer AS jsonb)",
        buyer=json.dumps(BUYER | {"name": LONG[:100], "email": "w" * 60 + "@example.org"}),
    )
    sql("UPDATE vendors SET name = :name", name=LONG)
    payment, _ = paid_payment(sql, amount="99999999.99", currency="KWD")
    sql(
        """INSERT INTO payments (user_id, provider, provider_ref, amount, currency, status, review_reason,
            next_look_up_at)
        SELECT user_id, :provider, :reference || number, 99999999.99, 'USD', 'partially_paid',
            'authorization_adjusted, cancellation_unpaid, dispute_mismatch, mismatch, paid_without_stock',
            now() + interval '30 days'
        FROM payments, generate_series(1, 3) AS number WHERE id = :id""",
        id=payment,
        provider="w" * 30,
        reference=LONG,
    )
    insert_refund(
        sql, payment, "1.000", status="'failed'", decline="'not_in_this_state'", detail=f"'{LONG}'",
        next_attempt_at="NULL",
    )  # fmt: skip
    doubted = insert_refund(sql, payment, "2.000", in_doubt="true", sent_at="now()", detail=f"'{LONG}'")
    dispute(sql, payment, "99999999.000", reason=f"'{LONG}'", evidence_due_at="now() + interval '3 days'")
    authorized, _ = authorized_payment(sql, refs=("at_1",))
    sql(
        """INSERT INTO webhook_deliveries (provider, body, state, attempts, detail, provider_ref, processed_at,
            received_at, attempt_log)
        SELECT :provider, convert_to(:body, 'UTF8'), state, 2000000000, CAST(:detail AS text), :reference,
            NULL,
            now() - interval '30 days',
            jsonb_build_array(jsonb_build_object('at', now(), 'detail', CAST(:detail AS text)))
        FROM unnest(ARRAY['failed', 'received', 'rejected']) AS state""",
        provider="w" * 30,
        body=json.dumps({"type": LONG, "id": LONG}),
        detail=LONG * 2,
        reference=LONG,
    )
    (webhook,) = sql("SELECT id FROM webhook_deliveries WHERE state = 'failed'")
    sql(
        "INSERT INTO webhook_endpoints (url, description) VALUES (:url, :words)",
        url=f"https://{LONG}.example",
        words=LONG,
    )
    (endpoint,) = sql("UPDATE webhook_endpoints SET state = 'suspended', state_reason = 'failing' RETURNING id")
    sql(
        """INSERT INTO audit (key, door, operator, action, subject, why, details) VALUES
        (uuidv7(), 'console', :long, 'settle_refund', :payment, :why, CAST(:details AS jsonb)),
        (uuidv7(), 'console', 'mira', 'create_key', :payment, :why, CAST(:key AS jsonb))""",
        long=LONG,
        payment=str(payment),
        why=LONG * 10,
        details=json.dumps({"refund": str(doubted), "made": True, "reference": LONG * 2}),
        key=json.dumps({"prefix": LONG, "name": LONG, "scopes": ["orders:read", "payments:read", "refunds"] * 5}),
    )
    return {
        "overview": "/ops",
        "todo": "/ops/todo",
        "webhooks": "/ops/webhooks",
        "webhook": f"/ops/webhooks/{webhook.id}",
        "payments": "/ops/payments",
        "payment": f"/ops/payments/{payment}",
        "payment-order": f"/ops/payments/{sql('SELECT payment_id FROM orders')[0].payment_id}",
        "payment-capture": f"/ops/payments/{authorized}/capture",
        "refund-settle": f"/ops/payments/{payment}/refunds/{doubted}/settle",
        "orders": "/ops/orders",
        "order": f"/ops/orders/{order}",
        "order-fulfil": f"/ops/orders/{order}/fulfil",
        "order-refund": f"/ops/orders/{order}/refund",
        "disputes": "/ops/disputes",
        "endpoints": "/ops/endpoints",
        "endpoint": f"/ops/endpoints/{endpoint.id}",
        "audit": "/ops/audit",
        "search": "/ops/search?q=99999999.99",
        "search-long": f"/ops/search?q={LONG}",
    }


def test_every_table_fits_a_screen_of_1280_pixels(
    page: Page, address: str, wide: dict[str, str], tmp_path: Path
) -> None:
    page.set_viewport_size(DESKTOP)
    assert DESKTOP["width"] == 1280
    found: dict[str, list[str]] = {}
    for name, path in wide.items():
        answer = page.goto(address + path)
        assert answer is not None
        assert answer.status == 200, name
        wider = page.evaluate(WIDER) + (["the page itself"] if overflows(page) else [])
        if wider:
            found[name] = wider
        picture(page, f"wide-{name}", tmp_path, whole=True)
    assert not found
