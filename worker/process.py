"""The process of a worker: its tasks run inside one Flask application context, with a metrics port beside them."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib import import_module
from typing import Any, ClassVar, Final

import click
from celery import Task, platforms
from celery.apps.worker import Worker
from celery.signals import celeryd_after_setup, worker_process_init, worker_process_shutdown
from celery.worker import WorkController
from click.core import ParameterSource
from flask import Flask
from kombu.utils.url import maybe_sanitize_url

from checkout_service.database.engine import forget_connections
from checkout_service.providers.registry import account_forms
from checkout_service.server.management import Answer, ManagementPort, Request, listen
from checkout_service.settings.secret import Secret
from checkout_service.settings.tracing import TracingSettings
from checkout_service.settings.values import SettingsError, WorkerSettings
from checkout_service.tasks import QUEUES_OF_PROCESS, TaskName
from checkout_service.telemetry import logs, metrics, tracing, tracing_start
from checkout_service.telemetry.metrics_folder import WORKER_FOLDER, take_own_folder
from checkout_service.telemetry.process_memory import ProcessMemory
from checkout_service.telemetry.scrape_page import BeingMadeError, ScrapePage, is_bearer
from checkout_service.threads import BackgroundThread
from worker.context import make_context
from worker.periodic.clocks import clocks
from worker.periodic.turns import is_its_turn

HOUSEKEEPING: Final = frozenset(QUEUES_OF_PROCESS["housekeeping"])
"""The queues of that process. It may be two of them, or one for each queue, by names of their own."""


_LOADED_LATER: Final = (
    *("billiard.heap", "billiard.popen_fork", "billiard.sharedctypes", "billiard.synchronize"),
    *("celery.app.control", "celery.app.events", "celery.events.dispatcher", "celery.events.receiver"),
    *("celery.events.state", "celery.worker.strategy", "encodings.idna"),
)
"""What a worker's processes load with the pool, the first connection and the first message."""

_PR_SET_PDEATHSIG: Final = 1
"""Of linux/prctl.h."""

_libc: Final = ctypes.CDLL(None)


@cache
def context() -> Flask:
    """What tasks run in, made with the first call. Raises SettingsError with all that is wrong with the environment."""
    return make_context(WorkerSettings.from_environment(account_forms()))


class ContextTask(Task[Any, Any]):
    """A task that runs inside the application context, its lines marked with the request that caused it."""

    abstract = True
    # No events by Celery itself: our own request sends those that somebody reads.
    send_events = False
    Request = "worker.flower_events:QuietRequest"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        logs.begin(self.request.get("request_id"))
        with context().app_context():
            if self.request.get("scheduled"):
                clocks.look(node=str(self.request.hostname), sent_at=self.request.get("sent_at"))
                # One that comes again was begun by a worker that did not end it.
                came_again = (self.request.delivery_info or {}).get("redelivered")
                if not came_again and not is_its_turn(TaskName(self.name)):
                    return "it began a moment ago"
            if not tracing.is_on():
                return self.run(*args, **kwargs)
            return self._traced(*args, **kwargs)

    def _traced(self, *args: Any, **kwargs: Any) -> Any:
        """Run it within a span: a trace of its own, since no message is one row's. What the clock sends has none."""
        if self.request.get("scheduled"):
            with tracing.unsampled():
                return self.run(*args, **kwargs)
        name = TaskName(self.name)
        attributes = {
            tracing.Attribute.TASK: name.value,
            tracing.Attribute.OPERATION: "process",
            tracing.Attribute.QUEUE: name.declaration.queue.value,
        }
        with tracing.span(f"process {name.value}", tracing.Kind.CONSUMER, attributes):
            return self.run(*args, **kwargs)


def make_ready() -> None:
    """Make the context and load what spans take, before a fork. Ends the process where the settings are wrong."""
    try:
        context()
        tracing_start.load(TracingSettings.from_environment())
    except SettingsError as error:
        sys.exit(f"The environment cannot be used:\n{error}")


def freeze() -> None:
    """Load what is needed after a fork, and freeze what is loaded by then."""
    for name in _LOADED_LATER:
        import_module(name)
    gc.collect()
    gc.freeze()


