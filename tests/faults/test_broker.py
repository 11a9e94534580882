"""The broker away, frozen or fed with nonsense: a webhook is taken at once and processed all the same, by the sweep."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

import amqp
import pytest
import redis
from kombu import Connection

from tests.faults.flood import WEBHOOK_PATH, insert_payments, verified
from tests.faults.invariant import await_final
from tests.faults.stack import House, await_that, running_pid
from tests.faults.wire import Answer, Wire

pytestmark = pytest.mark.slow

AT_ONCE = 1.0
WEBHOOKS = 40


@pytest.fixture(params=["shared_house", "house_on_rabbitmq"], ids=["valkey", "rabbitmq"])
def house(request: pytest.FixtureRequest) -> House:
    house: House = request.getfixturevalue(request.param)
    house.await_whole()
    return house


def _kill(house: House) -> None:
    if house.rabbit:
        house.rabbit.kill()
        return
    os.kill(running_pid(house.valkey.server), signal.SIGKILL)
    await_that(house.valkey.server.has_died, "Valkey is gone")


def _start_again(house: House) -> None:
    if house.rabbit:
        house.rabbit.start()
    else:
        house.valkey.server.restart()


def _freeze(house: House) -> None:
    if house.rabbit:
        house.rabbit.freeze()
    else:
        os.kill(running_pid(house.valkey.server), signal.SIGSTOP)


def _thaw(house: House) -> None:
    if house.rabbit:
        house.rabbit.thaw()
    else:
        os.kill(running_pid(house.valkey.server), signal.SIGCONT)


@pytest.mark.parametrize(("fail", "mend"), [(_kill, _start_again), (_freeze, _thaw)], ids=["gone", "frozen"])
def test_webhooks_are_taken_within_a_second_and_processed_once_the_broker_is_back(
    house: House, fail: Callable[[House], None], mend: Callable[[House], None]
) -> None:
    tokens = insert_payments(house, WEBHOOKS)
    fail(house)
    try:
        answers = _post(house, tokens)
    finally:
        mend(house)

    assert {answer.status for answer in answers} == {202}
    assert max(answer.seconds for answer in answers) < AT_ONCE
    await_that(lambda: _paid(house, tokens) == WEBHOOKS, "all payments are paid")


@pytest.mark.parametrize("message", ["unknown task", "undecodable body", "refused content type"])
def test_a_message_that_the_worker_cannot_use_costs_nothing_but_time(house: House, message: str) -> None:
    worker, children = house.pid("worker"), sorted(house.children("worker"))

    _process_despite(house, message)

    assert house.pid("worker") == worker
    assert sorted(house.children("worker")) == children


def test_what_is_no_message_at_all_costs_no_webhook(house: House) -> None:
    # On Valkey kombu lets the error through and the worker ends; whoever runs it starts it again.
    _process_despite(house, "no raw_webhook")


def _process_despite(house: House, message: str) -> None:
    """File a webhook whose only message is one that cannot be used, and wait until it was processed."""
    tokens = insert_payments(house, 1)
    (row,) = house.sql(
        "INSERT INTO webhook_deliveries (provider, body) VALUES ('mock', %(body)s) RETURNING id::text",
        body=verified(house, tokens[0]),
    )
    if house.rabbit:
        _publish(house.rabbit.url, message, row[0])
    else:
        with redis.Redis.from_url(house.valkey.url) as broker:
            broker.lpush("webhooks", _message(message, row[0]))

    await_that(lambda: _paid(house, tokens) == 1, "the payment is paid", within=30)
    assert await_final(house)[1] == 0


def _post(house: House, tokens: list[str]) -> list[Answer]:
    wire = Wire(house.address)
    answers = [wire.ask("POST", WEBHOOK_PATH, verified(house, token)) for token in tokens]
    wire.close()
    return answers


def _paid(house: House, tokens: list[str]) -> int:
    query = "SELECT count(*) FROM payments WHERE provider_ref = ANY(%(tokens)s) AND status = 'paid'"
    ((count,),) = house.sql(query, tokens=tokens)
    return int(count)


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a producer sends to Celery, with one thing wrong."""

    body: str
    content_type: str
    headers: Mapping[str, str]


def _message(kind: str, delivery_id: str) -> Message:
    task = "webhooks.process_in_another_way" if kind == "unknown task" else "webhooks.process"
    identity = str(uuid4())
    return Message(
        body="{[" if kind == "undecodable body" else json.dumps([[delivery_id], {}, {}]),
        content_type="application/x-python-serialize" if kind == "refused content type" else "application/json",
        headers={
            "lang": "py",
            "task": task,
            "id": identity,
            "root_id": identity,
            "argsrepr": "",
            "kwargsrepr": "",
        },
    )


def _publish(url: str, kind: str, delivery_id: str) -> None:
    """Put it into the queue of a RabbitMQ."""
    message = amqp.Message("this is no message of Celery's")
    if kind != "no raw_webhook":
        sent = _message(kind, delivery_id)
        message = amqp.Message(
            sent.body,
            content_type=sent.content_type,
            content_encoding="utf-8",
            application_headers=dict(sent.headers),
            correlation_id=sent.headers["id"],
        )
    with Connection(url) as connection:
        connection.default_channel.basic_publish(message, exchange="webhooks", routing_key="webhooks")


def _message(kind: str, delivery_id: str) -> str:
    """The message as kombu puts it into a list of Valkey's."""
    if kind == "no raw_webhook":
        return "this is not even an raw_webhook"
    sent = _message(kind, delivery_id)
    return json.dumps(
        {
            "body": sent.body,
            "content-type": sent.content_type,
            "content-encoding": "utf-8",
            "headers": sent.headers,
            "properties": {
                "correlation_id": sent.headers["id"],
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "webhooks"},
                "delivery_tag": str(uuid4()),
                "priority": 0,
            },
        }
    )
