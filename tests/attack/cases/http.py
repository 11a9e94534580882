"""What strangers write on sockets: requests that cannot be read in one way, and bodies that never end."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path
from typing import Final

from tests.attack.attacks import Found, Values, attack
from tests.attack.neighbours import customer, measured, provider, strangers
from tests.faults.stack import House
from tests.journeys.proxies import program_of, proxy
from tests.journeys.test_raw_requests import REQUESTS, read_answer

WEBHOOKS_WITHIN: Final = 500.0
"""Milliseconds, at p99."""

SLOW: Final = b"POST /api/cart/items HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 10\r\n\r\n"
PLAIN: Final = b"GET /api/cart HTTP/1.1\r\nHost: shop.test\r\n\r\n"


@attack("twenty strangers write what cannot be read in one way", quick=True, timed=True)
def odd_requests(house: House) -> Found:
    neighbours = [provider(house), customer(house)]
    control = measured(house, neighbours, seconds=2)
    statuses: set[int] = set()

    def write(over: threading.Event, number: int) -> None:
        for request, status, _ in cycle(list(REQUESTS.values())[number:] + list(REQUESTS.values())[:number]):
            if over.is_set():
                return
            with suppress(OSError), socket.create_connection(house.address, timeout=10) as connection:
                connection.sendall(request)
                answered = read_answer(connection).status
                # 503 is an answer as well: too many may wait.
                statuses.add(status if answered in {status, 503} else answered)

    with strangers(write, 20):
        attacked = measured(house, neighbours, seconds=4)
    p99 = attacked["webhooks_p99_ms"]
    expected = {status for _, status, _ in REQUESTS.values()}
    held = isinstance(p99, float) and p99 < WEBHOOKS_WITHIN and not attacked["webhooks_other"]
    return Found(
        control=control,
        attacked={**attacked, "other_statuses": " ".join(map(str, sorted(statuses - expected)))},
        held=held and statuses <= expected,
    )


@attack(
    "a thousand connections of one address send a body that never ends, at nginx",
    brokers=("redis",) if program_of("nginx") else (),
)
def slow_bodies_at_nginx(house: House) -> Found:
    """The proxy's own bound: the stranger's connections beyond it are refused, and others are served."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="checkout-attack-")))
        port = stack.enter_context(proxy("nginx", folder, upstream=house.address[1]))
        control = _looks(port)
        for _ in range(1000):
            with suppress(OSError):
                sender = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                sender.sendall(SLOW)
        attacked = _looks(port)
        refused = _status(port, "127.0.0.1")
    held = attacked["other"] == 0 and refused == 429
    return Found(control=control, attacked={**attacked, "stranger_gets": refused}, held=held)


def _looks(port: int) -> Values:
    """What somebody at another address gets, who asks fifty times."""
    began = time.monotonic()
    statuses = [_status(port, "127.0.0.2") for _ in range(50)]
    seconds = time.monotonic() - began
    return {
        "answered": statuses.count(401),
        "other": len(statuses) - statuses.count(401),
        "mean_ms": round(1000 * seconds / len(statuses), 1),
    }


def _status(port: int, address: str) -> int:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0)) as connection:
            connection.sendall(PLAIN)
            return read_answer(connection).status
    except OSError:
        return 0
