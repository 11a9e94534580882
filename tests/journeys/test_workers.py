"""``checkout workers``: worker, housekeeping and sender from one parent, each the process that it would be alone."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
from celery import Celery
from click.testing import CliRunner
from flask.testing import FlaskClient

from checkout_service.command_line.commands import checkout
from checkout_service.local.guard import Guard
from checkout_service.local.processes import Process, Processes
from checkout_service.tasks import QUEUES_OF_PROCESS
from tests.conftest import ROOT, Servers, Sql
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.webhook_bodies import insert_payment, post_webhook, webhook

NAMES = ("worker", "housekeeping", "sender")
COMMAND = [sys.executable, "-m", "checkout_service.command_line", "workers"]


@pytest.fixture
def environment(servers: Servers, tmp_path: Path) -> Mapping[str, str]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return stack.environment(servers, TMPDIR=str(folder), ENVIRONMENT="test", PYTHONUNBUFFERED="1")


@contextmanager
def running(folder: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """The parent, once all three answer; ended with the block if it runs then."""
    guard = Guard()
    processes = Processes(folder=ROOT, environment=environment, logs=folder, guard=guard)
    try:
        processes.start({"workers": COMMAND})
        for name in NAMES:
            stack.await_page(processes, f"http://127.0.0.1:{environment[f'{name.upper()}_METRICS_PORT']}/metrics")
        yield processes.named("workers")
    finally:
        processes.stop()
        guard.close()


def mains(process: Process) -> dict[str, int]:
    """The process of each name that was started last, by the parent's log."""
    text = process.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if '"process_started"' in line]
    pairs = [(line["pid"], line["process"]) for line in lines]
    pairs += re.findall(r"process_started\s+pid=(\d+) process=(\w+)", text)
    return {name: int(pid) for pid, name in pairs}


def page(environment: Mapping[str, str], name: str) -> str:
    return httpx.get(f"http://127.0.0.1:{environment[f'{name.upper()}_METRICS_PORT']}/metrics", timeout=30).text


def answers(environment: Mapping[str, str], name: str) -> bool:
    try:
        return bool(page(environment, name))
    except httpx.TransportError:
        return False


def applied(text: str) -> float:
    return sum(float(count) for count in re.findall(r'webhook_deliveries_total\{.*state="applied"\} (\S+)', text))


def nodes(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The queues of each node, by the first half of its name, as whoever asks over the broker is told."""
    with Celery(broker=environment["REDIS_URL"], set_as_current=False) as celery:
        found: dict[str, Any] = celery.control.inspect(timeout=2).active_queues() or {}
    return {name.partition("@")[0]: sorted(each["name"] for each in queues) for name, queues in found.items()}


def test_each_is_what_it_would_be_alone_and_one_that_dies_harms_no_other(
    client: FlaskClient, sql: Sql, environment: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, environment) as process:
        assert process.running is not None
        before = mains(process)
        assert {child.pid for child in psutil.Process(process.running.pid).children()} == set(before.values())
        eventually(lambda: nodes(environment) == {name: sorted(queues) for name, queues in QUEUES_OF_PROCESS.items()})
        folders = list(Path(environment["TMPDIR"]).glob("checkout-metrics-*"))
        assert len(folders) == 1 + len(NAMES), "each counts apart, and the parent counts nothing"

        post_webhook(client, webhook(insert_payment(sql)))
        eventually(lambda: applied(page(environment, "worker")) == 1, within=60)
        assert [applied(page(environment, name)) for name in ("housekeeping", "sender")] == [0, 0]

        children = psutil.Process(before["housekeeping"]).children()
        psutil.Process(before["housekeeping"]).kill()
        eventually(lambda: mains(process)["housekeeping"] != before["housekeeping"], within=30)
        eventually(lambda: answers(environment, "housekeeping"), within=60)
        eventually(lambda: not any(child.is_running() for child in children), within=30)
        after = mains(process)
        assert {name: after[name] for name in ("worker", "sender")} == {
            name: before[name] for name in ("worker", "sender")
        }
        post_webhook(client, webhook(insert_payment(sql)))
        eventually(lambda: applied(page(environment, "worker")) == 2, within=60)

        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert _health("workers") == (0, "".join(f"{name} is alive\n" for name in NAMES))
        monkeypatch.setenv("SENDER_METRICS_PORT", "1")
        assert _health("workers")[0] == 1

        lines = [line for line in process.log.read_text().splitlines() if re.match(r"\d{4}-", line)]
        assert {name for line in lines for name in NAMES if f"process={name}" in line} == set(NAMES)
        everyone = psutil.Process(process.running.pid).children(recursive=True)
        process.running.send_signal(signal.SIGTERM)
        assert process.running.wait(120) == 0
        assert not any(each.is_running() for each in everyone)
    assert list(Path(environment["TMPDIR"]).glob("checkout-metrics-*")) == []
    ended = re.findall(r"process_ended\s+exit_status=(\d+) pid=(\d+)", process.log.read_text())
    assert {int(pid): status for status, pid in ended} == dict.fromkeys(after.values(), "0")


def _health(process: str) -> tuple[int, str]:
    done = CliRunner().invoke(checkout, ["health", process])
    return done.exit_code, done.output


def test_it_begins_anew_on_hangup_and_a_parent_that_is_killed_takes_all_with_it(
    environment: Mapping[str, str], tmp_path: Path
) -> None:
    """In production, where each line is JSON, and says whose it is."""
    given = {"ENVIRONMENT": "production", "PAYMENT_PROVIDERS": "", "PAYMENT_NAMESPACE": str(uuid4())}
    with running(tmp_path, environment | given) as process:
        assert process.running is not None
        parent = psutil.Process(process.running.pid)
        before = mains(process)
        everyone = parent.children(recursive=True)
        parent.send_signal(signal.SIGHUP)
        eventually(lambda: not set(before.values()) & set(mains(process).values()), within=120)
        for name in NAMES:
            eventually(lambda name=name: answers(environment, name), within=60)
        assert not any(each.is_running() for each in everyone)
        assert parent.is_running()
        # A signal to the whole group, as a terminal's: each would begin anew as a parent, were it to hear it.
        everyone = parent.children(recursive=True)
        psutil.Process(mains(process)["sender"]).send_signal(signal.SIGHUP)
        assert answers(environment, "sender")

        parent.kill()
        gone, alive = psutil.wait_procs(everyone, timeout=60)
        assert (len(gone), alive) == (len(everyone), [])
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    assert {line["process"] for line in lines if " ready." in line["event"]} == set(NAMES)
    assert [line for line in lines if "process" not in line] == []
