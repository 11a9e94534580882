"""The Celery app that workers, beat and Flower load; what only a worker needs is in worker/process.py.

Beat and Flower send tasks and run none: they need a broker, and hold no way to the database and no provider's secret.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from functools import cached_property
from typing import Any, Final

from celery import Celery
from celery.apps.worker import Worker
from celery.signals import setup_logging

from checkout_service.settings.values import BrokerSettings, SettingsError
from checkout_service.telemetry import logs
from worker.closed_channels import survive_closed_channels

METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The setting that names the folder in which the processes of one worker count; the metrics' library reads it."""

try:
    _settings = BrokerSettings.from_environment()
except SettingsError as error:
    sys.exit(f"The environment cannot be used:\n{error}")


class CheckoutCelery(Celery):
    """Celery with our worker, which the command ``celery worker`` makes."""

    @cached_property
    def Worker(self) -> type[Worker]:  # noqa: N802 (Celery's name)
        """The class of workers. By its name: its module loads the metrics, which count where the folder is by then."""
        name_metrics_folder()
        bound: type[Worker] = self.subclass_with_self("worker.process:WorkerProcess")  # type: ignore[arg-type]  # or a name
        return bound


survive_closed_channels()
app = CheckoutCelery("checkout", task_cls="worker.process:ContextTask")
app.config_from_object("celeryconfig")


def name_metrics_folder() -> None:
    """Make the folder in which this worker's processes count, unless the environment names one; removed at the end.

    Raises RuntimeError if the metrics are loaded by now: each process would count for itself, and nobody would see.
    """
    if METRICS_FOLDER in os.environ:
        return
    if "checkout_service.telemetry.metrics" in sys.modules:
        raise RuntimeError("the metrics were loaded before their folder was named: see what worker/app.py imports")
    folder = tempfile.mkdtemp(prefix="checkout-metrics-")
    os.environ[METRICS_FOLDER] = folder
    owner = os.getpid()
    # Children that end must leave the folder to the others.
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    logs.configure(production=_settings.production)
    # Lines about every task and every message of beat would bury our own, which say what happened to the webhooks.
    for name in ("celery.worker.strategy", "celery.worker.request", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)
