"""The package without its checkout, whole: one machine, every process, replacing and ending.

It takes a minute and a half, and is run by ``make test-install``; ``test_installed.py`` is its short cut.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.servers import free_port
from tests.conftest import Servers
from tests.flower_pages.stack import eventually
from tests.packaging.built import Installed
from tests.packaging.running import environment_file, running, says, status, value

pytestmark = pytest.mark.slow


def test_one_machine_serves_from_an_empty_folder(installed: Installed, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    with running(installed, log, "run", **ports) as process:
        eventually(lambda: says(log, "Serving until", process), within=280)
        children = psutil.Process(process.pid).children(recursive=True)
        text = re.sub(r"\x1b\[\d*m", "", log.read_text())
        assert "an order, number 1" in text, "a purchase by the mock provider"
        base = f"http://127.0.0.1:{ports['PORT']}"
        flower = f"http://127.0.0.1:{ports['FLOWER_PORT']}"
        for path in ("/", "/api/docs", "/api/openapi.json", "/api/listings"):
            assert status(base + path) == 200, path
        users = re.findall(r"user (\w+), password (\S+)", text)
        assert len(users) == 2
        for path in ("/ops", "/ops/payments", "/ops/webhooks"):
            assert status(base + path, auth=users[0], follow_redirects=True) == 200, path
        page = httpx.get(f"{base}/ops", auth=users[0], follow_redirects=True, timeout=30).text
        assets = set(re.findall(r"(?:href|src)=\"(/[^\"]+\.(?:css|js|svg)[^\"]*)\"", page))
        assert assets, "styles and scripts"
        assert {path: status(base + path, auth=users[0]) for path in assets} == dict.fromkeys(assets, 200)
        for path in ("/failed", "/broker", "/workers"):
            assert status(flower + path, auth=users[1]) == 200, path
        assert status(f"{flower}/failed") == 401

        file = str(installed.empty / ".data" / "environment")
        again = installed.run("--env-file", file, "catalog", "import", str(CATALOGUE))
        assert (again.returncode, "unchanged" in again.stdout or "as they were" in again.stdout) == (0, True), again
        looked = installed.run("--env-file", file, "doctor")
        assert looked.returncode == 0, looked.stdout + looked.stderr
        # Beat sends, and a worker hears it.
        eventually(lambda: "clock of beat" in installed.run("--env-file", file, "doctor").stdout, within=90)
        assert installed.run("--env-file", file, "health").stdout == "web is ready\n"
        assert installed.run("--env-file", file, "health", "flower").stdout == "flower is ready\n"

        process.terminate()
        assert process.wait(120) == 0
    eventually(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    assert {path.name for path in installed.empty.iterdir()} == {".data"}


def test_its_commands_run_one_by_one_by_anenvironment_file(
    installed: Installed, servers: Servers, tmp_path: Path
) -> None:
    file = environment_file(servers, tmp_path)
    named = ("--env-file", str(file))

    assert installed.run(*named, "release").returncode == 0
    assert installed.run("db", "current", environment={"CHECKOUT_ENV_FILE": str(file)}).stdout.endswith("(head)\n")
    away = installed.run(*named, "health")
    assert (away.returncode, away.stdout) == (1, "")
    assert "does not answer" in away.stderr

    log = tmp_path / "web.log"
    with running(installed, log, *named, "web") as process:
        eventually(lambda: says(log, "", process) and not installed.run(*named, "health").returncode, within=120)
        first = psutil.Process(process.pid).children()[0].pid

        process.send_signal(signal.SIGHUP)
        eventually(lambda: says(log, "replaced", process), within=120)
        eventually(lambda: not psutil.pid_exists(first), within=120)
        assert installed.run(*named, "health").returncode == 0
        # What is set already stays: the file's port is another one.
        other = installed.run(*named, "health", environment={"PORT": str(free_port())})
        assert (other.returncode, file.read_text().count("PORT=")) == (1, 2)

        process.terminate()
        assert process.wait(60) == 0


def test_a_worker_begins_again_on_hangup_as_it_was_started(
    installed: Installed, servers: Servers, tmp_path: Path
) -> None:
    file = environment_file(servers, tmp_path)
    log = tmp_path / "worker.log"
    url = f"http://127.0.0.1:{value(file, 'WORKER_METRICS_PORT')}/livez"
    # Not only as a script: one machine starts its processes by the module.
    command = [sys.executable, "-P", "-m", "checkout_service.command_line", "--env-file", str(file), "worker"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=installed.empty,
            env=installed.environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        eventually(lambda: log.read_text().count(" ready.") == 1, within=120)
        process.send_signal(signal.SIGHUP)
        # Until then it is the one before, which ends already, and hears no SIGTERM.
        eventually(lambda: log.read_text().count(" ready.") == 2, within=120)
        assert status(url) == 200
        process.terminate()
        assert process.wait(90) == 0, log.read_text()[-4000:]
    finally:
        process.kill()
        process.wait()


def test_each_process_says_what_it_needs_and_ends(installed: Installed) -> None:
    for command in ("web", "worker", "housekeeping", "sender", "beat", "flower", "release", "doctor"):
        done = installed.run(command)
        assert done.returncode == 1, command
        assert "REDIS_URL" in done.stderr, command
