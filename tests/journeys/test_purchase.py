"""From the cart to a paid payment, through real web, queue, worker and beat processes."""

from __future__ import annotations

import httpx
import pytest
import redis

from checkout_service.local.__main__ import first_purchase
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.purchase import buy
from checkout_service.local.screen import Screen
from checkout_service.local.session import Session
from tests.journeys.conftest import Town, eventually


def test_a_purchase_is_paid_through_web_queue_and_worker(running: Session) -> None:
    steps: list[str] = []

    purchase = buy(running.base_url, running.environment, CATALOGUE, lambda action, *_: steps.append(action))

    assert purchase.seconds_to_paid < 5
    assert steps[-3:] == ["POST /api/payments/webhook", "GET /api/payments/…", "GET /api/orders/…"]
    assert purchase.order_number is not None
    assert int(purchase.order_number) >= 1
    counted = httpx.get(f"{running.base_url}/metrics", timeout=60).text
    for series in ('webhook_deliveries_total{provider="mock",state="applied"}', "webhook_delivery_lag_seconds_count"):
        (line,) = [line for line in counted.splitlines() if line.startswith(series)]
        assert float(line.split()[-1]) >= 1, "one machine has one place to look at"


def test_a_run_buys_something_only_where_nobody_ever_did(
    town: Town, running: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    town.open_session()
    before = town.sql("SELECT count(*) FROM payments")

    assert first_purchase(running, Screen(colour=False)) is None

    assert town.sql("SELECT count(*) FROM payments") == before
    assert "The data of an earlier run is kept, so no purchase is added to it." in capsys.readouterr().out


def test_the_mock_provider_pays_by_command(town: Town) -> None:
    opened = town.open_session()

    printed = town.running.processes.run_once(
        ["flask", "--app", "wsgi", "mock", "pay", opened["payment_token"]], name="mock-pay"
    )

    assert printed.startswith("202 ")
    eventually(lambda: town.status(opened) == "paid")


def test_a_late_failure_does_not_undo_a_payment(town: Town) -> None:
    opened = town.open_session()
    town.report(opened, "paid")
    eventually(lambda: town.status(opened) == "paid")

    late = town.report(opened, "failed")

    eventually(lambda: town.sql("SELECT 1 FROM webhook_deliveries WHERE id = %s AND state = 'applied'", late))
    assert town.sql("SELECT outcome FROM payment_events WHERE delivery_id = %s", late) == [("stale",)]
    assert town.status(opened) == "paid"


def test_the_sweep_rescues_a_webhook_whose_message_was_lost(town: Town) -> None:
    processes = town.running.processes
    worker = processes.named("workers")
    opened = town.open_session()
    processes.end(worker)
    with redis.Redis.from_url(town.environment["REDIS_URL"]) as broker:
        try:
            webhook = town.report(opened)
            eventually(lambda: any(webhook.encode() in message for message in _messages(broker)))
            broker.delete("webhooks")
        finally:
            processes.launch(worker)

    eventually(lambda: town.status(opened) == "paid")
    assert town.sql("SELECT state FROM webhook_deliveries WHERE id = %s", webhook) == [("applied",)]


def _messages(broker: redis.Redis) -> list[bytes]:
    found: list[bytes] = broker.lrange("webhooks", 0, -1)
    return found