def _be_killed_with_main(_signal: str) -> None:
    """Have the kernel kill this child once its main process is gone: nobody would give it work, or end it."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


# In place of billiard's, which has each child read a line of C by a parser: 1 MiB once, and 1.3 MiB of each child.
platforms.set_pdeathsig = _be_killed_with_main  # type: ignore[attr-defined]  # it has it, without a type


class WorkerProcess(Worker):
    """A worker's main process: it makes the context before it forks, and ends at once where the settings are wrong."""

    begins_anew_on_hangup: ClassVar = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if _is_housekeeping(options.get("queues")) and not _is_chosen(options.get("concurrency")):
            options["concurrency"] = self.app.conf["housekeeping_concurrency"]
        make_ready()
        super().__init__(*arguments, **options)

    def on_start(self) -> None:
        """Freeze what is loaded by now, every task among it, before the first child is forked.

        Children share the memory that it takes. The collector would write to each of its pages, and so have each child
        make its own copy of them.
        """
        super().on_start()
        freeze()

    def install_platform_tweaks(self, worker: WorkController) -> None:
        """Take signals as Celery does. One of several leaves SIGHUP to their parent: it would begin anew as one."""
        super().install_platform_tweaks(worker)
        if not self.begins_anew_on_hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def stats(self) -> dict[str, Any]:
        """What Flower shows of this worker. Celery takes the broker's password out, but not of a socket's address."""
        found: dict[str, Any] = super().stats()
        if isinstance(broker := found.get("broker"), dict):
            broker["hostname"] = maybe_sanitize_url(str(broker.get("hostname") or ""))
        return found


def _is_housekeeping(queues: str | Sequence[str] | None) -> bool:
    """Whether a worker of these queues has only what waits for providers; none named is all queues."""
    named = queues.split(",") if isinstance(queues, str) else queues or ()
    return bool(named) and HOUSEKEEPING.issuperset(named)


def _is_chosen(concurrency: object) -> bool:
    """Whether somebody said how many children there are: the command fills in what the settings say of all workers."""
    command = click.get_current_context(silent=True)
    source = command.get_parameter_source("concurrency") if command else None
    return source is not ParameterSource.DEFAULT if source else bool(concurrency)


def be_one_of_several(parent: int) -> None:
    """Count apart from the other processes of this parent, leave SIGHUP to it, and end soon after it."""
    WorkerProcess.begins_anew_on_hangup = False
    if folder := take_own_folder(WORKER_FOLDER):
        metrics.count_in(folder)
    BackgroundThread("end-with-parent", partial(_end_with, parent)).start()


def _end_with(parent: int) -> Iterator[float | None]:
    """Ask this process to end once its parent has: nobody would stop it, or start it again."""
    while os.getppid() == parent:
        yield 0.25
    os.kill(os.getpid(), signal.SIGTERM)


@worker_process_init.connect
def _start_afresh(**_: Any) -> None:
    with context().app_context():
        forget_connections()
    # What was loaded stays for good, this child's own part too; to look through it for garbage again and again cost a
    # fifth of the time of a set.
    gc.freeze()
    tracing_start.start(TracingSettings.from_environment(), "checkout-worker")


@worker_process_shutdown.connect
def _export_the_rest(**_: Any) -> None:
    tracing.stop()


class WorkerPages:
    """What a worker serves on its metrics port: /livez, and /metrics of all of its processes for who has the token."""

    def __init__(self, token: Secret | None, *, process: str) -> None:
        """``process`` is the worker's name: worker, housekeeping or sender.

        Without a token everybody may read the metrics: the port is one that somebody opened for them.
        """
        self._token = token
        memory = ProcessMemory(process, root=os.getpid)
        self._page = ScrapePage(lambda: metrics.expose(memory), folder=metrics.FOLDER, name=process)

    def answer(self, request: Request | None) -> Answer | None:
        """All but the metrics, which take time."""
        if request is None:
            return 400, {}, b""
        if request.path not in {"/livez", "/metrics"}:
            return 404, {}, b""
        if request.method not in {"GET", "HEAD"}:
            return 405, {"Allow": "GET, HEAD"}, b""
        if request.path == "/livez":
            return 200, {"Content-Type": "application/json"}, b'{"status":"alive"}'
        if self._token and not is_bearer(request.headers.get("authorization"), self._token.reveal()):
            return 401, {"WWW-Authenticate": 'Bearer realm="metrics"'}, b""
        return None

    def answer_in_time(self, request: Request) -> Answer:
        """The metrics."""
        try:
            return 200, {"Content-Type": metrics.CONTENT_TYPE, "Cache-Control": "no-store"}, self._page.text()
        except BeingMadeError:
            return 503, {"Retry-After": "1"}, b""


@celeryd_after_setup.connect
def _serve_metrics(sender: str, instance: Worker, **_: Any) -> None:
    """Answer for all processes of this worker on its own port; 0 is off."""
    process = sender.partition("@")[0]
    name = f"{process.upper()}_METRICS_PORT"
    ports: dict[str, str] = instance.app.conf["metrics_ports"]
    port = int(ports.get(name, ports["WORKER_METRICS_PORT"]))
    host = str(instance.app.conf["metrics_host"])
    if port:
        settings: WorkerSettings = context().extensions["settings"]
        ManagementPort(listen(host, port), WorkerPages(settings.metrics_token, process=process)).start()
