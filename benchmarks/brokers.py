"""What a broker costs: ``python -m benchmarks.brokers redis://… amqp://…`` publishes to each as the web tier does.

Prints the time and CPU of a publish, and the CPU that a worker spends on the least that a task can be.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import psutil
from celery import Celery
from kombu import Connection

from checkout_service.publishing.publisher import TaskQueue, queues
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

TASKS = 2000
QUEUE = "payments"

app = Celery("benchmark", broker=os.environ.get("BENCHMARK_BROKER"), set_as_current=False)
app.conf.update(
    task_queues=queues(os.environ.get("BENCHMARK_BROKER", "")),
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_detect_quorum_queues=True,
)
if os.environ.get("BENCHMARK_BROKER", "").startswith("redis"):
    app.conf.broker_transport_options = {"priority_steps": [0]}


@app.task(name=TaskName.LOOK_UP_PAYMENTS.value)
def nothing() -> None:
    """The least that a task can be."""


def main(urls: list[str]) -> None:
    """Print a line a broker."""
    for url in urls:
        queue = TaskQueue(Secret(url))
        queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
        times = []
        before = time.process_time()
        for _ in range(TASKS):
            started = time.perf_counter()
            queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
            times.append((time.perf_counter() - started) * 1e6)
        cpu = (time.process_time() - before) / TASKS * 1e6
        times.sort()
        p50, p99 = statistics.median(times), times[TASKS * 99 // 100]
        name = url.partition(":")[0]
        print(f"{name:6} publish p50 {p50:.0f} µs, p99 {p99:.0f} µs, CPU {cpu:.0f} µs", end="; ", flush=True)
        print(f"worker CPU {_drain(url):.0f} µs a task", flush=True)


def _drain(url: str) -> float:
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.brokers:app", "worker", "-Q", QUEUE, "--pool", "solo"]
    worker = subprocess.Popen(
        [*command, "--without-mingle", "--without-gossip", "-l", "ERROR"],
        env={**os.environ, "BENCHMARK_BROKER": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process = psutil.Process(worker.pid)
    try:
        with Connection(url) as connection:
            while (left := _length(connection)) > TASKS * 9 // 10:
                time.sleep(0.02)
            before = sum(process.cpu_times()[:2])
            while _length(connection):
                time.sleep(0.02)
            return (sum(process.cpu_times()[:2]) - before) / left * 1e6
    finally:
        worker.terminate()
        worker.wait()


def _length(connection: Connection) -> int:
    channel = connection.default_channel
    if connection.transport.driver_type == "redis":
        return int(channel.client.llen(QUEUE))
    return int(channel.queue_declare(QUEUE, passive=True).message_count)


if __name__ == "__main__":
    main(sys.argv[1:])
