"""What the processes load, and what there is when a worker and the web's master fork."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from celery.bin.celery import celery

from checkout_service.local.servers import free_port
from checkout_service.tasks import TaskName
from tests.conftest import ROOT
from worker.command_line import PREFIX, SET_ELSEWHERE, is_alone

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "DATABASE_URL": "postgresql://checkout_web@127.0.0.1:1/nowhere",
    "WORKER_DATABASE_URL": "postgresql://checkout_worker@127.0.0.1:1/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "MOCK_WEBHOOK_SECRETS": "a secret",
    "JWT_SECRET": "a secret of some thirty-two characters",
    "FLOWER_BASIC_AUTH": "operator:a password of some length",
}
"""Nothing answers at these addresses: who connected would fail."""

LOADED = """
import atexit, json, sys
sys.orig_argv[1:] = ["-m", "worker.command_line"]
from worker.command_line import main
from worker.app import app
def show():
    tops = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
    tasks = sorted(name for name in app.tasks if not name.startswith("celery."))
    sys.stdout.write(chr(10) + json.dumps({"tops": sorted(tops), "tasks": tasks}))
atexit.register(show)
PREPARE
main(["-A", "worker.app", "NAME", "--help"])
"""

BEAT = "import celery.apps.beat, kombu.transport.redis; app.Beat().init_loader()"
FLOWER = "app.loader.import_default_modules(); import checkout_service.flower_pages.flower_settings"
WORKER = "app.Worker; app.loader.import_default_modules()"

AT_FORK = """
import gc, json, os, sys, threading
def state():
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass  # of the listing itself
    return {
        "frozen": gc.get_freeze_count(),
        "sockets": [link for link in links if link.startswith("socket:")],
        "threads": [thread.name for thread in threading.enumerate()],
        "modules": sorted(name for name, module in sys.modules.items() if module is not None),
    }
"""

WORKER_AT_FORK = (
    AT_FORK
    + """
from worker.app import app
worker = app.Worker(hostname="worker@here", queues="webhooks", concurrency=1)
from celery.concurrency.prefork import TaskPool
def fork(pool):
    found = state() | {"tasks": {name: type(task).mro()[1].__module__ for name, task in app.tasks.items()}}
    print(json.dumps(found), flush=True)
    os._exit(0)
TaskPool.on_start = fork
worker.start()
"""
)

IN_A_CHILD = (
    AT_FORK
    + """
import ctypes
from worker.app import app
worker = app.Worker(hostname="worker@here", queues="webhooks", concurrency=1)
from celery.concurrency.prefork import TaskPool, process_initializer
def fork(pool):
    loaded = set(sys.modules)
    if not os.fork():
        process_initializer(app, "worker@here")
        number = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(number))
        found = {"killed_by": number.value, "new": sorted(set(sys.modules) - loaded)}
        print(json.dumps(found), flush=True)
        os._exit(0)
    os.wait()
    os._exit(0)
TaskPool.on_start = fork
worker.start()
"""
)

WEB_AT_FORK = (
    AT_FORK
    + """
from checkout_service.server.granian_server import load_before_fork
load_before_fork("wsgi:app")
print(json.dumps(state()))
"""
)


SERVING = (
    AT_FORK
    + """
from checkout_service.command_line import serving
serving.Generation.from_environment = classmethod(lambda cls, environment: object())
load = serving.import_module
def loaded(name):
    module = load(name)
    if name == "checkout_service.server.granian_server":
        module.main = lambda target, generation, check: print(module.load_before_fork(target) or json.dumps(state()))
    return module
serving.import_module = loaded
serving.serve("wsgi:app")
"""
)


ABOVE_THE_WEB = (
    AT_FORK
    + """
