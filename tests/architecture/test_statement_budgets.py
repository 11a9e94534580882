"""How many SQL statements each route may take, in one table; none grows with the size of what it works on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from checkout_service.payments.outcomes import ReviewReason
from checkout_service.providers.entries import NoneUnderWayEntry, NoticeEntry
from tests.capturing import ask_capture, ask_void
from tests.carts.guest_carts import make_guest, token_of
from tests.conftest import Customer, MakeListing, Servers, Sql, Statements
from tests.events.rows import insert_event
from tests.money import attempt, bring_to, capture, fold
from tests.order_requests import ask_cancellation, ask_fulfilment
from tests.purchases import ask, fill_cart, opened
from tests.refunding import ask_refund, refund_event, staff_of
from tests.webhook_bodies import insert_payment, webhook
from tests.webhooks.front import Front
from tests.worker.conftest import worker
from tests.worker.transitions import entered
from worker.transitions.outcomes import Outcome

__all__ = ["worker"]  # fixtures

BUDGETS = {
    "guest_carts.create_guest_cart": 1,
    "carts.merge_guest_cart": 2,
    "listings.list_listings": 3,
    "listings.read_listing": 1,
    "carts.get_cart": 1,
    "carts.set_currency": 2,
    "carts.empty_cart": 1,
    "carts.put_item": 1,
    "carts.change_quantity": 1,
    "carts.remove_item": 1,
    "checkout.post_session": 2,
    "checkout.read_session": 1,
    "payments.read_payment": 1,
    "payments.list_payments": 1,
    "payments.cancel_payment": 2,
    "orders.list_orders": 1,
    "orders.read_order": 1,
    "staff_orders.find_staff_orders": 1,
    "staff_orders.read_staff_order": 1,
    "staff_orders.export_orders": 1,
    "refunds.post_refund": 2,
    "refunds.list_refunds": 1,
    "captures.post_capture": 2,
    "captures.post_void": 2,
    "captures.list_captures": 1,
    "order_requests.post_fulfilment": 2,
    "order_requests.post_cancellation": 2,
    "disputes.list_disputes": 1,
    "events.list_events": 1,
    "events.read_event": 1,
    "settlements.list_payouts": 1,
    "settlements.read_payout": 5,
    "settlements.export_payouts": 1,
    "settlements.list_balance_entries": 1,
    "settlements.export_balance_entries": 1,
    "settling.post_acceptance": 4,
    "staff_payments.find_staff_payments": 1,
    "staff_payments.read_staff_payment": 2,
    "webhook_endpoints.post_endpoint": 2,
    "webhook_endpoints.list_endpoints": 1,
    "webhook_endpoints.read_endpoint": 1,
    "webhook_endpoints.patch_endpoint": 2,
    "webhook_endpoints.delete_endpoint": 1,
    "webhook_endpoints.rotate_secret": 2,
    "webhook_endpoints.send_test": 1,
    "webhook_endpoints.list_deliveries": 3,
    "event_replays.post_replay": 1,
    "event_replays.list_replays": 2,
    "event_replays.stop_replay": 2,
    "webhooks.receive_webhook": 1,
    "health.live": 0,
    "problems.show_kind": 0,
}
"""What each takes today. A larger number here is a decision, not a correction."""

HOOKS = "/api/admin/webhook-endpoints"

WITHOUT_BUDGET = {"health.ready", "health.show_metrics"}
"""Asked by machines every few seconds, and each remembers for a while what it found."""


class Shop:
    """A customer with a cart of many lines, a paid-for history and a payment with a long timeline."""

    def __init__(self, customer: Customer, make_listing: MakeListing, sql: Sql) -> None:
        self.customer = customer
        self.listings = [make_listing() for _ in range(15)]
        self.cart_id = fill_cart(customer, *[(listing, 1) for listing in self.listings[:12]])
        self.payments = [opened(customer, self.cart_id, f"before-{number}")["payment_id"] for number in range(5)]
        sql("""INSERT INTO payment_events (payment_id, provider, event_id, status, outcome)
            SELECT id, 'mock', id::text || number, 'failed', 'stale' FROM payments, generate_series(1, 20) AS number""")
        bring_to(sql, self.payments[1], "paid")
        # What was bought left the cart, and the next filling has a session too.
        fill_cart(customer, *[(listing, 1) for listing in self.listings[:12]])
        self.items = [item["id"] for item in customer.get("/api/cart").json["items"]]
        self.payments.append(opened(customer, self.cart_id, "again")["payment_id"])
        for number in range(20):
            attempt(sql, self.payments[2], "authorized", ref=f"at_{number}", authorized="1")
            capture(sql, self.payments[1], f"ca_{number}", "1")
            capture(sql, self.payments[2], f"ca_{self.payments[2]}_{number}", "1", attempt_ref=f"at_{number}")
        attempt(sql, self.payments[2], "authorized", ref="at", authorized="100")
        fold(sql, self.payments[1], self.payments[2])
        # Of twelve lines, paid by more than twenty captures.
        self.orders = [row.id for row in sql("SELECT id FROM orders WHERE payment_id = :id", id=self.payments[1])]
        insert_event(sql)
        guest = make_guest(customer.client.application, sql)
        fill_cart(guest, *[(listing, 1) for listing in self.listings[10:]])
        opened(guest, guest.get("/api/cart").json["id"], "guest")
        self.guest_token = token_of(guest)
        self.event_id = sql("SELECT event_id FROM event_numbers LIMIT 1")[0].event_id
        sql(
            """INSERT INTO refunds (payment_id, amount, status, provider_ref)
            SELECT :id, 0.01, 'succeeded', 'mock_re_' || number FROM generate_series(1, 20) AS number""",
            id=self.payments[1],
        )
        # A payout of many entries, each with an exception and a bank's entry.
        self.payout = uuid4()
        sql(
            """WITH file AS (
                INSERT INTO settlement_files (provider, name, sha256, form, rows, state, entered_at)
                VALUES ('mock', 'report.csv', decode(repeat('00', 32), 'hex'), 'form', 20, 'entered', now())
                RETURNING id
            ), payout AS (
                INSERT INTO payouts (id, provider, payout_ref, amount, currency, status, itemized, entries)
                VALUES (:id, 'mock', 'po_1', 20, 'USD', 'paid', true, 20) RETURNING id
            ), made AS (
                INSERT INTO balance_entries (provider, account, section, entry_ref, kind, provider_type, gross, fee,
                    net, currency, occurred_at, occurred_local, payout_id, payout_ref, about, subject_ref, payment_ref,
                    merchant_ref, description, file_id, line)
                SELECT CASE WHEN number > 20 THEN 'bank' ELSE 'mock' END, '', '', 'txn_' || number, 'capture', 'charge',
                    1, 0, 1, 'USD', now(), '', CASE WHEN number <= 20 THEN payout.id END, '', 'none', '', '', '', '',
                    file.id, number
                FROM file, payout, generate_series(1, 40) AS number RETURNING id, provider, payout_id
            )
            INSERT INTO settlement_matches (provider, account, entry_id, payout_id, state)
            SELECT provider, '', id, CASE WHEN provider = 'bank' THEN CAST(:id AS uuid) END, 'unknown_here' FROM made
            """,
            id=self.payout,
        )
        # With many deliveries that wait, failed and were taken.
        self.endpoint, self.replay = uuid4(), uuid4()
        sql("INSERT INTO webhook_endpoints (id, url) VALUES (:id, 'https://shop.example.com')", id=self.endpoint)
        sql("INSERT INTO webhook_endpoints (url) SELECT 'https://shop.example.com' FROM generate_series(1, 20)")
        sql(
            """WITH made AS (
                INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, state)
                SELECT :id, uuidv7(), number, 'payment.paid', uuidv7(),
                    CASE number % 2 WHEN 0 THEN 'waiting' ELSE 'failed' END
                FROM generate_series(1, 20) AS number RETURNING event_id
            )
            INSERT INTO event_attempts (endpoint_id, event_id, type, attempt, succeeded, status, duration_ms)
            SELECT :id, event_id, 'payment.paid', number, number = 3, 500, 1
            FROM made, generate_series(1, 3) AS number""",
            id=self.endpoint,
        )
        sql(
            "INSERT INTO event_replays (id, endpoint_id, since, requested_by) VALUES (:replay, :id, now(), 'mira')",
            replay=self.replay,
            id=self.endpoint,
        )


REQUESTS: dict[str, Callable[[Shop], TestResponse]] = {
    "guest_carts.create_guest_cart": lambda shop: shop.customer.client.post("/api/carts"),
    "carts.merge_guest_cart": lambda shop: shop.customer.post(
        "/api/cart/merge", json={"cart_token": shop.guest_token, "how": "sum"}
    ),
    "listings.list_listings": lambda shop: shop.customer.get("/api/listings?q=algebra&available=true&limit=3"),
    "listings.read_listing": lambda shop: shop.customer.get(f"/api/listings/{shop.listings[0]['id']}"),
    "carts.get_cart": lambda shop: shop.customer.get("/api/cart"),
    "carts.set_currency": lambda shop: shop.customer.patch("/api/cart", json={"currency": "USD"}),
    "carts.put_item": lambda shop: _put(shop, shop.listings[13]),
    "carts.change_quantity": lambda shop: shop.customer.patch(f"/api/cart/items/{shop.items[0]}", json={"qty": 7}),
    "carts.remove_item": lambda shop: shop.customer.delete(f"/api/cart/items/{shop.items[1]}"),
    "carts.empty_cart": lambda shop: shop.customer.delete("/api/cart"),
    "checkout.read_session": lambda shop: shop.customer.get(f"/api/checkout/session/{shop.payments[0]}"),
    "checkout.post_session": lambda shop: ask(shop.customer, shop.cart_id, "fresh"),
    "payments.read_payment": lambda shop: shop.customer.get(f"/api/payments/{shop.payments[0]}"),
    "payments.list_payments": lambda shop: shop.customer.get("/api/payments?limit=3"),
    "payments.cancel_payment": lambda shop: shop.customer.post(f"/api/payments/{shop.payments[0]}/cancel"),
    "orders.list_orders": lambda shop: shop.customer.get("/api/orders?limit=3"),
    "orders.read_order": lambda shop: shop.customer.get(f"/api/orders/{shop.orders[0]}"),
    "staff_orders.find_staff_orders": lambda shop: staff_of(shop.customer).get("/api/admin/orders?status=placed"),
    "staff_orders.read_staff_order": lambda shop: staff_of(shop.customer).get(f"/api/admin/orders/{shop.orders[0]}"),
    # One more for each 500 lines.
    "staff_orders.export_orders": lambda shop: staff_of(shop.customer).get("/api/admin/orders.csv"),
    "refunds.post_refund": lambda shop: ask_refund(staff_of(shop.customer), shop.payments[1], amount="1.00"),
    "refunds.list_refunds": lambda shop: shop.customer.get(f"/api/payments/{shop.payments[1]}/refunds"),
    "settling.post_acceptance": lambda shop: _accept(shop, shop.payments[1]),
    "settlements.list_payouts": lambda shop: _accountant(shop).get("/api/admin/payouts?state=open"),
    "settlements.read_payout": lambda shop: _accountant(shop).get(f"/api/admin/payouts/{shop.payout}"),
    # One more for each 500 rows.
    "settlements.export_payouts": lambda shop: _accountant(shop).get("/api/admin/payouts.csv"),
    "settlements.list_balance_entries": lambda shop: _accountant(shop).get("/api/admin/balance-entries?kind=capture"),
    "settlements.export_balance_entries": lambda shop: _accountant(shop).get("/api/admin/balance-entries.csv"),
    "disputes.list_disputes": lambda shop: staff_of(shop.customer).get("/api/admin/disputes"),
    "events.list_events": lambda shop: staff_of(shop.customer, scope="events:read").get("/api/admin/events?wait=1"),
    "events.read_event": lambda shop: staff_of(shop.customer, scope="events:read").get(
        f"/api/admin/events/{shop.event_id}"
    ),
    "staff_payments.find_staff_payments": lambda shop: _reader(shop).get("/api/admin/payments?status=pending"),
    "staff_payments.read_staff_payment": lambda shop: _reader(shop).get(f"/api/admin/payments/{shop.payments[1]}"),
    "captures.post_capture": lambda shop: ask_capture(staff_of(shop.customer), shop.payments[2], amount="1.00"),
    "captures.post_void": lambda shop: ask_void(staff_of(shop.customer), shop.payments[2]),
    "order_requests.post_fulfilment": lambda shop: ask_fulfilment(
        staff_of(shop.customer), shop.orders[0], carrier="DHL", capture=True
    ),
    "order_requests.post_cancellation": lambda shop: ask_cancellation(staff_of(shop.customer), shop.orders[0]),
    "captures.list_captures": lambda shop: staff_of(shop.customer).get(
        f"/api/admin/payments/{shop.payments[2]}/captures"
    ),
    "webhook_endpoints.post_endpoint": lambda shop: _hooks(shop).post(HOOKS, json={"url": "https://shop.example.com"}),
    "webhook_endpoints.list_endpoints": lambda shop: _hooks(shop).get(HOOKS),
    "webhook_endpoints.read_endpoint": lambda shop: _hooks(shop).get(f"{HOOKS}/{shop.endpoint}"),
    "webhook_endpoints.patch_endpoint": lambda shop: _hooks(shop).patch(
        f"{HOOKS}/{shop.endpoint}", json={"state": "enabled"}
    ),
    "webhook_endpoints.delete_endpoint": lambda shop: _hooks(shop).delete(f"{HOOKS}/{shop.endpoint}"),
    "webhook_endpoints.rotate_secret": lambda shop: _hooks(shop).post(f"{HOOKS}/{shop.endpoint}/rotate-secret"),
    "webhook_endpoints.send_test": lambda shop: _hooks(shop).post(f"{HOOKS}/{shop.endpoint}/test"),
    "webhook_endpoints.list_deliveries": lambda shop: _hooks(shop).get(f"{HOOKS}/{shop.endpoint}/deliveries"),
    "event_replays.post_replay": lambda shop: _hooks(shop).post(
        f"{HOOKS}/{shop.endpoint}/replay", json={"since": "2026-01-01"}
    ),
    "event_replays.list_replays": lambda shop: _hooks(shop).get(f"{HOOKS}/{shop.endpoint}/replays"),
    "event_replays.stop_replay": lambda shop: _hooks(shop).post(f"{HOOKS}/{shop.endpoint}/replays/{shop.replay}/stop"),
    "webhooks.receive_webhook": lambda shop: shop.customer.client.post(
        "/api/payments/webhook", data=webhook("mock_pi_1")
    ),
    "health.live": lambda shop: shop.customer.client.get("/livez"),
    "problems.show_kind": lambda shop: shop.customer.client.get("/problems/not-found"),
}


@pytest.fixture
def shop(customer: Customer, make_listing: MakeListing, sql: Sql) -> Shop:
    return Shop(customer, make_listing, sql)


@pytest.mark.parametrize(("endpoint", "budget"), BUDGETS.items())
def test_route_keeps_to_its_statements(shop: Shop, statements: Statements, endpoint: str, budget: int) -> None:
    with statements() as seen:
        answer = REQUESTS[endpoint](shop)

    assert answer.status_code < 300, answer.text
    assert len(seen) <= budget, "\n".join(seen)
    if budget:
        assert seen, "nothing was counted"


def test_first_write_of_a_customer_keeps_to_its_statements(
    customer: Customer, make_listing: MakeListing, statements: Statements
) -> None:
    listing = make_listing()
    with statements() as seen:
        answer = customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 1})

    assert answer.status_code == 201
    assert 1 <= len(seen) <= BUDGETS["carts.put_item"]


def test_webhooks_that_come_at_once_take_fewer_statements_than_there_are_of_them(
    app: Flask, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone one takes the one of its budget; behind one that is at work, all the others share theirs."""
    front, inserts = Front(app), list[str]()
    send = psycopg.Cursor.execute

    def note(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **options: Any) -> Any:
        if "INSERT INTO webhook_deliveries" in str(query):
            inserts.append(str(query))
        return send(cursor, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    with front.with_another_at_work(servers.superuser_url) as end:
        sent = [front.send(webhook(f"mock_pi_{number}")) for number in range(200)]
        end()
        assert [each.await_answer() for each in sent] == [202] * 200

    assert 2 <= len(inserts) <= 4, inserts


def test_every_route_has_a_line_in_the_table(app: Flask) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules() if not rule.endpoint.startswith(("docs", "api-docs"))}

    assert routes == set(BUDGETS) | WITHOUT_BUDGET


