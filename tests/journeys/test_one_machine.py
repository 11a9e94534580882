"""``make demo``'s entry: one purchase, then nothing is left, however it ends."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from checkout_service.local.data_folder import ROOT
from tests.journeys.conftest import eventually


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
        said, _ = demo.communicate(timeout=100)

    assert demo.returncode == 0, said
    assert "200  paid" in said
    assert left_in(home) == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGKILL, -9)])
def test_nothing_is_left_of_a_demonstration_that_was_stopped(home: Path, number: int, status: int) -> None:
    with start_demo(home) as demo:
        assert demo.stdout is not None
        next(line for line in demo.stdout if "demo catalogue" in line)
        assert len(left_in(home)) > 8

        demo.send_signal(number)

        assert demo.wait(timeout=40) == status
    eventually(lambda: left_in(home) == [] and list(home.iterdir()) == [])


def test_ctrl_c_ends_the_wait_for_another_run_in_good_order(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
import checkout_service.local.__main__ as local
local.DATA = Path(sys.argv[1])
sys.exit(local.main(["run"]))
"""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, "-u", "-c", program, str(tmp_path)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run:
            assert run.stdout is not None
            next(line for line in run.stdout if "checkout service" in line)
            run.send_signal(signal.SIGINT)
            said = run.stdout.read()

    assert run.returncode == 0, said
    assert "SIGINT" in said
    assert "Traceback" not in said


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
