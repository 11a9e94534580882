"""Lines of the Procfile as real processes beside the tests' own servers, so that a test can play an operator."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from checkout_service.local.guard import Guard
from checkout_service.local.processes import Processes, read_procfile
from checkout_service.local.servers import free_port
from tests.conftest import JWT_SECRET, MOCK_SECRET, ROOT, Servers

FLOWER_USER = ("ops", "a password for Flower in tests")


def environment(servers: Servers, **given: str) -> dict[str, str]:
    """All that the processes read; ``given`` settings go over the tests' own."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONUNBUFFERED": "1",
        "ENVIRONMENT": "test",
        "DATABASE_URL": servers.web_url,
        "WORKER_DATABASE_URL": servers.worker_url,
        "MIGRATION_DATABASE_URL": servers.superuser_url,
        "REDIS_URL": servers.redis_url,
        "JWT_SECRET": JWT_SECRET,
        "MOCK_WEBHOOK_SECRETS": MOCK_SECRET,
        "FLOWER_BASIC_AUTH": ":".join(FLOWER_USER),
        "FLOWER_ADDRESS": "127.0.0.1",
        "FLOWER_PORT": str(free_port()),
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "WORKER_METRICS_PORT": str(free_port()),
        "HOUSEKEEPING_METRICS_PORT": str(free_port()),
        "SENDER_METRICS_PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        "WORKER_CONCURRENCY": "1",
    } | given


@contextmanager
def run(logs: Path, settings: Mapping[str, str], *names: str) -> Iterator[Processes]:
    """These lines of the Procfile, up and answering; stopped when the block ends."""
    guard = Guard()
    processes = Processes(folder=ROOT, environment=settings, logs=logs, guard=guard)
    commands = read_procfile(ROOT / "Procfile")
    try:
        processes.start({name: commands[name] for name in names})
        for name in names:
            if name in PAGES:
                setting, path = PAGES[name]
                await_page(processes, f"http://127.0.0.1:{settings[setting]}{path}")
        yield processes
    finally:
        processes.stop()
        guard.close()


PAGES = {
    "web": ("PORT", "/livez"),
    "worker": ("WORKER_METRICS_PORT", "/metrics"),
    "housekeeping": ("HOUSEKEEPING_METRICS_PORT", "/metrics"),
    "sender": ("SENDER_METRICS_PORT", "/metrics"),
    "flower": ("FLOWER_PORT", "/healthcheck"),
}


def await_page(processes: Processes, url: str) -> None:
    def answers() -> bool:
        processes.check()
        try:
            return httpx.get(url, timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, within=180)


def eventually(found: Callable[[], Any], *, within: float = 60.0) -> Any:
    """What is found, once it is true; fails when that takes longer."""
    deadline = time.monotonic() + within
    while not (value := found()):
        assert time.monotonic() < deadline, f"it did not happen within {within:.0f} s"
        time.sleep(0.05)
    return value
