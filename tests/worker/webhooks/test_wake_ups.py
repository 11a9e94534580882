"""The wake-up: one message while a backlog waits, none lost, and none needed."""

from __future__ import annotations

from contextlib import nullcontext
from uuid import UUID, uuid4

import pytest
import redis

from checkout_service.cache import cache
from checkout_service.providers.base import ProviderEvent
from checkout_service.publishing.wake_up import WAKE_UP, Notifier, wake_worker
from tests.conftest import Sql
from tests.webhook_bodies import insert_payment, insert_webhook, state_of, webhook
from tests.worker.conftest import MakeWorker, Messages
from tests.worker.scripted import ScriptedProvider, event, thin_event
from tests.worker.webhooks.test_poison import MAX_ATTEMPTS
from worker.webhooks.claims import ClaimedWebhook, claim
from worker.webhooks.statements import SET
from worker.webhooks.task import WebhookFailedError, process


def wake_up_rings(broker: redis.Redis) -> bool:
    return any(name.endswith(f":{WAKE_UP}".encode()) for name in broker.scan_iter())


@pytest.mark.usefixtures("worker")
def test_a_wake_up_that_rings_is_not_notified_again(sql: Sql, messages: Messages) -> None:
    deliveries = [str(insert_webhook(sql, webhook(insert_payment(sql)))) for _ in range(5)]

    for delivery in deliveries:
        wake_worker(delivery)

    assert messages() == [(deliveries[0],)]
    process(deliveries[0])
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"applied"}


@pytest.mark.usefixtures("worker")
def test_the_task_silences_the_wake_up_so_that_the_next_webhook_rings(sql: Sql, messages: Messages) -> None:
    first = str(insert_webhook(sql, webhook(insert_payment(sql))))
    wake_worker(first)
    process(first)
    second = str(insert_webhook(sql, webhook(insert_payment(sql))))

    wake_worker(second)

    assert messages() == [(first,), (second,)]


def test_a_webhook_stored_while_a_task_is_at_work_sends_a_wake_up_again(
    sql: Sql, scripted: ScriptedProvider, messages: Messages
) -> None:
    """The wake-up is silenced before the claim, so a webhook that this claim did not see has a message of its own."""
    reference = insert_payment(sql)
    later: list[str] = []

    def while_at_work() -> list[ProviderEvent]:
        if not later:
            later.append(str(insert_webhook(sql, b'{"later":1}')))
            wake_worker(later[0])
        return [event(reference, "paid", event_id="evt_1")]

    scripted.webhooks = {b'{"first":1}': [thin_event(reference)], b'{"later":1}': [event(reference, "failed")]}
    scripted.truths[reference] = while_at_work
    first = str(insert_webhook(sql, b'{"first":1}'))
    wake_worker(first)

    process(first)

    assert messages() == [(first,), (later[0],)]
    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'applied'")[0].count == 2


