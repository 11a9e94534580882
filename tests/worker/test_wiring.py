"""Celery's own side: every task that somebody sends is registered, takes what is sent, and is consumed."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from checkout_service.providers.transport import READ_WITHIN
from checkout_service.queue import QUEUE_OF, TaskName
from tests.conftest import ROOT
from worker.letters import LEASE
from worker.reconciliation import WORK_FOR as RECONCILE_FOR
from worker.sweeping import PRUNE_FOR
from worker.webhooks import LOOK_UP_FOR, WORK_FOR

ASK = """
import inspect, json
from worker.app import app
app.loader.import_default_modules()
app.finalize()
tasks = {
    name: {
        "parameters": [str(each.kind) for each in inspect.signature(task.run).parameters.values()],
        "module": task.run.__module__,
        "max_retries": task.max_retries,
        "ignore_result": task.ignore_result,
    }
    for name, task in app.tasks.items() if not name.startswith("celery.")
}
conf = {name: app.conf[name] for name in (
    "task_routes", "task_acks_late", "task_reject_on_worker_lost", "task_time_limit", "accept_content",
    "worker_prefetch_multiplier", "broker_transport_options", "beat_schedule", "task_annotations")}
print(json.dumps({"tasks": tasks, "conf": conf}, default=str))
"""

SENT = {
    TaskName.PROCESS_WEBHOOK: 1,
    TaskName.SWEEP_WEBHOOKS: 0,
    TaskName.PRUNE_WEBHOOKS: 0,
    TaskName.LOOK_UP_PAYMENTS: 0,
    TaskName.EXPIRE_PAYMENTS: 0,
}
"""How many positional arguments each is sent with."""


@lru_cache(maxsize=1)
def celery() -> dict[str, Any]:
    """What a worker process has, asked of one that starts as the Procfile's do."""
    environment = {
        "PATH": os.environ["PATH"],
        "WORKER_DATABASE_URL": "postgresql://checkout_worker@127.0.0.1:1/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MOCK_WEBHOOK_SECRETS": "a secret",
    }
    asked = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert asked.returncode == 0, asked.stderr
    found: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return found


def processes() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(re.split(r":\s+", line, maxsplit=1) for line in lines if line.strip())


def sources() -> list[Path]:
    return [*(ROOT / "checkout_service").rglob("*.py"), *(ROOT / "worker").glob("*.py")]


def test_every_task_name_has_exactly_one_registered_task() -> None:
    assert sorted(celery()["tasks"]) == sorted(TaskName)
    written: list[str] = []
    for path in sorted((ROOT / "worker").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                decorators = [ast.unparse(each) for each in node.decorator_list]
                written += [each for each in decorators if each.startswith("shared_task")]
    assert sorted(written) == sorted(f"shared_task(name=TaskName.{name.name})" for name in TaskName)


@pytest.mark.parametrize("name", list(TaskName))
def test_a_task_takes_what_is_sent(name: TaskName) -> None:
    assert celery()["tasks"][name]["parameters"] == ["POSITIONAL_OR_KEYWORD"] * SENT[name]


def test_every_sender_sends_that_many() -> None:
    calls = [node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    sent = [
        (ast.unparse(call.args[0]), len(call.args) - 1)
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "enqueue"
    ]
    sent += [
        (f"TaskName.{TaskName(entry['task']).name}", len(entry.get("args") or ()))
        for entry in celery()["conf"]["beat_schedule"].values()
    ]

    assert {task for task, _ in sent} == {f"TaskName.{name.name}" for name in TaskName}
    for task, count in sent:
        assert count == SENT[TaskName[task.removeprefix("TaskName.")]]


def test_every_queue_is_consumed_by_a_process_of_the_procfile() -> None:
    consumed = [
        queue
        for command in processes().values()
        for queues in re.findall(r"celery -A worker\.app worker.*? -Q (\S+)", command)
        for queue in queues.split(",")
    ]

    assert sorted(consumed) == sorted(set(QUEUE_OF.values())), "each once, and no other"
    routes = {name: route["queue"] for name, route in celery()["conf"]["task_routes"].items()}
    assert routes == {name.value: queue for name, queue in QUEUE_OF.items()}


def test_slow_tasks_never_stand_before_a_webhook() -> None:
    at_webhooks = {name for name, queue in QUEUE_OF.items() if queue == "webhooks"}

    assert at_webhooks == {TaskName.PROCESS_WEBHOOK, TaskName.SWEEP_WEBHOOKS}


def test_beats_own_messages_expire_and_those_of_webhooks_never_do() -> None:
    schedule = celery()["conf"]["beat_schedule"]

    assert {entry["task"] for entry in schedule.values()} == set(TaskName) - {TaskName.PROCESS_WEBHOOK}
    assert all(entry["options"]["expires"] > 0 for entry in schedule.values())
    for path in sources():
        text = path.read_text()
        assert "expires=" not in text, path
        assert "countdown" not in text, f"{path}: back-off lives in next_attempt_at"
        assert ".retry(" not in text, f"{path}: a retry while the broker is away drops the message"


def test_a_message_outlives_the_longest_task_and_a_lease_outlives_a_letters() -> None:
    conf = celery()["conf"]
    limits = [conf["task_time_limit"], *[each["time_limit"] for each in conf["task_annotations"].values()]]
    assert conf["broker_transport_options"]["visibility_timeout"] > 2 * max(limits)
    assert LEASE.total_seconds() > conf["task_time_limit"]
    assert TaskName.PROCESS_WEBHOOK not in conf["task_annotations"]
    assert (conf["task_acks_late"], conf["task_reject_on_worker_lost"]) == (True, True)
    assert conf["accept_content"] == ["json"]


def test_a_task_ends_within_its_time_limit_even_if_everything_is_slow() -> None:
    conf = celery()["conf"]
    assert conf["task_time_limit"] > WORK_FOR + LOOK_UP_FOR + READ_WITHIN
    slow_statement = 15
    assert 3 * PRUNE_FOR + slow_statement < conf["task_annotations"][TaskName.PRUNE_WEBHOOKS]["time_limit"]
    for name in (TaskName.LOOK_UP_PAYMENTS, TaskName.EXPIRE_PAYMENTS):
        assert RECONCILE_FOR + READ_WITHIN + slow_statement < conf["task_annotations"][name]["time_limit"]
