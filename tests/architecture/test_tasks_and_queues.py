"""Producers and workers agree: every task is registered once and takes what it is sent, every queue is consumed."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

import worker.commands
import worker.payments.backfill
import worker.payments.cancelling
import worker.payments.look_ups
import worker.payments.sweeping
import worker.refunds.task
import worker.webhooks.sweeping
import worker.webhooks.task  # noqa: F401 (registers its tasks)
from checkout_service.tasks import QUEUE_OF, TaskName
from tests.conftest import ROOT

WITH_ID = (TaskName.PROCESS_WEBHOOK, TaskName.REFUND_PAYMENT, TaskName.CANCEL_PAYMENT)
SENT: dict[TaskName, tuple[str, ...]] = dict.fromkeys(TaskName, ()) | dict.fromkeys(WITH_ID, ("an id",))


@pytest.fixture
def configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    # Set, so that celeryconfig makes no folder of its own and leaves our environment as it is.
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return runpy.run_path(str(ROOT / "celeryconfig.py"))


@pytest.fixture
def registered() -> dict[str, Any]:
    app = Celery(set_as_current=False)
    app.finalize()
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_every_task_name_has_one_task_and_no_task_is_without_one(registered: dict[str, Any]) -> None:
    assert set(registered) == {task.value for task in TaskName}


@pytest.mark.parametrize("task", TaskName)
def test_task_takes_what_its_producer_sends(registered: dict[str, Any], task: TaskName) -> None:
    inspect.signature(registered[task.value].run).bind(*SENT[task])


def test_beat_sends_known_tasks_without_arguments(configuration: dict[str, Any]) -> None:
    for entry in configuration["beat_schedule"].values():
        assert SENT[TaskName(entry["task"])] == ()
        assert "args" not in entry


def test_beats_messages_expire_and_webhooks_never_do(configuration: dict[str, Any]) -> None:
    assert all(entry["options"]["expires"] for entry in configuration["beat_schedule"].values())
    assert TaskName.PROCESS_WEBHOOK not in {entry["task"] for entry in configuration["beat_schedule"].values()}


def test_worker_loads_every_module_with_tasks(configuration: dict[str, Any], registered: dict[str, Any]) -> None:
    assert {type(task).__module__ for task in registered.values()} <= {"celery.app.task", *configuration["include"]}
    assert {task.run.__module__ for task in registered.values()} == set(configuration["include"])


def test_every_queue_is_consumed_by_a_process() -> None:
    consumed = set()
    for line in (ROOT / "Procfile").read_text().splitlines():
        words = line.split()
        if "worker" in words and "-Q" in words:
            consumed |= set(words[words.index("-Q") + 1].split(","))

    assert set(QUEUE_OF) == set(TaskName)
    assert consumed == set(QUEUE_OF.values())


def test_worker_sends_tasks_where_they_are_consumed(configuration: dict[str, Any]) -> None:
    assert {name: route["queue"] for name, route in configuration["task_routes"].items()} == {
        task.value: queue for task, queue in QUEUE_OF.items()
    }
