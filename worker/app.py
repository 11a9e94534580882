"""The Celery app that workers, beat and Flower load; what only a worker needs is in worker/process.py.

Beat and Flower send tasks and run none: they need a broker, and hold no way to the database and no provider's secret.
They know tasks by their names (worker/task_names.py). The functions are loaded once a worker is made.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from celery import Celery
from celery.loaders.app import AppLoader
from celery.signals import setup_logging

from checkout_service.settings.process_counts import WorkerCounts
from checkout_service.settings.values import BrokerSettings, SettingsError
from checkout_service.telemetry import logs
from checkout_service.telemetry.metrics_folder import WORKER_FOLDER, MetricsFolderError, name_metrics_folder
from worker.closed_channels import survive_closed_channels
from worker.periodic.beat_log import log_failures_once_a_while
from worker.periodic.dating import date_messages
from worker.refusing_brokers import leave_refusing_brokers
from worker.task_names import register_names

try:
    _settings = BrokerSettings.from_environment()
    # Celery's settings read them later, where an error would be a traceback.
    WorkerCounts.from_environment()
except SettingsError as error:
    sys.exit(f"The environment cannot be used:\n{error}")


# Flower looks for its settings in the folder where it was started, and without them it would be open to everybody.
os.environ.setdefault("FLOWER_CONF", str(files("checkout_service.flower_pages") / "flower_settings.py"))

WORKER: Final = "Worker"
"""The app has it among its own attributes once it was asked for the class of workers."""


class InstalledLoader(AppLoader):
    """Loads what is installed. Celery's own looks first into the folder where it was started, for all that a task's
    module is the first to import: whoever may write there would have a ``flask.py`` of his run.
    """

    app: Celery

    def import_default_modules(self) -> list[Any]:
        """Load the tasks: their functions in a worker, and nothing but their names in beat and Flower."""
        if WORKER in vars(self.app):
            found: list[Any] = super().import_default_modules()
            return found
        register_names(self.app)
        return []

    def import_from_cwd(self, module: str, imp: Any = None, package: str | None = None) -> Any:
        return (imp or self.import_module)(module, package=package)


class CheckoutCelery(Celery):
    """Celery with our worker, which the command ``celery worker`` makes."""

    @cached_property
    def Worker(self) -> type[Any]:  # noqa: N802 (Celery's name)
        """The class of workers. By its name: its module loads the metrics, which count where the folder is by then.

        From then on this is a worker's process: its tasks have their functions, and run in the worker's context.
        """
        try:
            name_metrics_folder(WORKER_FOLDER)
        except MetricsFolderError as error:
            sys.exit(f"The environment cannot be used:\n{error}")
        self.task_cls = "worker.process:ContextTask"
        bound: type[Any] = self.subclass_with_self("worker.process:WorkerProcess")  # type: ignore[arg-type]  # or a name
        return bound


survive_closed_channels()
leave_refusing_brokers()
date_messages()
app = CheckoutCelery("checkout", loader=InstalledLoader)
app.config_from_object("worker.celery_settings")


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Have lines written as ours are."""
    logs.configure(production=_settings.production)
    log_failures_once_a_while()
    # Lines about every task and every message of beat would bury our own, which say what happened to the webhooks.
    for name in ("celery.worker.strategy", "celery.worker.request", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)
