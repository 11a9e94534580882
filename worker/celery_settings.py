"""Celery's settings for workers, beat and Flower. Those of a single task are read from its declaration.

The declarations are in checkout_service/tasks.py, with the reasons for each schedule and time limit. A checkout has
``celeryconfig.py`` at its top, which hands these on.
"""

from __future__ import annotations

import os

from checkout_service.publishing.broker import celery_broker
from checkout_service.publishing.queues import queues
from checkout_service.settings.process_counts import WorkerCounts
from checkout_service.tasks import SHORT, TaskName

_broker = os.environ.get("CELERY_BROKER_URL") or os.environ.get("REDIS_URL") or ""
_redis = not _broker.startswith("amqp")
globals().update(celery_broker(_broker))

_tasks = {task.value: task.declaration for task in TaskName}
include = sorted({task.module for task in _tasks.values()})
task_queues = queues(_broker)
task_routes = {name: {"queue": task.queue.value} for name, task in _tasks.items()}
task_annotations = {name: {"time_limit": int(task.time_limit.total_seconds())} for name, task in _tasks.items()}
# For what is no task of ours: Flower can run Celery's own.
task_time_limit = int(SHORT.total_seconds())
beat_schedule = {
    name: {
        "task": name,
        "schedule": task.schedule.every.total_seconds(),
        # "quiet": Flower is sent these only when they fail (worker/flower_events.py). "scheduled": of many that waited
        # one begins its task (worker/periodic/turns.py).
        "options": {"headers": {"quiet": True, "scheduled": True}},
    }
    for name, task in _tasks.items()
    if task.schedule
}
beat_max_loop_interval = 1

task_serializer = "json"
accept_content = ["json"]
timezone = "UTC"
task_ignore_result = True

# A message is acknowledged when its task is done, or when it failed: the row knows what is pending.
task_acks_late = True
task_reject_on_worker_lost = True

_counts = WorkerCounts.from_environment()
worker_concurrency = _counts.worker
housekeeping_concurrency = _counts.housekeeping
worker_prefetch_multiplier = 1
worker_max_tasks_per_child = 10_000
worker_disable_rate_limits = True
worker_consumer = "worker.consumer:PromptConsumer"
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_soft_shutdown_timeout = 10
worker_enable_soft_shutdown_on_idle = True
# The work goes on without the broker: the message was only a wake-up, and what was cancelled would wait for its lease.
worker_cancel_long_running_tasks_on_connection_loss = False
metrics_host = os.environ.get("WORKER_METRICS_HOST") or "0.0.0.0"  # noqa: S104 (whoever scrapes is elsewhere)
metrics_ports = {
    name: os.environ.get(name) or "0"
    for name in ("WORKER_METRICS_PORT", "HOUSEKEEPING_METRICS_PORT", "SENDER_METRICS_PORT")
}

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
    # A broker that froze, or a connection that a firewall forgot, is noticed within some 7 s.
    broker_heartbeat = 3
    # The next of several brokers is tried soon.
    broker_connection_timeout = 2
