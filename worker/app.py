"""The Celery app: its tasks run inside one Flask application context, with a metrics port beside them."""

from __future__ import annotations

import gc
import logging
import os
from typing import Any

from celery import Celery, Task
from celery.signals import celeryd_after_setup, setup_logging, worker_process_init
from prometheus_client import start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry

from checkout_service.database.engine import forget_connections
from checkout_service.settings.values import WorkerSettings
from checkout_service.telemetry import logs
from worker.closed_channels import survive_closed_channels
from worker.context import make_context

_settings = WorkerSettings.from_environment()
_context = make_context(_settings)


class ContextTask(Task[Any, Any]):
    """A task that runs inside the application context, its lines marked with the request that caused it."""

    abstract = True
    # No events by Celery itself: the request tells what is worth telling.
    send_events = False
    Request = "worker.flower_events:QuietRequest"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        logs.begin(self.request.get("request_id"))
        with _context.app_context():
            return self.run(*args, **kwargs)


survive_closed_channels()
app = Celery("checkout", task_cls=ContextTask)
app.config_from_object("celeryconfig")


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    logs.configure(production=_settings.production)
    # Two lines a task and a beat would bury our own, which say what became of the webhooks.
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_process_init.connect
def _start_afresh(**_: Any) -> None:
    with _context.app_context():
        forget_connections()
    # What was loaded stays for good; to look through it for garbage again and again cost a fifth of the time of a set.
    gc.freeze()


@celeryd_after_setup.connect
def _serve_metrics(sender: str, **_: Any) -> None:
    """Answer for all processes of this worker on its own port; 0 is off."""
    name = "HOUSEKEEPING_METRICS_PORT" if sender.startswith("housekeeping") else "WORKER_METRICS_PORT"
    port = int(app.conf["metrics_ports"][name])
    host = str(app.conf["metrics_host"])
    if port and "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
        start_http_server(port, addr=host, registry=registry)
