"""What Flower's events cost a worker: CPU time a successful task, with all of Celery's events and with ours.

``python -m benchmarks.flower_events`` starts a Valkey of its own and a worker for each case, and prints a table. The
task is the least that a task can be, so the ratio is the worst that can be.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import psutil
from celery import Celery

from checkout_service.local.guard import Guard
from checkout_service.local.servers import start_valkey

TASKS = 5000
WARM_UP = 200
ROUNDS = 3

app = Celery("benchmark", broker=os.environ.get("REDIS_URL"), set_as_current=False)
app.conf.update(
    task_ignore_result=True, worker_hijack_root_logger=False, broker_transport_options={"priority_steps": [0]}
)
if os.environ.get("EVENTS") == "ours":
    app.Task.send_events = False
    app.Task.Request = "worker.flower_events:QuietRequest"


@app.task(name="nothing")
def nothing(delivery_id: str) -> None:
    """The least that a task can be."""


def main() -> None:
    """Print a row a case: without -E, with ours, with all."""
    cases = {"no events": ("none", []), "failures only (ours)": ("ours", ["-E"]), "all events": ("all", ["-E"])}
    with tempfile.TemporaryDirectory() as folder, closing(Guard()) as guard:
        url = start_valkey(Path(folder) / "valkey", guard=guard, durable=False).url
        app.conf.broker_url = url
        for name, (events, flags) in cases.items():
            costs = sorted(_cost(url, events, flags) for _ in range(ROUNDS))
            print(f"{name:22} {costs[ROUNDS // 2]:6.0f} µs a task  ({costs[0]:.0f} to {costs[-1]:.0f})", flush=True)


def _cost(url: str, events: str, flags: list[str]) -> float:
    """CPU microseconds of the worker a task."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "benchmarks.flower_events:app",
        "worker",
        "--pool",
        "solo",
        "-l",
        "ERROR",
    ]
    worker = subprocess.Popen(
        [*command, "--without-mingle", "--without-gossip", *flags],
        env={**os.environ, "REDIS_URL": url, "EVENTS": events},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(worker.pid)
    try:
        _run(WARM_UP)
        before = sum(process.cpu_times()[:2])
        _run(TASKS)
        return (sum(process.cpu_times()[:2]) - before) / TASKS * 1e6
    finally:
        worker.terminate()
        worker.wait()


def _run(count: int) -> None:
    for _ in range(count):
        app.send_task("nothing", args=["01a206bc-ba0d-7f4e-b67b-bfadca95bef6"])
    with app.connection() as connection:
        while connection.default_channel.client.llen("celery"):
            time.sleep(0.02)
    time.sleep(0.2)


if __name__ == "__main__":
    main()
