"""One worker's metrics page answers for all of its processes, though nobody named a folder for them to count in."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil
import pytest
from flask.testing import FlaskClient

from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, post_webhook, webhook


@pytest.fixture
def environment(servers: Servers, tmp_path: Path) -> Mapping[str, str]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return stack.environment(servers, TMPDIR=str(folder))


def test_a_workers_page_adds_up_what_its_children_count(
    client: FlaskClient, sql: Sql, environment: Mapping[str, str], tmp_path: Path
) -> None:
    with stack.run(tmp_path, environment, "worker") as processes:
        master = processes.named("worker").running
        assert master is not None
        (folder,) = Path(environment["TMPDIR"]).glob("checkout-metrics-*")
        for number in (1, 2, 3):
            post_webhook(client, webhook(insert_payment(sql)))
            eventually(lambda expected=number: _applied(environment) == expected, within=60)
            # Whoever did the work is gone, so the next webhook is another child's.
            children = {child.pid: child for child in psutil.Process(master.pid).children()}
            for pid in children.keys() & _counters(folder):
                children[pid].kill()
        assert len(_counters(folder) - {master.pid}) == 3

    # It is gone with the last of its worker's processes.
    eventually(lambda: list(Path(environment["TMPDIR"]).glob("checkout-metrics-*")) == [])


def test_beat_and_flower_make_no_folder(environment: Mapping[str, str], tmp_path: Path) -> None:
    with stack.run(tmp_path, environment, "beat", "flower") as processes:
        for name in ("beat", "flower"):
            assert processes.named(name).running
        assert list(Path(environment["TMPDIR"]).glob("checkout-*")) == []


def test_a_worker_that_loaded_its_metrics_too_early_ends_at_once(environment: Mapping[str, str]) -> None:
    """It would serve a page on which nothing ever counts."""
    program = "import checkout_service.telemetry.metrics; from worker.app import app; app.Worker"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError: the metrics were loaded before their folder was named" in done.stderr


def _counters(folder: Path) -> set[int]:
    """The processes that have counted, by the names of their files."""
    return {int(file.stem.rpartition("_")[2]) for file in folder.glob("counter_*.db")}


def _applied(environment: Mapping[str, str]) -> float:
    page = httpx.get(f"http://127.0.0.1:{environment['WORKER_METRICS_PORT']}/metrics", timeout=30).text
    return sum(float(count) for count in re.findall(r'webhook_deliveries_total\{.*state="applied"\} (\S+)', page))