@pytest.mark.usefixtures("worker")
def test_webhook_filed_between_an_empty_claim_and_the_release_is_claimed(
    sql: Sql, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends no wake-up, since the one that is answered at this moment is not released yet."""
    wake_worker("the first")
    filed: list[UUID] = []

    def claim_before_it_came(own: UUID | None) -> list[ClaimedWebhook]:
        found = claim(own)
        if not filed:
            filed.append(insert_webhook(sql, webhook(insert_payment(sql))))
            wake_worker(str(filed[0]))
        return found

    monkeypatch.setattr("worker.webhooks.task.claim", claim_before_it_came)
    # The command reaches the server after that.
    monkeypatch.setattr(cache(), "_sent", lambda *_: None)

    wake(str(uuid4()))

    assert messages() == [("the first",)]
    assert state_of(sql, filed[0]) == "applied"


@pytest.mark.usefixtures("worker")
def test_wake_up_is_released_by_the_end_of_the_block_though_its_connection_is_gone(broker: redis.Redis) -> None:
    wake_worker("lost")

    with cache().releasing(WAKE_UP):
        broker.client_kill_filter(_type="normal", skipme=True)

    assert not wake_up_rings(broker)


@pytest.mark.usefixtures("worker")
def test_a_message_about_a_webhook_that_is_done_still_takes_what_waits(sql: Sql) -> None:
    done = insert_webhook(sql, webhook(insert_payment(sql)))
    process(str(done))
    waiting = insert_webhook(sql, webhook(insert_payment(sql)))

    process(str(done))

    assert state_of(sql, waiting) == "applied"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("body", [webhook("mock_pi_1", secret="a guess"), b"{}"], ids=["unverified", "unreadable"])
def test_a_unverified_does_not_swallow_the_wake_up(sql: Sql, messages: Messages, body: bytes) -> None:
    """Its message may come when another task has rejected it already; the webhook behind it sent none of its own."""
    unverified = str(insert_webhook(sql, body))
    process(unverified)
    wake_worker(unverified)
    verified = insert_webhook(sql, webhook(insert_payment(sql)))
    wake_worker(str(verified))
    assert messages() == [(unverified,)]

    process(unverified)

    assert [state_of(sql, UUID(unverified)), state_of(sql, verified)] == ["rejected", "applied"]


def wake(about: str) -> None:
    """The task, as a wake-up has it run: it is quiet, and replays nothing that was settled meanwhile."""
    process.push_request(id=str(uuid4()), quiet=True)
    try:
        process.run(about)
    finally:
        process.pop_request()


def tried_meanwhile(sql: Sql, delivery: UUID, attempts: int = 1) -> None:
    """Another task claimed it and died, so often; its lease is over."""
    claim(delivery)
    sql(
        "UPDATE webhook_deliveries SET attempts = :attempts, next_attempt_at = now() WHERE id = :id",
        id=delivery,
        attempts=attempts,
    )


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("attempts", "state"), [(1, "applied"), (MAX_ATTEMPTS, "failed")])
def test_wake_up_for_one_that_was_tried_meanwhile_still_takes_what_waits(
    sql: Sql, messages: Messages, attempts: int, state: str
) -> None:
    """What was filed since the wake-up was sent has none of its own, and would wait for the sweep."""
    first = insert_webhook(sql, webhook(insert_payment(sql)))
    wake_worker(str(first))
    tried_meanwhile(sql, first, attempts)
    second = insert_webhook(sql, webhook(insert_payment(sql)))
    wake_worker(str(second))
    assert messages() == [(str(first),)]

    with pytest.raises(WebhookFailedError) if state == "failed" else nullcontext():
        wake(str(first))

    assert [state_of(sql, each) for each in (first, second)] == [state, "applied"]


@pytest.mark.usefixtures("worker")
def test_wake_up_whose_time_is_over_after_the_one_that_was_tried_calls_another_task(
    sql: Sql, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.task.WORK_FOR", 0.0)
    first = insert_webhook(sql, webhook(insert_payment(sql)))
    tried_meanwhile(sql, first)
    second = insert_webhook(sql, webhook(insert_payment(sql)))

    wake(str(first))

    assert [state_of(sql, each) for each in (first, second)] == ["applied", "received"]
    wake(*messages()[-1])
    assert state_of(sql, second) == "applied"


@pytest.mark.usefixtures("worker")
def test_a_full_set_calls_the_other_workers(sql: Sql, messages: Messages) -> None:
    sql("INSERT INTO webhook_deliveries (provider, body) SELECT 'mock', '{}' FROM generate_series(1, :n)", n=SET * 2)
    ids = {str(row.id) for row in sql("SELECT id FROM webhook_deliveries")}

    process(next(iter(ids)))

    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"rejected"}
    assert len(messages()) == 1
    assert messages()[0][0] in ids


@pytest.mark.usefixtures("worker")
def test_a_task_whose_time_is_over_rings_for_the_rest(
    sql: Sql, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.task.WORK_FOR", 0.0)
    body = webhook("mock_pi_1", "of another age")
    sql(
        "INSERT INTO webhook_deliveries (provider, body) SELECT 'mock', :b FROM generate_series(1, :n)",
        b=body,
        n=SET * 3,
    )
    states = "SELECT count(*) FILTER (WHERE state = 'received') AS waiting FROM webhook_deliveries"

    process(str(sql("SELECT id FROM webhook_deliveries LIMIT 1")[0].id))

    waiting = sql(states)[0].waiting
    assert 0 < waiting < SET * 3
    while messages() and waiting:
        wake(*messages()[-1])
        assert sql(states)[0].waiting < waiting
        waiting = sql(states)[0].waiting
    assert waiting == 0


def test_a_task_whose_time_is_over_rings_though_the_others_have_gone(
    sql: Sql, scripted: ScriptedProvider, broker: redis.Redis, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.task.WORK_FOR", 0.0)
    sql("INSERT INTO webhook_deliveries (provider, body) SELECT 'mock', '{}' FROM generate_series(1, :n)", n=SET * 2)

    def others_come_and_go() -> list[ProviderEvent]:
        cache().release(WAKE_UP)
        broker.delete("webhooks")
        return []

    scripted.webhooks[b"{}"] = others_come_and_go  # type: ignore[assignment]  # called each time
    process(str(UUID(int=1)))

    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'received'")[0].count == SET
    assert len(messages()) == 1


@pytest.mark.usefixtures("worker")
def test_a_lost_message_silences_the_wake_up_for_a_second_at_most(broker: redis.Redis) -> None:
    wake_worker("lost")
    broker.delete("webhooks")

    (wake_up,) = [name for name in broker.scan_iter() if name.endswith(b":wake_up")]
    assert 0 < broker.pttl(wake_up) <= Notifier.CLAIMED_FOR


@pytest.mark.usefixtures("worker")
def test_deployments_that_share_a_server_do_not_silence_each_other(
    broker: redis.Redis, make_worker: MakeWorker
) -> None:
    wake_worker("ours")

    with make_worker(payment_namespace=uuid4()).app_context():
        cache().release(WAKE_UP)

    assert wake_up_rings(broker)
