"""The shop's side of events out: real HTTP servers on this machine that verify what comes, and most of which lie.

Each is a webhook endpoint of the service, for all types, each lane in order. What came is kept in the memory: of each
event its first arrival, in which order, and whether it was ever answered 200.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import jwt
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.faults.wire import Wire


class Behaviour(StrEnum):
    """What a receiver does; all but the dead one take every event in the end."""

    HEALTHY = "healthy"
    SLOW = "slow"
    """Answers after one to three seconds while a round's load lasts."""
    DEAD = "dead"
    """Nobody listens there."""
    FAILING = "failing"
    """Answers 500 every third time."""
    TWICE = "twice"
    """Sends two answers on the connection now and then."""
    CLOSING = "closing"
    """Closes the connection in the middle of the headers, or of the body, now and then."""
    RESTARTING = "restarting"
    """Stops listening for some seconds, and closes all connections, while a round's load lasts."""


SLOW_SECONDS = (1.0, 3.0)
FAILS_EVERY = 3
TWICE_EVERY = 5
CLOSES_EVERY = 7
UP_SECONDS = 3.0
DOWN_SECONDS = 2.0
STARTED_WITHIN = 10.0

SECOND_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
PART_OF_HEADERS = b"HTTP/1.1 200 OK\r\nContent-Ty"
PART_OF_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning"


class Receiver:
    """One of them. All but its plain values belongs to the loop's thread."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.endpoint_id: UUID | None = None
        self.verifier: Webhook | None = None
        self.lies = False
        self.arrivals: dict[UUID, str] = {}
        """By event, in the order of first arrivals, the digest of the body that came."""
        self.taken: set[UUID] = set()
        self.requests = 0
        self.wrong: list[str] = []
        self._runner: web.ServerRunner | None = None
        # Bound and never listening: while the receiver is down nobody else is given its port.
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.port: int = self._kept.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.behaviour}"

    @property
    def lives(self) -> bool:
        """Whether every event is to arrive there."""
        return self.behaviour is not Behaviour.DEAD

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(UP_SECONDS)
            if self.lies:
                await self.stop()
                await asyncio.sleep(DOWN_SECONDS)
                await self.start()

    def close(self) -> None:
        self._kept.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.requests += 1
        event_id = self._noted(request.headers, body)
        if event_id is None:
            return web.Response(status=400)
        match self.behaviour:
            case Behaviour.SLOW if self.lies:
                await asyncio.sleep(random.uniform(*SLOW_SECONDS))
            case Behaviour.FAILING if self.requests % FAILS_EVERY == 0:
                return web.Response(status=500)
            case Behaviour.CLOSING if self.requests % CLOSES_EVERY == 0:
                return self._broken_off(request, event_id)
            case Behaviour.TWICE if self.requests % TWICE_EVERY == 0:
                return await self._answered_twice(request, event_id)
        self.taken.add(event_id)
        return web.Response()

    def _noted(self, headers: Mapping[str, str], body: bytes) -> UUID | None:
        """The event that came, if it is signed; what is not was sent by somebody else, or wrongly."""
        assert self.verifier is not None
        try:
            found = self.verifier.verify(body, {name.lower(): value for name, value in headers.items()})
            event_id = UUID(found["id"])
        except (WebhookVerificationError, KeyError, TypeError, ValueError) as error:
            self.wrong.append(f"what is not signed came to the {self.behaviour} receiver: {error!r}, {body[:100]!r}")
            return None
        if str(event_id) != headers["webhook-id"]:
            self.wrong.append(f"event {event_id} came with the id {headers['webhook-id']}")
        digest = digest_of(body)
        if self.arrivals.setdefault(event_id, digest) != digest:
            self.wrong.append(f"event {event_id} came to the {self.behaviour} receiver with another body than before")
        return event_id

    def _broken_off(self, request: web.BaseRequest, event_id: UUID) -> web.StreamResponse:
        in_body = self.requests // CLOSES_EVERY % 2 == 0
        if in_body:  # the status says that it was taken
            self.taken.add(event_id)
        if request.transport is not None:
            request.transport.write(PART_OF_BODY if in_body else PART_OF_HEADERS)
            request.transport.close()
        return web.Response(status=500)

    async def _answered_twice(self, request: web.BaseRequest, event_id: UUID) -> web.StreamResponse:
        self.taken.add(event_id)
        answer = web.Response()
        await answer.prepare(request)
        await answer.write_eof()
        if request.transport is not None:
            request.transport.write(SECOND_ANSWER)
        return answer


class Receivers:
    """One of each behaviour, in a thread of their own."""

    def __init__(self) -> None:
        self.all = [Receiver(behaviour) for behaviour in Behaviour]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="receivers", daemon=True)
        self._thread.start()
        self._restarts = [
            asyncio.run_coroutine_threadsafe(receiver.restart_now_and_then(), self._loop)
            for receiver in self.all
            if receiver.behaviour is Behaviour.RESTARTING
        ]

    @property
    def living(self) -> list[Receiver]:
        """Those that are healthy in the end."""
        return [receiver for receiver in self.all if receiver.lives]

    def start(self) -> None:
        for receiver in self.living:
            self._do(receiver.start())

    def lie(self, *, lies: bool) -> None:
        """Have the slow one be slow and the restarting one restart, or not. What fails now and then always does."""
        for receiver in self.all:
            receiver.lies = lies

    def wrong(self) -> Iterator[str]:
        """What was wrong with what came since this was asked last."""
        for receiver in self.all:
            found, receiver.wrong = receiver.wrong, []
            yield from found

    def close(self) -> None:
        for restart in self._restarts:
            restart.cancel()
        for receiver in self.all:
            self._do(receiver.stop())
            receiver.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(STARTED_WITHIN)


@contextmanager
def open_receivers(address: tuple[str, int], environment: Mapping[str, str]) -> Iterator[Receivers]:
    """All of them, listening, as webhook endpoints that staff made over the API; deleted at the end."""
    receivers, wire = Receivers(), Wire(address)
    headers = {"Authorization": f"Bearer {_staff_token(environment)}"}
    try:
        receivers.start()
        for receiver in receivers.all:
            body = json.dumps({"url": receiver.url, "types": None, "description": receiver.behaviour}).encode()
            answer = wire.ask("POST", "/api/admin/webhook-endpoints", body, headers)
            assert answer.status == 201, answer
            made = answer.json()
            receiver.endpoint_id, receiver.verifier = UUID(made["id"]), Webhook(made["secret"])
        yield receivers
    finally:
        for receiver in receivers.all:
            wire.ask("DELETE", f"/api/admin/webhook-endpoints/{receiver.endpoint_id}", None, headers)
        wire.close()
        receivers.close()


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _staff_token(environment: Mapping[str, str]) -> str:
    claims = {"sub": str(uuid4()), "scope": "webhooks:write", "exp": datetime.now(UTC) + timedelta(days=1)}
    return jwt.encode(claims, environment["JWT_SECRET"], "HS256")
