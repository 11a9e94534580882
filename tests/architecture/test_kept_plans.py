"""What customers ask for most is planned once: a statement that looks cheaper for some values is planned each time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from benchmarks import seeds
from checkout_service.cursors import Cursor
from checkout_service.database.engine import db
from checkout_service.database.statements import Statement
from checkout_service.orders import queries as order_queries
from checkout_service.payments import cancel_requests
from checkout_service.payments import queries as payment_queries
from tests.architecture.test_statement_budgets import REQUESTS, Shop, shop
from tests.conftest import Servers
from tests.refunding import staff_of

__all__ = ["shop"]  # fixtures

TRIED = 5
"""How often PostgreSQL plans a statement for its values before it compares that with a plan for all values."""

RUNS = 20

READS: dict[str, Callable[[Shop], TestResponse]] = {
    name: REQUESTS[name]
    for name in (
        "carts.get_cart",
        "checkout.read_session",
        "payments.read_payment",
        "payments.list_payments",
        "orders.list_orders",
        "orders.read_order",
        "listings.read_listing",
        "staff_orders.read_staff_order",
        "staff_payments.read_staff_payment",
        "events.list_events",
    )
} | {
    "listings": lambda shop: shop.customer.get("/api/listings?limit=3"),
    "a payment, by staff": lambda shop: staff_of(shop.customer).get(f"/api/payments/{shop.payments[0]}"),
    "an earlier part of its timeline": lambda shop: shop.customer.get(
        f"/api/payments/{shop.payments[0]}?before=11.{Cursor(datetime.now(UTC), uuid4())}"
    ),
}


@pytest.mark.parametrize("name", READS)
def test_it_is_not_planned_anew_each_time(shop: Shop, app: Flask, servers: Servers, name: str) -> None:
    with psycopg.connect(servers.superuser_url.replace("+psycopg", ""), autocommit=True) as connection:
        _sell_more(connection)
    with app.app_context():
        db.engine.dispose()  # the next connection has run nothing
    for _ in range(RUNS):
        answer = READS[name](shop)
        assert answer.status_code == 200, answer.text

    with app.app_context(), db.engine.connect() as connection:
        plans = connection.execute(text("SELECT * FROM pg_prepared_statements")).all()

    assert max(each.generic_plans for each in plans) >= RUNS - 2 * TRIED, "it was not run here, or not prepared"
    assert [each.statement for each in plans if each.custom_plans > TRIED] == []


def test_whose_rows_are_read_is_no_parameter() -> None:
    """What only staff is shown makes a plan for both dearer, by how much depends on the rows."""
    statements = [
        statement
        for module in (order_queries, payment_queries, cancel_requests)
        for value in vars(module).values()
        for statement in (value.values() if isinstance(value, dict) else [value])
        if isinstance(statement, Statement)
    ]

    assert len(statements) > 10
    assert [each.sql for each in statements if "anybodys" in each.sql] == []


def _sell_more(connection: psycopg.Connection[Any]) -> None:
    """With few rows one plan is as cheap as another."""
    seeds.add_payments(connection, first=0, count=500, held=False)
    for statement in _MORE:
        connection.execute(statement)


_MORE = (
    """INSERT INTO payment_events (payment_id, provider, event_id, status, outcome)
    SELECT id, 'mock', id::text, 'failed', 'stale' FROM payments WHERE provider_ref LIKE 'mock_pi_%'""",
    """INSERT INTO payment_attempts (payment_id, provider, attempt_ref, status, reported_at)
    SELECT id, 'mock', id::text, 'failed', now() FROM payments WHERE provider_ref LIKE 'mock_pi_%'""",
    "SET session_replication_role = replica",  # orders are made by the fold alone
    """INSERT INTO orders (session_id, payment_id, cart_id, generation, user_id, amount, currency)
    SELECT id, payment_id, cart_id, generation, user_id, amount, currency FROM checkout_sessions AS session
    ON CONFLICT DO NOTHING""",
    "ANALYZE",
)
