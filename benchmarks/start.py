"""How long things take to begin, and what a worker costs that has nothing to do."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from benchmarks.report import Report, load_average
from benchmarks.stand import Stand
from benchmarks.usage import resident, spent
from checkout_service.local.data_folder import ROOT


def run(stand: Stand, *, quick: bool) -> Report:
    report = Report(title="Start, and standing idle")
    report.remark(load_average())
    environment = {**os.environ, **stand.environment}
    for figure, statement in {
        "import of the web app": "import wsgi",
        "import of the worker": "import worker.app, worker.webhooks.task, worker.payments.look_ups",
    }.items():
        times = [python(statement, environment) for _ in range(1 if quick else 5)]
        report.add(figure, f"{statistics.median(times) - python('pass', environment):.2f} s")
    for name, begin in {"web": stand.serve, "worker": stand.work}.items():
        began = time.perf_counter()
        begin()
        report.add(f"{name}: from its command to its first answer", f"{time.perf_counter() - began:.2f} s")
    stand.start("beat")
    idle(stand, report, seconds=2 if quick else 20)
    for name in ("web", "worker", "beat"):
        stand.stop(name)
    if not quick:
        began = time.perf_counter()
        demo = [sys.executable, "-m", "checkout_service.local", "demo"]
        subprocess.run(demo, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        report.add("make demo: servers, all processes, a purchase, and the end", f"{time.perf_counter() - began:.1f} s")
    return report


def python(statement: str, environment: dict[str, str]) -> float:
    """Seconds of processor time of a new interpreter that runs it."""
    before = os.times()
    subprocess.run([sys.executable, "-c", statement], check=True, cwd=ROOT, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def idle(stand: Stand, report: Report, *, seconds: float) -> None:
    time.sleep(3)
    pids = stand.pids()
    before = {name: spent(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    for name, pid in pids.items():
        share = (spent(pid) - before[name]) / seconds
        report.add(f"{name} idle: share of one core, resident memory", f"{share:.2%}, {resident(pid) / 2**20:.0f} MiB")
