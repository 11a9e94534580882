"""Worker, housekeeping and sender from one parent, for a host that is short of memory: ``checkout workers``.

The parent loads all that they need, every task among it, freezes it and forks a main process of Celery for each; those
fork their children as ever. Who is forked shares what was loaded. Each is the process that its own command would be: a
node of its own name, with its own queues, children, port and metrics.

The parent opens nothing and does no work. It starts again who ends, each by itself, and tells all at once to end. It
holds the settings of the three, which are the same for each of them (settings/secret_holders.py): so none learns what
it would not know alone.

Signals are blocked and waited for, not handled. So none is lost between two looks, nor in a container's first process.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from time import monotonic
from typing import Final

import structlog

from checkout_service.settings.process_counts import HOUSEKEEPING_TOGETHER, WorkerCounts
from checkout_service.tasks import ENDING, QUEUES_OF_PROCESS, TaskName
from checkout_service.telemetry import logs

FIRST_PAUSE: Final = 1.0
"""Seconds until a process that ended is started again; twice as many after each further end."""

LONGEST_PAUSE: Final = 30.0
"""Seconds; a process that ran for longer is started again after the first pause."""

LEEWAY: Final = 5.0
"""Seconds beyond what a process may take to end, after which it is killed."""

ENDS_WITHIN: Final[Mapping[str, float]] = {
    process: max(task.declaration.time_limit for task in TaskName if task.declaration.queue in queues).total_seconds()
    + ENDING.total_seconds()
    for process, queues in QUEUES_OF_PROCESS.items()
}
"""Seconds that each process may take to end in good order: its longest task, and what comes after."""

_SHORTEST: Final = 0.05
"""Seconds between two looks, at least."""

_AWAITED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD, signal.SIGALRM)
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

# What a main process of Celery loads as it begins, and each of them would load for itself.
_LOADED_LATER: Final = (
    *("celery.app.log", "celery.apps.worker", "celery.bin.worker", "celery.concurrency.prefork"),
    *("celery.worker.autoscale", "celery.worker.consumer", "celery.worker.control", "celery.worker.pidbox"),
    *("worker.consumer", "worker.flower_events"),
)

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class _Process:
    """One of those that are forked."""

    name: str
    pid: int | None = None
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0
    is_killed: bool = False


def run(names: Sequence[str], *, environment: Mapping[str, str]) -> str:
    """Be the parent of these processes; returns in each of them, with its name, and never in the parent.

    ``environment`` is the process's own, with which it begins anew after SIGHUP. Ends the process where the settings
    cannot be used, before any is forked.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    # What is ignored, as this is by itself, may never be seen by who waits for it.
    for number in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, lambda *_: None)
    given = dict(environment)
    _load(names)
    parent = os.getpid()
    name = Parent(names, environment=given).run()
    _begin(name, parent=parent)
    return name


def _load(names: Sequence[str]) -> None:
    """Load what all of them need, and open nothing."""
    celery = import_module("worker.app")
    celery.configure_logging()
    app = celery.app
    _check_ports(names, app.conf["metrics_ports"])
    counts = WorkerCounts.from_environment(housekeeping_most=HOUSEKEEPING_TOGETHER)
    app.conf["housekeeping_concurrency"] = counts.housekeeping
    app.Worker  # noqa: B018 (from here on the app is a worker's)
    app.loader.import_default_modules()
    app.finalize()
    for name in _LOADED_LATER:
        import_module(name)
    # Both are kept once they were made. Each process would make them for itself, of megabytes.
    app.amqp.queues  # noqa: B018
    platform.platform()
    process = import_module("worker.process")
    process.make_ready()
    process.freeze()


def _check_ports(names: Sequence[str], ports: Mapping[str, str]) -> None:
    settings = [f"{name.upper()}_METRICS_PORT" for name in names]
    taken = [int(ports[name]) for name in settings if int(ports[name])]
    if len(taken) != len(set(taken)):
        sys.exit(f"The environment cannot be used:\n{', '.join(settings)}: each needs a port of its own, or none.")


def _begin(name: str, *, parent: int) -> None:
    """Forget what was the parent's, as the process of this name."""
    # Until Celery has handlers of its own.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    for number in (signal.SIGCHLD, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    logs.name_process(name)
    # By its name: it loads the metrics, which count where the folder is by then.
    import_module("worker.process").be_one_of_several(parent)


