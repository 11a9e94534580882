"""A rolling restart: every process is asked to end in its turn, under load, and nobody outside notices."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from checkout_service.local.data_folder import ROOT
from checkout_service.local.processes import read_procfile
from checkout_service.local.servers import free_port
from tests.faults.campaign import SHARED
from tests.faults.invariant import check
from tests.faults.load import Load
from tests.faults.stack import SERVING, House, await_that
from tests.faults.wire import Balancer, Threads, Wire

pytestmark = pytest.mark.slow

BESIDE = "web beside"
PAYMENTS_A_SECOND = 10.0
CLIENTS = 4


@pytest.mark.parametrize("keep_alive", [False, True], ids=["new connections", "kept connections"])
@pytest.mark.timeout(300)
def test_no_request_is_lost_while_each_process_is_restarted_in_turn(house: House, keep_alive: bool) -> None:
    children = {name: len(house.children(name)) for name in SHARED}
    with _two_webs(house) as addresses:
        load = Load(
            lambda: Balancer(addresses, keep_alive=keep_alive),
            house.environment,
            house.listing(),
            payments_a_second=PAYMENTS_A_SECOND,
        )
        load.start()
        for name in (*SERVING, BESIDE):
            time.sleep(1)
            _restart(house, name)
            house.await_whole()
            _await_serving(addresses)
        journal = load.finish(within=60)
        _, wrong = check(house, journal, children=children)

    assert not wrong
    assert journal.answers[0] == 0
    assert journal.answers[503] == 0
    assert set(journal.answers) <= {0, 200, 201, 202, 503}
    assert journal.deliveries


@pytest.mark.timeout(300)
def test_a_client_that_uses_its_connection_and_never_looks_loses_no_request(house: House) -> None:
    over, answers = threading.Event(), Counter[int]()

    def call(addresses: list[tuple[str, int]]) -> None:
        wires = [Wire(address) for address in addresses]
        while not over.wait(0.02):
            for wire in wires:
                if wire.is_open or wire.connects():
                    answers[wire.ask("GET", "/livez").status] += 1
        for wire in wires:
            wire.close()

    with _two_webs(house) as addresses:
        clients = Threads()
        for number in range(CLIENTS):
            clients.start(call, addresses, name=f"client {number}")
        for name in ("web", BESIDE, "web", BESIDE):
            time.sleep(0.5)
            _restart(house, name)
            _await_serving(addresses)
        over.set()
        clients.join(within=30)

    assert set(answers) == {200}


@contextmanager
def _two_webs(house: House) -> Iterator[list[tuple[str, int]]]:
    port = free_port()
    with house.another(BESIDE, ["env", f"PORT={port}", *read_procfile(ROOT / "Procfile")["web"]]):
        addresses = [house.address, ("127.0.0.1", port)]
        _await_serving(addresses)
        yield addresses


def _restart(house: House, name: str) -> None:
    process = psutil.Process(house.pid(name))
    process.send_signal(signal.SIGTERM)
    await_that(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, f"{name} ends")


def _await_serving(addresses: list[tuple[str, int]]) -> None:
    for address in addresses:
        wire = Wire(address)
        await_that(lambda wire=wire: wire.ask("GET", "/readyz").status == 200, f"{address} serves")
        wire.close()
