"""A worker beside the web's app: commands must run in the web's own context, so tasks step into theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from tests.conftest import Sql

InWorker = Callable[..., Any]


@pytest.fixture
def in_worker(worker_app: Flask) -> InWorker:
    """``in_worker(task, …)`` runs a task as a worker does."""

    def run(task: Callable[..., Any], *arguments: Any) -> Any:
        with worker_app.app_context():
            return task(*arguments)

    return run


def add_session(sql: Sql, payment_id: UUID) -> None:
    """The session of a payment that was inserted by hand."""
    sql(
        """WITH cart AS (INSERT INTO carts (user_id) SELECT user_id FROM payments WHERE id = :id RETURNING id, user_id)
        INSERT INTO checkout_sessions (user_id, cart_id, idempotency_key, request_hash, payment_id, payment_token,
            amount, currency, lines, expires_at, created_at)
        SELECT cart.user_id, cart.id, 'key-of-the-customer', ''::bytea, payments.id, provider_ref, amount, currency,
            (SELECT jsonb_agg(jsonb_build_object('listing_id', uuidv7(), 'title', title, 'qty', 1,
                'unit_price', amount / 2, 'line_total', amount / 2)) FROM unnest(ARRAY['One', 'Another']) AS title),
            now() + interval '1 day', payments.created_at
        FROM cart JOIN payments ON payments.id = :id""",
        id=payment_id,
    )
