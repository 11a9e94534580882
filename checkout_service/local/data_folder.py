"""Where one-machine mode keeps things, and the environment that its processes read.

What the caller's environment sets is taken as it is. The rest is filled in: secrets, which are made once and kept in
the data folder, so that tokens outlive a restart; free ports; the addresses of the embedded servers.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psutil

from checkout_service.local.servers import free_port
from checkout_service.settings.environment_file import is_accepted
from checkout_service.settings.secret_holders import FILES_OF_PARENT, FILES_OF_PROCESS, is_secret, may_hold

ROOT = Path(__file__).parent.parent.parent
"""What holds the packages: the checkout, or where packages are installed."""

PROCFILE = ROOT / "Procfile"

IS_CHECKOUT = PROCFILE.is_file()

DATA = (ROOT if IS_CHECKOUT else Path.cwd()) / ".data"

GUARD_SECONDS = 60.0

MOCK_PROVIDER = "mock-provider"
"""The process that plays the provider; it is not in the Procfile, since it is never deployed."""

SIGNS = ("MOCK_WEBHOOK_SECRETS",)
"""The one secret of the process that plays the provider."""

DATABASE_URLS = ("DATABASE_URL", "WORKER_DATABASE_URL", "MIGRATION_DATABASE_URL")

SETTLEMENTS_URL = "SETTLEMENTS_DATABASE_URL"
"""The address of `checkout settlements`, which no served process reads: whoever brings a database may lack it."""

SETTINGS = (
    *DATABASE_URLS,
    SETTLEMENTS_URL,
    *("DATABASE_SCHEMA", "DATABASE_ROLE_PREFIX"),
    *("REDIS_URL", "CELERY_BROKER_URL", "ENVIRONMENT", "JWT_SECRET", "JWT_JWKS_URL", "PAYMENT_PROVIDERS"),
    *("JWT_ALGORITHMS", "JWT_AUDIENCE", "JWT_ISSUER", "JWT_SUBJECT_CLAIM"),
    *("PAGES", "PAGES_SECRET", "MOCK_WEBHOOK_SECRETS", "MOCK_API_BASE", "PAYMENT_NAMESPACE"),
    # What the doctor says of the web process depends on these.
    *("TRUSTED_PROXIES", "PROXY_HEADER", "CORS_ORIGINS", "RETURN_ORIGINS", "METRICS_TOKEN"),
    *("WEBHOOK_SECRETS_KEY", "WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "WEBHOOK_PORTS"),
    *("HOST", "PORT", "FLOWER_PORT", "FLOWER_BASIC_AUTH", "FLOWER_URL", "CONSOLE_URL", "CONSOLE_BASIC_AUTH"),
)
"""What a command in another terminal has to know to work on the same servers."""


class DataFolderError(Exception):
    """The data folder, or the environment, cannot be used; the message says what to change."""


class DataFolderInUseError(DataFolderError):
    """Another run serves from this folder."""


@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """A data folder that belongs to us while its lock is held."""

    folder: Path
    lock: int

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def metrics(self) -> Path:
        """Where all processes count, so that the web's /metrics answers for each of them."""
        return self.temporary / "metrics"

    def secrets(self) -> dict[str, str]:
        """The secrets of this folder, made the first time."""
        kept = self.folder / "secrets.json"
        made = {
            "JWT_SECRET": secrets.token_urlsafe(48),
            "MOCK_WEBHOOK_SECRETS": secrets.token_urlsafe(32),
            "FLOWER_BASIC_AUTH": f"ops:{secrets.token_urlsafe(12)}",
            "CONSOLE_BASIC_AUTH": f"ops:{secrets.token_urlsafe(12)}",
            "PAGES_SECRET": secrets.token_urlsafe(32),
            "PAYMENT_NAMESPACE": str(uuid4()),
            "WEBHOOK_SECRETS_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
        if known.keys() < made.keys():  # a folder of an older version lacks what came later
            known = made | known
            _write_privately(kept, json.dumps(known, indent=2))
        return known

    def write_environment(self, environment: Mapping[str, str]) -> None:
        """Write the settings for commands in another terminal: ``. .data/environment``, or as an environment file."""
        lines = [_assignment(name, environment[name]) for name in SETTINGS if environment.get(name)]
        _write_privately(self.folder / "environment", "".join(lines))


def _assignment(name: str, value: str) -> str:
    """A shell's, and where the value allows it an environment file's as well."""
    return f"{name}={value if is_accepted(name, value) else shlex.quote(value)}\n"


def take_data_folder(folder: Path) -> DataFolder:
    """Make the folder if need be and lock it. Raises DataFolderInUseError when another run serves from it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + GUARD_SECONDS
    while not _locked(lock):
        holder = os.pread(lock, 20, 0).decode()
        # A killed run's guard holds the lock until everything has ended; that is worth waiting for.
        if time.monotonic() > deadline or (holder.isdigit() and psutil.pid_exists(int(holder))):
            os.close(lock)
            raise DataFolderInUseError(f"{folder} is in use by another run (process {holder})")
        time.sleep(0.1)
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    taken = DataFolder(folder=folder, lock=lock)
    taken.logs.mkdir(exist_ok=True)
    taken.temporary.mkdir(exist_ok=True)
    shutil.rmtree(taken.metrics, ignore_errors=True)  # counters begin anew with their processes
    taken.metrics.mkdir()
    return taken


def check_urls(environment: Mapping[str, str]) -> None:
    """The three database URLs come together. Raises DataFolderError if only some are set."""
    missing = [name for name in DATABASE_URLS if not environment.get(name)]
    if 0 < len(missing) < len(DATABASE_URLS):
        given = [name for name in DATABASE_URLS if name not in missing]
        raise DataFolderError(
            f"{' and '.join(given)} set, so {' and '.join(missing)} must be set too (or none of them)"
        )


def fixed_ports(environment: Mapping[str, str]) -> dict[str, str]:
    """The ports of ``make run``. Raises DataFolderError that names each port in use."""
    ports = {"PORT": environment.get("PORT") or "8000", "FLOWER_PORT": environment.get("FLOWER_PORT") or "5555"}
    taken = [f"port {port} ({name})" for name, port in ports.items() if not _is_free(int(port))]
    if taken:
        verb = "is" if len(taken) == 1 else "are"
        raise DataFolderError(
            f"{' and '.join(taken)} {verb} in use: stop what listens there, or set another: PORT=8001"
        )
    return ports


def free_ports() -> dict[str, str]:
    """The ports of ``make demo``: whichever are free."""
    return {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}


def environment_for(
    data: DataFolder, given: Mapping[str, str], *, ports: Mapping[str, str], urls: Mapping[str, str]
) -> dict[str, str]:
    """All that the processes read together; each gets its part of it, see ``process_environment``."""
    programs = Path(sys.executable).parent
    defaults = {
        **data.secrets(),
        "ENVIRONMENT": "development",
        "HOST": "127.0.0.1",
        "FLOWER_ADDRESS": "127.0.0.1",
        "WORKER_METRICS_HOST": "127.0.0.1",
        "WORKER_METRICS_PORT": str(free_port()),
        "HOUSEKEEPING_METRICS_PORT": str(free_port()),
        "SENDER_METRICS_PORT": str(free_port()),
        "PROMETHEUS_MULTIPROC_DIR": str(data.metrics),
        # Each leads to the other: a webhook to its tasks, a task to its webhook.
        "FLOWER_URL": f"http://127.0.0.1:{ports['FLOWER_PORT']}",
        "CONSOLE_URL": f"http://127.0.0.1:{ports['PORT']}/ops",
        # The shop that is being built listens on this machine.
        "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "on",
        "PYTHONUNBUFFERED": "1",
    }
    if given.get("JWT_JWKS_URL"):
        del defaults["JWT_SECRET"]
    return {
        **defaults,
        **{name: value for name, value in given.items() if value},
        **ports,
        **urls,
        "PATH": f"{programs}{os.pathsep}{given.get('PATH') or os.defpath}",
        "TMPDIR": str(data.temporary),
    }


def process_environment(process: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What one process gets of the whole environment: no secret of another one.

    What is neither in the Procfile, nor a parent of such, nor the mock provider is a command that somebody types, and
    gets all.
    """
    if process == MOCK_PROVIDER:
        return {name: value for name, value in environment.items() if name in SIGNS or not is_secret(name)}
    if process not in {**FILES_OF_PROCESS, **FILES_OF_PARENT}:
        return dict(environment)
    return {name: value for name, value in environment.items() if may_hold(process, name)}


def _write_privately(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) != 0
