"""Every use of a background thread, begun while threads or descriptors are wanting; see ``starved``."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

import redis
from flask import Flask

from checkout_service.app import create_app
from checkout_service.cache import Cache
from checkout_service.identity.jwks import Jwks, JwksUnavailable
from checkout_service.local.mock_actions import OutgoingWebhook
from checkout_service.local.mock_outbox import Outbox
from checkout_service.publishing.background_publisher import background_publisher
from checkout_service.publishing.events_wake_up import notify_of_events
from checkout_service.publishing.wake_up import notifier
from checkout_service.server.bodies import BodyReader, hang_up_on_slow_senders
from checkout_service.server.closing import close_for_all
from checkout_service.server.draining import Drain
from checkout_service.server.granian_server import end_with_parent
from checkout_service.server.sockets import OwnSockets
from checkout_service.settings.secret import Secret
from checkout_service.settings.values import WebSettings
from checkout_service.tasks import TaskName
from checkout_service.threads import BackgroundThread, start_again
from checkout_service.webhooks.backpressure import WebhookBacklogFull
from tests.server.arriving import Arriving
from tests.threads.scenes import wait_until
from tests.threads.starved import no_descriptors, no_threads


@dataclass(frozen=True, kw_only=True)
class Use:
    """One loop of the service at work."""

    trigger: Callable[[], object]
    """What the service does again and again, or once, to have the work done."""

    is_done: Callable[[], bool]
    """Whether the work was done."""


Uses = Callable[..., Any]


def starve(use: str, needs_threads: bool, needs_descriptors: bool, **servers: str) -> None:
    """Begin the use without threads, and begin it anew without descriptors; each time its work is done in the end."""
    _starve(use, no_threads, needs_threads, servers)
    _starve(use, no_descriptors, needs_descriptors, servers)


def _starve(use: str, lack: Callable[[], AbstractContextManager[None]], bites: bool, servers: dict[str, str]) -> None:
    """``bites``: the work has to wait until the process no longer starves."""
    with USES[use](**servers) as made:
        with lack():
            started = time.monotonic()
            made.trigger()
            made.trigger()
            # Nothing is printed or loaded here: that takes descriptors.
            took = time.monotonic() - started
            until = time.monotonic() + (0.5 if bites else 30.0)
            while time.monotonic() < until and not (was_done := made.is_done()):
                time.sleep(0.02)
        assert was_done is not bites
        assert took < 5, "who triggers it waits for nothing"
        until = time.monotonic() + 60
        while not made.is_done():
            assert time.monotonic() < until, "its work is never done"
            made.trigger()
            time.sleep(0.05)


@contextmanager
def _cache_writer(*, redis_url: str, **_: str) -> Iterator[Use]:
    cache = Cache(Secret(redis_url), uuid4())
    name = uuid4().hex
    with redis.Redis.from_url(redis_url) as other:
        other.ping()
        yield Use(
            trigger=lambda: cache.put_later([name], b"1", seconds=60),
            is_done=lambda: bool(other.keys(f"*{name}")),
        )


@contextmanager
def _background_publisher(**servers: str) -> Iterator[Use]:
    app = _app(**servers)
    with redis.Redis.from_url(servers["redis_url"]) as broker, app.app_context():
        broker.delete("payments")
        yield Use(
            trigger=lambda: background_publisher().send(TaskName.REFUND_PAYMENT, str(uuid4())),
            is_done=lambda: bool(broker.llen("payments")),
        )


@contextmanager
def _notifier(**servers: str) -> Iterator[Use]:
    app = _app(**servers)
    with redis.Redis.from_url(servers["redis_url"]) as broker, app.app_context():
        broker.delete("webhooks")
        yield Use(
            trigger=lambda: notifier().notify(str(uuid4())),
            is_done=lambda: bool(broker.llen("webhooks")),
        )


@contextmanager
def _events_notifier(**servers: str) -> Iterator[Use]:
    app = _app(**servers)
    with redis.Redis.from_url(servers["redis_url"]) as broker, app.app_context():
        broker.delete("events")
        yield Use(trigger=notify_of_events, is_done=lambda: bool(broker.llen("events")))


@contextmanager
def _backpressure(**servers: str) -> Iterator[Use]:
    """One webhook waits in the database and no more may."""
    gauge = _app(webhooks_max_rows=1, **servers).extensions["backpressure"]
    seen: list[bool] = []

    def check() -> None:
        try:
            gauge.check()
        except WebhookBacklogFull:
            seen.append(True)

    yield Use(trigger=check, is_done=lambda: bool(seen))


@contextmanager
def _jwks(*, jwks_url: str, **_: str) -> Iterator[Use]:
    keys = Jwks(jwks_url, pause=0.1, retry=0.1)
    seen: list[bool] = []

    def find() -> None:
        with suppress(JwksUnavailable):
            seen.append(bool(keys.find("one", "ES256")))

    yield Use(trigger=find, is_done=lambda: bool(seen))


@contextmanager
def _slow_senders(**_: str) -> Iterator[Use]:
    """One connection sends nothing of the body that it announced."""
    body_reader = BodyReader(readers=2, most_bytes=2**20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), listener.accept()[0] as connection:
            body = {
                "PATH_INFO": "/api/payments/webhook",
                "CONTENT_LENGTH": "10",
                "REMOTE_PORT": str(connection.getpeername()[1]),
                "wsgi.input": Arriving(_Wire(connection)),
            }
            reader = threading.Thread(target=body_reader.take, args=(body, lambda _held: None), daemon=True)
            reader.start()
            rounds = partial(hang_up_on_slow_senders, body_reader, OwnSockets(address[1]), seconds=0.2)
            guard = BackgroundThread("slow-senders", rounds)
            begun: list[bool] = []
            yield Use(
                trigger=lambda: start_again() if begun else begun.append(guard.start()),
                is_done=lambda: not reader.is_alive(),
            )


@contextmanager
def _drain(**_: str) -> Iterator[Use]:
    """Nobody looks after it, and it has to be over in any case; one connection is open until a moment later."""
    begun, is_closed, over = threading.Event(), threading.Event(), threading.Event()
    had_time: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        drain = Drain(listener.getsockname()[1], drained=partial(close_for_all, listener))
        client = socket.create_connection(listener.getsockname())
        connection = listener.accept()[0]

        def close() -> None:
            begun.wait(30)
            time.sleep(1.0)
            client.close()
            connection.close()
            is_closed.set()

        def begin() -> None:
            begun.set()
            drain.begin(finish)

        def finish() -> None:
            had_time.append(is_closed.is_set())
            over.set()

        threading.Thread(target=close, daemon=True).start()
        yield Use(trigger=begin, is_done=over.is_set)
        assert had_time == [True], "who keeps a connection had no time to use it"


@contextmanager
def _end_with_parent(**_: str) -> Iterator[Use]:
    """The parent has been killed before the guard could start."""
    ended = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    guard = BackgroundThread("end-with-parent", partial(end_with_parent, os.getppid() + 1))
    begun: list[bool] = []
    yield Use(trigger=lambda: start_again() if begun else begun.append(guard.start()), is_done=ended.is_set)


@contextmanager
def _outbox(**_: str) -> Iterator[Use]:
    posted = threading.Event()

    class Shop(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            posted.set()
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Shop) as shop:
        threading.Thread(target=shop.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        outbox = Outbox(f"http://127.0.0.1:{shop.server_port}/")
        yield Use(trigger=lambda: outbox.send([OutgoingWebhook(after=0.0, body=b"{}")]), is_done=posted.is_set)


USES: dict[str, Uses] = {
    "cache-writer": _cache_writer,
    "background-publisher": _background_publisher,
    "notifier": _notifier,
    "events-notifier": _events_notifier,
    "backpressure": _backpressure,
    "jwks": _jwks,
    "slow-senders": _slow_senders,
    "drain": _drain,
    "end-with-parent": _end_with_parent,
    "outbox": _outbox,
}


def webhooks_are_taken(**servers: str) -> None:
    """The web answers 202 without a thread, and once there are threads it wakes the worker and keeps its bounds."""
    client = _app(webhooks_max_rows=3, **servers).test_client()
    path = "/api/payments/webhook"
    assert client.get("/livez").status_code == 200
    with redis.Redis.from_url(servers["redis_url"]) as broker:
        broker.delete("webhooks")
        with no_threads():
            assert [client.post(path, json={}).status_code for _ in range(4)] == [202] * 4
        assert not broker.llen("webhooks")

        assert client.post(path, json={}).status_code in {202, 503}, "503 where the backlog was counted at once"
        wait_until(lambda: bool(broker.llen("webhooks")))
        wait_until(lambda: client.post(path, json={}).status_code == 503)


class _Wire:
    """A body as the server reads it: an error of the connection is the body's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def read(self, size: int) -> bytes:
        try:
            return self._connection.recv(size)
        except OSError:
            return b""


def _app(*, database_url: str, redis_url: str, webhooks_max_rows: int | None = None, **_: str) -> Flask:
    settings = WebSettings(
        database_url=Secret(database_url),
        redis_url=Secret(redis_url),
        broker_url=Secret(redis_url),
        environment="test",
        jwt_secret=Secret("a secret that is known to the tests alone"),
    )
    return create_app(replace(settings, webhooks_max_rows=webhooks_max_rows) if webhooks_max_rows else settings)
