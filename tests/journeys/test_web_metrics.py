"""Every child of a running web process tells of all of them, whether the folder is set from outside or not."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from checkout_service.local.servers import free_port
from checkout_service.telemetry.metrics_folder import SETTING
from tests.children import children_of_web
from tests.conftest import ROOT, Servers
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually

CHILDREN = 2
ROUTE = "unmatched"
TOKEN = "a-token-of-tests"
COUNTED = re.compile(rf'http_requests_total\{{method="GET",route="{ROUTE}",status="404"\}} (\S+)')


@contextmanager
def web(environment: Mapping[str, str]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    process = subprocess.Popen(
        [sys.executable, "serve.py", "wsgi:app"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        base = f"http://127.0.0.1:{environment['PORT']}"
        eventually(lambda: _is_ready(base))
        eventually(lambda: len(children_of_web(process.pid)) == CHILDREN)
        yield base, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(params=["own folder", "folder from outside"])
def environment(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> dict[str, str]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    port = str(free_port())
    made = stack.environment(servers, TMPDIR=str(temporary), PORT=port, WEB_CONCURRENCY=str(CHILDREN))
    return made if request.param == "own folder" else made | {SETTING: str(tmp_path / "outside")}


def test_scrapes_over_fresh_connections_add_up_and_what_a_killed_web_left_is_gone(environment: dict[str, str]) -> None:
    with web(environment) as (base, process):
        seen, sent = [0.0], 0
        for number in range(60):
            sent += 1
            assert _answer_of(f"{base}/nowhere/{sent}") == (404, "")
            seen.append(_counted(base))
            if number == 30:
                _kill_a_child(process)
        assert seen == sorted(seen)
        time.sleep(1.1)
        assert {_counted(base) for _ in range(20)} == {float(sent)}, "what a child counted is not lost with it"
        folder = Path(environment.get(SETTING) or _own_folder(environment))
        counting = {path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}
        assert len(counting) > CHILDREN, "all of them count"

        # Masters and their children: the last of them to end gives the folder up, and may have left the port before.
        others = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        # They end by themselves, a second later.
        _, alive = psutil.wait_procs(others, timeout=60)
        assert not alive

    if SETTING not in environment:
        _serves_anew(environment, left=folder)


def _serves_anew(environment: dict[str, str], *, left: Path) -> None:
    """The next web process finds what the killed one left; this one has a management port, and a token."""
    management = f"http://127.0.0.1:{free_port()}"
    environment |= {"MANAGEMENT_PORT": management.rpartition(":")[2], "METRICS_TOKEN": TOKEN}
    with web(environment) as (base, process), ExitStack() as stack:
        assert not left.exists()
        assert _own_folder(environment)
        for port in (environment["PORT"], environment["MANAGEMENT_PORT"]):
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", int(port))))
        assert _is_ready(management), "who only connects keeps nobody out"
        for path, status in (("/livez", 200), ("/readyz", 200), ("/metrics", 401), ("/api/cart", 404), ("/", 404)):
            assert _answer_of(f"{management}{path}")[0] == status
        for address in (base, management):
            status, page = _answer_of(f"{address}/metrics", Authorization=f"Bearer {TOKEN}")
            assert status == 200
            assert 'http_requests_total{method="GET",route="/readyz",status="200"}' in page

        _kill_a_child(process)
        assert {_answer_of(f"{management}/livez")[0] for _ in range(50)} == {200}, "the other takes its place"
        stack.close()
        process.terminate()
        assert process.wait(timeout=60) == 0
    eventually(lambda: not list(Path(environment["TMPDIR"]).glob("checkout-web-metrics-*")))


def _kill_a_child(process: subprocess.Popen[bytes]) -> None:
    child = children_of_web(process.pid)[0]
    child.kill()
    child.wait(30)


def _own_folder(environment: Mapping[str, str]) -> Path:
    (folder,) = Path(environment["TMPDIR"]).glob("checkout-web-metrics-*")
    return folder


def _counted(base: str) -> float:
    status, page = _answer_of(f"{base}/metrics")
    assert status == 200
    return sum(map(float, COUNTED.findall(page)))


def _is_ready(base: str) -> bool:
    try:
        return _answer_of(f"{base}/readyz")[0] == 200
    except OSError:
        return False


def _answer_of(url: str, **headers: str) -> tuple[int, str]:
    """By a connection of its own, so that any child may answer; the page of an error is left out."""
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 (our own address)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
