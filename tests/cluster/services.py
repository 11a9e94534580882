"""The services of a host: what systemd would do with their units. Each is started again when it ends by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from tests.cluster.hosts import Host
from tests.cluster.units import Unit, read_settings, read_unit
from tests.faults.stack import await_that

AGAIN: Final = {"no": False, "on-failure": True, "always": True}


class Service:
    """One unit on one host."""

    def __init__(self, host: Host, unit: Unit) -> None:
        self.host = host
        self.unit = unit
        self.extra: dict[str, str] = {}
        """Settings beside those of the unit, as a drop-in would give them."""
        self.uses_socket = True
        """Whether its socket unit is there, if it has one."""
        self._listener: socket.socket | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.wants_to_run = False
        self._due = 0.0
        self._lock = threading.RLock()

    @property
    def log(self) -> Path:
        return self.host.logs / f"{self.unit.name}.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it, or run it to its end if it is a oneshot. Raises RuntimeError if that failed."""
        with self._lock:
            self.wants_to_run = True
            if self.unit.kind == "oneshot":
                for command in self.unit.commands:
                    self._run(command)
            elif not self.runs:
                self._spawn()

    def stop(self) -> float:
        """End it in good order, what is left after its time by force; the seconds that took."""
        started = time.monotonic()
        with self._lock:
            self.wants_to_run = False
            if self.process is None or self.process.poll() is not None:
                return 0.0
            everything = list(self.tree())
            self.process.send_signal(signal.Signals[self.unit.kill_signal])
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.unit.stop_within)
            _kill(everything)
            self.process.wait()
        return time.monotonic() - started

    def reload(self) -> None:
        """``systemctl reload``, and wait until none of its processes but the first is of before."""
        assert self.unit.reload is not None
        before = [process for process in self.tree() if process.pid != self.pid]
        self.host.run([word.replace("$MAINPID", str(self.pid)) for word in self.unit.reload])
        await_that(lambda: not any(process.is_running() for process in before), f"{self.unit.name} is reloaded")

    def kill(self, *, again: bool = True) -> None:
        """End it as a power cut would; it is started again unless it shall stay away."""
        with self._lock:
            self.wants_to_run = again
            if self.process is not None:
                _kill(list(self.tree()))
                self.process.wait()
                self._due = time.monotonic() + self.unit.restart_after

    def lose_power(self) -> None:
        """As ``kill``, and what is listened on for it ends as well: a balancer sees that nobody is there."""
        self.kill(again=False)
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def freeze(self) -> None:
        """Stop all its processes where they are, the first of them first."""
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def tree(self) -> Iterator[psutil.Process]:
        """Its processes that live, the first before those that it started."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            yield first
            yield from first.children(recursive=True)

    def look_after(self) -> None:
        """Start it again if it ended by itself, when its pause is over."""
        with self._lock:
            if not self.wants_to_run or self.process is None or self.process.poll() is None:
                return
            if not AGAIN[self.unit.restart] or (self.unit.restart == "on-failure" and self.process.returncode == 0):
                return
            if not self._due:
                self._due = time.monotonic() + self.unit.restart_after
            elif time.monotonic() > self._due:
                with suppress(RuntimeError):  # it stands in the log, and is tried again
                    self._spawn()

    def environment(self) -> dict[str, str]:
        """All settings of the unit on this host. Raises RuntimeError if a file of them is missing."""
        found = dict(self.unit.environment)
        for file in self.unit.environment_files:
            text = self.host.run(["cat", file.path], check=not file.may_be_missing)
            found |= read_settings(text) if not text.startswith("cat: ") else {}
        return found | self.extra

    def _spawn(self) -> None:
        self._due = time.monotonic() + self.unit.restart_after
        if self.unit.runtime_folder:
            self.host.run(["install", "-d", "-o", self.unit.user or "root", f"/run/{self.unit.runtime_folder}"])
        for command in self.unit.before:
            self._run(command)
        if self.unit.listen and self.uses_socket and self._listener is None:
            self._listener = self.host.listen(*self.unit.listen)
        (command,) = self.unit.commands
        self.process = self.host.spawn(
            command,
            self.log,
            user=self.unit.user,
            folder=self.unit.folder,
            environment=self.environment(),
            listener=self._listener,
        )
        self._due = 0.0

    def _run(self, command: list[str]) -> None:
        try:
            self.host.run(command, user=self.unit.user, folder=self.unit.folder, environment=self.environment())
        except RuntimeError as error:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{error}\n")
            raise


class Supervisor:
    """Looks after the services of all hosts, in a thread."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], Service] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)
        self._thread.start()

    def add(self, host: Host, path: Path, *, as_root: bool = False) -> Service:
        """The unit in the file as a service of that host, not started; as root, whoever the unit says."""
        unit = read_unit(path, host.name)
        if as_root:
            unit.user = None
        service = Service(host, unit)
        self.services[host.name, unit.name.removeprefix("checkout-")] = service
        return service

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for service in self.services.values():
            service.kill(again=False)

    def _work(self) -> None:
        while not self._ended.wait(0.1):
            for service in list(self.services.values()):
                service.look_after()


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