from checkout_service.server.supervisor import Supervisor
Supervisor.run = lambda supervisor: print(json.dumps(state())) or 0
"""
)
BY_FILE = "from checkout_service.command_line import serving; serving.serve('wsgi:app')"
BY_COMMAND = "sys.argv[1:] = ['web']; from checkout_service.command_line import entry; entry.main()"


def run(program: str, *arguments: str, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT | more,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(("name", "prepare"), [("beat", BEAT), ("flower", FLOWER)])
def test_beat_and_flower_know_every_task_and_load_no_database_and_no_worker(name: str, prepare: str) -> None:
    found = run(LOADED.replace("PREPARE", prepare).replace("NAME", name))

    assert found["tasks"] == sorted(TaskName)
    unused = {"sqlalchemy", "psycopg", "flask", "jinja2", "aiohttp", "opentelemetry", "rich", "prompt_toolkit"}
    assert unused & set(found["tops"]) == set()
    assert ("tornado" in found["tops"]) == (name == "flower")


def test_a_worker_loads_no_flower_and_no_shell() -> None:
    found = run(LOADED.replace("PREPARE", WORKER).replace("NAME", "worker"))

    assert found["tasks"] == sorted(TaskName)
    assert {"sqlalchemy", "psycopg"} <= set(found["tops"]), "the tasks' functions are there"
    unused = {"flower", "tornado", "prompt_toolkit", "click_repl", "pygments", "rich", "opentelemetry", "flask_smorest"}
    assert unused & set(found["tops"]) == set()


def test_the_web_loads_no_tools_that_happen_to_be_installed() -> None:
    modules = {name.partition(".")[0] for name in run(SERVING)["modules"]}

    assert {"httpx", "flask_smorest", "redis"} <= modules
    assert {"pygments", "rich", "yaml", "psutil", "opentelemetry"} & modules == set()


@pytest.mark.parametrize("way", [BY_FILE, BY_COMMAND])
def test_the_process_above_the_webs_master_loads_next_to_nothing(way: str) -> None:
    modules = {name.partition(".")[0] for name in run(ABOVE_THE_WEB + way, PORT=str(free_port()))["modules"]}

    assert "checkout_service" in modules
    assert {"structlog", "asyncio", "environs", "marshmallow", "email", "flask", "sqlalchemy"} & modules == set()


def test_a_workers_children_share_what_is_loaded_and_nothing_that_is_open() -> None:
    found = run(WORKER_AT_FORK)

    assert found["frozen"] > 0
    assert (found["sockets"], found["threads"]) == ([], ["MainThread"])
    assert {name for name in found["tasks"] if not name.startswith("celery.")} == set(TaskName)
    assert set(found["tasks"].values()) == {"worker.process"}, "each runs in the worker's context"
    assert {task.declaration.module for task in TaskName} <= set(found["modules"])
    assert "cffi.cparser" not in found["modules"], "each child would read a line by it"


def test_a_workers_child_loads_nothing_for_itself_and_is_killed_once_its_main_process_is_gone() -> None:
    assert run(IN_A_CHILD) == {"killed_by": signal.SIGKILL if sys.platform == "linux" else 0, "new": []}


def test_the_webs_children_share_what_is_loaded_and_nothing_that_is_open() -> None:
    found = run(WEB_AT_FORK)

    assert found["frozen"] > 0
    assert (found["sockets"], found["threads"]) == ([], ["MainThread"])
    # What a first message needs, which each child would load.
    assert {"checkout_service.wsgi", "celery.app.amqp", "kombu.transport.redis"} <= set(found["modules"])


SENT = """
import json, pkgutil, sys
from importlib import import_module
import worker
from celery import Celery
from celery.beat import Scheduler
from checkout_service.tasks import TaskName
from worker.periodic.dating import date_messages
from worker.task_names import register_names
app = Celery(set_as_current=False)
app.config_from_object("celeryconfig")
memory = dict.fromkeys(("broker_url", "broker_read_url", "broker_write_url"), "memory://")
app.conf.update(memory, broker_transport_options={})
if sys.argv[1] == "functions":
    app.loader.import_default_modules()
    app.finalize()
else:
    register_names(app)
date_messages()
found = {}
def message_of(task, send):
    try:
        sent = send()
    except TypeError:
        return None
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(task.declaration.queue.value, no_ack=True)
    assert message and message.headers["id"] == sent.id == message.headers.pop("root_id")
    properties = {name: value for name, value in message.properties.items() if name not in DIFFER}
    headers = {name: value for name, value in message.headers.items() if name not in DIFFER}
    return {"headers": headers, "properties": properties, "body": message.payload}
DIFFER = {"id", "origin", "sent_at", "correlation_id", "reply_to", "delivery_tag"}
scheduler = Scheduler(app)
for task in TaskName:
    own, argument = app.tasks[task.value], task.declaration.argument
    ways = {
        "none": {},
        "by place": {"args": ["an id"]},
        "two": {"args": ["an id", "another"]},
        "by name": {"kwargs": {argument or "id": "an id"}},
        "by another name": {"kwargs": {"_id": "an id"}},
        "both": {"args": ["an id"], "kwargs": {argument or "id": "an id"}},
    }
    found[task.value] = {way: message_of(task, lambda: own.apply_async(**given)) for way, given in ways.items()}
    for entry in scheduler.schedule.values():
        if entry.task == task.value:
            found[task.value]["by beat"] = message_of(task, lambda: scheduler.apply_async(entry, advance=False))
    try:
        own.run("an id") if sys.argv[1] == "names" else None
    except NotImplementedError:
        found[task.value]["runs here"] = False
