"""The processes of the Procfile: started as written there, watched, restarted when they die, stopped together."""

from __future__ import annotations

import math
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from checkout_service.local.data_folder import MOCK_PROVIDER, process_environment
from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.launch import Server

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
LOGGED_LINES = 25

ONCE = ("release",)
"""Processes that are run before the others and end by themselves."""


class ProcessError(Exception):
    """A process ended when it should not have; the message closes with what it logged last."""


@dataclass(kw_only=True)
class Process:
    """One line of the Procfile, and what runs for it."""

    name: str
    command: Sequence[str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = math.inf

    @property
    def target(self) -> Target | None:
        return Target(pid=self.running.pid) if self.running else None

    def logged(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-LOGGED_LINES:] if self.log.exists() else []
        return "\n".join(f"    {line}" for line in lines) or "    (it logged nothing)"


def read_procfile(path: Path) -> dict[str, list[str]]:
    """The Procfile's commands by name, in its order."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    return {name.strip(): shlex.split(command) for name, _, command in pairs}


@dataclass(kw_only=True)
class Processes:
    """Everything that serves, as children of this process; each leads a process group of its own.

    ``environment`` is that of all together; each process gets its part of it.
    """

    folder: Path
    environment: Mapping[str, str]
    logs: Path
    guard: Guard
    running: list[Process] = field(default_factory=list)

    def run_once(self, command: Sequence[str], *, name: str) -> str:
        """Run a command to its end and return what it printed. Raises ProcessError if it fails."""
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = self._spawn(name, command, output)
        try:
            code = process.wait()
        except BaseException:
            stop([Target(pid=process.pid)])
            process.wait()
            raise
        finally:
            self.guard.forget(process.pid)
        if code:
            raise ProcessError(
                f"{name} failed with status {code}:\n{Process(name=name, command=command, log=log).logged()}"
            )
        return log.read_text(errors="replace")

    def start(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Start each command under its name, with an empty log."""
        for name, command in commands.items():
            process = Process(name=name, command=command, log=self.logs / f"{name}.log")
            process.log.unlink(missing_ok=True)
            self.running.append(process)
            self.launch(process)

    def check(self) -> None:
        """Raise ProcessError if one has died."""
        for process in self.running:
            if process.running is not None and process.running.poll() is not None:
                raise ProcessError(f"{process.name} {_ending(process.running.returncode)}:\n{process.logged()}")

    def named(self, name: str) -> Process:
        """The process that was started under this name."""
        return next(process for process in self.running if process.name == name)

    def watch(
        self,
        report: Callable[[str], None],
        servers: Sequence[Server] = (),
        *,
        replace: threading.Event | None = None,
    ) -> None:
        """Start again what dies, for ever, and report each death. A process that keeps dying waits ever longer.

        Each time that ``replace`` is set, run the code that is on disk by then.
        """
        while True:
            if replace is not None and replace.is_set():
                replace.clear()
                self.replace(report)
            for server in servers:
                if server.has_died():
                    report(f"{server.name} died; started again")
                    server.restart()
            self.restart_dead(report)
            time.sleep(0.2)

    def replace(self, report: Callable[[str], None]) -> None:
        """Run the code that is on disk by now: the web replaces itself, the others end and start, one after the other.

        What they work on meanwhile waits in PostgreSQL and in the queues.
        """
        for process in self.running:
            if process.running is None or process.name == MOCK_PROVIDER:
                continue
            report(f"{process.name} is replaced")
            if process.name == "web":
                process.running.send_signal(signal.SIGHUP)
            else:
                self.end(process)
                self.launch(process)

    def restart_dead(self, report: Callable[[str], None]) -> None:
        """Start again what has died, now or, once its pause is over, in a later call."""
        now = time.monotonic()
        for process in self.running:
            if process.running is not None and process.running.poll() is not None:
                process.pause = FIRST_PAUSE if now - process.started > LONGEST_PAUSE else process.pause
                report(f"{process.name} {_ending(process.running.returncode)}; restarted in {process.pause:.0f} s")
                self.end(process)
                process.due = now + process.pause
                process.pause = min(2 * process.pause, LONGEST_PAUSE)
            if process.running is None and now >= process.due:
                self.launch(process)

    def stop(self) -> None:
        """Ask all to end at once and wait; what does not end in time is killed with its children."""
        stop([process.target for process in self.running if process.target])
        for process in self.running:
            self.end(process)

    def launch(self, process: Process) -> None:
        """Start one; its log goes on where it ended."""
        with process.log.open("ab") as output:
            process.running = self._spawn(process.name, process.command, output)
        process.started = time.monotonic()

    def end(self, process: Process) -> None:
        """End one. If it died, end the children that it left: they would hold its port."""
        if process.running is None or process.target is None:
            return
        stop([process.target])
        process.running.wait()
        self.guard.forget(process.running.pid)
        process.running = None

    def _spawn(self, name: str, command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        return self.guard.start(
            command,
            cwd=self.folder,
            env=process_environment(name, self.environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
