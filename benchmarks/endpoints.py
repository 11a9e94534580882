"""Webhook endpoints at receivers of this machine, and a log full of real events for them."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg

from benchmarks import drain
from benchmarks.stand import Stand
from checkout_service.endpoints.secrets import make_secret
from checkout_service.endpoints.states import Signing
from checkout_service.events.posted import PostedEvent
from checkout_service.events.queries import BODY
from checkout_service.local.servers import free_port
from checkout_service.publishing.publisher import TaskQueue
from checkout_service.settings.secret import Secret
from checkout_service.tasks import TaskName

GIVE_UP: Final = 120.0

_LEASED: Final = "SELECT EXISTS (SELECT FROM webhook_endpoints WHERE leased_until > now())"
_ADD: Final = """
    WITH made AS (INSERT INTO webhook_endpoints (url, types) VALUES (%s, %s) RETURNING id)
    INSERT INTO endpoint_secrets (endpoint_id, ciphertext) SELECT id, %s FROM made RETURNING endpoint_id
"""
_LOG: Final = f"""
    SELECT event.id, event.type, event.object_type, event.object_id, event.version, event.created_at,
        ({BODY})::text AS body
    FROM event_numbers AS numbers JOIN events AS event ON event.id = numbers.event_id ORDER BY numbers.seq
"""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A request that came to a receiver: when, by the clock of this machine, of which event, and where."""

    at: float
    event_id: str
    port: int


class Receivers:
    """A process with receivers, a port each."""

    def __init__(self, stand: Stand, name: str, count: int) -> None:
        control = free_port()
        self.ports = [free_port() for _ in range(count)]
        stand.start(name, [sys.executable, "-m", "benchmarks.receivers", str(control), *map(str, self.ports)])
        deadline = time.monotonic() + 20
        while True:
            try:
                self._control = socket.create_connection(("127.0.0.1", control), timeout=GIVE_UP)
                break
            except OSError:
                stand.started[name].check()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._lines = self._control.makefile("r", encoding="utf-8")

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}/" for port in self.ports]

    def until(self, count: int) -> int:
        """Wait until so many came since they were taken; how many came. Raises TimeoutError."""
        found: int = self._answer_to(f"until {count}")
        return found

    def take(self) -> list[Arrival]:
        """What came since the last time."""
        return [Arrival(at=at, event_id=event_id, port=port) for at, event_id, port in self._answer_to("take")]

    def _answer_to(self, line: str) -> Any:
        self._control.sendall(line.encode() + b"\n")
        return json.loads(self._lines.readline())


def add_endpoint(
    connection: psycopg.Connection[Any], stand: Stand, url: str, types: Sequence[str] | None = None
) -> UUID:
    """An endpoint that begins behind what is numbered."""
    made = make_secret(Signing.V1, [Secret(stand.environment["WEBHOOK_SECRETS_KEY"])])
    row = connection.execute(_ADD, (url, None if types is None else list(types), made.ciphertext)).fetchone()
    assert row is not None
    found: UUID = row[0]
    return found


def start_sender(stand: Stand) -> None:
    """As the Procfile has it; returns once it works."""
    stand.start("sender")
    stand.await_http(f"http://127.0.0.1:{stand.environment['SENDER_METRICS_PORT']}", "/metrics", "sender")


def wake_sender(stand: Stand) -> None:
    """What the sequencer and the sweep do."""
    environment = stand.environment
    TaskQueue(Secret(environment.get("CELERY_BROKER_URL") or environment["REDIS_URL"])).enqueue(TaskName.SEND_EVENTS)


def await_given_back(connection: psycopg.Connection[Any]) -> None:
    """Return once no sender has an endpoint. Raises TimeoutError."""
    deadline = time.monotonic() + GIVE_UP
    while (connection.execute(_LEASED).fetchone() or [True])[0]:
        if time.monotonic() > deadline:
            raise TimeoutError("an endpoint is leased still")
        time.sleep(0.05)


def fill_log(connection: psycopg.Connection[Any], stand: Stand, *, purchases: int) -> int:
    """Let the worker apply so many webhooks about paid payments; how many events have a number then."""
    stand.work()
    first = drain.file_webhooks(connection, stand, first=0, count=purchases)
    drain.drained(stand, connection, lambda: drain.wake(stand, first))
    stand.stop("worker")
    connection.execute("VACUUM ANALYZE")
    row = connection.execute("SELECT last_seq FROM event_series").fetchone()
    return int(row[0]) if row else 0


def write_log(connection: psycopg.Connection[Any], path: Path) -> None:
    """The log as it is posted, an event a line, for the floor."""
    with path.open("wb") as file:
        for row in connection.execute(_LOG):
            event = PostedEvent(*row)
            file.write(event.text_id.encode() + b"\t" + event.payload(thin=False) + b"\n")
