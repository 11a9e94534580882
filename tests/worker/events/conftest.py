"""A shop's side: an HTTP server in a thread, and a worker that may call it."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from flask import Flask

from checkout_service.settings.secret import Secret
from tests.conftest import Sql
from tests.worker.conftest import MakeWorker
from worker.events.claims import something_is_due
from worker.events.stopping import is_stopping
from worker.events.task import send_for

KEY = Fernet.generate_key()

Answer = Callable[[web.BaseRequest, bytes], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request that came: its headers, its body as sent, and what that says."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> UUID:
        return UUID(self.headers["webhook-id"])

    @property
    def data(self) -> Any:
        return orjson.loads(self.body)


class Receiver:
    """A shop's server, on a free port of this machine; ``answer`` may be replaced at any time."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Answer = accept
        self.in_flight = 0
        self.most_in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._started.wait(30)

    @property
    def connections(self) -> int:
        """How many connections were ever made, or one that is open still."""
        return max(self._server.requests_count, len(self._server.connections), len(self.received))

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def events(self, path: str | None = None) -> list[UUID]:
        """The ids of what came, in order."""
        return [each.event_id for each in list(self.received) if path in (None, each.path)]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> None:
        self._server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        # What a test holds open still would complain on standard error when the loop is gone.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.path, headers, body))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.answer(request, body)
        finally:
            self.in_flight -= 1


async def accept(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
    """Take it."""
    return web.Response(status=200)


def refuse(status: int, **headers: str) -> Answer:
    """Answer with this status."""

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def sender(make_worker: MakeWorker) -> Iterator[Flask]:
    """The context of a sender that may call this machine; the test runs inside it."""
    app = make_worker(webhook_secrets_keys=(Secret(KEY.decode()),), webhook_allow_private_addresses=True)
    with app.app_context():
        yield app


Send = Callable[..., int]


@pytest.fixture
def send(sender: Flask) -> Send:
    """Send what is due now, until nothing is; how many attempts were made."""

    def run(run_for: float = 20.0) -> int:
        count = asyncio.run(send_for(run_for, linger=0))
        while something_is_due() and not is_stopping():
            count += asyncio.run(send_for(run_for, linger=0))
        return count

    return run


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An endpoint, and the secret that its shop was shown."""

    id: UUID
    secret: str


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(sql: Sql, receiver: Receiver) -> MakeShop:
    """An endpoint at the receiver: ``make_shop(path="/slow", types=["payment.paid"])``; the rest are columns."""

    def make(path: str = "/", **columns: Any) -> Shop:
        values: dict[str, Any] = {"url": receiver.url(path), **columns}
        names = ", ".join(values)
        marks = ", ".join(f"CAST(:{name} AS endpoint_state)" if name == "state" else f":{name}" for name in values)
        row = sql(f"INSERT INTO webhook_endpoints ({names}) VALUES ({marks}) RETURNING id", **values)[0]
        return Shop(id=row.id, secret=add_secret(sql, row.id))

    return make


def add_secret(sql: Sql, endpoint_id: UUID, *, key: bytes = KEY, ends_in: str | None = None) -> str:
    """Give an endpoint one more secret; what its shop is shown."""
    raw = secrets.token_bytes(32)
    sql(
        """INSERT INTO endpoint_secrets (endpoint_id, ciphertext, ends_at)
        VALUES (:id, :ciphertext, now() + CAST(:ends_in AS interval))""",
        id=endpoint_id,
        ciphertext=Fernet(key).encrypt(raw),
        ends_in=ends_in,
    )
    return "whsec_" + base64.b64encode(raw).decode()


def event_ids(sql: Sql) -> list[UUID]:
    """The log, in the order of its numbers."""
    return [row.event_id for row in sql("SELECT event_id FROM event_numbers ORDER BY seq")]


def endpoint_row(sql: Sql, shop: Shop) -> Any:
    return sql("SELECT *, state::text AS state FROM webhook_endpoints WHERE id = :id", id=shop.id)[0]


def make_due(sql: Sql, shop: Shop) -> None:
    """Let the time pass until what waits at the endpoint, or its next probe, is due."""
    sql(
        "UPDATE pending_deliveries SET next_attempt_at = now() WHERE endpoint_id = :id AND next_attempt_at > now()",
        id=shop.id,
    )
    sql("UPDATE webhook_endpoints SET next_due_at = now() WHERE id = :id", id=shop.id)
