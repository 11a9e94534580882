"""The parent of worker, housekeeping and sender: forks, starts again, ends; here with processes that load nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.flower_pages.stack import eventually
from tests.worker.test_loaded import AT_FORK, ENVIRONMENT, run
from worker.together import FIRST_PAUSE, LONGEST_PAUSE, Parent

COMMAND = ["-m", "checkout_service.command_line", "workers"]

PARENT = """
import os, signal, sys, time
from pathlib import Path
from checkout_service.telemetry import logs
from worker import together
logs.configure(production=True)
together.FIRST_PAUSE = 0.2
together.LEEWAY = 0.3
together.ENDS_WITHIN = {"calm": 30, "busy": 30, "stuck": 0.2}
class Child(Exception): pass
folder = Path(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, together._AWAITED)
for number in (signal.SIGCHLD, signal.SIGALRM):
    signal.signal(number, lambda *_: None)
PREPARE
parent = os.getpid()
name = together.Parent(sys.argv[2:], environment=os.environ).run()
if name != "stuck":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM} if name != "stuck" else set())
with (folder / name).open("a") as file:
    file.write(f"{os.getpid()}\\n")
try:
    while True:
        time.sleep(0.05)
finally:
    time.sleep(0.5 if name == "busy" else 0)
    (folder / f"{name}.done").touch()
"""
"""``busy`` takes half a second to end, and ``stuck`` hears no SIGTERM."""


class Family:
    """A parent that runs, and what its processes left in its folder."""

    def __init__(self, folder: Path, *names: str, prepare: str = "") -> None:
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PARENT.replace("PREPARE", prepare), str(folder), *names],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def pids(self, name: str) -> list[int]:
        """Of all that ran under this name, the first one first."""
        path = self.folder / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def await_start(self, name: str, times: int = 1) -> int:
        found: list[int] = eventually(lambda: (pids := self.pids(name)) and len(pids) >= times and pids, within=30)
        return found[-1]

    def lines(self, event: str) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Callable[..., Family]]:
    with _killing() as made:

        def begin(*names: str, prepare: str = "") -> Family:
            made.append(Family(tmp_path, *names, prepare=prepare))
            return made[-1]

        yield begin


@contextmanager
def _killing() -> Iterator[list[Family]]:
    made: list[Family] = []
    try:
        yield made
    finally:
        for family in made:
            with suppress(ProcessLookupError):
                os.killpg(family.process.pid, signal.SIGKILL)
            family.process.wait()


def test_a_process_that_dies_is_started_again_and_the_others_go_on(family: Callable[..., Family]) -> None:
    running = family("calm", "busy")
    first, other = running.await_start("calm"), running.await_start("busy")
    os.kill(first, signal.SIGKILL)
    second = running.await_start("calm", 2)

    assert second != first
    assert running.pids("busy") == [other]
    (line,) = running.lines("process_died")
    assert (line["process"], line["pid"], line["exit_status"]) == ("calm", first, -signal.SIGKILL)
    assert running.end() == 0


def test_it_is_started_again_after_ever_longer(family: Callable[..., Family]) -> None:
    running = family("calm")
    for times in (1, 2, 3):
        os.kill(running.await_start("calm", times), signal.SIGKILL)
    running.await_start("calm", 4)

    assert [line["again_in"] for line in running.lines("process_died")] == [0.2, 0.4, 0.8]
    assert running.end() == 0


def test_all_end_at_the_same_time_and_what_they_work_on_is_done(family: Callable[..., Family]) -> None:
    running = family("busy", "calm")
    for name in ("busy", "calm"):
        running.await_start(name)

    assert running.end() == 0
    assert (running.folder / "busy.done").exists()
    assert (running.folder / "calm.done").exists()
    assert {line["exit_status"] for line in running.lines("process_ended")} == {0}


def test_one_that_does_not_end_in_time_is_killed_and_the_status_says_so(family: Callable[..., Family]) -> None:
    running = family("stuck", "busy")
    for name in ("busy", "stuck"):
        running.await_start(name)
    began = time.monotonic()

    assert running.end() == 1
    assert time.monotonic() - began >= 0.5
    (line,) = running.lines("process_killed")
    assert line["process"] == "stuck"
    assert (running.folder / "busy.done").exists(), "which was given its time"
    assert not (running.folder / "stuck.done").exists()


def test_a_signal_that_comes_before_the_first_fork_is_not_lost(family: Callable[..., Family]) -> None:
    running = family("calm", prepare="os.kill(os.getpid(), signal.SIGTERM)")

    assert running.process.wait(30) == 0
    eventually(lambda: not psutil.pid_exists(pid) if (pid := (running.pids("calm") or [0])[0]) else True)


def test_on_hangup_it_begins_anew_once_all_have_ended(family: Callable[..., Family]) -> None:
    running = family("busy")
    first = running.await_start("busy")
    parent = running.process.pid
    running.process.send_signal(signal.SIGHUP)
    second = running.await_start("busy", 2)

    assert second != first
    assert (running.folder / "busy.done").exists()
    assert psutil.Process(second).ppid() == parent
    assert running.lines("process_died") == []
    assert running.end() == 0


def test_to_end_goes_before_to_begin_anew(family: Callable[..., Family]) -> None:
    running = family("busy")
    running.await_start("busy")
    running.process.send_signal(signal.SIGHUP)

    assert running.end() == 0
    assert len(running.pids("busy")) == 1


def test_a_fork_that_the_system_refuses_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parent = Parent(["calm"], environment={})
    (process,) = parent._processes

    def refused() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", refused)
    assert parent._fork(process) is False
    assert (process.pid, process.pause) == (None, FIRST_PAUSE)
    assert 0 < process.due - time.monotonic() <= FIRST_PAUSE
    pauses = []
    for _ in range(7):
        parent._fork(process)
        pauses.append(process.pause)
    assert pauses == [2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    process.started = time.monotonic() - LONGEST_PAUSE - 1
    parent._put_off(process)
    assert process.pause == FIRST_PAUSE, "it ran for long"


PARENT_AT_FORK = (
    AT_FORK
    + """
