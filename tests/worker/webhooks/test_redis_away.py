"""Without Redis everything takes a little longer, and nothing is lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import redis

from checkout_service.publishing.wake_up import wake_worker
from checkout_service.settings.secret import Secret
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import MakeWorker, Messages
from tests.worker.webhooks.test_wake_ups import wake_up_rings
from worker.webhooks.sweeping import sweep
from worker.webhooks.task import process


@pytest.fixture
def dead_redis() -> Iterator[Secret]:
    """A port that nobody answers on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield Secret(f"redis://127.0.0.1:{holder.getsockname()[1]}/0")


def test_without_redis_webhooks_are_processed_and_nothing_is_lost(
    sql: Sql, make_worker: MakeWorker, dead_redis: Secret, messages: Messages
) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    deliveries = [insert_webhook(sql, body) for _ in range(3)]
    with make_worker(redis_url=dead_redis, broker_url=dead_redis).app_context():
        wake_worker(str(deliveries[0]))
        sql("UPDATE webhook_deliveries SET next_attempt_at = now()")
        sweep()
        assert messages() == []

        process(str(deliveries[0]))

    assert sorted(state_of(sql, delivery) for delivery in deliveries) == ["applied", "duplicate", "duplicate"]
    assert status_of(sql, reference) == "paid"


def test_a_dead_cache_does_not_keep_the_wake_up_from_ringing(
    make_worker: MakeWorker, dead_redis: Secret, messages: Messages
) -> None:
    with make_worker(redis_url=dead_redis).app_context():
        wake_worker("one")
        wake_worker("two")

    assert messages() == [("one",), ("two",)]


def test_a_dead_broker_gives_the_wake_up_back(make_worker: MakeWorker, dead_redis: Secret, broker: redis.Redis) -> None:
    with make_worker(broker_url=dead_redis).app_context():
        wake_worker("one")

    assert not wake_up_rings(broker)
