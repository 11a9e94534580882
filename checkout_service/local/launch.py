"""A server as a child of this process: started under the guard, waited for, started again if it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.os_account import Account

SERVER_STAGE = 1
"""Servers end after the processes that talk to them."""

START_WITHIN = 60.0
RESTARTS = 5
LOGGED_LINES = 20

OURS = ("postgres", "valkey-server")

# On macOS, PostgreSQL refuses to start when it has to ask the system for the locale.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class ServerError(Exception):
    """A server did not start; the message ends with what it logged."""


@dataclass(kw_only=True)
class Server:
    """A server of ours: how it is started, how it ends, and how one sees that it is up. It works in its data folder."""

    name: str
    command: Sequence[str]
    folder: Path
    pid_file: Path
    guard: Guard
    ask_to_end: signal.Signals
    answers: Callable[[], bool]
    account: Account = field(default_factory=Account)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    def start(self) -> Self:
        """Start it and return once it answers. Raises ServerError, and leaves no server, when it does not."""
        _end_left_over(self.pid_file)
        with self.log.open("ab") as output:
            self.process = self.guard.start(
                self.command,
                ask_to_end=self.ask_to_end,
                stage=SERVER_STAGE,
                cwd=self.folder,
                env=ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
                **self.account.popen_arguments(),
            )
        deadline = time.monotonic() + START_WITHIN
        while not self.answers():
            if self.has_died() or time.monotonic() > deadline:
                self.stop()
                logged = self.log.read_text(errors="replace").splitlines()[-LOGGED_LINES:]
                raise ServerError("\n".join([f"{self.name} did not start; the end of its log:", *logged]))
            time.sleep(0.02)
        return self

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def restart(self) -> None:
        """Start it again, in the same place, after it died. Raises ServerError."""
        for attempt in range(RESTARTS):
            self.stop()
            try:
                self.start()
            except ServerError:
                # What a killed PostgreSQL leaves behind needs a moment to notice that it is alone.
                if attempt == RESTARTS - 1:
                    raise
                time.sleep(1)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            stop([Target(pid=self.process.pid, signal=self.ask_to_end)])
            self.process.wait()
            self.guard.forget(self.process.pid)
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _end_left_over(pid_file: Path) -> None:
    """End the server that a killed run left on this data: two servers on one folder would ruin it."""
    try:
        pid = int(pid_file.read_text().split()[0])
        name = psutil.Process(pid).name()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return
    if name in OURS:
        stop([Target(pid=pid, signal=signal.SIGINT)])
