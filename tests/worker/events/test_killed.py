"""Senders that are killed, frozen, or without a database: everything comes at least once, and first in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from uuid import UUID, uuid4

import psycopg
import pytest
from aiohttp import web
from sqlalchemy import Engine, text

from tests.conftest import ROOT, Servers, Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import (
    KEY,
    MakeShop,
    Receiver,
    Send,
    accept,
    endpoint_row,
    event_ids,
    refuse,
)
from worker.events.claims import claim, release

LANES = 10


@contextmanager
def sender_process(servers: Servers, linger: float = 30.0) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **{name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ},
        "WORKER_DATABASE_URL": servers.worker_url,
        "REDIS_URL": servers.redis_url,
        "WEBHOOK_SECRETS_KEY": KEY.decode(),
        "LINGER": str(linger),
    }
    process = subprocess.Popen([sys.executable, "-m", "tests.worker.events.sending"], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(happens: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def fill(sql: Sql, events: int) -> list[UUID]:
    """So many events in LANES lanes; the lanes."""
    lanes = [uuid4() for _ in range(LANES)]
    for place in range(events):
        insert_event(sql, object_id=lanes[place % LANES], version=place // LANES + 1)
    return lanes


def assert_all_came_in_order(sql: Sql, receiver: Receiver) -> None:
    """Each event came, and in its lane none came first before one that was written before it."""
    assert set(receiver.events()) == set(event_ids(sql))
    firsts: dict[str, list[int]] = {}
    seen: set[UUID] = set()
    for each in receiver.received:
        if each.event_id not in seen:
            seen.add(each.event_id)
            firsts.setdefault(each.data["data"]["id"], []).append(each.data["data"]["version"])
    assert all(versions == sorted(versions) for versions in firsts.values())


def let_the_lease_end(sql: Sql) -> None:
    """Also what was filed while it was in flight, on a slow machine, is due then."""
    sql("UPDATE webhook_endpoints SET leased_until = now() WHERE leased_until > now()")
    sql("UPDATE pending_deliveries SET next_attempt_at = now() WHERE next_attempt_at > now()")


def test_a_sender_that_is_killed_between_an_answer_and_its_row_loses_nothing(
    sql: Sql, servers: Servers, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    fill(sql, 300)
    gate = Gate(after=120)
    receiver.answer = gate.answer
    with sender_process(servers) as process:
        until(lambda: len(receiver.received) >= 120 + LANES)
        process.kill()
        process.wait()
    receiver.answer = accept
    gate.open()
    taken = sql("SELECT count(*) AS count FROM event_attempts")[0].count
    assert endpoint_row(sql, shop).lease_token is not None
    assert send() == 0, "the lease has not ended"
    let_the_lease_end(sql)

    assert send() == 300 - taken, "what was written as delivered is not sent again"

    assert_all_came_in_order(sql, receiver)
    assert endpoint_row(sql, shop).place == 300


def test_what_a_frozen_sender_writes_after_its_lease_changes_nothing(
    sql: Sql, servers: Servers, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    fill(sql, 100)
    gate = Gate(after=0)
    receiver.answer = gate.answer
    with sender_process(servers, linger=0.0) as frozen:
        until(lambda: len(receiver.received) >= LANES)
        frozen.send_signal(signal.SIGSTOP)
        let_the_lease_end(sql)
        receiver.answer = accept
        gate.open()

        assert send() == 100
        before = endpoint_row(sql, shop)
        written = sql("SELECT count(*) AS count FROM event_attempts")[0].count
        assert (before.place, written) == (100, 100)

        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(60) == 0
    after = endpoint_row(sql, shop)
    assert (after.place, after.lease_token, after.failures) == (100, None, 0)
    assert sql("SELECT count(*) AS count FROM event_attempts")[0].count == 100
    assert_all_came_in_order(sql, receiver)


def test_what_waits_at_the_endpoint_of_a_sender_that_was_killed_is_sent_when_it_is_due(
    sql: Sql, servers: Servers, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    make_shop()
    fill(sql, 1)
    receiver.answer = refuse(503)
    with sender_process(servers) as process:
        until(lambda: sql("SELECT FROM pending_deliveries") != [])
        process.kill()
        process.wait()
    receiver.answer = accept
    sql("UPDATE pending_deliveries SET next_attempt_at = now()")
    assert send() == 0, "the lease has not ended"
    let_the_lease_end(sql)

    assert send() == 1, "though nothing new is for the endpoint"


def test_what_staff_ask_for_while_a_sender_gives_the_endpoint_back_is_due(
    sql: Sql, servers: Servers, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    assert send() == 0
    fill(sql, 1)
    token = uuid4()
    (claimed,) = claim(token, held=[], most=1).endpoints
    assert claimed.id == shop.id
    with psycopg.connect(servers.web_url.replace("+psycopg", "")) as staff:
        staff.execute("SELECT endpoint_send_test(%s)", [shop.id])
        context = copy_context()
        giver = threading.Thread(target=lambda: context.run(release, token, {shop.id: None}, ahead=()))
        giver.start()
        until(lambda: bool(sql("SELECT FROM pg_locks WHERE NOT granted")))
        staff.commit()
        giver.join()

    due = sql("SELECT next_due_at <= now() AS due, lease_token FROM webhook_endpoints")
    assert [tuple(row) for row in due] == [(True, None)]


def test_two_senders_share_the_endpoints_and_send_nothing_twice(
    sql: Sql, servers: Servers, receiver: Receiver, make_shop: MakeShop
) -> None:
    for place in range(12):
        make_shop(f"/{place}")
    fill(sql, 100)
    with sender_process(servers, linger=0.0) as one, sender_process(servers, linger=0.0) as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
    for place in range(12):
        assert sorted(receiver.events(f"/{place}")) == sorted(event_ids(sql))


def test_a_sender_goes_on_once_the_database_is_back(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    fill(sql, 200)
    away_until = [100]
    execute = psycopg.Cursor.execute

    def sometimes(cursor: psycopg.Cursor[object], *arguments: object, **options: object) -> object:
        # From the first delivery on, and until all that was read is delivered.
        if threading.current_thread() is not threading.main_thread() and away_until[0] and receiver.received:
            away_until[0] -= len(receiver.received) >= 200
            raise psycopg.OperationalError("the server closed the connection unexpectedly")
        return execute(cursor, *arguments, **options)  # type: ignore[arg-type]

    away_until[0] = 1
    monkeypatch.setattr(psycopg.Cursor, "execute", sometimes)
    send()
    assert_all_came_in_order(sql, receiver)
    assert len(receiver.received) == 200, "what was delivered while it was away was remembered"
    assert endpoint_row(sql, shop).place == 200


@pytest.mark.parametrize("given", [0, 7, 30, 45])
def test_numbers_that_an_older_copy_of_the_database_gives_again_are_sent(
    sql: Sql, superuser: Engine, receiver: Receiver, make_shop: MakeShop, send: Send, given: int
) -> None:
    """So many are given again before the sender looks once: fewer than it knows, as many, more."""
    make_shop()
    fill(sql, 40)

    async def restore(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        receiver.answer = accept
        with superuser.execution_options(isolation_level="READ COMMITTED").begin() as copy:
            copy.execute(text("DELETE FROM event_numbers WHERE seq > 10"))
            copy.execute(
                text("""UPDATE event_series SET last_seq = 10,
                    last_event_id = (SELECT event_id FROM event_numbers WHERE seq = 10)""")
            )
            fill(lambda query, **values: list(copy.execute(text(query), values).all()), given)
        return web.Response()

    receiver.answer = restore
    send()
    # The sender had the lease in that copy too, and wrote there what it had delivered of the log that is lost.
    sql("""
        INSERT INTO event_attempts (endpoint_id, event_id, type, seq, attempt, succeeded, status, duration_ms)
        SELECT endpoint.id, event.id, event.type, 10 + row_number() OVER (ORDER BY event.id), 1, true, 200, 1
        FROM webhook_endpoints AS endpoint, events AS event
        WHERE event.id NOT IN (SELECT event_id FROM event_numbers)
    """)
    fill(sql, max(0, 30 - given))
    let_the_lease_end(sql)
    send()

    assert len(event_ids(sql)) == 10 + max(30, given)
    assert set(event_ids(sql)) <= set(receiver.events())


def test_a_slow_endpoint_and_a_dead_one_stop_nobody(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    make_shop("/slow")
    make_shop("/dead", url="http://127.0.0.1:1/")
    make_shop("/fast")
    fill(sql, 400)
    gate = Gate(after=0)

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return await gate.answer(request, body) if request.path == "/slow" else web.Response()

    receiver.answer = answer

    def open_when_all_came() -> None:
        until(lambda: len(receiver.events("/fast")) == 400)
        slow.append(len(receiver.events("/slow")))
        gate.open()

    slow: list[int] = []
    watcher = threading.Thread(target=open_when_all_came)
    watcher.start()
    send()
    watcher.join()
    assert slow == [LANES], "one of each lane was begun, and nothing answered"
    assert sorted(receiver.events("/slow")) == sorted(event_ids(sql))


class Gate:
    """Answers the first ``after`` requests, and the others once it is open."""

    def __init__(self, after: int) -> None:
        self._left = after
        self._open = False

    def open(self) -> None:
        self._open = True

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        self._left -= 1
        if self._left < 0:
            while not self._open:
                await asyncio.sleep(0.005)
        return web.Response()
