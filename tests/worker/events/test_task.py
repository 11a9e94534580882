"""The task in its process, its wake-ups, its sweep, and how many statements it takes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from aiohttp import web
from flask import Flask

from checkout_service.cache import cache
from checkout_service.local.processes import read_procfile
from checkout_service.publishing.events_wake_up import WAKE_UP, wake_sender
from tests.conftest import ROOT, Servers, Sql
from tests.events.rows import insert_event
from tests.worker.conftest import Messages
from tests.worker.events.conftest import KEY, MakeShop, Receiver, Send, endpoint_row, event_ids
from tests.worker.events.test_killed import Gate, until
from worker.events import stopping
from worker.events.sweeping import BEHIND, sweep
from worker.events.task import send as send_task


def test_a_worker_process_sends_what_it_is_woken_for_and_stops_in_good_order(
    sql: Sql, servers: Servers, sender: Flask, receiver: Receiver, make_shop: MakeShop, tmp_path: Path
) -> None:
    shop = make_shop()
    command = read_procfile(ROOT / "Procfile")["sender"]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        "WORKER_DATABASE_URL": servers.worker_url,
        "REDIS_URL": servers.redis_url,
        "MOCK_WEBHOOK_SECRETS": "the secret that the mock provider signs with",
        "PAYMENT_NAMESPACE": "2f6f3cf0-0000-4000-8000-000000000000",
        "WEBHOOK_SECRETS_KEY": KEY.decode(),
        "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "on",
    }
    log = (tmp_path / "log").open("wb")
    program = str(Path(sys.executable).parent / command[0])
    process = subprocess.Popen([program, *command[1:]], cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        insert_event(sql)
        wake_sender()
        until(lambda: receiver.events() == event_ids(sql))
        # While it looks for more by itself, no message is needed.
        insert_event(sql)
        until(lambda: receiver.events() == event_ids(sql))

        gate = Gate(after=0)
        receiver.answer = gate.answer
        insert_event(sql)
        cache().release(WAKE_UP)
        wake_sender()
        until(lambda: len(receiver.received) == 3)
        process.send_signal(signal.SIGTERM)
        insert_event(sql)
        gate.open()
        assert process.wait(60) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
        log.close()
    row = endpoint_row(sql, shop)
    assert row.place >= 3, "what was in flight was answered, and that is written"
    assert row.lease_token is None


def test_what_is_not_answered_when_the_process_has_to_stop_is_sent_again_by_the_next(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    insert_event(sql)
    gate = Gate(after=0)
    receiver.answer = gate.answer
    monkeypatch.setattr("worker.events.ending.GRACE", 0.1)
    stops = threading.Thread(target=lambda: (until(lambda: receiver.received != []), stopping.set_stopping(True)))
    stops.start()
    try:
        assert send() == 0
    finally:
        stops.join()
        stopping.set_stopping(False)
        gate.open()
    row = endpoint_row(sql, shop)
    assert (row.place, row.lease_token, row.failures) == (0, None, 0)
    assert send() == 1
    assert receiver.events() == event_ids(sql) * 2


def test_while_a_sender_looks_for_itself_no_message_is_sent_and_afterwards_one_is(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, sender: Flask, messages: Messages
) -> None:
    make_shop()
    insert_event(sql)
    seen: list[int] = []

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        with sender.app_context():
            await asyncio.to_thread(wake_sender)
        seen.append(len(messages("events")))
        return web.Response()

    receiver.answer = answer
    assert send_task() == "1 attempts"
    assert seen == [0]
    wake_sender()
    assert len(messages("events")) == 1


def test_the_sweep_wakes_the_sender_only_where_something_is_due(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, sender: Flask, messages: Messages
) -> None:
    shop = make_shop(types=["payment.paid"])
    insert_event(sql, "order.placed")
    sweep()
    assert messages("events") == []
    insert_event(sql, "payment.paid")
    sql("UPDATE webhook_endpoints SET lease_token = uuidv7(), leased_until = now() + interval '30 seconds'")
    sweep()
    assert messages("events") == [], "somebody has it"
    sql("UPDATE webhook_endpoints SET leased_until = now()")
    sweep()
    sweep()
    assert messages("events") == [()]
    sql("UPDATE webhook_endpoints SET state = 'disabled' WHERE id = :id", id=shop.id)
    cache().release(WAKE_UP)
    sweep()
    assert len(messages("events")) == 1


def test_the_sweep_moves_up_the_places_that_skip_nothing_and_no_others(
    sql: Sql, make_shop: MakeShop, sender: Flask, servers: Servers
) -> None:
    rare, busy, every = make_shop(types=["dispute.won"]), make_shop(types=["payment.paid"]), make_shop()
    insert_event(sql, "payment.paid")
    sql("UPDATE event_series SET last_seq = last_seq + :more", more=BEHIND + 1)
    sweep()
    assert [endpoint_row(sql, shop).place for shop in (rare, busy, every)] == [BEHIND + 2, 0, 0]


def test_a_hundred_deliveries_take_a_handful_of_statements(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(8):
        make_shop(f"/{place}")
    for _ in range(100):
        insert_event(sql)
    seen: list[str] = []
    execute = psycopg.Cursor.execute
    main = threading.main_thread()

    def count(cursor: psycopg.Cursor[object], query: str, *arguments: object, **options: object) -> object:
        if threading.current_thread() is not main:
            seen.append(query)
        return execute(cursor, query, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg.Cursor, "execute", count)
    assert send() == 800
    writes = [query for query in seen if "event_attempts" in query and "INSERT" in query]
    assert sum("FROM events" in query or "JOIN events" in query for query in seen) <= 8, "bodies are read once for all"
    assert len(writes) <= 100
    assert len(seen) <= 400, "and none for each delivery"
