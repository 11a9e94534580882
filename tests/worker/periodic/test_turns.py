"""Of many messages of beat that waited one begins the task, whatever the clocks of beat's host and ours say."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from celery import Celery
from flask import Flask

from checkout_service.cache import cache
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.worker.conftest import MakeWorker
from worker import process
from worker.periodic import turns
from worker.periodic.turns import is_its_turn

SWEEP = TaskName.SWEEP_WEBHOOKS
HALF = SWEEP.declaration.schedule.every.total_seconds() / 2 if SWEEP.declaration.schedule else 0.0


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_begun", {})
    monkeypatch.setattr(turns, "_refused", {})


@pytest.fixture
def inside(make_worker: MakeWorker) -> Iterator[Flask]:
    app = make_worker()
    with app.app_context():
        yield app


@pytest.mark.usefixtures("inside")
def test_of_a_thousand_messages_that_waited_one_begins() -> None:
    started = time.monotonic()
    begun = [is_its_turn(SWEEP) for _ in range(1000)].count(True)
    assert 1 <= begun <= 1 + (time.monotonic() - started) / HALF
    assert is_its_turn(TaskName.PRUNE_WEBHOOKS), "each task has turns of its own"


@pytest.mark.usefixtures("inside")
def test_another_process_sees_that_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_its_turn(TaskName.PRUNE_WEBHOOKS)
    monkeypatch.setattr(turns, "_begun", {})
    assert not is_its_turn(TaskName.PRUNE_WEBHOOKS)


@pytest.mark.usefixtures("inside")
def test_the_next_message_begins_it_again() -> None:
    assert is_its_turn(SWEEP)
    time.sleep(2 * HALF)
    assert is_its_turn(SWEEP)


def test_without_a_cache_a_process_goes_by_what_it_did_itself(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_worker(redis_url=Secret("redis://127.0.0.1:1/0")).app_context():
        assert is_its_turn(TaskName.PRUNE_WEBHOOKS)
        assert not is_its_turn(TaskName.PRUNE_WEBHOOKS)
        monkeypatch.setattr(turns, "_begun", {})
        assert is_its_turn(TaskName.PRUNE_WEBHOOKS), "nobody can tell: it does no harm twice"


@pytest.mark.usefixtures("inside")
def test_a_claim_that_does_not_end_is_believed_for_a_while_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache whose clock was put back keeps its claims for hours."""
    now = [1000.0]
    monkeypatch.setattr(turns, "monotonic", lambda: now[0])
    monkeypatch.setattr(turns, "_refused", {})
    cache().claim(f"began:{SWEEP.value}", milliseconds=3_600_000)
    begun = []
    for _ in range(12):
        begun.append(is_its_turn(SWEEP))
        now[0] += 1.0
    assert begun == ([False] * 4 + [True]) * 2 + [False] * 2


@pytest.mark.usefixtures("inside")
def test_what_others_send_is_always_run() -> None:
    assert is_its_turn(TaskName.PROCESS_WEBHOOK)
    assert is_its_turn(TaskName.PROCESS_WEBHOOK)
    assert cache().get(f"began:{TaskName.PROCESS_WEBHOOK.value}") is None


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("scheduled", [True, False])
def test_messages_of_beat_alone_are_passed_over_and_none_that_comes_again(
    scheduled: bool, again: bool, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who starts the task in Flower a moment after beat did has it run."""
    app = make_worker()
    monkeypatch.setattr(process, "context", lambda: app)
    celery = Celery(set_as_current=False, task_cls=process.ContextTask)

    def sweep() -> str:
        return "it ran"

    task = celery.task(name=SWEEP.value, shared=False)(sweep)
    results = []
    for _ in range(2):
        task.push_request(scheduled=scheduled, hostname="worker@here", delivery_info={"redelivered": again})
        results.append(task())
        task.pop_request()
    assert results == ["it ran", "it began a moment ago" if scheduled and not again else "it ran"]
