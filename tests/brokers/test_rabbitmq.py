"""The same code on RabbitMQ: quorum queues, confirmed publishes, and a broker that is killed and comes back."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import amqp
import httpx
import pytest
from kombu import Connection

from checkout_service.local.servers import free_port
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.brokers.rabbit import Rabbit
from tests.conftest import Customer, MakeListing, Servers, Sql
from tests.flower_pages import stack as station
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, insert_webhook, status_of, webhook


def test_a_queue_is_declared_once_and_every_publish_confirmed(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()
    names = {(50, 10): "queue declared", (60, 40): "published", (85, 10): "confirms asked for"}
    send = amqp.Channel.send_method

    def count(channel: amqp.Channel, method: tuple[int, int], *arguments: Any, **options: Any) -> Any:
        sent[names.get(method, "other")] += 1
        return send(channel, method, *arguments, **options)

    monkeypatch.setattr(amqp.Channel, "send_method", count)
    queue = TaskQueue(Secret(rabbit.url))
    for _ in range(50):
        queue.enqueue(TaskName.LOOK_UP_PAYMENTS)

    assert {name: sent[name] for name in names.values()} == {
        "queue declared": 1,
        "published": 50,
        "confirms asked for": 1,
    }
    with Connection(rabbit.url) as connection:
        found = connection.default_channel.queue_declare(TaskName.LOOK_UP_PAYMENTS.declaration.queue, passive=True)
        assert found.message_count == 50
        with pytest.raises(amqp.PreconditionFailed, match="quorum"):
            connection.default_channel.queue_declare(
                TaskName.LOOK_UP_PAYMENTS.declaration.queue, durable=True, auto_delete=False
            )


def test_a_frozen_broker_costs_a_caller_little_and_the_next_nothing(rabbit: Rabbit) -> None:
    queue = TaskQueue(Secret(rabbit.url))
    queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
    rabbit.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(QueueUnavailableError):
            queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
        assert time.monotonic() - started < 3, "some 0.6 s where nothing else is at work"
        with pytest.raises(QueueUnavailableError, match="failed a moment ago"):
            queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
    finally:
        rabbit.thaw()
    eventually(lambda: _enqueued(queue), within=60)


def test_a_worker_passes_over_a_broker_that_is_away_and_declares_our_queues_alone(
    rabbit: Rabbit, servers: Servers, sql: Sql, tmp_path: Path
) -> None:
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    settings = station.environment(servers, CELERY_BROKER_URL=f"{away};{rabbit.url};{away}")
    reference = insert_payment(sql)
    delivery = insert_webhook(sql, webhook(reference))
    TaskQueue(Secret(rabbit.url)).enqueue(TaskName.PROCESS_WEBHOOK, str(delivery))
    with station.run(tmp_path, settings, "worker"):
        eventually(lambda: status_of(sql, reference) == "paid", within=60)
    with Connection(rabbit.url) as connection:
        for level in range(28):
            with pytest.raises(amqp.NotFound), connection.channel() as channel:
                channel.queue_declare(f"celery_delayed_{level}", passive=True)


@pytest.mark.slow
def test_a_purchase_and_a_broker_that_is_killed_and_comes_back(
    rabbit: Rabbit, servers: Servers, sql: Sql, tmp_path: Path, customer: Customer, make_listing: MakeListing
) -> None:
    settings = station.environment(servers, CELERY_BROKER_URL=rabbit.url)
    base = f"http://127.0.0.1:{settings['PORT']}"
    with (
        station.run(tmp_path, settings, "web", "worker", "housekeeping", "beat"),
        httpx.Client(base_url=base, headers=dict(customer.headers), timeout=60) as web,
    ):
        web.post("/api/cart/items", json={"listing": str(make_listing()["id"]), "qty": 2}).raise_for_status()
        cart = web.get("/api/cart").json()
        opened = web.post(
            "/api/checkout/session", json={"cart_id": cart["id"]}, headers={"Idempotency-Key": "one"}
        ).raise_for_status()
        started = time.monotonic()
        _post(web, webhook(opened.json()["payment_token"]))
        eventually(lambda: web.get(f"/api/payments/{opened.json()['payment_id']}").json()["status"] == "paid")
        assert time.monotonic() - started < 3, "by its message, not by the sweep"
        eventually(lambda: web.get("/readyz").json()["missing"] == [])

        payments = [insert_payment(sql) for _ in range(40)]
        for reference in payments[:10]:
            _post(web, webhook(reference))
        rabbit.kill()
        for reference in payments[10:30]:
            _post(web, webhook(reference))
        assert web.get("/readyz").json()["missing"] == ["broker"]
        rabbit.start()
        for reference in payments[30:]:
            _post(web, webhook(reference))
        eventually(lambda: all(status_of(sql, reference) == "paid" for reference in payments), within=60)
        eventually(lambda: web.get("/readyz").json()["missing"] == [])
        assert not sql("SELECT FROM webhook_deliveries WHERE state <> 'applied'")
        # Beat goes on, and other tests left messages here; whatever waits is worked off.
        eventually(lambda: max(_waiting(rabbit, name) for name in ("webhooks", "payments", "housekeeping")) <= 2)


def _waiting(rabbit: Rabbit, queue: str) -> int:
    with Connection(rabbit.url) as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def _post(web: httpx.Client, body: bytes) -> UUID:
    started = time.monotonic()
    answer = web.post("/api/payments/webhook", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
    assert time.monotonic() - started < 1
    return UUID(answer.json()["delivery_id"])


def _enqueued(queue: TaskQueue) -> bool:
    try:
        queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
    except QueueUnavailableError:
        return False
    return True
