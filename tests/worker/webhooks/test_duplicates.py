"""One event has one effect, however often and in whatever wrapping it comes."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest
import redis

from tests.conftest import Sql
from tests.journeys.conftest import eventually
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import webhook_row
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


def event_rows(sql: Sql) -> list[object]:
    return list(sql("SELECT * FROM payment_events ORDER BY id"))


def test_webhook_idempotency_by_event_id(sql: Sql) -> None:
    reference = insert_payment(sql)
    process(str(insert_webhook(sql, webhook(reference, event_id="evt_1"))))
    payment, events = sql("SELECT * FROM payments"), event_rows(sql)
    again = insert_webhook(sql, webhook(reference, event_id="evt_1", delivered="again"))

    process(str(again))

    assert state_of(sql, again) == "duplicate"
    assert sql("SELECT * FROM payments") == payment
    assert event_rows(sql) == events


@pytest.mark.parametrize("remembered", [True, False])
def test_webhook_idempotency_by_identical_bytes(sql: Sql, broker: redis.Redis, remembered: bool) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    process(str(insert_webhook(sql, body)))
    payment, events = sql("SELECT * FROM payments"), event_rows(sql)
    again = insert_webhook(sql, body)
    eventually(lambda: broker.keys(f"*:webhook:mock:{sha256(body).hexdigest()}"))
    if not remembered:
        broker.flushdb()

    process(str(again))

    assert state_of(sql, again) == "duplicate"
    assert (webhook_row(sql, again).detail or "").startswith("the same bytes came before") is remembered
    assert sql("SELECT * FROM payments") == payment
    assert event_rows(sql) == events


def test_identical_bytes_in_one_set_have_one_effect(sql: Sql) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    deliveries = [insert_webhook(sql, body) for _ in range(20)]

    process(str(deliveries[7]))

    states = sorted(state_of(sql, delivery) for delivery in deliveries)
    assert states == ["applied"] + ["duplicate"] * 19
    assert len(event_rows(sql)) == 1
    assert status_of(sql, reference) == "paid"


def test_the_same_content_in_another_spelling_is_one_event(sql: Sql) -> None:
    reference = insert_payment(sql)
    body = webhook(reference, order=1)
    process(str(insert_webhook(sql, body)))
    again = insert_webhook(sql, json.dumps(json.loads(body), indent=4, sort_keys=True).encode())

    process(str(again))

    assert state_of(sql, again) == "duplicate"
    assert len(event_rows(sql)) == 1


def test_one_event_id_with_other_content_moves_nothing(sql: Sql) -> None:
    reference, other = insert_payment(sql), insert_payment(sql)
    process(str(insert_webhook(sql, webhook(reference, "failed", event_id="evt_1"))))
    events = event_rows(sql)
    further = insert_webhook(sql, webhook(reference, "paid", event_id="evt_1"))
    elsewhere = insert_webhook(sql, webhook(other, "paid", event_id="evt_1"))

    process(str(further))
    process(str(elsewhere))

    assert [state_of(sql, further), state_of(sql, elsewhere)] == ["duplicate", "duplicate"]
    assert [status_of(sql, reference), status_of(sql, other)] == ["failed", "pending"]
    assert event_rows(sql) == events


def test_one_status_in_two_events_is_reported_twice_and_moves_once(sql: Sql) -> None:
    reference = insert_payment(sql)
    first = insert_webhook(sql, webhook(reference, event_id="evt_1"))
    second = insert_webhook(sql, webhook(reference, event_id="evt_2"))

    process(str(first))
    process(str(second))

    assert [row.outcome for row in event_rows(sql)] == ["applied", "stale"]
    assert status_of(sql, reference) == "paid"


def test_a_unverified_is_not_remembered(sql: Sql) -> None:
    reference = insert_payment(sql)
    body = webhook(reference, secret="a guess")
    process(str(insert_webhook(sql, body)))
    again = insert_webhook(sql, body)

    process(str(again))

    assert state_of(sql, again) == "rejected"


def test_memory_is_of_one_provider(sql: Sql) -> None:
    """The same bytes in another provider's webhook receiver are another webhook."""
    reference = insert_payment(sql)
    body = webhook(reference)
    process(str(insert_webhook(sql, body)))
    elsewhere = insert_webhook(sql, body)
    sql("UPDATE webhook_deliveries SET provider = 'stripe' WHERE id = :id", id=elsewhere)

    process(str(elsewhere))

    assert state_of(sql, elsewhere) == "rejected"