class Parent:
    """Forks a process for each name, and looks after them until it is told to end."""

    def __init__(self, names: Sequence[str], *, environment: Mapping[str, str]) -> None:
        """``environment`` is what the parent begins anew with after SIGHUP."""
        self._processes = [_Process(name=name) for name in names]
        self._environment = environment
        self._ending_since: float | None = None
        self._is_to_begin_anew = False
        self._has_failed = False

    def run(self) -> str:
        """Return the name in each process that is forked. The parent's own call ends it, once all have ended."""
        while True:
            self._reap()
            if self._ending_since is None:
                for process in self._due():
                    if self._fork(process):
                        return process.name
            elif not any(process.pid for process in self._processes):
                self._end()
            else:
                self._kill_late_ones()
            self._take(self._wait())

    def _due(self) -> Iterator[_Process]:
        return (process for process in self._processes if process.pid is None and process.due <= monotonic())

    def _fork(self, process: _Process) -> bool:
        """Whether this is the new process."""
        process.started = monotonic()
        try:
            pid = os.fork()
        except OSError as error:  # no memory, or too many processes
            self._put_off(process)
            log.error("process_not_started", process=process.name, error=str(error), again_in=process.pause)  # noqa: TRY400 (no place tells more)
            return False
        if pid:
            process.pid = pid
            log.info("process_started", process=process.name, pid=pid)
        return not pid

    def _put_off(self, process: _Process) -> None:
        """Have it started again after a pause, the longer the more often it ended."""
        now = monotonic()
        if now - process.started > LONGEST_PAUSE:
            process.pause = 0.0
        process.pause = min(2 * process.pause or FIRST_PAUSE, LONGEST_PAUSE)
        process.due = now + process.pause

    def _reap(self) -> None:
        """Take note of who ended. Orphans too: in a container this is the process that they are left to."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for process in self._processes:
                if process.pid == pid:
                    self._note_end(process, os.waitstatus_to_exitcode(status))

    def _note_end(self, process: _Process, status: int) -> None:
        pid, process.pid = process.pid, None
        if self._ending_since is not None:
            self._has_failed |= status != 0
            log.info("process_ended", process=process.name, pid=pid, exit_status=status)
            return
        self._put_off(process)
        log.error("process_died", process=process.name, pid=pid, exit_status=status, again_in=process.pause)

    def _wait(self) -> int:
        """The next signal; SIGALRM once it is time to look."""
        if self._ending_since is None:
            times = [process.due for process in self._processes if process.pid is None]
        else:
            times = [self._late(process, self._ending_since) for process in self._processes if process.pid]
        if times:
            signal.setitimer(signal.ITIMER_REAL, max(min(times) - monotonic(), _SHORTEST))
        return signal.sigwait(_AWAITED)

    def _take(self, number: int) -> None:
        """Do as the signal says."""
        if number == signal.SIGHUP and not sys.stdout.isatty():
            self._is_to_begin_anew |= self._ending_since is None
        elif number not in _ENDING | {signal.SIGHUP}:
            return
        else:
            self._is_to_begin_anew = False
        if self._ending_since is None:
            self._ending_since = monotonic()
        for process in self._processes:
            if process.pid:
                os.kill(process.pid, signal.SIGQUIT if number == signal.SIGQUIT else signal.SIGTERM)

    def _late(self, process: _Process, since: float) -> float:
        return since + ENDS_WITHIN[process.name] + LEEWAY

    def _kill_late_ones(self) -> None:
        assert self._ending_since is not None  # noqa: S101 (asked once they were told to end)
        for process in self._processes:
            if process.pid and monotonic() > self._late(process, self._ending_since):
                if not process.is_killed:
                    log.error("process_killed", process=process.name, pid=process.pid)
                process.is_killed = True
                os.kill(process.pid, signal.SIGKILL)

    def _end(self) -> None:
        """End, or begin anew with the code that lies on disk by now."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not self._is_to_begin_anew:
            sys.exit(1 if self._has_failed else 0)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(self._environment))  # noqa: S606 (itself)
