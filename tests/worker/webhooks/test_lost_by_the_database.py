"""The cache has what the database lost, after a failover that undid a commit: such a webhook is no duplicate."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from flask import Flask

from checkout_service.cache import cache
from checkout_service.providers.raw_webhook import RawWebhook
from tests.conftest import Sql, Statements
from tests.threads.scenes import wait_until
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, status_of, webhook
from tests.worker.conftest import webhook_row
from worker.webhooks.memory import _settled, name_of, recall, remember
from worker.webhooks.task import process

pytestmark = pytest.mark.usefixtures("worker")


def known(body: bytes, *, settled: UUID) -> None:
    """Have the cache know these bytes, by a commit that settled this delivery."""
    remember([named(body)], settled)
    wait_until(lambda: recall([named(body)]) == {named(body): settled})


def named(body: bytes) -> str:
    return name_of(RawWebhook(provider="mock", headers={}, body=body, received_at=datetime.now(UTC)))


@pytest.mark.parametrize("alone", [False, True])
def test_what_the_database_lost_is_applied(sql: Sql, alone: bool) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    known(body, settled=uuid4())
    delivery = insert_webhook(sql, body, **({"attempts": "1", "next_attempt_at": "now()"} if alone else {}))

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"
    assert status_of(sql, reference) == "paid"


def test_of_a_set_each_is_judged_by_itself(sql: Sql) -> None:
    references = [insert_payment(sql) for _ in range(4)]
    bodies = [webhook(reference) for reference in references]
    first = insert_webhook(sql, bodies[0])
    process(str(first))
    wait_until(lambda: recall([named(bodies[0])]) == {named(bodies[0]): first})
    for body in bodies[1:3]:
        known(body, settled=uuid4())
    deliveries = [insert_webhook(sql, body) for body in bodies]

    process(str(deliveries[0]))

    assert [state_of(sql, delivery) for delivery in deliveries] == ["duplicate", "applied", "applied", "applied"]
    assert webhook_row(sql, deliveries[0]).detail == f"the same bytes came before, settled with {first}"
    assert {status_of(sql, reference) for reference in references} == {"paid"}
    assert sql("SELECT count(*) FROM payment_events")[0].count == 4


@pytest.mark.parametrize("state", ["received", "parked", "failed", "rejected", "ignored"])
def test_a_delivery_that_entered_nothing_vouches_for_none(sql: Sql, state: str) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    times = "next_attempt_at" if state in {"received", "parked"} else "processed_at"
    other = insert_webhook(sql, webhook("mock_pi_other"), state=f"'{state}'", **{times: "now() + interval '1 hour'"})
    known(body, settled=other)
    delivery = insert_webhook(sql, body)

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"


@pytest.mark.parametrize("value", [b"1", b"", b"x" * 17])
def test_what_another_release_kept_is_not_known(sql: Sql, worker: Flask, value: bytes) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    cache().put(named(body), value, seconds=60)
    delivery = insert_webhook(sql, body)

    process(str(delivery))

    assert state_of(sql, delivery) == "applied"


def test_a_duplicate_costs_one_look_in_its_own_transaction_and_news_none(sql: Sql, statements: Statements) -> None:
    reference = insert_payment(sql)
    body = webhook(reference)
    delivery = insert_webhook(sql, body)
    with statements() as sent:
        process(str(delivery))
    assert _settled.sql not in sent
    wait_until(lambda: recall([named(body)]) == {named(body): delivery})
    again = insert_webhook(sql, body)
    with statements() as sent:
        process(str(again))
    assert state_of(sql, again) == "duplicate"
    assert sent.count(_settled.sql) == 1
