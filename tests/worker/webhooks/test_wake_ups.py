"""The bell: one message while a backlog waits, none lost, and none needed."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import redis

from checkout_service.cache import cache
from checkout_service.providers.base import Fact
from checkout_service.publishing.wake_up import WAKE_UP, Notifier, wake_worker
from tests.conftest import Sql
from tests.webhook_bodies import insert_letter, insert_payment, letter, state_of
from tests.worker.conftest import MakeWorker, Messages
from tests.worker.scripted import ScriptedProvider, fact, hint
from worker.webhooks.statements import SET
from worker.webhooks.task import process


def bell_rings(broker: redis.Redis) -> bool:
    return any(name.endswith(f":{WAKE_UP}".encode()) for name in broker.scan_iter())


@pytest.mark.usefixtures("worker")
def test_a_bell_that_rings_is_not_rung_again(sql: Sql, messages: Messages) -> None:
    deliveries = [str(insert_letter(sql, letter(insert_payment(sql)))) for _ in range(5)]

    for delivery in deliveries:
        wake_worker(delivery)

    assert messages() == [(deliveries[0],)]
    process(deliveries[0])
    assert {row.state for row in sql("SELECT state FROM webhook_deliveries")} == {"applied"}


@pytest.mark.usefixtures("worker")
def test_the_task_silences_the_bell_so_that_the_next_letter_rings(sql: Sql, messages: Messages) -> None:
    first = str(insert_letter(sql, letter(insert_payment(sql))))
    wake_worker(first)
    process(first)
    second = str(insert_letter(sql, letter(insert_payment(sql))))

    wake_worker(second)

    assert messages() == [(first,), (second,)]


def test_a_letter_filed_while_a_task_is_at_work_rings_again(
    sql: Sql, scripted: ScriptedProvider, messages: Messages
) -> None:
    """The bell is silenced before the claim, so a letter that this claim did not see has a message of its own."""
    reference = insert_payment(sql)
    later: list[str] = []

    def while_at_work() -> list[Fact]:
        if not later:
            later.append(str(insert_letter(sql, b'{"later":1}')))
            wake_worker(later[0])
        return [fact(reference, "paid", event_id="evt_1")]

    scripted.letters = {b'{"first":1}': [hint(reference)], b'{"later":1}': [fact(reference, "failed")]}
    scripted.truths[reference] = while_at_work
    first = str(insert_letter(sql, b'{"first":1}'))
    wake_worker(first)

    process(first)

    assert messages() == [(first,), (later[0],)]
    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'applied'")[0].count == 2


@pytest.mark.usefixtures("worker")
def test_a_message_about_a_letter_that_is_done_still_takes_what_waits(sql: Sql) -> None:
    done = insert_letter(sql, letter(insert_payment(sql)))
    process(str(done))
    waiting = insert_letter(sql, letter(insert_payment(sql)))

    process(str(done))

    assert state_of(sql, waiting) == "applied"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("body", [letter("mock_pi_1", secret="a guess"), b"{}"], ids=["forged", "unreadable"])
def test_a_forgery_does_not_swallow_the_bell(sql: Sql, messages: Messages, body: bytes) -> None:
    """Its message may come when another task has rejected it already; the letter behind it did not ring."""
    forgery = str(insert_letter(sql, body))
    process(forgery)
    wake_worker(forgery)
    genuine = insert_letter(sql, letter(insert_payment(sql)))
    wake_worker(str(genuine))
    assert messages() == [(forgery,)]

    process(forgery)

    assert [state_of(sql, UUID(forgery)), state_of(sql, genuine)] == ["rejected", "applied"]


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
    body = letter("mock_pi_1", "of another age")
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
        process(*messages()[-1])
        assert sql(states)[0].waiting < waiting
        waiting = sql(states)[0].waiting
    assert waiting == 0


def test_a_task_whose_time_is_over_rings_though_the_others_have_gone(
    sql: Sql, scripted: ScriptedProvider, broker: redis.Redis, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.webhooks.task.WORK_FOR", 0.0)
    sql("INSERT INTO webhook_deliveries (provider, body) SELECT 'mock', '{}' FROM generate_series(1, :n)", n=SET * 2)

    def others_come_and_go() -> list[Fact]:
        cache().release(WAKE_UP)
        broker.delete("webhooks")
        return []

    scripted.letters[b"{}"] = others_come_and_go  # type: ignore[assignment]  # called each time
    process(str(UUID(int=1)))

    assert sql("SELECT count(*) FROM webhook_deliveries WHERE state = 'received'")[0].count == SET
    assert len(messages()) == 1


@pytest.mark.usefixtures("worker")
def test_a_lost_message_silences_the_bell_for_a_second_at_most(broker: redis.Redis) -> None:
    wake_worker("lost")
    broker.delete("webhooks")

    (bell,) = [name for name in broker.scan_iter() if name.endswith(b":bell")]
    assert 0 < broker.pttl(bell) <= Notifier.SILENT_FOR


@pytest.mark.usefixtures("worker")
def test_deployments_that_share_a_server_do_not_silence_each_other(
    broker: redis.Redis, make_worker: MakeWorker
) -> None:
    wake_worker("ours")

    with make_worker(payment_namespace=uuid4()).app_context():
        cache().release(WAKE_UP)

    assert bell_rings(broker)
