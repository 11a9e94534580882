"""Clients that wait for a change of a payment, over real connections to a web process of one child."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import orjson
import psutil
import pytest

from checkout_service.local.processes import Processes
from checkout_service.payments.changes import WAITING_OF_CALLER
from tests.conftest import JWT_SECRET, MakeListing, Servers, Sql
from tests.flower_pages import stack
from tests.flower_pages.stack import eventually
from tests.money import bring_to
from tests.ordering import number_orders, open_session
from tests.refunding import open_payment

CROWD = 200

CHANGED = 'http_long_polls_total{outcome="changed"}'
UNCHANGED = 'http_long_polls_total{outcome="unchanged"}'


@dataclass
class Answer:
    """What came on a connection of our own."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True)
class Web:
    """A web process with one child."""

    port: int
    processes: Processes
    logs: Path
    client: httpx.Client

    def get(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def metric(self, name: str) -> float:
        text = self.client.get("/metrics").text
        (value,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(value)

    def waiting(self) -> int:
        return int(self.metric("http_long_polls_waiting"))

    def log(self) -> list[str]:
        return [line for path in self.logs.iterdir() for line in path.read_text(errors="replace").splitlines()]

    def end(self, by: signal.Signals) -> None:
        """Only send it."""
        target = self.processes.named("web").target
        assert target is not None
        psutil.Process(target.pid).send_signal(by)


@pytest.fixture(scope="module")
def web(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with started(servers, tmp_path_factory.mktemp("web")) as web:
        yield web


@contextmanager
def started(servers: Servers, logs: Path, **settings: str) -> Iterator[Web]:
    given = stack.environment(servers, PAGES="on", ENVIRONMENT="test", **settings)
    port = int(given["PORT"])
    url = f"http://127.0.0.1:{port}"
    with stack.run(logs, given, "web") as processes, httpx.Client(base_url=url, timeout=30) as client:
        yield Web(port, processes, logs, client)


def known_as(user_id: UUID, **claims: Any) -> dict[str, str]:
    given = {"sub": str(user_id), "exp": datetime.now(UTC) + timedelta(hours=1)} | claims
    return {"Authorization": f"Bearer {jwt.encode(given, JWT_SECRET, 'HS256')}"}


@dataclass(frozen=True)
class Payment:
    """A payment, and what its customer has seen of it."""

    id: UUID
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return f"/api/payments/{self.id}"


def seen(web: Web, sql: Sql, payment_id: UUID, **claims: Any) -> Payment:
    """The payment as its customer has read it."""
    (row,) = sql("SELECT user_id FROM payments WHERE id = :id", id=payment_id)
    known = known_as(row.user_id, **claims)
    answer = web.get(f"/api/payments/{payment_id}", known)
    assert answer.status_code == 200, answer.text
    return Payment(payment_id, known | {"If-None-Match": answer.headers["ETag"]})


def fresh(web: Web, sql: Sql, **claims: Any) -> Payment:
    payment_id, _ = open_payment(sql)
    return seen(web, sql, payment_id, **claims)


async def ask(web: Web, path: str, headers: Mapping[str, str], *, method: str = "GET") -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    began = monotonic()
    try:
        writer.write(head(path, headers, method))
        answer = await read(reader, method)
    finally:
        writer.close()
    answer.seconds = monotonic() - began
    return answer


def head(path: str, headers: Mapping[str, str], method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: test", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def read(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 40)).decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
    status = int(lines[0].split()[1])
    bodiless = method == "HEAD" or status == 304
    body = b"" if bodiless else await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(status, headers, body, 0.0)


async def when_waiting(web: Web, count: int) -> None:
    await asyncio.to_thread(eventually, lambda: web.waiting() == count)


def test_hundreds_are_answered_at_the_change_and_hold_nobody_up(web: Web, sql: Sql) -> None:
    payments = [fresh(web, sql) for _ in range(CROWD)]
    before = web.metric(CHANGED)

    async def crowd() -> list[Answer]:
        waiting = [asyncio.create_task(ask(web, f"{each.path}?wait=30", each.headers)) for each in payments]
        await when_waiting(web, CROWD)
        assert (await ask(web, payments[0].path, payments[0].headers)).status == 304, "others find the slots free"
        await asyncio.to_thread(sql, "UPDATE payments SET version = version + 1")
        return await asyncio.gather(*waiting)

    answers = asyncio.run(crowd())

    assert [answer.status for answer in answers] == [200] * CROWD
    assert all(str(each.id).encode() in answer.body for each, answer in zip(payments, answers, strict=True))
    assert all(b'"version":1' in answer.body for answer in answers)
    eventually(lambda: web.waiting() == 0)
    assert web.metric(CHANGED) == before + CROWD


def test_the_number_of_an_order_is_a_change(web: Web, sql: Sql, make_listing: MakeListing) -> None:
    """It comes some moments after the money, and no version counts it."""
    payment_id = open_session(sql, (make_listing(), 1))
    bring_to(sql, payment_id, "paid")
    payment = seen(web, sql, payment_id)

    answer = asyncio.run(answered_after(web, payment, partial(number_orders, sql, "S-")))

    assert (answer.status, orjson.loads(answer.body)["order"]["number"]) == (200, "S-1")


def test_an_unchanged_payment_is_304_at_the_end_and_counted_and_logged_once(web: Web, sql: Sql) -> None:
    payment, name = fresh(web, sql), uuid4().hex
    timed = 'http_request_duration_seconds_count{route="/api/payments/<uuid:payment_id>"}'
    counted = 'http_requests_total{method="GET",route="/api/payments/<uuid:payment_id>",status="304"}'
    asyncio.run(ask(web, payment.path, payment.headers))  # so that there is such a series
    eventually(lambda: web.metric(counted))
    sleep(1.1)  # what is told of the series is remembered for a second
    before = web.metric(timed), web.metric(counted), web.metric(UNCHANGED)

    answer = asyncio.run(ask(web, f"{payment.path}?wait=2", payment.headers | {"X-Request-Id": name}))

    assert (answer.status, answer.headers["etag"]) == (304, payment.headers["If-None-Match"])
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == (name, "private, no-cache")
    assert answer.seconds >= 2
    eventually(lambda: (web.metric(timed), web.metric(counted), web.metric(UNCHANGED)) == add(before, (0, 1, 1)))
    (line,) = [line for line in web.log() if name in line]
    assert float(re.findall(r"ms=(\S+)|\"ms\":(\S+?),", line)[0][0]) >= 2000, line
    assert "status=304" in line


def test_what_has_changed_is_counted_and_logged_once_too(web: Web, sql: Sql) -> None:
    payment, name = fresh(web, sql), uuid4().hex
    named = Payment(payment.id, payment.headers | {"X-Request-Id": name})

    answer = asyncio.run(answered_after(web, named, partial(bring_to, sql, payment.id, "processing")))

    assert (answer.status, answer.headers["x-request-id"]) == (200, name)
    (line,) = [line for line in web.log() if name in line]
    assert "status=200" in line


@pytest.mark.parametrize("condition", [None, '"another"', "*"], ids=["none", "another", "any"])
def test_who_has_no_version_of_it_or_another_is_answered_at_once(web: Web, sql: Sql, condition: str | None) -> None:
    payment = fresh(web, sql)
    headers = {name: value for name, value in payment.headers.items() if name != "If-None-Match"}

    async def both() -> None:
        waits = asyncio.create_task(ask(web, f"{payment.path}?wait=30", payment.headers))
        at_once = await ask(
            web, f"{payment.path}?wait=30", headers | ({"If-None-Match": condition} if condition else {})
        )
        assert at_once.status == (304 if condition == "*" else 200)
        assert "retry-after" not in at_once.headers
        assert not waits.done()
        await asyncio.to_thread(bring_to, sql, payment.id, "processing")
        await waits

    asyncio.run(both())


def test_a_token_that_ended_meanwhile_reads_nothing_more(web: Web, sql: Sql) -> None:
    payment = fresh(web, sql)
    soon = known_as(owner(sql, payment), exp=datetime.now(UTC) + timedelta(seconds=5))
    waits = Payment(payment.id, payment.headers | soon)

    def later() -> None:
        eventually(lambda: web.get(payment.path, soon).status_code == 401, within=60)
        bring_to(sql, payment.id, "processing")

    answer = asyncio.run(answered_after(web, waits, later))

    assert answer.status == 401
    assert b"expired" in answer.body or answer.headers["content-type"] == "application/problem+json"


def test_one_caller_has_some_places_and_leaves_the_others(web: Web, sql: Sql) -> None:
    payment, other = fresh(web, sql), fresh(web, sql)

    async def crowd() -> None:
        ask_it = partial(ask, web, f"{payment.path}?wait=30", payment.headers)
        waiting = [asyncio.create_task(ask_it()) for _ in range(WAITING_OF_CALLER)]
        await when_waiting(web, WAITING_OF_CALLER)
        excess = await ask_it()
        assert (excess.status, excess.headers["retry-after"]) == (304, "5")
        elsewhere = asyncio.create_task(ask(web, f"{other.path}?wait=30", other.headers))
        await when_waiting(web, WAITING_OF_CALLER + 1)
        await asyncio.to_thread(sql, "UPDATE payments SET version = version + 1")
        answers = await asyncio.gather(*waiting, elsewhere)
        assert {answer.status for answer in answers} == {200}

    asyncio.run(crowd())
    eventually(lambda: web.waiting() == 0)


def test_head_gets_the_change_without_a_body_and_what_follows_on_the_connection_waits(web: Web, sql: Sql) -> None:
    payment = fresh(web, sql)

    async def pipelined() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(head(f"{payment.path}?wait=30", payment.headers, "HEAD") + head("/livez", {}))
        await when_waiting(web, 1)
        await asyncio.to_thread(bring_to, sql, payment.id, "processing")
        first, second = await read(reader, "HEAD"), await read(reader)
        assert (first.status, int(first.headers["content-length"]) > 100) == (200, True)
        assert first.headers["etag"] != payment.headers["If-None-Match"]
        assert (second.status, second.body) == (200, b'{"status":"alive"}')
        writer.close()

    asyncio.run(pipelined())


def test_who_hung_up_keeps_a_place_until_the_deadline_alone(web: Web, sql: Sql) -> None:
    payment = fresh(web, sql)

    async def hang_up() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(head(f"{payment.path}?wait=6", payment.headers))
        await when_waiting(web, 1)
        writer.close()

    asyncio.run(hang_up())

    eventually(lambda: web.waiting() == 0)
    assert web.get("/livez", {}).status_code == 200


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_all_who_wait_are_answered_when_the_process_ends(
    servers: Servers, tmp_path: Path, sql: Sql, by: signal.Signals
) -> None:
    """In two children, each with its own."""
    with started(servers, tmp_path, WEB_CONCURRENCY="2") as web:
        payments = [fresh(web, sql) for _ in range(40)]

        async def crowd() -> list[Answer]:
            waiting = [asyncio.create_task(ask(web, f"{each.path}?wait=30", each.headers)) for each in payments]
            await when_waiting(web, len(payments))
            web.end(by)
            return await asyncio.gather(*waiting)

        answers = asyncio.run(crowd())

        assert {(answer.status, answer.headers.get("connection")) for answer in answers} == {(304, "close")}


async def answered_after(web: Web, payment: Payment, change: Callable[[], object]) -> Answer:
    """What comes to who waits while this is done."""
    waiting = asyncio.create_task(ask(web, f"{payment.path}?wait=30", payment.headers))
    await when_waiting(web, 1)
    await asyncio.to_thread(change)
    return await waiting


def owner(sql: Sql, payment: Payment) -> UUID:
    (row,) = sql("SELECT user_id FROM payments WHERE id = :id", id=payment.id)
    found: UUID = row.user_id
    return found


def add(numbers: tuple[float, ...], more: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(number + one for number, one in zip(numbers, more, strict=True))
