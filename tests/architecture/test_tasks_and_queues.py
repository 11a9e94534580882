"""Declarations, functions, Celery and processes agree: each task is run by one function, each queue by one process."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.beat import Scheduler

import worker
from checkout_service.local.processes import read_procfile
from checkout_service.tasks import QUEUES_OF_PROCESS, QueueName, TaskName
from tests.conftest import ROOT
from worker.periodic.dating import date_messages

SCHEDULED = [task for task in TaskName if task.declaration.schedule]


@pytest.fixture(scope="module")
def celery() -> Celery:
    """Celery with the settings of this service, on a broker in the memory of this process, and all of worker/."""
    app = Celery(set_as_current=False)
    app.config_from_object("celeryconfig")
    memory = dict.fromkeys(("broker_url", "broker_read_url", "broker_write_url"), "memory://")
    app.conf.update(memory, broker_transport_options={})
    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        # worker.app is the entry: it takes the environment, and has no task.
        if module.name != "worker.app":
            importlib.import_module(module.name)
    app.finalize()
    date_messages()
    return app


def registered(app: Celery) -> dict[str, Any]:
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_every_declared_task_has_a_function_and_every_function_is_declared(celery: Celery) -> None:
    assert set(registered(celery)) == {task.value for task in TaskName}
    assert len({task.declaration.name for task in TaskName}) == len(TaskName.__members__)


@pytest.mark.parametrize("task", TaskName)
def test_a_task_is_bound_as_it_is_declared(celery: Celery, task: TaskName) -> None:
    declaration, function = task.declaration, registered(celery)[task.value]
    assert function.run.__module__ == declaration.module
    assert list(inspect.signature(function.run).parameters) == ([declaration.argument] if declaration.argument else [])
    assert function.time_limit == declaration.time_limit.total_seconds()
    assert declaration.module in celery.conf.include, "a worker loads it"
    assert celery.amqp.router.route({}, task.value)["queue"].name == declaration.queue


@pytest.mark.parametrize("task", TaskName)
def test_a_task_says_in_a_sentence_why_it_may_run_twice_or_be_lost(task: TaskName) -> None:
    promise = task.declaration.promise
    assert promise.endswith(".")
    assert promise[0].isupper()
    assert len(promise.split()) >= 8


@pytest.mark.parametrize("task", SCHEDULED)
def test_beat_sends_a_task_as_often_as_declared_quietly_and_without_an_end(celery: Celery, task: TaskName) -> None:
    declaration = task.declaration
    assert declaration.schedule
    scheduler = Scheduler(celery)
    (entry,) = [entry for entry in scheduler.schedule.values() if entry.task == task.value]
    assert entry.schedule.run_every == declaration.schedule.every

    before = time()
    sent = scheduler.apply_async(entry, advance=False)

    with celery.connection_for_read() as connection:
        message = connection.default_channel.basic_get(declaration.queue.value, no_ack=True)
        while message and message.headers["id"] != sent.id:
            message = connection.default_channel.basic_get(declaration.queue.value, no_ack=True)
    assert message, "it went to another queue"
    assert message.headers["task"] == task.value
    assert message.headers["quiet"] is True
    assert message.headers["scheduled"] is True
    assert before <= message.headers["sent_at"] <= time()
    assert message.headers.get("expires") is None, "it would be judged by another host's clock"
    arguments, named, _ = message.payload
    inspect.signature(registered(celery)[task.value].run).bind(*arguments, **named)


def test_beat_sends_nothing_else(celery: Celery) -> None:
    assert sorted(entry["task"] for entry in celery.conf.beat_schedule.values()) == sorted(SCHEDULED)


@pytest.mark.parametrize("task", SCHEDULED)
def test_what_beat_sends_names_no_row(task: TaskName) -> None:
    assert task.declaration.argument is None


def test_a_wake_up_for_a_row_never_expires() -> None:
    """A restart that takes an hour would lose it, and its row would wait for the next sweep."""
    rows = {task for task in TaskName if task.declaration.argument}
    # The sender finds its rows itself; the catalogue's source is read by beat, only where there is one.
    assert rows | {TaskName.SEND_EVENTS} == set(TaskName) - set(SCHEDULED) - {TaskName.SYNC_CATALOG}


def test_every_queue_is_consumed_by_the_one_process_that_says_so() -> None:
    consumed = {
        name: command[command.index("-Q") + 1].split(",")
        for name, command in read_procfile(ROOT / "Procfile").items()
        if "worker" in command
    }
    assert consumed == {name: [queue.value for queue in queues] for name, queues in QUEUES_OF_PROCESS.items()}
    assert Counter(queue for queues in consumed.values() for queue in queues) == dict.fromkeys(QueueName, 1)
    assert {task.declaration.queue for task in TaskName} == set(QueueName), "a queue without a task"


def test_a_task_is_found_by_its_name_and_an_unknown_name_is_refused() -> None:
    assert TaskName("webhooks.process") is TaskName.PROCESS_WEBHOOK
    with pytest.raises(ValueError, match="is not a valid TaskName"):
        TaskName(f"webhooks.{uuid4()}")


@pytest.mark.parametrize("module", ["celeryconfig", "worker.app"])
def test_an_import_makes_no_folder_and_needs_no_more_than_a_broker(module: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    program = (
        f"import os, {module}; print(os.listdir(os.environ['TMPDIR']), os.environ.get('PROMETHEUS_MULTIPROC_DIR'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[] None"), done.stderr


def test_the_celery_command_names_what_is_wrong_with_the_environment() -> None:
    worker_command = read_procfile(ROOT / "Procfile")["worker"]
    for environment, missing in (({}, "REDIS_URL"), ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "WORKER_DATABASE_URL")):
        done = subprocess.run(
            [str(Path(sys.executable).parent / worker_command[0]), *worker_command[1:]],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert f"The environment cannot be used:\n{missing}" in done.stderr
        assert "Traceback" not in done.stderr
