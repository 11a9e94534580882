"""A whole deployment of its own: the Procfile's processes and their servers, and a supervisor of what dies."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil
import psycopg

from checkout_service.catalog.operations import import_listings
from checkout_service.local.data_folder import DATABASE_URLS, ROOT, environment_for, free_ports, take_data_folder
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.guard import Guard
from checkout_service.local.launch import Server
from checkout_service.local.processes import ONCE, Process, Processes, read_procfile
from checkout_service.local.servers import SUPERUSER, Postgres, Valkey, start_postgres, start_valkey
from checkout_service.local.session import DATABASE
from checkout_service.settings.secret import Secret
from tests.brokers.rabbit import Rabbit
from tests.children import children_of_web

Broker = Literal["redis", "amqp"]
"""Valkey, which is the cache as well, or RabbitMQ beside it."""

WHOLE_WITHIN = 240.0
SERVING = ("web", "worker", "housekeeping", "sender", "beat")
"""Flower takes no part in what is promised here."""


class House:
    """The deployment while it runs; ``restarts`` is what the supervisor had to do."""

    def __init__(self, folder: Path, guard: Guard, broker: Broker, given: Mapping[str, str]) -> None:
        self.broker: Broker = broker
        self.place = take_data_folder(folder)
        self.guard = guard
        self.postgres: Postgres = start_postgres(folder / "postgres", guard=guard)
        self.postgres.create_database(DATABASE)
        self.valkey: Valkey = start_valkey(folder / "valkey", guard=guard)
        self.rabbit = _rabbit(folder / "rabbit", guard) if broker == "amqp" else None
        roles = ("checkout_web", "checkout_worker", SUPERUSER)
        urls = {name: self.postgres.url(role, DATABASE) for name, role in zip(DATABASE_URLS, roles, strict=True)}
        urls |= {"REDIS_URL": self.valkey.url} | ({"CELERY_BROKER_URL": self.rabbit.url} if self.rabbit else {})
        outside = {"PATH": os.environ.get("PATH", os.defpath), "WEB_CONCURRENCY": "2", "WORKER_CONCURRENCY": "2"}
        self.environment = environment_for(self.place, outside | given, ports=free_ports(), urls=urls)
        self.processes = Processes(folder=ROOT, environment=self.environment, logs=self.place.logs, guard=guard)
        self.restarts: list[str] = []
        self._ended = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor")

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", int(self.environment["PORT"]))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    def start(self) -> None:
        commands = read_procfile(ROOT / "Procfile")
        for name in ONCE:
            self.processes.run_once(commands[name], name=name)
        with CATALOGUE.open("rb") as file:
            import_listings(file=file, database_url=Secret(self.environment["MIGRATION_DATABASE_URL"]))
        self.processes.start({name: commands[name] for name in SERVING})
        self._supervisor.start()
        self.await_whole()

    def stop(self) -> None:
        self._ended.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        self.processes.stop()
        if self.rabbit:
            self.rabbit.close()
        self.valkey.server.stop()
        self.postgres.server.stop()

    def pid(self, name: str) -> int:
        """The main process of a line of the Procfile; waits while it is being restarted."""
        process = self.processes.named(name)
        await_that(lambda: is_running(process), f"{name} runs")
        assert process.running is not None
        return process.running.pid

    def children(self, name: str) -> list[int]:
        """The processes that a main process shares its work among."""
        found = children_of_web(self.pid(name)) if name == "web" else psutil.Process(self.pid(name)).children()
        return [child.pid for child in found if _works(child)]

    def superuser(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """A connection that may do everything."""
        return psycopg.connect(
            host=str(self.postgres.socket_folder), user=SUPERUSER, dbname=DATABASE, autocommit=autocommit
        )

    def sql(self, query: str, **values: Any) -> list[Any]:
        """Run one statement as the superuser."""
        with self.superuser(autocommit=True) as connection:
            found = connection.execute(query, values)
            return found.fetchall() if found.description else []

    def listing(self) -> str:
        """Something that can be bought, of which there is plenty."""
        ((listing,),) = self.sql(_PLENTIFUL, stock=PLENTY)
        return str(listing)

    def scarce_listing(self, pieces: int) -> str:
        """Another listing, with so many pieces."""
        ((listing,),) = self.sql(_SCARCE, stock=pieces)
        return str(listing)

    def forget_messages(self) -> None:
        """Lose what Valkey, which must not run, has kept."""
        shutil.rmtree(self.valkey.server.folder)
        self.valkey.server.folder.mkdir()

    @contextmanager
    def another(self, name: str, command: list[str]) -> Iterator[int]:
        """One more process beside those of the Procfile, supervised like them; its process id."""
        self.processes.start({name: command})
        process = self.processes.named(name)
        try:
            yield self.pid(name)
        finally:
            self._take_away(process)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A line of the Procfile does not run, and nobody starts it again, until the block ends."""
        process = self.processes.named(name)
        self._take_away(process)
        try:
            yield
        finally:
            process.due = 0.0
            self.processes.running.append(process)

    def _take_away(self, process: Process) -> None:
        self.processes.running.remove(process)
        self.processes.end(process)

    def await_whole(self) -> None:
        """Wait until every process serves and finds everything that it needs."""
        await_that(self.is_whole, "everything runs", within=WHOLE_WITHIN)

    def is_whole(self) -> bool:
        if not all(map(is_running, self.processes.running)):
            return False
        pages = [f"http://127.0.0.1:{self.environment[name]}/metrics" for name in METRICS_PORTS]
        try:
            answers = [httpx.get(page, timeout=5) for page in [f"{self.base_url}/readyz", *pages]]
        except httpx.TransportError:
            return False
        return all(answer.status_code == 200 for answer in answers) and not answers[0].json()["missing"]

    def _supervise(self) -> None:
        while not self._ended.wait(0.2):
            self.processes.restart_dead(self.restarts.append)


