"""What an operator sees in Flower when a webhook fails for good, and how it is run again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from celery import Celery

from checkout_service.tasks import TaskName
from tests.journeys.conftest import Town, eventually


@pytest.mark.parametrize("way", ["async-apply", "send-task"])
def test_a_failed_webhook_is_listed_with_its_id_and_runs_again_to_success(town: Town, way: str) -> None:
    opened = town.open_session()
    town.sql("REVOKE UPDATE ON payments FROM checkout_worker")
    try:
        webhook = town.report(opened)
        failure = eventually(lambda: _failures(town, webhook))[0]
    finally:
        town.sql("GRANT UPDATE ON payments TO checkout_worker")
    assert failure["name"] == "webhooks.process"
    assert failure["args"] == f"('{webhook}',)"
    assert town.sql("SELECT state, attempts FROM webhook_deliveries WHERE id = %s", webhook) == [("failed", 2)]
    assert town.status(opened) == "pending"

    answer = town.flower.post(f"/api/task/{way}/webhooks.process", json={"args": [webhook]})

    assert answer.status_code == 200, answer.text
    eventually(lambda: town.status(opened) == "paid")
    again = answer.json()["task-id"]
    eventually(lambda: town.flower.get(f"/api/task/info/{again}").json()["state"] == "SUCCESS")


def test_flower_is_closed_without_its_password(town: Town) -> None:
    stranger = town.flower.get("/api/tasks", auth=("ops", "guess"))

    assert stranger.status_code == 401


def _failures(town: Town, webhook: str) -> list[dict[str, Any]]:
    tasks = town.flower.get("/api/tasks", params={"state": "FAILURE", "limit": 1000}).json()
    return [task for task in tasks.values() if webhook in task["args"]]


def test_expired_messages_of_beat_are_no_news_and_those_of_an_operator_are(town: Town) -> None:
    """While no worker runs beat goes on sending, so after each restart there are some that expired."""
    processes = town.running.processes
    workers = processes.named("workers")
    with Celery(broker=town.environment["REDIS_URL"], set_as_current=False) as celery:
        processes.end(workers)
        try:
            for task in [task for task in TaskName if task.declaration.schedule]:
                _send(celery, task, headers={"quiet": True})
            # The last of each queue: when Flower shows it, a worker has seen those before it.
            of_housekeeping = (TaskName.LOOK_UP_PAYMENTS, TaskName.PRUNE_WEBHOOKS)
            last = (TaskName.SWEEP_WEBHOOKS, *of_housekeeping, TaskName.SWEEP_EVENTS)
            by_operator = {_send(celery, task) for task in last}
            time.sleep(1)
        finally:
            processes.launch(workers)

    eventually(lambda: _revoked(town) >= by_operator)
    assert _revoked(town) == by_operator


def _send(celery: Celery, task: TaskName, headers: Mapping[str, object] | None = None) -> str:
    """The id of a message that expires in half a second."""
    queue = task.declaration.queue.value
    return str(celery.send_task(task.value, queue=queue, headers=headers, expires=0.5, ignore_result=True).id)


def _revoked(town: Town) -> set[str]:
    return set(town.flower.get("/api/tasks", params={"state": "REVOKED", "limit": 1000}).json())
