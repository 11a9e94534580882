"""The wake-up: one message while it is quiet, few under load, and no provider ever waits for the broker."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from checkout_service.local.servers import Valkey, free_port
from checkout_service.publishing.wake_up import WAKE_UP, Notifier
from checkout_service.settings.secret import Secret
from tests.apps import MakeApp, frozen
from tests.webhook_bodies import post_webhook, webhook

QUEUE = "webhooks"
Webhooks = Callable[[], list[Any]]


@pytest.fixture
def broker(own_valkey: Valkey) -> Iterator[redis.Redis]:
    """A broker where nobody else sends wake-ups."""
    with redis.Redis.from_url(own_valkey.url) as broker:
        yield broker


@pytest.fixture
def client(make_app: MakeApp, own_valkey: Valkey) -> FlaskClient:
    url = Secret(own_valkey.url)
    return make_app(redis_url=url, broker_url=url).test_client()


def messages(broker: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(message) for message in broker.lrange(QUEUE, 0, -1)]


def wait_for_messages(broker: redis.Redis, count: int) -> list[dict[str, Any]]:
    until = monotonic() + 60
    while len(found := messages(broker)) < count:
        assert monotonic() < until, f"{len(found)} messages in place of {count}"
        sleep(0.01)
    return found


def answer_wake_up(broker: redis.Redis) -> None:
    """As a task does before it claims."""
    for name in broker.keys(f"*{WAKE_UP}"):
        broker.delete(name)


def test_webhook_rings_with_one_message_that_names_it(client: FlaskClient, broker: redis.Redis) -> None:
    answer = client.post("/api/payments/webhook", data=webhook("mock_pi_1"), headers={"X-Request-Id": "the-request-1"})
    (message,) = wait_for_messages(broker, 1)

    assert message["headers"]["task"] == "webhooks.process"
    assert message["headers"]["argsrepr"] == f"('{answer.json['delivery_id']}',)"
    assert message["headers"]["request_id"] == "the-request-1"
    arguments, named, _ = json.loads(b64decode(message["body"]))
    assert (arguments, named) == ([answer.json["delivery_id"]], {})
    assert message["headers"].get("expires") is None


def test_every_webhook_rings_while_it_is_quiet(client: FlaskClient, broker: redis.Redis) -> None:
    notified = []
    for number in range(3):
        notified.append(str(post_webhook(client, webhook("mock_pi_1"))))
        wait_for_messages(broker, number + 1)
        answer_wake_up(broker)

    assert [message["headers"]["argsrepr"] for message in reversed(messages(broker))] == [
        f"('{id_}',)" for id_ in notified
    ]


def test_a_backlog_rings_once_a_second_at_most(client: FlaskClient, broker: redis.Redis, webhooks: Webhooks) -> None:
    """Counted when nothing is left to be sent."""
    started = monotonic()
    for _ in range(60):
        post_webhook(client, webhook("mock_pi_1"))
    # Its rounds are over once it waits to be woken: then all that it will send is in the queue.
    rounds = client.application.extensions["notifier"]._thread
    _wait_until(lambda: not rounds._woken.is_set(), within=60)
    sleep(5 * Notifier.LONGER)
    wait_for_messages(broker, 1)
    woken = len(messages(broker))
    seconds = monotonic() - started

    assert len(webhooks()) == 60
    assert woken <= seconds + 2


def test_while_the_claim_is_taken_it_is_seldom_tried(
    client: FlaskClient, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time costs a round trip, and comes to nothing."""
    monkeypatch.setattr(Notifier, "CLAIMED_FOR", 60_000)
    post_webhook(client, webhook("mock_pi_1"))
    wait_for_messages(broker, 1)
    began, before = monotonic(), broker.info("commandstats")
    notifier = client.application.extensions["notifier"]
    while monotonic() - began < 0.5:
        notifier.notify("a webhook")
        sleep(0.001)
    seconds = monotonic() - began
    calls = [_calls(stats) for stats in (before, broker.info("commandstats"))]

    assert 2 <= calls[1] - calls[0] <= seconds / Notifier.LONGER + 4


