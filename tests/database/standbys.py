"""PostgreSQL servers beside each other, made as an operator makes them: by pg_basebackup, pg_rewind and a promotion."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from checkout_service.local.guard import Guard
from checkout_service.local.launch import ENVIRONMENT, Server
from checkout_service.local.os_account import Account, postgres_account
from checkout_service.local.servers import NOT_DURABLE, SUPERUSER, _installed_postgres
from tests.threads.scenes import wait_until

FAST: Final = NOT_DURABLE | {
    "synchronous_commit": "on",
    "full_page_writes": "on",  # pg_rewind would not take such a server for its source
    "wal_retrieve_retry_interval": "200ms",
    "wal_keep_size": "256MB",
}
"""Commits wait for standbys as in production, and no disk is waited for."""


@dataclass(kw_only=True)
class Node:
    """One server: its data, and the folder of its socket."""

    name: str
    cluster: Cluster
    server: Server | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.cluster.folder / self.name

    @property
    def sockets(self) -> Path:
        return self.cluster.folder / f"{self.name}.socket"

    def url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}@/{database}?host={self.sockets}"

    def sql(self, query: str, *parameters: Any, database: str = "postgres") -> list[Any]:
        """Run one statement as the superuser."""
        with psycopg.connect(host=str(self.sockets), user=SUPERUSER, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and return once it takes connections; a standby as soon as it is consistent."""
        self.cluster.account.own(self.sockets)
        options = {"listen_addresses": "", "unix_socket_directories": str(self.sockets)}
        arguments = [f"--{name}={value}" for name, value in (options | FAST | self.settings).items()]
        self.server = Server(
            name=f"PostgreSQL {self.name}",
            command=[str(self.cluster.programs / "postgres"), "-D", str(self.data), *arguments],
            folder=self.data,
            pid_file=self.data / "postmaster.pid",
            guard=self.cluster.guard,
            ask_to_end=signal.SIGINT,
            answers=self._answers,
            account=self.cluster.account,
        ).start()

    def stop(self) -> None:
        """A fast shutdown: standbys have all of it then."""
        if self.server is not None:
            self.server.stop()
            self.server = None

    def forget(self) -> None:
        """Stop it and remove its data: its name can be given anew."""
        self.stop()
        shutil.rmtree(self.data)

    def kill(self) -> None:
        """End it as a power cut does, its children too."""
        assert self.server is not None
        assert self.server.process is not None
        pid = self.server.process.pid
        children = [int(line) for line in self._children(pid)]
        for each in (pid, *children):
            os.kill(each, signal.SIGKILL)
        self.stop()

    def promote(self) -> None:
        assert self.sql("SELECT pg_promote()") == [(True,)]

    def set(self, **settings: str) -> None:
        """ALTER SYSTEM and reload."""
        for name, value in settings.items():
            self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")
        for name, value in settings.items():
            wait_until(lambda name=name, value=value: self.sql(f"SHOW {name}") == [(value,)])

    def _answers(self) -> bool:
        try:
            self.sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _children(pid: int) -> list[str]:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@dataclass(kw_only=True)
class Cluster:
    """Where servers are made, as which account, and by which programs."""

    folder: Path
    guard: Guard
    account: Account
    programs: Path
    nodes: dict[str, Node] = field(default_factory=dict)

    def run(self, program: str, *arguments: str | Path) -> str:
        """One of PostgreSQL's programs, to its end; what it printed."""
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            cwd=self.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **self.account.popen_arguments(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def node(self, name: str, **settings: str) -> Node:
        node = Node(name=name, cluster=self, settings={"cluster_name": name} | settings)
        self.nodes[name] = node
        return node

    def first(self, name: str, **settings: str) -> Node:
        """A new server, not started. Its settings are in its folder, so that copies have them, and pg_rewind."""
        node = self.node(name)
        self.run("initdb", "-D", node.data, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale")
        with (node.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in (FAST | settings).items())
        return node

    def standby(self, name: str, *, of: Path, **settings: str) -> Node:
        """A standby of the server with this socket, started; it calls itself by its ``cluster_name``."""
        node = self.copy(name, of=of, options=["--write-recovery-conf"], **settings)
        node.start()
        return node

    def copy(self, name: str, *, of: Path, options: Sequence[str] = (), **settings: str) -> Node:
        """A base backup of the server with this socket, not started."""
        node = self.node(name, **settings)
        words = ["-h", of, "-U", SUPERUSER, "-D", node.data, "--checkpoint=fast", "--no-sync", *options]
        self.run("pg_basebackup", *words)
        return node


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An empty place for servers; they end with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="checkout-nodes-", ignore_cleanup_errors=True) as name,
        closing(Guard()) as guard,
        ExitStack() as ends,
    ):
        folder = Path(name)
        account = postgres_account(folder)
        account.own(folder)
        folder.chmod(0o711)
        installed = _installed_postgres()
        programs = account.programs(installed, folder)
        if programs.is_relative_to(folder):  # the copy has those that tests alone need as well
            shutil.copytree(installed / "bin", programs, dirs_exist_ok=True, symlinks=True)
        made = Cluster(folder=folder, guard=guard, account=account, programs=programs)
        ends.callback(lambda: [node.stop() for node in made.nodes.values()])
        yield made
