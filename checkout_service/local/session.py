"""Brings one machine up and down: servers, migrations, catalogue, processes; then a purchase to see that it works."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import httpx
import psycopg

from checkout_service.catalog.operations import import_listings
from checkout_service.command_line.processes import PROCESSES, TOGETHER
from checkout_service.local.data_folder import (
    DATABASE_URLS,
    IS_CHECKOUT,
    MOCK_PROVIDER,
    PROCFILE,
    ROOT,
    SETTLEMENTS_URL,
    DataFolder,
    check_urls,
    environment_for,
)
from checkout_service.local.demo_catalog import CATALOGUE
from checkout_service.local.guard import Guard
from checkout_service.local.launch import Server
from checkout_service.local.processes import ONCE, ProcessError, Processes, read_procfile
from checkout_service.local.purchase import Purchase, buy
from checkout_service.local.screen import Screen, show_seconds
from checkout_service.local.servers import SUPERUSER, free_port, start_postgres, start_valkey
from checkout_service.settings.database_names import DatabaseAddress, connection_to, read_names

DATABASE = "checkout"
READY_WITHIN = 300.0
"""Seconds that a process may take until it serves: a machine that builds something else meanwhile needs minutes."""


class StoppedError(BaseException):
    """Ctrl-C or SIGTERM came: no failure, but everything has to end. A BaseException, so that nothing swallows it."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Everything is up."""

    environment: Mapping[str, str]
    """That of all processes together."""

    processes: Processes
    servers: Sequence[Server]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['FLOWER_PORT']}"


@contextmanager
def session(
    data: DataFolder, given: Mapping[str, str], *, ports: Mapping[str, str], kept: bool, screen: Screen
) -> Iterator[Session]:
    """Start everything, and stop it when the block ends. Raises ServerError, ProcessError and StoppedError.

    What is not ``kept`` is removed at the end, so it need not be safe from a power cut either.
    """
    check_urls(given)
    guard = Guard(keep_open=[data.lock])
    if not kept:
        guard.remove_at_end(data.folder)
    servers: list[Server] = []
    processes = None
    try:
        urls = {}
        if not given.get("DATABASE_URL"):
            with screen.step("PostgreSQL"):
                postgres = start_postgres(data.folder / "postgres", guard=guard, durable=kept)
                servers.append(postgres.server)
                postgres.create_database(DATABASE)
            names, _ = read_names(given)  # the migrations say what is wrong with them
            roles = (names.web, names.worker, SUPERUSER)
            urls = {name: postgres.url(role, DATABASE) for name, role in zip(DATABASE_URLS, roles, strict=True)}
            urls[SETTLEMENTS_URL] = postgres.url(names.settlements, DATABASE)
        if not given.get("REDIS_URL"):
            with screen.step("Valkey"):
                valkey = start_valkey(data.folder / "valkey", guard=guard, durable=kept)
                servers.append(valkey.server)
            urls["REDIS_URL"] = valkey.url
        # Somebody who names another provider's server has their own.
        own_provider = not given.get("MOCK_API_BASE")
        if own_provider:
            urls["MOCK_API_BASE"] = f"http://127.0.0.1:{free_port()}"
        environment = environment_for(data, given, ports=ports, urls=urls)
        data.write_environment(environment)
        folder = ROOT if IS_CHECKOUT else data.folder
        processes = Processes(folder=folder, environment=environment, logs=data.logs, guard=guard)
        _serve(processes, screen, _provider(data, environment) if own_provider else {})
        yield Session(environment=environment, processes=processes, servers=servers)
    finally:
        with _undisturbed():
            if processes:
                processes.stop()
            for server in reversed(servers):
                server.stop()
            guard.close()


def show_purchase(session: Session, screen: Screen) -> Purchase:
    """Buy something, and show each step with its time."""

    def show(action: str, outcome: str, seconds: float) -> None:
        screen.line(f"  {action:<28} {outcome:<64} {screen.dim(f'{show_seconds(seconds):>7}')}")

    screen.title("A purchase")
    purchase = buy(session.base_url, session.environment, CATALOGUE, show)
    screen.line(f"\n  {screen.bold('paid')} {show_seconds(purchase.seconds_to_paid)} after the webhook was posted")
    number = "whose number is coming" if purchase.order_number is None else f"number {purchase.order_number}"
    screen.line(f"  {screen.bold('order')} {purchase.order_id}, {number}")
    return purchase


def has_payments(session: Session) -> bool:
    """Whether the database holds a payment: then somebody used it before."""
    with psycopg.connect(**connection_to(_address(session.environment, "DATABASE_URL"))) as connection:
        return connection.execute("SELECT FROM payments LIMIT 1").fetchone() is not None


