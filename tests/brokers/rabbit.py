"""A RabbitMQ node of our own: Debian's rabbitmq-server, on free ports, in a folder that is gone afterwards.

Its name server (epmd) is ours as well, so that nothing of it outlives the test and no other node is met.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kombu import Connection

from checkout_service.local.guard import Guard, Target, stop
from checkout_service.local.servers import free_port
from tests.halted import members_of, until_stopped

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""Debian's own starter switches to the system's account and folders; this is the program behind it."""

START_WITHIN = 240.0
END_WITHIN = 60.0

MISSING = "NO RABBITMQ: install Debian's rabbitmq-server to have the service tested on it"


def is_installed() -> bool:
    """Whether a node can be started here."""
    return (PROGRAMS / "rabbitmq-server").exists() and shutil.which("epmd") is not None


class Rabbit:
    """The node; it can be killed, frozen or restarted, and started again with its data or without."""

    def __init__(self, folder: Path, guard: Guard) -> None:
        self._folder = folder
        self._guard = guard
        self.port = free_port()
        self._environment = {
            "PATH": os.defpath + os.pathsep + "/usr/sbin",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"checkout{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Else a shell stands in front of the node, and would answer for it whatever is done to it.
            "RUNNING_UNDER_SYSTEMD": "yes",
        }
        (folder / "plugins").write_text("[].")
        # A shared test machine's disk may be nearly full, at which a node would block every publisher.
        (folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\n")
        self._names = self._spawn(["epmd", "-port", self._environment["ERL_EPMD_PORT"]], "epmd")
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @property
    def pid(self) -> int:
        assert self._node is not None
        return self._node.pid

    def start(self) -> None:
        self._node = self._spawn([str(PROGRAMS / "rabbitmq-server")], "node")
        deadline = time.monotonic() + START_WITHIN
        while not self._answers():
            if self._node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "node.log").read_text(errors="replace")[-4000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait()
        self._guard.forget(self._node.pid)

    def ask_to_end(self) -> None:
        """End it as an operator would, and wait."""
        assert self._node is not None
        self._node.terminate()
        self._node.wait(END_WITHIN)
        with suppress(ProcessLookupError):
            os.killpg(self._node.pid, signal.SIGKILL)  # what it started for itself, if that is slower
        self._guard.forget(self._node.pid)

    def lose_data(self) -> None:
        """Forget every queue and message; it must not run."""
        shutil.rmtree(self._folder / "data")

    def freeze(self) -> None:
        os.killpg(self.pid, signal.SIGSTOP)
        until_stopped(members_of(self.pid))

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        running = [process for process in (self._node, self._names) if process is not None and process.poll() is None]
        stop([Target(pid=process.pid) for process in running])
        for process in running:
            process.wait()
            self._guard.forget(process.pid)

    def _answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
        except OSError:
            return False
        except Exception as error:  # noqa: BLE001 (kombu wraps what a half-started node says in kinds of its own)
            del error
            return False
        return True

    def _spawn(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return self._guard.start(
                command, stage=1, env=self._environment, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT
            )


@contextmanager
def start_rabbit() -> Iterator[Rabbit]:
    """A running node. Skips the test, and says so, where it is not installed."""
    if not is_installed():
        pytest.skip(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="checkout-rabbit-"))
    guard = Guard()
    guard.remove_at_end(folder)
    try:
        rabbit = Rabbit(folder, guard)
        try:
            rabbit.start()
            yield rabbit
        finally:
            rabbit.close()
    finally:
        guard.close()
