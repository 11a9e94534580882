"""The processes: one source for the Procfile and for ``checkout``, and the same objects at the top of a checkout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from checkout_service.command_line.commands import checkout
from checkout_service.command_line.processes import PROCESSES, celery_arguments, flask_arguments
from checkout_service.database.schema import MIGRATIONS
from checkout_service.local.processes import read_procfile
from tests.conftest import ROOT, Servers
from tests.flower_pages.stack import environment, eventually


def test_the_procfile_says_the_same() -> None:
    assert read_procfile(ROOT / "Procfile") == {name: list(command) for name, command in PROCESSES.items()}
    assert celery_arguments("beat") == ["-A", "worker.app", "beat", "-S", "celery.beat.Scheduler"]
    assert flask_arguments("release") == ["db", "upgrade"]


def test_each_process_is_a_command() -> None:
    assert set(PROCESSES) <= set(checkout.commands)


def test_the_migrations_are_those_beside_the_packages() -> None:
    assert MIGRATIONS == ROOT / "migrations"


def test_celerys_settings_are_the_same_objects_at_the_top() -> None:
    top, own = import_module("celeryconfig"), import_module("worker.celery_settings")
    names = [name for name in vars(own) if not name.startswith("_")]
    assert {"broker_url", "include", "task_routes", "beat_schedule", "worker_consumer"} <= set(names)
    assert [name for name in names if getattr(top, name) is not getattr(own, name)] == []


SAME = """
import importlib, sys
top, own = map(importlib.import_module, sys.argv[1:3])
names = sys.argv[3:]
assert [name for name in names if getattr(top, name) is not getattr(own, name)] == []
"""


@pytest.mark.parametrize(
    ("top", "own", "names"),
    [
        ("wsgi", "checkout_service.wsgi", ["app"]),
        ("flowerconfig", "checkout_service.flower_pages.flower_settings", ["address", "port", "basic_auth"]),
    ],
)
def test_so_are_the_application_and_flowers_settings(servers: Servers, top: str, own: str, names: list[str]) -> None:
    """In a process of its own: each of them is made of the environment as it is loaded."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SAME, top, own, *names],
        cwd=ROOT,
        env=environment(servers),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_flower_reads_the_packages_settings_wherever_it_starts(servers: Servers, tmp_path: Path) -> None:
    code = "import os, worker.app; print(os.environ['FLOWER_CONF'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(servers, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(ROOT / "checkout_service" / "flower_pages" / "flower_settings.py")


def test_the_first_process_of_a_container_ends_at_sigterm(tmp_path: Path) -> None:
    """The kernel gives such a process no SIGTERM that it has no handler for, whoever sends it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root makes a namespace of processes, by unshare")
    file = tmp_path / "checkout.env"
    file.write_text("DATABASE_SCHEMA=shop\n")
    # It reads an address that never comes, and has begun anew with the file's settings before.
    command = ["-m", "checkout_service.command_line", "--env-file", str(file), "database", "init"]
    process = subprocess.Popen(
        ["unshare", "--fork", "--pid", "--kill-child", sys.executable, *command, "--admin-url-file", "-"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _ends_at_sigterm(process), within=60)
        assert process.returncode == 128 + signal.SIGTERM
    finally:
        process.kill()
        process.communicate()


def _ends_at_sigterm(process: subprocess.Popen[bytes]) -> bool:
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGTERM)
    return process.poll() is not None
