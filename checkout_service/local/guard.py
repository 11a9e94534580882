"""Ends what a process started, even when that process is killed: a second process waits for the first to be gone.

The guard reads lines from a pipe whose other end only its parent holds. When the pipe closes, whatever the parent has
not taken back is stopped, processes before servers, and temporary folders are removed. A signal handler or atexit could
not promise that: neither runs after SIGKILL.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

GRACE_SECONDS = 40.0
"""Above what the web and the workers may take to end (docs/operating.md)."""

# The command begins when a line arrives, and never if we end before we could send it.
WAIT_FOR_LEAVE = ("/bin/sh", "-c", 'read -r leave && exec "$@" < /dev/null', "sh")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A process that leads a group of its own, and the signal that ends it in good order. Stage 0 ends first."""

    pid: int
    signal: int = signal.SIGTERM
    stage: int = 0


class Guard:
    """The parent's end of the pipe."""

    def __init__(self, *, keep_open: Sequence[int] = ()) -> None:
        """Descriptors in ``keep_open`` (a lock's) stay open until everything has ended."""
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep_open,
            cwd="/",
        )

    def start(
        self, command: Sequence[str], *, ask_to_end: int = signal.SIGTERM, stage: int = 0, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a command in a group of its own; there is no moment in which it runs and is not watched.

        The rest is as for ``subprocess.Popen``. Its standard input is empty.
        """
        process = subprocess.Popen(
            [*WAIT_FOR_LEAVE, *command], stdin=subprocess.PIPE, start_new_session=True, **options
        )
        self._send({"watch": asdict(Target(pid=process.pid, signal=ask_to_end, stage=stage))})
        assert process.stdin is not None  # noqa: S101 (opened above, always a pipe)
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(b"go\n")
        return process

    def forget(self, pid: int) -> None:
        self._send({"forget": pid})

    def remove_at_end(self, folder: Path) -> None:
        self._send({"remove": str(folder)})

    def close(self) -> None:
        """Let the guard do what is left to do, and wait for it."""
        assert self._process.stdin is not None  # noqa: S101 (opened above, always a pipe)
        self._process.stdin.close()
        self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 (opened above, always a pipe)
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def stop(targets: Iterable[Target], *, grace: float = GRACE_SECONDS) -> None:
    """Ask each target to end, stage by stage; what is still there after the grace is killed with its whole group."""
    remaining = list(targets)
    for stage in sorted({target.stage for target in remaining}):
        _stop_together([target for target in remaining if target.stage == stage], grace)


def _stop_together(targets: Sequence[Target], grace: float) -> None:
    signalled = []
    for target in targets:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(target.pid)
            process.send_signal(target.signal)
            signalled.append(process)
    _wait(signalled, grace)
    for target in targets:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(target.pid, signal.SIGKILL)
    _wait(signalled, grace)


def _wait(processes: Sequence[psutil.Process], seconds: float) -> None:
    """Wait until all have ended. A zombie has: its parent, who may be the one who waits for us, has yet to notice."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(map(_ended, processes)):
        time.sleep(0.02)


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def main() -> None:
    """Follow the parent until it is gone, then end what it left."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    watched: dict[int, Target] = {}
    folders: list[str] = []
    for line in sys.stdin:
        message = json.loads(line)
        if "watch" in message:
            target = Target(**message["watch"])
            watched[target.pid] = target
        elif "forget" in message:
            watched.pop(message["forget"], None)
        else:
            folders.append(message["remove"])
    stop(watched.values())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
