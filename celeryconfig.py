"""Celery's settings for every worker, beat and Flower. The reasons are in docs/design.md and docs/decisions."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from checkout_service.publishing.publisher import queues
from checkout_service.tasks import QUEUE_OF, TaskName

# Before prometheus_client is imported: the children of this process count into files that it can add up.
if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="checkout-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _folder
    _owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(_folder, ignore_errors=True) if os.getpid() == _owner else None)

broker_url = os.environ.get("CELERY_BROKER_URL") or os.environ.get("REDIS_URL") or ""
_redis = not broker_url.startswith("amqp")

include = [
    "worker.webhooks.task",
    "worker.webhooks.sweeping",
    "worker.payments.look_ups",
    "worker.payments.backfill",
    "worker.payments.cancelling",
    "worker.payments.sweeping",
    "worker.refunds.task",
    "worker.commands",
]
task_queues = queues(broker_url)
task_routes = {task.value: {"queue": queue} for task, queue in QUEUE_OF.items()}
task_serializer = "json"
accept_content = ["json"]
timezone = "UTC"
task_ignore_result = True

# A message is acknowledged when its task is done, or when it failed: the row knows what is pending.
task_acks_late = True
task_reject_on_worker_lost = True
task_time_limit = 20
task_annotations = {
    # Each of these works for up to 40 s in bounded steps, and may then be inside one slow call; or inside two or three.
    name: {"time_limit": 75}
    for name in (
        TaskName.PRUNE_WEBHOOKS,
        TaskName.LOOK_UP_PAYMENTS,
        TaskName.EXPIRE_PAYMENTS,
        TaskName.REFUND_PAYMENT,
        TaskName.CANCEL_PAYMENT,
        TaskName.RUN_COMMANDS,
        TaskName.BACKFILL_PAYMENTS,
    )
}

# One more than there are cores: a child that commits waits for the disk, a tenth of its time, and another works on.
worker_concurrency = int(os.environ.get("WORKER_CONCURRENCY") or (os.cpu_count() or 1) + 1)
worker_prefetch_multiplier = 1
worker_max_tasks_per_child = 10_000
worker_disable_rate_limits = True
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_soft_shutdown_timeout = 10
worker_enable_soft_shutdown_on_idle = True
# The work goes on without the broker: the message was only a wake-up, and what was cancelled would wait for its lease.
worker_cancel_long_running_tasks_on_connection_loss = False
metrics_host = os.environ.get("WORKER_METRICS_HOST") or "0.0.0.0"  # noqa: S104 (whoever scrapes is elsewhere)
metrics_ports = {name: os.environ.get(name) or "0" for name in ("WORKER_METRICS_PORT", "HOUSEKEEPING_METRICS_PORT")}

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
if _redis:
    broker_transport_options = {
        # Longer than the longest time limit, so that no task runs twice while its first run is alive.
        "visibility_timeout": 180,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 15,
        "unacked_restore_limit": 100,
        "health_check_interval": 10,
        "socket_timeout": 10,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "priority_steps": [0],
    }
else:
    broker_transport_options = {"confirm_publish": True}
    # Static prefetch, which is the one that quorum queues know.
    worker_detect_quorum_queues = True
    # A broker that froze, or a connection that a firewall forgot, is noticed within some 20 s.
    broker_heartbeat = 10

# Flower is not told of these unless they fail; see worker/flower_events.py.
_quiet = {"quiet": True}

# Beat's own messages expire; those of webhooks never do. A sweep may have to wait while all workers are on a backlog.
beat_schedule = {
    "sweep": {"task": TaskName.SWEEP_WEBHOOKS.value, "schedule": 2.0, "options": {"headers": _quiet, "expires": 10}},
    # Five seconds: as long as a fresh request waits before it is due.
    "sweep_payments": {
        "task": TaskName.SWEEP_PAYMENTS.value,
        "schedule": 5.0,
        "options": {"headers": _quiet, "expires": 10},
    },
    "look_up": {
        "task": TaskName.LOOK_UP_PAYMENTS.value,
        "schedule": 30.0,
        "options": {"headers": _quiet, "expires": 30},
    },
    "expire": {"task": TaskName.EXPIRE_PAYMENTS.value, "schedule": 60.0, "options": {"headers": _quiet, "expires": 60}},
    "backfill": {
        "task": TaskName.BACKFILL_PAYMENTS.value,
        "schedule": 3600.0,
        "options": {"headers": _quiet, "expires": 3600},
    },
    # The console rings itself; this finds what was ordered while the broker was away.
    "orders": {
        "task": TaskName.RUN_COMMANDS.value,
        "schedule": 10.0,
        "options": {"headers": _quiet, "expires": 10},
    },
    "prune": {"task": TaskName.PRUNE_WEBHOOKS.value, "schedule": 60.0, "options": {"headers": _quiet, "expires": 60}},
}
beat_max_loop_interval = 1
