"""The test stand: real servers in a folder of their own, and the service's processes on them, as the Procfile says."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from checkout_service.local.data_folder import (
    DATABASE_URLS,
    ROOT,
    DataFolder,
    environment_for,
    free_ports,
    take_data_folder,
)
from checkout_service.local.guard import Guard
from checkout_service.local.processes import Process, Processes, read_procfile
from checkout_service.local.servers import SUPERUSER, Postgres, Valkey, free_port, start_postgres, start_valkey

DATABASE = "checkout"
READY_WITHIN = 60.0

TAKEN_OVER = ("PATH", "CELERY_BROKER_URL", "WEB_CONCURRENCY", "WEB_THREADS", "WORKER_CONCURRENCY")
"""What the caller's environment may change; all else would make two runs differ without saying so."""

PROCFILE = read_procfile(ROOT / "Procfile")


@dataclass(kw_only=True)
class Stand:
    """Everything that a figure needs; what is started here ends with the block that made it."""

    place: DataFolder
    guard: Guard
    postgres: Postgres
    valkey: Valkey
    environment: Mapping[str, str]
    started: dict[str, Processes] = field(default_factory=dict)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """A superuser's connection in autocommit."""
        url = self.environment["MIGRATION_DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
        return psycopg.connect(url, autocommit=True, **options)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.environment["REDIS_URL"])

    def run(self, *command: str, name: str) -> str:
        """Run a command to its end; what it printed."""
        return self._processes({}).run_once(command, name=name)

    def start(self, name: str, command: Sequence[str] | None = None, **changes: str) -> Process:
        """Start a process of the Procfile, or another command under that name."""
        processes = self._processes(changes)
        processes.start({name: command or PROCFILE[name]})
        self.started[name] = processes
        return processes.named(name)

    def stop(self, name: str) -> None:
        self.started.pop(name).stop()

    def check(self) -> None:
        """Raise ProcessError if anything that was started has died."""
        for processes in self.started.values():
            processes.check()

    def pids(self) -> dict[str, int]:
        """The first process of each group, by name."""
        groups = {name: processes.running[0].target for name, processes in self.started.items()}
        servers = {"postgres": self.postgres.server.process, "valkey": self.valkey.server.process}
        found = {name: target.pid for name, target in groups.items() if target is not None}
        return found | {name: process.pid for name, process in servers.items() if process is not None}

    def serve(self) -> str:
        """Start the web process and return its address."""
        self.start("web")
        return self.await_http(f"http://127.0.0.1:{self.environment['PORT']}", "/readyz", "web")

    def serve_floor(self) -> str:
        """Start the floor's web process, the same server with as many children, and return its address."""
        port = str(free_port())
        self.start("floor", [sys.executable, "-m", "benchmarks.floors.serve"], PORT=port)
        return self.await_http(f"http://127.0.0.1:{port}", "/livez", "floor")

    def work(self) -> None:
        """Start the worker, and return once it works."""
        self.start("worker")
        port = self.environment["WORKER_METRICS_PORT"]
        self.await_http(f"http://127.0.0.1:{port}", "/metrics", "worker")

    def await_http(self, base: str, path: str, name: str) -> str:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            self.started[name].check()
            try:
                if httpx.get(base + path, timeout=5).status_code == 200:
                    return base
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError(f"{name} did not serve within {READY_WITHIN:.0f} s")

    def _processes(self, changes: Mapping[str, str]) -> Processes:
        environment = {**self.environment, **changes}
        return Processes(folder=ROOT, environment=environment, logs=self.place.logs, guard=self.guard)


@contextmanager
def stand() -> Iterator[Stand]:
    """Servers as in production (nothing is answered before it is on disk) with a migrated, empty database."""
    folder = Path(tempfile.mkdtemp(prefix="checkout-bench-"))
    folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
    place = take_data_folder(folder)
    guard = Guard(keep_open=[place.lock])
    guard.remove_at_end(folder)
    given = {name: value for name, value in os.environ.items() if name in TAKEN_OVER or name.startswith("OTEL_")}
    started: Stand | None = None
    try:
        postgres = start_postgres(folder / "postgres", guard=guard)
        valkey = start_valkey(folder / "valkey", guard=guard)
        postgres.create_database(DATABASE)
        roles = ("checkout_web", "checkout_worker", SUPERUSER)
        urls = {name: postgres.url(role, DATABASE) for name, role in zip(DATABASE_URLS, roles, strict=True)}
        urls["REDIS_URL"] = valkey.url
        environment = environment_for(place, given, ports=free_ports(), urls=urls)
        started = Stand(place=place, guard=guard, postgres=postgres, valkey=valkey, environment=environment)
        started.run(*PROCFILE["release"], name="release")
        yield started
    finally:
        for name in list(started.started) if started else ():
            started.stop(name)
        guard.close()
        shutil.rmtree(folder, ignore_errors=True)