PLENTY = 10_000_000

_PLENTIFUL = """
    UPDATE listings SET stock = %(stock)s WHERE id = (SELECT id FROM listings WHERE active ORDER BY id LIMIT 1)
    RETURNING id::text
"""
_SCARCE = """
    INSERT INTO listings (vendor_id, school_id, spec_id, title, unit_price, currency, stock)
    SELECT vendor_id, school_id, spec_id, 'Scarce', 20, currency, %(stock)s FROM listings ORDER BY id LIMIT 1
    RETURNING id::text
"""

METRICS_PORTS = ("WORKER_METRICS_PORT", "HOUSEKEEPING_METRICS_PORT", "SENDER_METRICS_PORT")


@contextmanager
def open_house(broker: Broker = "redis", **given: str) -> Iterator[House]:
    """A deployment in a temporary folder; ``given`` are settings that differ from the defaults."""
    folder = Path(tempfile.mkdtemp(prefix="checkout-faults-"))
    folder.chmod(0o711)  # PostgreSQL has another account than root, and has to pass
    guard = Guard()
    try:
        house = House(folder, guard, broker, given)
        try:
            house.start()
            yield house
        finally:
            house.stop()
            with suppress(OSError):
                os.close(house.place.lock)
    finally:
        guard.close()
        shutil.rmtree(folder, ignore_errors=True)


def _works(child: psutil.Process) -> bool:
    """Whether it is a living process that shares the work; the other kind looks after files."""
    try:
        return not any("resource_tracker" in word for word in child.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one of these
        return False


def _rabbit(folder: Path, guard: Guard) -> Rabbit:
    folder.mkdir()
    rabbit = Rabbit(folder, guard)
    rabbit.start()
    return rabbit


def await_that(found: Callable[[], object], what: str, *, within: float = WHOLE_WITHIN) -> float:
    """Wait until it is so, and return how many seconds that took. Raises TimeoutError."""
    started = time.monotonic()
    while not found():
        if time.monotonic() - started > within:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - started


def running_pid(server: Server) -> int:
    """The process id of a server that runs."""
    assert server.process is not None
    return server.process.pid


def is_running(process: Process) -> bool:
    """Whether it lives. Asked of the system: of two threads that poll a Popen at once, one is told that it does."""
    running = process.running
    try:
        return running is not None and psutil.Process(running.pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