def _accountant(shop: Shop) -> Customer:
    return staff_of(shop.customer, scope="payouts:read")


def _reader(shop: Shop) -> Customer:
    return staff_of(shop.customer, scope="payments:read")


def _hooks(shop: Shop) -> Customer:
    return staff_of(shop.customer, scope="webhooks:write")


def _put(shop: Shop, listing: dict[str, Any]) -> TestResponse:
    return shop.customer.post("/api/cart/items", json={"listing": str(listing["id"]), "qty": 2})


@pytest.mark.parametrize("many", [1, 15])
def test_a_set_of_events_takes_as_many_statements_as_it_has_kinds(
    sql: Sql, statements: Statements, worker: Flask, many: int
) -> None:
    """Names found, carts and payments locked, events known, one join a kind, requests moved, one fold, events in."""
    references = [insert_payment(sql) for _ in range(many)]
    events = [
        entered.news(
            reference,
            *(entered.attempt(uuid4().hex, "authorized") for _ in range(many)),
            *(entered.capture(uuid4().hex, "1.00") for _ in range(many)),
            *(entered.dispute(uuid4().hex, "lost", "1.00") for _ in range(many)),
            NoticeEntry(reason=ReviewReason.FRAUD_WARNING, ref="x"),
            NoneUnderWayEntry(at=datetime.now(UTC)),
        )
        for reference in references
    ]
    reports = [refund_event(each, "succeeded", refund_ref=uuid4().hex, amount=Decimal(1)) for each in references]
    entered.enter(entered.news("unknown"))  # connects

    with statements() as seen:
        assert set(entered.enter(*events, *reports)) == {Outcome.APPLIED}

    assert len(seen) == 14, "\n".join(seen)
    assert len([statement for statement in seen if "payments_fold" in statement]) == 1


def _accept(shop: Shop, payment_id: str) -> TestResponse:
    return staff_of(shop.customer).post(
        f"/api/admin/payments/{payment_id}/acceptances",
        json={"amount": "1.00", "why": "by telephone"},
        headers={"Idempotency-Key": "acceptance-1"},
    )