def _calls(stats: dict[str, Any]) -> int:
    """How often a script was run: the claim is one."""
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


def test_webhook_stored_after_the_wake_up_was_answered_sends_another_at_once(
    client: FlaskClient, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notifier, "CLAIMED_FOR", 60_000)  # nothing waits for it to fall silent by itself
    post_webhook(client, webhook("mock_pi_1"))
    wait_for_messages(broker, 1)
    answer_wake_up(broker)
    post_webhook(client, webhook("mock_pi_1"))
    wait_for_messages(broker, 2)


@pytest.mark.parametrize("away", ["broker", "cache", "both"])
def test_without_broker_or_cache_the_webhook_is_taken_quickly(
    make_app: MakeApp, own_valkey: Valkey, webhooks: Webhooks, away: str
) -> None:
    nowhere = Secret(f"redis://127.0.0.1:{free_port()}/0")
    here = Secret(own_valkey.url)
    app = make_app(redis_url=here if away == "broker" else nowhere, broker_url=here if away == "cache" else nowhere)
    client = app.test_client()
    post_webhook(client, webhook("mock_pi_1"))
    started = monotonic()
    for _ in range(5):
        post_webhook(client, webhook("mock_pi_1"))
    took = monotonic() - started

    assert took < 2.5, "half a second each is already far from waiting"
    assert [row.state for row in webhooks()] == ["received"] * 6
    if away == "cache":
        with redis.Redis.from_url(own_valkey.url) as broker:
            wait_for_messages(broker, 1)


def test_frozen_broker_keeps_no_provider_waiting(client: FlaskClient, own_valkey: Valkey, webhooks: Webhooks) -> None:
    post_webhook(client, webhook("mock_pi_1"))
    with frozen(own_valkey.server):
        started = monotonic()
        for _ in range(5):
            post_webhook(client, webhook("mock_pi_1"))
        took = monotonic() - started

    assert took < 2.5, "half a second each is already far from waiting"
    assert len(webhooks()) == 6


def test_a_wake_up_that_could_not_be_sent_is_given_back(
    make_app: MakeApp, own_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notifier, "CLAIMED_FOR", 60_000)
    nowhere = Secret(f"redis://127.0.0.1:{free_port()}/0")
    client = make_app(redis_url=Secret(own_valkey.url), broker_url=nowhere).test_client()
    post_webhook(client, webhook("mock_pi_1"))

    with redis.Redis.from_url(own_valkey.url) as cache:
        _wait_until(lambda: not cache.keys(f"*{WAKE_UP}"), within=60)


def test_the_notifier_sends_again_after_a_broker_that_was_killed(
    client: FlaskClient, own_valkey: Valkey, webhooks: Webhooks
) -> None:
    post_webhook(client, webhook("mock_pi_1"))
    own_valkey.server.stop()
    for _ in range(3):
        post_webhook(client, webhook("mock_pi_1"))
        sleep(0.05)
    own_valkey.server.start()

    _sends_again(client, own_valkey)
    assert len(webhooks()) >= 5


def test_the_notifier_sends_again_after_a_broker_that_refused_to_write(
    client: FlaskClient, broker: redis.Redis, own_valkey: Valkey
) -> None:
    broker.config_set("maxmemory", "1")
    for _ in range(3):
        post_webhook(client, webhook("mock_pi_1"))
        sleep(0.05)
    broker.config_set("maxmemory", "0")

    _sends_again(client, own_valkey)


def _sends_again(client: FlaskClient, valkey: Valkey) -> None:
    """New webhooks send wake-ups at the latest when breaker and wake-up have had their pause."""

    def notified() -> bool:
        post_webhook(client, webhook("mock_pi_1"))
        with redis.Redis.from_url(valkey.url) as broker, suppress(redis.RedisError):
            return bool(broker.llen(QUEUE))
        return False

    _wait_until(notified, within=60)


def _wait_until(condition: Callable[[], bool], *, within: float) -> None:
    until = monotonic() + within
    while not condition():
        assert monotonic() < until, "it did not happen in time"
        sleep(0.05)
