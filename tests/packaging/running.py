"""What is installed, as processes, and the environment file of a deployment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from checkout_service.local.servers import free_port
from tests.conftest import JWT_SECRET, MOCK_SECRET, Servers
from tests.packaging.built import Installed


@contextmanager
def running(installed: Installed, log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installed.script, *arguments],
            cwd=installed.empty,
            env=installed.environment(**environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def says(log: Path, words: str, process: subprocess.Popen[bytes]) -> bool:
    text = log.read_text(errors="replace")
    assert process.poll() is None, text[-4000:]
    return words in text


def status(url: str, **options: object) -> int:
    try:
        return httpx.get(url, timeout=30, **options).status_code  # type: ignore[arg-type]
    except httpx.TransportError:
        return 0


def environment_file(servers: Servers, folder: Path) -> Path:
    values = {
        "DATABASE_URL": servers.web_url,
        "WORKER_DATABASE_URL": servers.worker_url,
        "MIGRATION_DATABASE_URL": servers.superuser_url,
        "REDIS_URL": servers.redis_url,
        "JWT_SECRET": JWT_SECRET.replace(" ", "-"),
        "MOCK_WEBHOOK_SECRETS": MOCK_SECRET.replace(" ", "-"),
        "ENVIRONMENT": "test",
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "WEB_CONCURRENCY": "1",
        "WORKER_CONCURRENCY": "1",
        "WORKER_METRICS_HOST": "127.0.0.1",
        "WORKER_METRICS_PORT": str(free_port()),
    }
    path = folder / "checkout.env"
    path.write_text("# All that it reads.\n\n" + "".join(f"{name}={value}\n" for name, value in values.items()))
    path.chmod(0o600)
    return path


def value(path: Path, name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", path.read_text(), re.M)
    assert found
    return found[1]
