"""Celery's own side, asked of a worker as the Procfile starts it: names, arguments, and limits that fit together.

See also tests/architecture, which reads the same from the sources.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from checkout_service.providers.transport import READ_WITHIN
from checkout_service.tasks import TaskName
from tests.conftest import ROOT
from worker import outstanding
from worker.payments import cancelling
from worker.payments.status_queries import WORK_FOR as RECONCILE_FOR
from worker.webhooks.claims import LEASE
from worker.webhooks.pruning import PRUNE_FOR
from worker.webhooks.task import LOOK_UP_FOR, WORK_FOR

ASK = """
import json
from worker.app import app
app.Worker
app.loader.import_default_modules()
app.finalize()
settings = ("task_acks_late", "task_reject_on_worker_lost", "accept_content",
    "broker_transport_options", "beat_schedule", "task_ignore_result")
print(json.dumps({name: app.conf[name] for name in settings} | {"tasks": sorted(app.tasks)}, default=str))
"""

SLOW_STATEMENT = 15
"""Seconds after which a task's connection gives up on a statement."""


@lru_cache(maxsize=1)
def celery() -> dict[str, Any]:
    """The settings and tasks of a worker process that connects to nothing."""
    environment = {
        "PATH": os.environ["PATH"],
        "WORKER_DATABASE_URL": "postgresql://checkout_worker@127.0.0.1:1/nowhere",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MOCK_WEBHOOK_SECRETS": "a secret",
    }
    questions = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert questions.returncode == 0, questions.stderr
    found: dict[str, Any] = json.loads(questions.stdout.splitlines()[-1])
    return found


def sources() -> list[Path]:
    return [*(ROOT / "checkout_service").rglob("*.py"), *(ROOT / "worker").rglob("*.py")]


def test_a_worker_has_every_task_and_each_is_written_once() -> None:
    assert [name for name in celery()["tasks"] if not name.startswith("celery.")] == sorted(TaskName)
    functions = [
        node
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]
    decorators = [ast.unparse(decorator) for function in functions for decorator in function.decorator_list]
    written = [decorator for decorator in decorators if decorator.startswith("shared_task")]
    assert sorted(written) == sorted(f"shared_task(name=TaskName.{name.name})" for name in TaskName)


TAKE_AN_ID = {task for task in TaskName if task.declaration.argument}
NOT_BY_BEAT = {TaskName.SEND_EVENTS, TaskName.SYNC_CATALOG}


def test_every_sender_sends_an_id_to_a_task_that_takes_it_and_nothing_to_the_others() -> None:
    calls = [node for path in sources() for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]

    def arguments(method: str) -> set[tuple[str, int]]:
        return {
            (ast.unparse(call.args[0]), len(call.args) - 1)
            for call in calls
            if isinstance(call.func, ast.Attribute) and call.func.attr == method
        }

    by_beat = {(entry["task"], len(entry.get("args") or ())) for entry in celery()["beat_schedule"].values()}

    # "task" is what a background task or a due row names, which is one of those below.
    assert arguments("enqueue") == {
        ("TaskName.CANCEL_PAYMENT", 1),
        ("TaskName.PROCESS_WEBHOOK", 1),
        ("TaskName.REFUND_PAYMENT", 1),
        ("TaskName.RUN_COMMANDS", 0),
        ("TaskName.SEND_EVENTS", 0),
        ("TaskName.VOID_PAYMENT", 1),
        ("TaskName.WRITE_DUE_EVENTS", 0),
        ("task", 1),
    }
    assert {name for name, _ in arguments("send") if name.startswith("TaskName")} == {
        "TaskName.REFUND_PAYMENT",
        "TaskName.CANCEL_PAYMENT",
        "TaskName.SEND_EVENTS",
    }
    # Whoever numbered events sends the first, and what beat sends does where that was lost. There is no source here.
    assert by_beat == {(name.value, 0) for name in set(TaskName) - TAKE_AN_ID - NOT_BY_BEAT}


def test_back_off_is_never_celerys() -> None:
    """A countdown outlives the broker's visibility timeout, and a retry while the broker is away drops the message."""
    for path in sources():
        text = path.read_text()
        assert "countdown" not in text, path
        assert ".retry(" not in text, path
        assert "autoretry" not in text, path


def test_a_message_outlives_the_longest_task_and_a_lease_outlives_a_webhooks() -> None:
    conf = celery()
    limits = {task: task.declaration.time_limit for task in TaskName}

    assert conf["broker_transport_options"]["visibility_timeout"] > 2 * max(limits.values()).total_seconds()
    assert limits[TaskName.PROCESS_WEBHOOK] < LEASE
    assert (conf["task_acks_late"], conf["task_reject_on_worker_lost"], conf["task_ignore_result"]) == (True,) * 3
    assert conf["accept_content"] == ["json"]


def test_a_task_ends_within_its_time_limit_though_the_provider_and_the_database_are_slow() -> None:
    limits = {task: task.declaration.time_limit.total_seconds() for task in TaskName}

    assert limits[TaskName.PROCESS_WEBHOOK] > WORK_FOR + LOOK_UP_FOR + READ_WITHIN
    assert limits[TaskName.PRUNE_WEBHOOKS] > 4 * PRUNE_FOR + SLOW_STATEMENT
    for name, lease in (
        (TaskName.REFUND_PAYMENT, outstanding.LEASE),
        (TaskName.CAPTURE_PAYMENT, outstanding.LEASE),
        (TaskName.VOID_PAYMENT, outstanding.LEASE),
        (TaskName.CANCEL_PAYMENT, cancelling.LEASE),
    ):
        # Refused, it is looked up; then one transaction.
        assert lease.total_seconds() > limits[name] > 2 * READ_WITHIN + 2 * SLOW_STATEMENT
    for name in (TaskName.LOOK_UP_PAYMENTS, TaskName.EXPIRE_PAYMENTS, TaskName.BACKFILL_PAYMENTS):
        assert limits[name] > RECONCILE_FOR + READ_WITHIN + SLOW_STATEMENT