print(json.dumps(found))
"""


def test_a_task_that_has_only_its_name_is_sent_as_its_function_would_be_and_takes_what_that_takes() -> None:
    by_function, by_name = run(SENT, "functions"), run(SENT, "names")

    assert set(by_function) == set(by_name) == set(TaskName)
    for task in TaskName:
        takes_id, is_sent_by_beat = bool(task.declaration.argument), bool(task.declaration.schedule)
        named = by_name[task.value]
        assert named.pop("runs here") is False, task
        assert {way for way, message in named.items() if message} == {
            *(("by place", "by name") if takes_id else ("none",)),
            *(("by beat",) if is_sent_by_beat else ()),
        }, task
        assert named == by_function[task.value], task
        limit = task.declaration.time_limit.total_seconds()
        assert {tuple(message["headers"]["timelimit"]) for message in named.values() if message} == {(limit, None)}


CHILDREN = """
import json, os, sys
os.cpu_count = lambda: int(os.environ["CORES"])
sys.orig_argv[1:] = ["-m", "worker.command_line"]
from worker.app import app
app.Worker
from worker.command_line import main
from worker.process import WorkerProcess
def start(worker):
    print(json.dumps({"children": worker.concurrency}), flush=True)
    os._exit(0)
WorkerProcess.start = start
main(["-A", "worker.app", "worker", *sys.argv[1:]])
"""
NAME = "-Q payments,housekeeping -n housekeeping@%h"


@pytest.mark.parametrize(
    ("cores", "arguments", "given", "children"),
    [
        (16, NAME, {}, 4),
        (2, NAME, {}, 3),
        (1, NAME, {}, 2),
        (16, "-Q payments,housekeeping -n housekeeping2@%h", {}, 4),
        (16, "-Q payments -n payments@%h", {}, 4),
        (16, "-Q webhooks -n housekeeping@%h", {}, 17),
        (16, "-Q payments,webhooks -n both@%h", {}, 17),
        (16, "-n all@%h", {}, 17),
        (16, f"{NAME} -c 17", {}, 17),
        (16, NAME, {"WORKER_CONCURRENCY": "7"}, 7),
        (16, NAME, {"CELERY_WORKER_CONCURRENCY": "5"}, 5),
        (16, "-Q webhooks -n worker@%h", {}, 17),
        (16, "-Q webhooks -n worker@%h", {"WORKER_CONCURRENCY": ""}, 17),
        (16, "-Q events -c 1 -n sender@%h", {}, 1),
    ],
)
def test_what_waits_for_providers_has_at_most_four_children_unless_somebody_says_how_many(
    cores: int, arguments: str, given: dict[str, str], children: int
) -> None:
    assert run(CHILDREN, *arguments.split(), CORES=str(cores), **given) == {"children": children}


@pytest.mark.parametrize(
    ("arguments", "environment", "alone"),
    [
        (["-A", "worker.app", "worker", "-Q", "webhooks"], {}, True),
        (["-A", "worker.app", "beat"], {}, True),
        (["-A", "worker.app", "flower"], {}, True),
        (["-A", "worker.app", "inspect", "ping"], {}, False),
        (["-A", "worker.app"], {}, False),
        (["-q", "-A", "worker.app", "worker"], {}, False),
        (["-A", "another.app", "worker"], {}, False),
        (["-A", "worker.app", "worker"], {"BROKER_URL": "redis://elsewhere"}, False),
        (["-A", "worker.app", "worker"], {"CELERY_BROKER": "redis://elsewhere"}, False),
        (["-A", "worker.app", "worker"], {"CELERY_BROKER_URL": "redis://elsewhere"}, True),
        (["-A", "worker.app", "worker"], {"CELERY_WORKDIR": "/"}, False),
    ],
)
def test_what_celery_reads_before_it_runs_a_command_is_left_to_celery(
    arguments: list[str], environment: dict[str, str], alone: bool
) -> None:
    assert is_alone(arguments, environment) is alone


def test_every_variable_that_sets_an_option_of_celery_is_known() -> None:
    options = [option for option in celery.params if option.name != "app"]
    own = {option.envvar for option in options if option.envvar}

    assert {*own, *(f"{PREFIX}_{option.name}".upper() for option in options)} == SET_ELSEWHERE


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_count_of_children_that_is_no_number_ends_in_one_line(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker.command_line", "-A", "worker.app", command],
        cwd=ROOT,
        env=ENVIRONMENT | {"WORKER_CONCURRENCY": "abc"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "The environment cannot be used:\nWORKER_CONCURRENCY: Not a valid integer.\n"
