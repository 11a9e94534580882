"""Whoever asks for a refund or a cancellation never waits for the broker; the worker is notified by a thread."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from time import monotonic, sleep
from typing import Any

import pytest
import redis
from flask import Flask

from checkout_service.local.servers import Valkey, free_port
from checkout_service.publishing import publisher
from checkout_service.publishing.background_publisher import MOST_WAITING, background_publisher
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.apps import MakeApp, frozen
from tests.conftest import Customer, Sql
from tests.refunding import ask_refund, paid_payment, staff_of
from tests.webhook_bodies import insert_payment

QUEUE = "payments"


@pytest.fixture
def broker(own_valkey: Valkey) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_valkey.url) as broker:
        yield broker


@pytest.fixture
def own_app(make_app: MakeApp, own_valkey: Valkey) -> Flask:
    return make_app(broker_url=Secret(own_valkey.url))


def messages(broker: redis.Redis, count: int) -> list[dict[str, Any]]:
    """The headers of that many messages, oldest first."""
    until = monotonic() + 60
    while broker.llen(QUEUE) < count:
        assert monotonic() < until, f"{broker.llen(QUEUE)} messages in place of {count}"
        sleep(0.01)
    return [json.loads(message)["headers"] for message in reversed(broker.lrange(QUEUE, 0, -1))]


def test_each_request_sends_one_message_with_its_own_id(
    own_app: Flask, customer: Customer, sql: Sql, broker: redis.Redis
) -> None:
    staff = replace(staff_of(customer), client=own_app.test_client())
    payment, _ = paid_payment(sql)
    reference = insert_payment(sql)
    open_payment = sql("SELECT id FROM payments WHERE provider_ref = :r", r=reference)[0].id
    refund = staff.post(
        f"/api/payments/{payment}/refunds",
        json={},
        headers={"Idempotency-Key": "refund-1", "X-Request-Id": "the-request-1"},
    ).json
    for _ in range(2):
        staff.post(f"/api/payments/{open_payment}/cancel")

    first, second = messages(broker, 2)

    assert (first["task"], first["argsrepr"]) == ("payments.refund", f"('{refund['id']}',)")
    assert (first["request_id"], first["quiet"]) == ("the-request-1", True)
    assert (second["task"], second["argsrepr"]) == ("payments.cancel", f"('{open_payment}',)")
    sleep(0.1)
    assert broker.llen(QUEUE) == 2, "asked again, nothing new is pending"


def test_a_frozen_broker_holds_nobody(
    make_app: MakeApp, customer: Customer, sql: Sql, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "PUBLISH_WITHIN", 5.0)  # so long would the first of them wait
    app = make_app(broker_url=Secret(own_valkey.url))
    staff = replace(staff_of(customer), client=app.test_client())
    payment, _ = paid_payment(sql)
    with frozen(own_valkey.server):
        started = monotonic()
        for number in range(5):
            assert ask_refund(staff, payment, f"refund-{number}", amount="1.00").status_code == 202
        assert monotonic() - started < 5
    assert sql("SELECT count(*) FROM refunds WHERE next_attempt_at IS NOT NULL")[0].count == 5, "the sweep sends"


def test_without_a_broker_the_request_is_kept(make_app: MakeApp, customer: Customer, sql: Sql) -> None:
    app = make_app(broker_url=Secret(f"redis://127.0.0.1:{free_port()}/0"))
    payment, _ = paid_payment(sql)

    assert ask_refund(replace(staff_of(customer), client=app.test_client()), payment).status_code == 202
    assert sql("SELECT count(*) FROM refunds")[0].count == 1


def test_more_than_may_wait_are_dropped_and_never_an_error(make_app: MakeApp, own_valkey: Valkey) -> None:
    app = make_app(broker_url=Secret(own_valkey.url))
    with frozen(own_valkey.server), app.app_context():
        started = monotonic()
        for number in range(MOST_WAITING + 50):
            background_publisher().send(TaskName.REFUND_PAYMENT, str(number))
        assert monotonic() - started < 20, "each would wait for a quarter of a second"
        assert len(background_publisher()._waiting) <= MOST_WAITING
