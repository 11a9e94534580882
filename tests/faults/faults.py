"""Every fault of the campaign: what is done to whom. Each returns when the one it struck may serve again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.brokers.rabbit import Rabbit
from tests.faults.stack import SERVING, Broker, House, await_that, running_pid

FROZEN_FOR = 5.0
"""Seconds: less than a sender's lease of an endpoint, beyond which an older event may come after a newer one."""

AWAY_FOR = 1.0
"""Seconds until a server that died is started again."""

PidOf = Callable[[House], int]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way in which something fails."""

    target: str
    action: str
    strike: Callable[[House], None]

    @property
    def name(self) -> str:
        return f"{self.target}: {self.action}"


def _main(name: str) -> PidOf:
    return lambda house: house.pid(name)


def _child(name: str) -> PidOf:
    return lambda house: random.choice(house.children(name))


PROCESSES: dict[str, PidOf] = {
    "a web child": _child("web"),
    "the web master": _main("web"),
    "the worker": _main("worker"),
    "a worker child": _child("worker"),
    "housekeeping": _main("housekeeping"),
    "the sender": _main("sender"),
    "a sender child": _child("sender"),
    "beat": _main("beat"),
}


def _killed(pid_of: PidOf) -> Callable[[House], None]:
    return lambda house: _end(pid_of(house), signal.SIGKILL)


def _restarted(pid_of: PidOf) -> Callable[[House], None]:
    return lambda house: _end(pid_of(house), signal.SIGTERM)


def _frozen(pid_of: PidOf) -> Callable[[House], None]:
    return lambda house: _freeze([pid_of(house)])


def _end(pid: int, number: signal.Signals) -> None:
    process = psutil.Process(pid)
    process.send_signal(number)
    await_that(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, f"process {pid} ends")


def _freeze(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_FOR)
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _freeze_postgres(house: House) -> None:
    postmaster = psutil.Process(running_pid(house.postgres.server))
    # The postmaster first, so that it starts no other while its children are being stopped.
    _freeze([postmaster.pid, *(child.pid for child in postmaster.children(recursive=True))])


def _stop_postgres(number: signal.Signals) -> Callable[[House], None]:
    def strike(house: House) -> None:
        _end(running_pid(house.postgres.server), number)
        time.sleep(AWAY_FOR)
        house.postgres.server.restart()

    return strike


def _kill_backend(house: House) -> None:
    """Kill a server process that works for us: the postmaster then ends all others and recovers by itself."""
    found = house.sql("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'checkout%%' ORDER BY usename")
    pids = [pid for (pid,) in found]
    _end(random.choice(pids), signal.SIGKILL)


def _kill_everything(house: House) -> None:
    """As where the machine loses its power, but for the disk."""
    servers = [house.postgres.server, house.valkey.server]
    pids = [pid for name in SERVING for pid in (house.pid(name), *house.children(name))]
    for pid in (*pids, *map(running_pid, servers)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if house.rabbit is not None:
        house.rabbit.kill()
    time.sleep(AWAY_FOR)
    for server in servers:
        server.restart()
    if house.rabbit is not None:
        house.rabbit.start()


def _stop_valkey(number: signal.Signals, *, keep_data: bool = True) -> Callable[[House], None]:
    def strike(house: House) -> None:
        _end(running_pid(house.valkey.server), number)
        time.sleep(AWAY_FOR)
        if not keep_data:
            house.forget_messages()
        house.valkey.server.restart()

    return strike


def _stop_rabbit(end: Callable[[Rabbit], None], *, keep_data: bool = True) -> Callable[[House], None]:
    def strike(house: House) -> None:
        rabbit = _rabbit(house)
        end(rabbit)
        time.sleep(AWAY_FOR)
        if not keep_data:
            rabbit.lose_data()
        rabbit.start()

    return strike


def _freeze_rabbit(house: House) -> None:
    rabbit = _rabbit(house)
    rabbit.freeze()
    try:
        time.sleep(FROZEN_FOR)
    finally:
        rabbit.thaw()


def _rabbit(house: House) -> Rabbit:
    assert house.rabbit is not None
    return house.rabbit


# By action, so that no process is struck twice running: a supervisor's pause doubles for one that keeps dying.
EVERYWHERE = (
    Fault(target="everything", action="SIGKILL", strike=_kill_everything),
    *(Fault(target=name, action="SIGKILL", strike=_killed(pid_of)) for name, pid_of in PROCESSES.items()),
    Fault(target="Valkey", action="SIGKILL", strike=_stop_valkey(signal.SIGKILL)),
    Fault(target="Valkey", action="SIGKILL, data lost", strike=_stop_valkey(signal.SIGKILL, keep_data=False)),
    Fault(target="PostgreSQL", action="SIGKILL", strike=_stop_postgres(signal.SIGKILL)),
    Fault(target="PostgreSQL", action="immediate stop", strike=_stop_postgres(signal.SIGQUIT)),
    Fault(target="a PostgreSQL backend", action="SIGKILL", strike=_kill_backend),
    *(Fault(target=name, action="frozen 5 s", strike=_frozen(pid_of)) for name, pid_of in PROCESSES.items()),
    Fault(target="Valkey", action="frozen 5 s", strike=lambda house: _freeze([running_pid(house.valkey.server)])),
    Fault(target="PostgreSQL", action="frozen 5 s", strike=_freeze_postgres),
    *(Fault(target=name, action="restart", strike=_restarted(pid_of)) for name, pid_of in PROCESSES.items()),
    Fault(target="Valkey", action="restart", strike=_stop_valkey(signal.SIGTERM)),
    Fault(target="PostgreSQL", action="restart", strike=_stop_postgres(signal.SIGINT)),
)

# Where Valkey is the cache alone.
RABBITS = (
    Fault(target="RabbitMQ", action="SIGKILL", strike=_stop_rabbit(Rabbit.kill)),
    Fault(target="RabbitMQ", action="frozen 5 s", strike=_freeze_rabbit),
    Fault(target="RabbitMQ", action="SIGKILL, data lost", strike=_stop_rabbit(Rabbit.kill, keep_data=False)),
    Fault(target="RabbitMQ", action="restart", strike=_stop_rabbit(Rabbit.ask_to_end)),
)

FAULTS: dict[Broker, tuple[Fault, ...]] = {"redis": EVERYWHERE, "amqp": RABBITS + EVERYWHERE}


def fault(name: str) -> Fault:
    """The fault of that name."""
    return next(found for found in FAULTS["amqp"] if found.name == name)