from worker.command_line import run_together
from worker import together
class Forks(together.Parent):
    def run(self):
        print(json.dumps(state()), flush=True)
        os._exit(0)
together.Parent = Forks
run_together(dict.fromkeys(("worker", "housekeeping", "sender"), ()))
"""
)

IN_A_PROCESS = (
    AT_FORK
    + """
from worker import together
from worker.command_line import main
loaded, parent = set(), os.getppid()
class Forks(together.Parent):
    def run(self):
        loaded.update(sys.modules)
        return "housekeeping"
os.getppid = lambda: os.getpid()
together.Parent = Forks
name = together.run(("worker", "housekeeping", "sender"), environment=os.environ)
from celery.concurrency.prefork import TaskPool
def fork(pool):
    found = {"new": sorted(set(sys.modules) - loaded), "blocked": [], "folder": os.environ["PROMETHEUS_MULTIPROC_DIR"]}
    import signal
    from checkout_service.telemetry import metrics
    found["counts_in"] = metrics.FOLDER
    found["blocked"] = [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
    found["is_hangup_ignored"] = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    print(json.dumps(found), flush=True)
    os._exit(0)
TaskPool.on_start = fork
sys.orig_argv[1:] = ["-m", "worker.command_line"]
main(["-A", "worker.app", "worker", "-Q", "payments,housekeeping", "-n", "housekeeping@%h"])
"""
)


CHILDREN = """
import json, os, sys
os.cpu_count = lambda: int(os.environ["CORES"])
from worker import together
from worker.command_line import run_together
class Forks(together.Parent):
    def run(self):
        from worker.process import WorkerProcess
        def start(worker):
            print(json.dumps({"children": worker.concurrency}), flush=True)
            os._exit(0)
        WorkerProcess.start = start
        return sys.argv[1]
os.getppid = lambda: os.getpid()
together.Parent = Forks
from checkout_service.command_line.processes import TOGETHER, celery_arguments
run_together({name: [*celery_arguments(name), *sys.argv[2:]] for name in TOGETHER["workers"]})
"""


@pytest.mark.parametrize(
    ("cores", "name", "arguments", "given", "children"),
    [
        (16, "housekeeping", (), {}, 2),
        (1, "housekeeping", (), {}, 2),
        (16, "housekeeping", (), {"WORKER_CONCURRENCY": "0"}, 2),
        (16, "housekeeping", (), {"WORKER_CONCURRENCY": "1"}, 1),
        (16, "housekeeping", (), {"WORKER_CONCURRENCY": "7"}, 7),
        (16, "housekeeping", (), {"CELERY_WORKER_CONCURRENCY": "5"}, 5),
        (16, "housekeeping", ("-c", "3"), {}, 3),
        (16, "worker", (), {}, 17),
        (16, "sender", (), {}, 2),
    ],
)
def test_housekeeping_has_two_children_unless_somebody_says_how_many(
    cores: int, name: str, arguments: tuple[str, ...], given: dict[str, str], children: int
) -> None:
    """Apart it has up to four: see test_loaded.py."""
    assert run(CHILDREN, name, *arguments, CORES=str(cores), **given) == {"children": children}


def test_what_is_forked_shares_all_that_is_loaded_and_nothing_that_is_open() -> None:
    found = run(PARENT_AT_FORK)

    assert found["frozen"] > 100_000
    assert (found["sockets"], found["threads"]) == ([], ["MainThread"])
    assert {"worker.webhooks.task", "worker.commands", "worker.consumer"} <= set(found["modules"])
    assert {"cffi.cparser", "checkout_service.app", "flask_smorest", "tornado", "rich", "yaml", "psutil"} & set(
        found["modules"]
    ) == set()


def test_a_process_loads_next_to_nothing_for_itself_and_hears_every_signal_but_hangup() -> None:
    found = run(IN_A_PROCESS, TMPDIR="/tmp")

    assert found["new"] == []
    assert found["blocked"] == []
    assert found["is_hangup_ignored"], "it would begin anew as a parent"
    assert found["counts_in"] == found["folder"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"WORKER_METRICS_PORT": "9100", "SENDER_METRICS_PORT": "9100"}, "each needs a port of its own, or none"),
        ({"WORKER_DATABASE_URL": ""}, "WORKER_DATABASE_URL"),
    ],
)
def test_settings_that_cannot_be_used_end_it_before_any_process_begins(given: dict[str, str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, *COMMAND],
        cwd=ROOT,
        env=ENVIRONMENT | given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "process_started" not in done.stderr


def test_as_the_first_process_of_a_container_it_ends_all_and_leaves_nobody_behind(tmp_path: Path) -> None:
    """Nobody else takes its signals there, or takes note of who was left by a process that died."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root makes a namespace of processes, by unshare")
    log = tmp_path / "log"
    with log.open("wb") as output:
        outside = subprocess.Popen(
            ["unshare", "--fork", "--pid", "--kill-child", sys.executable, *COMMAND],
            cwd=ROOT,
            env=ENVIRONMENT | {"TMPDIR": str(tmp_path)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually(lambda: log.read_text().count("worker_waits_for_database") == 3, within=60)
        (parent,) = psutil.Process(outside.pid).children()
        sender = parent.children()[-1]
        left = sender.children()
        sender.kill()
        eventually(lambda: "process_died" in log.read_text(), within=30)
        eventually(lambda: not any(child.is_running() for child in left), within=30)
        parent.send_signal(signal.SIGTERM)
        assert outside.wait(60) == 0, log.read_text()
    finally:
        outside.kill()
        outside.wait()
