"""The supervisor alone, with small scripts in the place of masters: what it makes of those that tell nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from checkout_service.server.generation import Generation, Served
from tests.conftest import ROOT

MASTER = """
import json, os, subprocess, sys, time
generation = json.loads(os.environ["CHECKOUT_GENERATION"])
what = open("master").read()
open("started", "a").write(what + "\\n")
if what == "serves":
    os.write(generation["serving"], b"of 1\\nserves 7\\n")
if what == "later":
    while not os.path.exists("ready"):
        time.sleep(0.05)
    os.write(generation["serving"], b"of 1\\nserves 0\\n")
if what == "one of two, twice":
    os.write(generation["serving"], b"of 2\\nserves 0\\nserves 0\\n")
if what == "has a child":
    code = "import os, time; open('child', 'w').write(str(os.getpid())); time.sleep(2); open('over', 'w')"
    subprocess.Popen([sys.executable, "-c", code], pass_fds=[generation["serving"]])
    while not os.path.exists("child"):
        time.sleep(0.05)
    os.write(generation["serving"], b"of 1\\nserves 0\\n")
if what == "closes its pipe":
    os.close(generation["serving"])
    open("closed", "w")
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
    management=None, is_outlived=False, notifier=Notifier(os.environ), within=float(os.environ["WITHIN"]),
).run())
"""


class Supervised:
    def __init__(self, folder: Path, notified: str, *, master: str, within: float) -> None:
        self.folder = folder
        self.master(master)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": notified, "WITHIN": str(within)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def master(self, what: str) -> None:
        (self.folder / "master").write_text(what)

    def started(self) -> list[str]:
        return (self.folder / "started").read_text().splitlines()


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


@contextmanager
def _supervised(folder: Path, states: States, master: str, *, within: float) -> Iterator[Supervised]:
    supervised = Supervised(folder, states.path, master=master, within=within)
    try:
        yield supervised
    finally:
        with suppress(ProcessLookupError):
            os.killpg(supervised.process.pid, signal.SIGKILL)
        supervised.process.wait()


@pytest.fixture
def supervised(tmp_path: Path, states: States) -> Iterator[Supervised]:
    with _supervised(tmp_path, states, "serves", within=6) as supervised:
        states.until("READY=1")
        yield supervised


@pytest.mark.parametrize(
    ("master", "reason"), [("is silent", "it was not ready within 6 s"), ("ends", "it ended with status 3")]
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
    supervised.process.wait(timeout=60)


def test_the_service_ends_with_what_serves(supervised: Supervised) -> None:
    supervised.master("ends")
    (master,) = psutil.Process(supervised.process.pid).children()
    master.kill()

    assert supervised.process.wait(timeout=60) == 1


def test_what_follows_takes_over_when_the_former_dies(tmp_path: Path, states: States) -> None:
    with _supervised(tmp_path, states, "serves", within=60) as supervised:
        states.until("READY=1")
        (former,) = psutil.Process(supervised.process.pid).children()
        supervised.master("later")
        supervised.process.send_signal(signal.SIGHUP)
        _until(lambda: "later" in supervised.started())
        former.kill()
        former.wait(timeout=30)
        (tmp_path / "ready").touch()
        states.until("STATUS=Serves.")
        assert supervised.process.poll() is None


def test_a_child_started_again_counts_once(supervised: Supervised, states: States) -> None:
    supervised.master("one of two, twice")
    supervised.process.send_signal(signal.SIGHUP)
    states.until("STATUS=The former code serves: of the new one it was not ready within 6 s.")


def test_systemd_hears_of_no_service_before_one_serves(tmp_path: Path, states: States) -> None:
    with _supervised(tmp_path, states, "later", within=60) as supervised:
        _until((tmp_path / "started").exists)
        supervised.master("ends")
        supervised.process.send_signal(signal.SIGHUP)
        _until(lambda: len(supervised.started()) == 2 and len(psutil.Process(supervised.process.pid).children()) == 1)
        time.sleep(0.3)
        (tmp_path / "ready").touch()
        lines = states.until("STATUS=Serves.")
        assert lines == ["READY=1", "STATUS=Serves."]


def test_the_children_of_a_master_that_was_killed_are_waited_for(tmp_path: Path, states: States) -> None:
    with _supervised(tmp_path, states, "has a child", within=60) as supervised:
        states.until("READY=1")
        (master,) = psutil.Process(supervised.process.pid).children()
        master.kill()
        assert supervised.process.wait(timeout=60) == 1
        assert (tmp_path / "over").exists()


def test_it_waits_idly_for_who_tells_nothing_more(tmp_path: Path, states: States) -> None:
    with _supervised(tmp_path, states, "closes its pipe", within=60) as supervised:
        _until((tmp_path / "started").exists)
        _until((tmp_path / "closed").exists)
        process = psutil.Process(supervised.process.pid)
        before = process.cpu_times()
        time.sleep(2)
        after = process.cpu_times()
        assert after.user + after.system - before.user - before.system < 0.5


def test_signals_at_the_very_beginning_do_not_kill(tmp_path: Path) -> None:
    """As soon as Python runs the first line: a reload is not heard yet, an end is."""
    trace = "import runpy, signal, sys, os; sys.argv = ['serve.py', 'x:y']\n"
    trace += "import builtins; real = builtins.__import__\n"
    trace += "def hit(name, *rest):\n"
    trace += "    if name.startswith('checkout_service'):\n"
    trace += "        os.kill(os.getpid(), signal.SIGHUP); print('goes on', flush=True)\n"
    trace += "        os.kill(os.getpid(), signal.SIGTERM)\n"
    trace += "    return real(name, *rest)\n"
    trace += "builtins.__import__ = hit\n"
    trace += f"runpy.run_path({str(ROOT / 'serve.py')!r}, run_name='__main__')\n"
    done = subprocess.run(
        [sys.executable, "-c", trace], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def _until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_child_that_is_started_again_tells_the_same_line() -> None:
    read, write = os.pipe()
    generation = Generation(listener=3, management=None, ending=read, serving=write, follows=True, is_outlived=False)
    other = os.fork()
    if not other:
        generation.tell_serving(1)
        os._exit(0)
    os.waitpid(other, 0)
    generation.tell_serving(1)
    assert os.read(read, 100) == b"serves 1\nserves 1\n"
    os.close(read)
    os.close(write)


def test_a_generation_has_served_once_each_of_its_children_has() -> None:
    served = Served(2)
    served.note(0)
    served.note(0)
    assert not served.by_all()
    other = os.fork()
    if not other:
        served.note(1)
        os._exit(0)
    os.waitpid(other, 0)
    assert served.by_all()


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
