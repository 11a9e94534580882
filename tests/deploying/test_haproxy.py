"""HAProxy with a check of the role, in front of a Valkey and its replica: the file that is in deploy/."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.servers import free_port, start_valkey
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName
from tests.conftest import ROOT
from tests.flower_pages.stack import eventually

QUEUE = TaskName.LOOK_UP_PAYMENTS.declaration.queue.value


def test_the_primary_is_found_whoever_it_is(tmp_path: Path) -> None:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("NO HAPROXY: install Debian's haproxy to have its configuration tested")
    port = free_port()
    with closing(Guard()) as guard:
        first = start_valkey(tmp_path / "first", guard=guard, durable=False)
        second = start_valkey(tmp_path / "second", guard=guard, durable=False)
        written = (ROOT / "deploy" / "haproxy" / "valkey.cfg").read_text(encoding="utf-8")
        places = {"127.0.0.1:6379": port, "10.0.0.11:6379": first.port, "10.0.0.12:6379": second.port}
        here = re.sub(r"[0-9.]+:6379", lambda place: f"127.0.0.1:{places[place[0]]}", written)
        (tmp_path / "haproxy.cfg").write_text(here)
        with first.server, second.server, Redis.from_url(second.url) as replica:
            replica.replicaof("127.0.0.1", first.port)
            with (tmp_path / "haproxy.log").open("wb") as log:
                process = guard.start(
                    [program, "-db", "-f", str(tmp_path / "haproxy.cfg")],
                    stage=1,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            try:
                queue = TaskQueue(Secret(f"redis://127.0.0.1:{port}/0"))
                # What the check has not looked at yet counts as up: the replica too, for a moment.
                eventually(lambda: _enqueued(queue) and _length(first.url) > 0)
                eventually(lambda: all(_role(port) == "master" for _ in range(4)))
                first.server.stop()
                replica.replicaof("NO", "ONE")
                before = _length(second.url)
                eventually(lambda: _enqueued(queue) and _length(second.url) > before)
                # The old one is back, and nobody has demoted it.
                with start_valkey(tmp_path / "first", guard=guard, durable=False, port=first.port).server:
                    eventually(lambda: "Server valkey/a is UP" in (tmp_path / "haproxy.log").read_text())
                    assert {_run_id(port) for _ in range(8)} == {_run_id(second.port)}
                    second.server.stop()
                    eventually(lambda: _run_id(port) == _run_id(first.port) != "away")
            finally:
                stop([Target(pid=process.pid)])
                process.wait()
                guard.forget(process.pid)


def _enqueued(queue: TaskQueue) -> bool:
    try:
        queue.enqueue(TaskName.LOOK_UP_PAYMENTS)
    except QueueUnavailableError:
        return False
    return True


def _length(url: str) -> int:
    with Redis.from_url(url) as server:
        return int(server.llen(QUEUE))  # type: ignore[arg-type]  # its type covers the async client


def _role(port: int) -> str:
    return _info(port, "role")


def _run_id(port: int) -> str:
    """Which process answers."""
    return _info(port, "run_id")


def _info(port: int, name: str) -> str:
    try:
        with Redis(port=port) as server:
            return str(server.info()[name])  # type: ignore[index]  # its type covers the async client
    except RedisError:
        return "away"
