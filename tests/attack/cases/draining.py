"""Slow senders hold more readers than there are, and then the web process is asked to end."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psutil

from checkout_service.server.granian_server import DRAIN_SECONDS, MOST_READING
from tests.attack.attacks import Found, Values, attack
from tests.faults.flood import insert_payments, verified
from tests.faults.invariant import await_final
from tests.faults.stack import House, await_that
from tests.faults.wire import Wire

SLOW: Final = MOST_READING + 100

HALF_SENT: Final = 20
"""Webhooks of which half is there when the process is asked to end; the rest comes a second later."""

_PAID: Final = "SELECT count(*) FROM payments WHERE provider_ref = ANY(%(tokens)s) AND status = 'paid'"

ENDS_WITHIN: Final = DRAIN_SECONDS + 10.0


@attack("more slow senders than readers while the web process is asked to end", WEB_CONCURRENCY="1")
def slow_senders_in_a_drain(house: House) -> Found:
    control = _drained(house, slow=0)
    attacked = _drained(house, slow=SLOW)
    held = all(
        found["answered_202"] == found["half_sent"] == found["paid"] and _ended_in_time(found)
        for found in (control, attacked)
    )
    return Found(control=control, attacked=attacked, held=held)


def _drained(house: House, *, slow: int) -> Values:
    """What half-sent webhooks got when the process was asked to end beside so many slow senders."""
    tokens = insert_payments(house, HALF_SENT)
    bodies = [verified(house, token) for token in tokens]
    with _connections(house, HALF_SENT) as senders, _connections(house, slow) as strangers:
        for sender, body in zip(senders, bodies, strict=True):
            sender.sendall(_head(len(body)) + body[: len(body) // 2])
        time.sleep(0.5)
        for stranger in strangers:
            stranger.sendall(_head(1000) + b"{")
        time.sleep(1)
        refused = _status_of_one_more(house, verified(house, tokens[0]))
        web = psutil.Process(house.pid("web"))
        began = time.monotonic()
        web.send_signal(signal.SIGTERM)
        time.sleep(1)
        for sender, body in zip(senders, bodies, strict=True):
            sender.sendall(body[len(body) // 2 :])
        statuses = [_status(sender) for sender in senders]
        await_that(lambda: not web.is_running() or web.status() == psutil.STATUS_ZOMBIE, "web ends", within=60)
        ended = time.monotonic() - began
    house.await_whole()
    await_final(house)
    ((paid,),) = house.sql(_PAID, tokens=tokens)
    return {
        "slow_senders": slow,
        "half_sent": HALF_SENT,
        "answered_202": statuses.count(202),
        "paid": paid,
        "one_more_webhook": refused,
        "ended_after_s": round(ended, 1),
    }


def _ended_in_time(found: Values) -> bool:
    seconds = found["ended_after_s"]
    return isinstance(seconds, float) and seconds < ENDS_WITHIN


def _head(length: int) -> bytes:
    return (
        b"POST /api/payments/webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % length
    )


@contextmanager
def _connections(house: House, count: int) -> Iterator[Sequence[socket.socket]]:
    found: list[socket.socket] = []
    try:
        found.extend(socket.create_connection(house.address, timeout=30) for _ in range(count))
        yield found
    finally:
        for connection in found:
            connection.close()


def _status(connection: socket.socket) -> int:
    """The status of the answer; 0 where there is none."""
    try:
        line = connection.recv(4096).split(b"\r\n", 1)[0]
    except OSError:
        return 0
    return int(line.split()[1]) if line else 0


def _status_of_one_more(house: House, body: bytes) -> int:
    wire = Wire(house.address)
    try:
        return wire.ask("POST", "/api/payments/webhook", body).status
    finally:
        wire.close()
