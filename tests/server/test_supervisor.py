"""The supervisor alone, with small scripts in the place of masters: what it makes of those that tell nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from checkout_service.server.generation import Generation
from tests.conftest import ROOT

MASTER = """
import json, os, time
generation = json.loads(os.environ["CHECKOUT_GENERATION"])
what = open("master").read()
open("started", "a").write(what + "\\n")
if what == "serves":
    os.write(generation["serving"], b"of 1\\nserves 7\\n")
if what == "ends":
    raise SystemExit(3)
time.sleep(60)
"""

SUPERVISOR = f"""
import os, socket, sys
from pathlib import Path
from checkout_service.server.supervisor import Supervisor
from checkout_service.server.systemd import Notifier
listener = socket.create_server(("127.0.0.1", 0))
sys.exit(Supervisor(
    [sys.executable, "-c", {MASTER!r}], folder=Path.cwd(), environment=dict(os.environ), listener=listener,
    management=None, is_outlived=False, notifier=Notifier(os.environ), within=2,
).run())
"""


class Supervised:
    def __init__(self, folder: Path, notified: str) -> None:
        self.folder = folder
        self.master("serves")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": notified},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def master(self, what: str) -> None:
        (self.folder / "master").write_text(what)

    def started(self) -> list[str]:
        return (self.folder / "started").read_text().split()


class States:
    """What systemd is told."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(60)

    def until(self, line: str) -> list[str]:
        """All lines up to this one."""
        lines: list[str] = []
        while line not in lines:
            lines += self._socket.recv(4096).decode().split("\n")
        return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def states(tmp_path: Path) -> Iterator[States]:
    with closing(States(tmp_path / "notify")) as states:
        yield states


@pytest.fixture
def supervised(tmp_path: Path, states: States) -> Iterator[Supervised]:
    supervised = Supervised(tmp_path, states.path)
    try:
        states.until("READY=1")
        yield supervised
    finally:
        if supervised.process.poll() is None:
            os.killpg(supervised.process.pid, signal.SIGKILL)
        supervised.process.wait()


@pytest.mark.parametrize(
    ("master", "reason"), [("is silent", "it was not ready within 2 s"), ("ends", "it ended with status 3")]
)
def test_the_former_one_goes_on_and_systemd_knows_why(
    supervised: Supervised, states: States, master: str, reason: str
) -> None:
    supervised.master(master)
    supervised.process.send_signal(signal.SIGHUP)

    lines = states.until(f"STATUS=The former code serves: of the new one {reason}.")
    assert {"RELOADING=1", "READY=1"} <= set(lines)
    supervised.master("serves")
    supervised.process.send_signal(signal.SIGHUP)
    states.until("STATUS=Serves; was replaced.")
    assert supervised.process.poll() is None


def test_signals_at_once_come_to_one_replacement(supervised: Supervised, states: States) -> None:
    for _ in range(3):
        supervised.process.send_signal(signal.SIGHUP)
    states.until("STATUS=Serves; was replaced.")
    supervised.process.terminate()

    assert "STATUS=Serves; was replaced." not in states.until("STOPPING=1")
    supervised.process.wait(timeout=30)


def test_the_service_ends_with_what_serves(supervised: Supervised) -> None:
    supervised.master("ends")
    (master,) = psutil.Process(supervised.process.pid).children()
    master.kill()

    assert supervised.process.wait(timeout=30) == 1


def test_a_generation_knows_who_goes_on_without_it() -> None:
    read, write = os.pipe()

    def generation(*, is_outlived: bool) -> Generation:
        return Generation(listener=3, management=None, ending=read, serving=1, follows=False, is_outlived=is_outlived)

    own, systemds = generation(is_outlived=False), generation(is_outlived=True)
    assert not own.service_ends()
    assert not own.listener_ends()
    os.write(write, b".")
    assert own.service_ends()
    assert own.listener_ends()
    assert systemds.service_ends()
    assert not systemds.listener_ends()
    assert not own.is_orphaned()
    os.close(write)
    assert own.is_orphaned()
    os.close(read)