def raise_when_stopped() -> None:
    """Let Ctrl-C, SIGTERM and a closed terminal end the run in good order."""

    def stopped(number: int, _frame: object) -> NoReturn:
        raise StoppedError(signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stopped)


@contextmanager
def replacing_on_hangup() -> Iterator[threading.Event]:
    """What SIGHUP sets while the block runs; but where the terminal was closed, it ends the run in good order."""
    requested = threading.Event()
    has_terminal = sys.stdin is not None and sys.stdin.isatty()

    def hung_up(number: int, _frame: object) -> None:
        if has_terminal:
            try:
                os.tcgetpgrp(sys.stdin.fileno())
            except OSError:
                raise StoppedError(signal.Signals(number).name) from None
        requested.set()

    before = signal.signal(signal.SIGHUP, hung_up)
    try:
        yield requested
    finally:
        signal.signal(signal.SIGHUP, before)


def _address(environment: Mapping[str, str], name: str) -> DatabaseAddress:
    return DatabaseAddress(environment[name], read_names(environment)[0])


def _provider(data: DataFolder, environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The mock provider's own site, as a process to start beside those of the Procfile: it alone signs webhooks."""
    port = environment["MOCK_API_BASE"].rpartition(":")[2]
    journal = data.folder / "mock-provider.jsonl"
    shop = f"http://127.0.0.1:{environment['PORT']}"
    options = ["--port", port, "--shop", shop, "--journal", str(journal)]
    return {MOCK_PROVIDER: [*_module("checkout_service.local.mock_server"), *options]}


def _commands() -> dict[str, list[str]]:
    """The processes' commands: the Procfile's in a checkout, and by our own command line in an installed package.

    What may run from one parent does so: on one machine it takes less memory.
    """
    commands = {name: [*_module("checkout_service.command_line"), name] for name in PROCESSES}
    if IS_CHECKOUT:
        commands = read_procfile(PROCFILE)
    for parent, names in TOGETHER.items():
        command = [*_module("checkout_service.command_line"), parent]
        apart = [name for name in commands if name not in names]
        commands = {name: commands[name] for name in apart} | {parent: command}
    return commands


def _module(name: str) -> list[str]:
    """The command that runs a module of ours. An installed one is not looked for where the command runs."""
    return [sys.executable, *([] if IS_CHECKOUT else ["-P"]), "-m", name]


def _serve(processes: Processes, screen: Screen, provider: Mapping[str, list[str]]) -> None:
    commands = _commands()
    with screen.step("migrations"):
        for name in ONCE:
            processes.run_once(commands.pop(name), name=name)
    environment = processes.environment
    with screen.step("demo catalogue") as remarks, CATALOGUE.open("rb") as file:
        done = import_listings(file=file, database_url=_address(environment, "MIGRATION_DATABASE_URL"))
        remarks.append(f"{done.new} listings are new, {done.changed} changed, {done.unchanged} as they were")
    commands |= provider
    processes.start(commands)
    with screen.step(", ".join(commands)):
        if provider:
            await_ready(processes, MOCK_PROVIDER, f"{environment['MOCK_API_BASE']}/_payments", is_up=_is_ok)
        await_ready(processes, "web", f"http://127.0.0.1:{environment['PORT']}/readyz", is_up=_is_ready)
        await_ready(processes, "flower", f"http://127.0.0.1:{environment['FLOWER_PORT']}/healthcheck", is_up=_is_ok)
        for parent, names in TOGETHER.items():
            for port in (environment[f"{name.upper()}_METRICS_PORT"] for name in names):
                if port != "0":
                    await_ready(processes, parent, f"http://127.0.0.1:{port}/livez", is_up=_is_ok)


def await_ready(
    processes: Processes,
    name: str,
    url: str,
    *,
    is_up: Callable[[httpx.Response], bool],
    within: float = READY_WITHIN,
) -> None:
    """Return once the process of this name serves. Raises ProcessError, with what it logged last."""
    deadline = time.monotonic() + within
    last = "nothing"
    while time.monotonic() < deadline:
        processes.check()
        try:
            answer = httpx.get(url, timeout=5)
        except httpx.TransportError as error:
            last = repr(error)
        else:
            if is_up(answer):
                return
            last = f"{answer.status_code} {answer.text}"
        time.sleep(0.05)
    raise ProcessError(
        f"{name} was not ready within {within:.0f} s: {url} answered {last}. The end of its log:\n"
        f"{processes.named(name).logged()}"
    )


def _is_ok(answer: httpx.Response) -> bool:
    return answer.status_code == 200


def _is_ready(answer: httpx.Response) -> bool:
    """Ready, with nothing missing: here everything is ours to start."""
    return answer.status_code == 200 and not json.loads(answer.content).get("missing")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the processes behind; the waits in here are bounded."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
