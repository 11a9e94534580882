"""Webhooks that wait for a commit they share, while the web process that took them ends or is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from uuid import UUID

import httpx
import psycopg
import pytest

from tests.journeys.conftest import Town, eventually
from tests.journeys.test_web_process import Web, web

__all__ = ["web"]  # fixtures

MANY = 40


class Sender:
    """One who sends a webhook on a connection of its own, and reads its answer."""

    def __init__(self, web: Web, number: int) -> None:
        self.connection = web.connect()
        body = b'{"shared":%d}' % number
        head = f"POST /api/payments/webhook/mock HTTP/1.1\r\nHost: test\r\nX-Request-Id: shared-{number}\r\n"
        self.connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def read(self) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body; None where the connection ends without an answer."""
        with closing(self.connection), suppress(ConnectionError):
            text = b""
            while b"\r\n\r\n" not in text:
                piece = self.connection.recv(65536)
                if not piece:
                    return None
                text += piece
            head, _, body = text.partition(b"\r\n\r\n")
            line, *rest = head.decode().split("\r\n")
            named = {name.lower(): value for name, _, value in (each.partition(": ") for each in rest)}
            while len(body) < int(named["content-length"]):
                body += self.connection.recv(65536)
            return int(line.split()[1]), named, body
        return None


@pytest.fixture
def superuser(town: Town) -> str:
    return town.environment["MIGRATION_DATABASE_URL"].replace("+psycopg", "")


@contextmanager
def locked(superuser: str) -> Iterator[psycopg.Connection]:
    """Nobody writes a webhook before the lock is gone."""
    with closing(psycopg.connect(superuser)) as connection:
        connection.execute("LOCK TABLE webhook_deliveries IN ACCESS EXCLUSIVE MODE")
        yield connection


def committed(town: Town) -> set[UUID]:
    return {row[0] for row in town.sql("SELECT id FROM webhook_deliveries")}


def await_arrival(web: Web, superuser: str) -> None:
    """Return once those who were sent wait for the lock: the first and whoever has the others."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhook_deliv%'"
    with closing(psycopg.connect(superuser, autocommit=True)) as connection:
        eventually(lambda: connection.execute(waiting).fetchone()[0] >= 2)  # type: ignore[index]  # a count has a row
    time.sleep(0.2)


def test_the_end_of_the_process_answers_all_that_wait(town: Town, web: Web, superuser: str) -> None:
    with locked(superuser) as lock:
        senders = [Sender(web, number) for number in range(MANY)]
        await_arrival(web, superuser)
        web.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        lock.rollback()
        answers = [sender.read() for sender in senders]

    assert [answer and answer[0] for answer in answers] == [202] * MANY
    assert {answer[1]["connection"] for answer in answers if answer} == {"close"}
    assert [answer[1]["x-request-id"] for answer in answers if answer] == [f"shared-{n}" for n in range(MANY)]
    assert {UUID(json.loads(answer[2])["delivery_id"]) for answer in answers if answer} <= committed(town)
    assert web.process.wait(30) == 0


def test_whoever_waits_for_a_process_that_is_killed_is_not_answered(town: Town, web: Web, superuser: str) -> None:
    with locked(superuser) as lock:
        senders = [Sender(web, number) for number in range(MANY)]
        await_arrival(web, superuser)
        os.killpg(web.process.pid, signal.SIGKILL)
        assert [sender.read() for sender in senders] == [None] * MANY
        lock.rollback()


def test_none_is_acknowledged_without_its_row_however_often_the_child_is_killed(town: Town, web: Web) -> None:
    acknowledged: set[str] = set()
    ends = threading.Event()

    def send() -> None:
        while not ends.is_set():
            with suppress(httpx.TransportError), httpx.Client(base_url=f"http://127.0.0.1:{web.port}") as client:
                while not ends.is_set():
                    answer = client.post("/api/payments/webhook", content=b'{"killed":1}', timeout=10)
                    if answer.status_code == 202:
                        acknowledged.add(answer.json()["delivery_id"])

    senders = [threading.Thread(target=send) for _ in range(16)]
    for sender in senders:
        sender.start()
    try:
        for _ in range(4):
            before = len(acknowledged)
            eventually(lambda before=before: len(acknowledged) > before + 50)
            (child,) = web.children()
            child.kill()
            eventually(lambda child=child: [new.pid == child.pid for new in web.children()] == [False])
    finally:
        ends.set()
        for sender in senders:
            sender.join(30)

    assert len(acknowledged) > 200
    assert {UUID(each) for each in acknowledged} <= committed(town)
