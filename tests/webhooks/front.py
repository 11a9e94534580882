"""The app behind the server's own adapter, in this process: webhooks that are left to be committed, and who waits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from time import monotonic, sleep
from typing import Any

import psycopg
from flask import Flask

from checkout_service.server.bodies import BodyReader
from checkout_service.server.readers import Readers
from checkout_service.server.slots import Slots
from checkout_service.server.wsgi_adapter import WsgiAdapter
from checkout_service.webhooks.committing import BUSY_FOR, Committer
from tests.server.arriving import Arriving

PATIENCE = 30.0


class Sent:
    """A webhook that was sent: Granian's side of it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.sent_at = monotonic()
        self.took = 0.0
        self.answers: list[tuple[int, list[tuple[str, str]], bytes]] = []
        self._is_answered = threading.Event()

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.took = monotonic() - self.sent_at
        self.answers.append((status, list(headers), body))
        self._is_answered.set()

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        raise AssertionError("nothing here is large")

    def await_answer(self) -> int:
        """The status that it was answered with."""
        assert self._is_answered.wait(PATIENCE), "it was never answered"
        return self.status

    @property
    def is_answered(self) -> bool:
        return self._is_answered.is_set()

    @property
    def status(self) -> int:
        ((status, _, _),) = self.answers
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        return dict(self.answers[0][1])

    @property
    def json(self) -> Any:
        return json.loads(self.answers[0][2])


class Front:
    """The adapter before an app, with slots of its own."""

    def __init__(self, app: Flask, *, working: int = 4) -> None:
        self.app = app
        self.committer: Committer = app.extensions["committer"]
        self.body_reader = BodyReader(readers=100, most_bytes=64 * 2**20)
        self.has_begun_to_end = False
        self.adapter = WsgiAdapter(
            app,
            slots=Slots(working=working, waiting=1, queue=512),
            body_reader=self.body_reader,
            readers=Readers(readers=1, most_bytes=2**20),
            ends=lambda: self.has_begun_to_end,
        )

    def send(self, body: bytes, *, provider: str = "mock", by: type[Sent] = Sent, **environ: str) -> Sent:
        """Send one in this thread; it returns once the adapter does, which may be before the answer."""
        sent = by(body)
        scope = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": f"/api/payments/webhook/{provider}",
            "QUERY_STRING": "",
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "test",
            "wsgi.url_scheme": "http",
            "wsgi.input": Arriving(body),
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
        }
        self.adapter(sent, scope | environ)
        return sent

    @contextmanager
    def with_another_at_work(self, superuser_url: str) -> Iterator[Callable[[], None]]:
        """Whoever comes in the block finds another one at work, and is left; what is called ends that wait.

        The table is locked, and the one at work waits for it.
        """
        with closing(psycopg.connect(superuser_url.replace("+psycopg", ""))) as connection:
            connection.execute("LOCK TABLE webhook_deliveries IN ACCESS EXCLUSIVE MODE")
            sleep(2 * BUSY_FOR)  # until then it would be left to the thread that commits
            first = threading.Thread(target=self.send, args=(b'{"first":1}',))
            first.start()
            until = monotonic() + PATIENCE
            while not self.committer._alone:
                assert monotonic() < until
            try:
                yield connection.rollback
            finally:
                with suppress(psycopg.Error):  # the server may be gone
                    connection.rollback()
                first.join(PATIENCE)


def some(count: int, start: int = 0) -> list[bytes]:
    """So many bodies, each another one."""
    return [b'{"n":%d}' % number for number in range(start, start + count)]
