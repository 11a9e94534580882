"""No network call inside a database transaction, however deep below the block it is made.

PostgreSQL's own traffic goes through libpq; whatever passes Python's sockets goes to a provider, a cache or a broker.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from threading import local
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

from checkout_service.database.engine import transaction
from checkout_service.providers.base import Reference
from checkout_service.settings.values import WorkerSettings
from tests.apps import close_app
from tests.conftest import Customer, MakeListing, Sql
from tests.provider import MockProvider
from tests.purchases import fill_cart, opened
from tests.refunding import insert_refund, paid_payment, sums
from tests.webhook_bodies import insert_payment, post_webhook, status_of, webhook
from worker.context import make_context
from worker.payments.cancelling import cancel
from worker.payments.look_ups import expire, look_up
from worker.payments.sweeping import sweep as sweep_payments
from worker.refunds.task import refund
from worker.webhooks.pruning import prune
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process


class Watch:
    """Counts what is sent by this process's threads, apart from what is sent while the thread has a transaction."""

    def __init__(self) -> None:
        self._own = local()
        self.sent = 0
        self.sent_in_transaction = 0

    def note_connection(self, connection: Any, *_: Any) -> None:
        self._own.connection = connection.connection.dbapi_connection

    def note_sending(self) -> None:
        connection = getattr(self._own, "connection", None)
        idle = connection is None or connection.info.transaction_status in {
            TransactionStatus.IDLE,
            TransactionStatus.UNKNOWN,
        }
        self.sent += 1
        self.sent_in_transaction += not idle


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    for name in ("send", "sendall"):
        monkeypatch.setattr(socket.socket, name, _noting(watch, getattr(socket.socket, name)))
    event.listen(Engine, "before_cursor_execute", watch.note_connection)
    yield watch
    event.remove(Engine, "before_cursor_execute", watch.note_connection)


@pytest.fixture
def worker(worker_settings: WorkerSettings, mock_provider: MockProvider) -> Iterator[Flask]:
    app = make_context(replace(worker_settings, accounts={"mock": mock_provider.account}))
    with app.app_context():
        yield app
    close_app(app)


def test_the_web_tier_calls_nobody_within_a_transaction(
    watch: Watch, shopper: Customer, make_listing: MakeListing, mock_provider: MockProvider
) -> None:
    opened(shopper, fill_cart(shopper, (make_listing(), 1)))
    post_webhook(shopper.client, webhook("mock_pi_1"))

    assert mock_provider.calls["open"] == 1
    assert watch.sent > 0
    assert watch.sent_in_transaction == 0


@pytest.mark.usefixtures("worker")
def test_the_worker_calls_nobody_within_a_transaction(
    watch: Watch, shopper: Customer, sql: Sql, mock_provider: MockProvider
) -> None:
    paid, looked_up, expired = (insert_payment(sql) for _ in range(3))
    for body in (webhook(paid), webhook(paid), webhook("mock_pi_unknown"), b"{}", webhook(paid, status="failed")):
        process(str(post_webhook(shopper.client, body)))
    mock_provider.put(looked_up, status="paid", amount="240.00", currency="USD")
    mock_provider.put(expired, amount="240.00", currency="USD")
    sql("UPDATE payments SET next_look_up_at = now() WHERE provider_ref = :reference", reference=looked_up)
    sql("UPDATE payments SET created_at = now() - interval '9 days' WHERE provider_ref = :reference", reference=expired)
    refunded, called_off = paid_payment(sql), insert_payment(sql)
    mock_provider.put(refunded[1], status="paid", amount="100.00", currency="USD")
    mock_provider.put(called_off, amount="240.00", currency="USD")
    requested = insert_refund(sql, refunded[0])
    ((payment_id,),) = sql(
        """INSERT INTO cancel_requests (payment_id, requested_by) SELECT id, id FROM payments
        WHERE provider_ref = :reference RETURNING payment_id""",
        reference=called_off,
    )
    for task in (look_up, expire, sweep, prune, sweep_payments):
        task()
    refund(str(requested))
    cancel(str(payment_id))

    assert (status_of(sql, paid), status_of(sql, looked_up)) == ("paid", "paid")
    assert status_of(sql, called_off) == "canceled"
    assert sums(sql, refunded[0]) == ("40.00", "0.00")
    assert mock_provider.calls["look_up"] >= 1
    assert watch.sent > 0
    assert watch.sent_in_transaction == 0


@pytest.mark.usefixtures("worker")
def test_the_watch_sees_a_call_within_a_transaction(watch: Watch, mock_provider: MockProvider, worker: Flask) -> None:
    reference = "mock_pi_1"
    mock_provider.put(reference, amount="1.00", currency="USD", status="paid")
    held = Reference(provider_ref=reference, payment_id=uuid4(), amount=Decimal("1.00"), currency="USD")
    with transaction() as connection:
        connection.exec_driver_sql("SELECT 1")
        worker.extensions["providers"]["mock"].look_up(held)

    assert watch.sent_in_transaction > 0


def _noting(watch: Watch, send: Any) -> Any:
    def noted(*arguments: Any, **options: Any) -> Any:
        watch.note_sending()
        return send(*arguments, **options)

    return noted
