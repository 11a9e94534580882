"""Clients that hold connections and say little: verified requests are answered all the same."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.flood import WEBHOOK_PATH, insert_payments, verified
from tests.faults.stack import House
from tests.faults.wire import Wire

pytestmark = pytest.mark.slow

SLOW_BODIES = 1000
HALF_OPEN = 1000
IDLE = 1000
VERIFIED = 20
ANSWERED_WITHIN = 5.0
"""Seconds; 0.01 to 0.35 were measured beside a thousand slow bodies, on two cores with a load average of 5 to 8."""


def _slow_body(address: tuple[str, int]) -> socket.socket:
    """Promise a body, and send a byte of it."""
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    return _sent(address, head.encode() + b"{")


def _half_open(address: tuple[str, int]) -> socket.socket:
    """Begin a request's head, and end it never."""
    return _sent(address, b"POST /api/payments/webhook HTTP/1.1\r\nHost:")


def _idle(address: tuple[str, int]) -> socket.socket:
    """Be answered once, and stay."""
    return _sent(address, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", answered=True)


def _sent(address: tuple[str, int], request: bytes, *, answered: bool = False) -> socket.socket:
    connection = socket.create_connection(address, timeout=ANSWERED_WITHIN)
    try:
        connection.sendall(request)
        assert not answered or connection.recv(65536).startswith(b"HTTP/1.1 200")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _many(house: House, count: int, connect: Callable[[tuple[str, int]], socket.socket]) -> Iterator[None]:
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(connect(house.address))
        yield


@pytest.mark.parametrize(
    ("count", "connect"),
    [(SLOW_BODIES, _slow_body), (HALF_OPEN, _half_open), (IDLE, _idle)],
    ids=["slow bodies", "half-open", "idle"],
)
def test_verified_webhooks_are_answered_beside_clients_that_hold_connections(
    house: House, count: int, connect: Callable[[tuple[str, int]], socket.socket]
) -> None:
    tokens = insert_payments(house, VERIFIED)
    with _many(house, count, connect):
        answers = []
        for token in tokens:
            wire = Wire(house.address, timeout=ANSWERED_WITHIN)
            answers.append(wire.ask("POST", WEBHOOK_PATH, verified(house, token)).status)
            wire.close()

    assert answers == [202] * VERIFIED
