"""``make demo``'s entry: one purchase, then nothing is left, however it ends."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from checkout_service.local.data_folder import ROOT, free_ports
from tests.journeys.conftest import eventually

RUN = """
import sys
from pathlib import Path
import checkout_service.local.__main__ as local
local.DATA = Path(sys.argv[1])
sys.exit(local.main(["run"]))
"""
"""``make run`` on another data folder."""


def start_demo(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "checkout_service.local", "demo"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_demonstration_buys_something_and_leaves_nothing(home: Path) -> None:
    with start_demo(home) as demo:
        shown, _ = demo.communicate(timeout=100)

    assert demo.returncode == 0, shown
    assert "200  paid" in shown
    assert left_in(home) == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_nothing_is_left_of_a_demonstration_that_was_stopped(home: Path, number: int, status: int) -> None:
    with start_demo(home) as demo:
        assert demo.stdout is not None
        next(line for line in demo.stdout if "demo catalogue" in line)
        assert len(left_in(home)) > 8

        demo.send_signal(number)

        assert demo.wait(timeout=60) == status
    eventually(lambda: left_in(home) == [] and list(home.iterdir()) == [])


def test_ctrl_c_ends_the_wait_for_another_run_in_good_order(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-u", "-c", RUN, str(tmp_path)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run:
            assert run.stdout is not None
            next(line for line in run.stdout if "checkout service" in line)
            run.send_signal(signal.SIGINT)
            shown = run.stdout.read()

    assert run.returncode == 0, shown
    assert "SIGINT" in shown
    assert "Traceback" not in shown


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_second_run_adds_no_purchase_to_the_data_that_was_kept(tmp_path: Path) -> None:
    first, payments = serve_once(tmp_path)
    assert "200  paid" in first
    assert payments == 1

    second, payments = serve_once(tmp_path)
    assert "The data of an earlier run is kept, so no purchase is added to it." in second
    assert "200  paid" not in second
    assert "Try it, as a new customer" in second
    assert payments == 1


def serve_once(data: Path) -> tuple[str, int]:
    """What ``make run`` on this data folder shows until it serves, and how many payments there are then."""
    environment = {"PATH": os.environ["PATH"], **free_ports()}
    with subprocess.Popen(
        [sys.executable, "-u", "-c", RUN, str(data)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        shown = []
        for line in run.stdout:
            shown.append(line)
            if "/api/cart/items --json" in line:
                break
        try:
            token = next(line.strip().removeprefix("TOKEN=") for line in shown if line.strip().startswith("TOKEN="))
            with httpx.Client(base_url=f"http://127.0.0.1:{environment['PORT']}", timeout=60) as web:
                cart = web.get("/api/cart", headers={"Authorization": f"Bearer {token}"})
            assert cart.status_code in {200, 404}, "the token that it shows is good"
            payments = follow_up(data)
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(timeout=60)
    assert run.returncode == 0, "".join(shown)
    return "".join(shown), payments


def follow_up(data: Path) -> int:
    (line,) = [
        line for line in (data / "environment").read_text().splitlines() if line.startswith("MIGRATION_DATABASE_URL=")
    ]
    url = make_url(shlex.split(line.partition("=")[2])[0]).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        ((payments,),) = connection.execute("SELECT count(*) FROM payments").fetchall()
    return int(payments)


def left_in(home: Path) -> list[str]:
    """Processes that work in the folder, name it in their arguments or were given it for their temporary files."""
    found = []
    for process in psutil.process_iter():
        about = []
        for ask in (process.cmdline, process.cwd, process.environ):
            with suppress(psutil.Error, OSError):
                about.append(str(ask()))
        with suppress(psutil.NoSuchProcess):
            if str(home) in " ".join(about) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {about[0]}")
    return found
