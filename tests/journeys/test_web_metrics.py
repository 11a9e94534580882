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
from tests.conftest import ROOT, Servers
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually

CHILDREN = 2
ROUTE = "unmatched"
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
        eventually(lambda: len(psutil.Process(process.pid).children()) == CHILDREN)
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


def test_scrapes_over_fresh_connections_add_up_and_never_fall(environment: dict[str, str]) -> None:
    with web(environment) as (base, process):
        seen, sent = [0.0], 0
        for number in range(100):
            sent += 1
            assert _answer_of(f"{base}/nowhere/{sent}") == (404, "")
            seen.append(_counted(base))
            if number == 50:
                # What a child counted is not lost with it.
                psutil.Process(process.pid).children()[0].kill()
                eventually(lambda: _is_ready(base))
        assert seen == sorted(seen)
        time.sleep(1.1)
        assert {_counted(base) for _ in range(20)} == {float(sent)}
        folder = Path(environment.get(SETTING) or _own_folder(environment))
        assert len({path.stem.rpartition("_")[2] for path in folder.glob("counter_*.db")}) > CHILDREN, (
            "all of them count"
        )


@pytest.mark.parametrize("environment", ["own folder"], indirect=True)
def test_what_a_killed_web_left_is_gone_with_the_next_one(environment: dict[str, str]) -> None:
    with web(environment) as (base, process):
        assert _answer_of(f"{base}/nowhere")[0] == 404
        children = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
        # They end by themselves, a second later.
        psutil.wait_procs(children, timeout=20)

    with web(environment) as (base, process):
        assert _answer_of(f"{base}/nowhere")[0] == 404
        assert _counted(base) == 1, "this run counts from 0"
        assert _own_folder(environment)
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert not list(Path(environment["TMPDIR"]).glob("checkout-web-metrics-*"))


@pytest.mark.parametrize("environment", ["own folder"], indirect=True)
def test_the_management_port_serves_the_three_apart_from_customers(environment: dict[str, str]) -> None:
    management = f"http://127.0.0.1:{free_port()}"
    environment |= {"MANAGEMENT_PORT": management.rpartition(":")[2], "METRICS_TOKEN": "a-token-of-tests"}
    with web(environment) as (base, process), ExitStack() as stack:
        for _ in range(200):
            # They are not read on any port: customers' connections that fill what there is of them.
            stack.enter_context(socket.create_connection(("127.0.0.1", int(environment["PORT"]))))
        mute = [socket.create_connection(("127.0.0.1", int(environment["MANAGEMENT_PORT"]))) for _ in range(200)]
        eventually(lambda: _is_ready(management))
        for path, status in (("/livez", 200), ("/readyz", 200), ("/metrics", 401), ("/api/cart", 404), ("/", 404)):
            assert _answer_of(f"{management}{path}")[0] == status
        for address in (base, management):
            status, page = _answer_of(f"{address}/metrics", Authorization="Bearer a-token-of-tests")
            assert status == 200
            assert 'http_requests_total{method="GET",route="/readyz",status="200"}' in page

        # A child that is killed takes no connection along; another one takes its place.
        psutil.Process(process.pid).children()[0].kill()
        assert {_answer_of(f"{management}/livez")[0] for _ in range(50)} == {200}
        for client in mute:
            client.close()


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
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""
