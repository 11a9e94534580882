"""Programs that wait for events, over real connections to a web process of one child."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import uuid4

import orjson
import pytest

from checkout_service.events.queries import LOOKED_THROUGH, events_page, passed_by
from checkout_service.events.routes import WAITING_OF_CALLER
from tests.conftest import ROOT, Customer, Servers, Sql, Statements
from tests.events.rows import insert_event
from tests.events.test_pull import many
from tests.flower_pages.stack import eventually
from tests.payments.test_long_polls import (
    CHANGED,
    UNCHANGED,
    Answer,
    Web,
    ask,
    fresh,
    head,
    known_as,
    read,
    started,
    when_waiting,
)

KEYS = 120

PATH = "/api/admin/events"


@pytest.fixture(scope="module")
def web(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with started(servers, tmp_path_factory.mktemp("web")) as web:
        yield web


def reader() -> dict[str, str]:
    return known_as(uuid4(), scope="events:read")


def seen(answer: Answer) -> tuple[list[int], int]:
    assert answer.status == 200, answer
    shown = orjson.loads(answer.body)
    return [event["seq"] for event in shown["data"]], shown["last_seq"]


def wait(web: Web, query: str, headers: Mapping[str, str] | None = None, **options: str) -> asyncio.Task[Answer]:
    path = f"{PATH}?wait=30&{query}" if "wait=" not in query else f"{PATH}?{query}"
    return asyncio.create_task(ask(web, path, headers or reader(), **options))


async def insert(sql: Sql, *types: str, **options: object) -> None:
    for type_ in types:
        await asyncio.to_thread(partial(insert_event, sql, type_, **options))


def test_many_keys_are_answered_by_what_they_wait_for_and_hold_nobody_up(web: Web, sql: Sql) -> None:
    insert_event(sql)
    payment = fresh(web, sql)
    before = web.metric(CHANGED)

    async def crowd() -> None:
        all_, paid = ([wait(web, f"after=1{types}") for _ in range(KEYS // 2)] for types in ("", "&types=payment.paid"))
        other = wait(web, "after=1&types=refund.failed,stock.low")
        customer = asyncio.create_task(ask(web, f"{payment.path}?wait=30", payment.headers))
        await when_waiting(web, KEYS + 2)
        assert seen(await ask(web, f"{PATH}?after=1", reader())) == ([], 1), "others find the slots free"
        await insert(sql, "order.placed")
        assert {tuple(map(str, seen(each))) for each in await asyncio.gather(*all_)} == {("[2]", "2")}
        await insert(sql, "order.canceled", "payment.paid")
        # It has looked at what came in between, and goes on from there.
        assert {tuple(map(str, seen(each))) for each in await asyncio.gather(*paid)} == {("[4]", "4")}
        assert not other.done()
        assert not customer.done()
        await insert(sql, "stock.low")
        assert seen(await other) == ([5], 5)
        await asyncio.to_thread(sql, "UPDATE payments SET version = version + 1")
        assert (await customer).status == 200

    asyncio.run(crowd())
    assert web.metric(CHANGED) == before + KEYS + 2


def test_without_an_event_it_is_an_empty_page_at_the_end_counted_and_logged_once(web: Web, sql: Sql) -> None:
    insert_event(sql)
    before, name = web.metric(UNCHANGED), uuid4().hex

    answer = asyncio.run(ask(web, f"{PATH}?after=1&wait=1", reader() | {"X-Request-Id": name}))

    assert seen(answer) == ([], 1)
    assert answer.seconds >= 1
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == (name, "no-store")
    assert web.metric(UNCHANGED) == before + 1
    (line,) = [line for line in web.log() if name in line]
    assert "status=200" in line


def test_what_wakes_it_without_a_match_has_it_wait_on_with_its_place_moved(web: Web, sql: Sql) -> None:
    object_id = uuid4()

    async def waits() -> None:
        ends = wait(web, f"object={uuid4()}&wait=4")
        waiting = wait(web, f"object=payment:{object_id}")
        await when_waiting(web, 2)
        await insert(sql, "payment.paid", "payment.flagged")
        assert seen(await ends) == ([], 2)
        assert not waiting.done()
        await insert(sql, "payment.reversed", object_id=object_id)
        assert seen(await waiting) == ([3], 3)

    asyncio.run(waits())


def test_from_its_moved_place_it_looks_on_and_not_from_where_it_began(web: Web, sql: Sql) -> None:
    """More numbers than one page looks through come in pieces; nothing of that makes it forget what comes then."""
    object_id = uuid4()

    async def waits() -> None:
        waiting = wait(web, f"object=payment:{object_id}")
        by_type = wait(web, "types=dispute.won")
        await when_waiting(web, 2)
        await asyncio.to_thread(many, sql, LOOKED_THROUGH + 10)
        await insert(sql, "payment.reversed", object_id=object_id)
        assert seen(await waiting) == ([LOOKED_THROUGH + 11], LOOKED_THROUGH + 11)
        await insert(sql, "dispute.won")
        place, found = 0, list[int]()
        pages = [await by_type]
        while not found:
            found, place = seen(pages[-1])
            pages.append(await ask(web, f"{PATH}?types=dispute.won&after={place}", reader()))
        assert found == [LOOKED_THROUGH + 12]
        assert len(pages) == 3

    asyncio.run(waits())


def test_a_log_that_was_restored_or_dropped_meanwhile_answers_so(web: Web, sql: Sql) -> None:
    for _ in range(3):
        insert_event(sql)

    async def waits() -> None:
        waiting = [wait(web, "after=3"), wait(web, "after=3&types=stock.low"), wait(web, f"after=3&object={uuid4()}")]
        await when_waiting(web, 3)
        await asyncio.to_thread(sql, "UPDATE event_series SET last_seq = 2")
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {409}
        await asyncio.to_thread(sql, "UPDATE event_series SET last_seq = 3")
        waiting = [wait(web, "after=3")]
        await when_waiting(web, 1)
        await asyncio.to_thread(sql, "UPDATE event_series SET last_seq = 9, dropped_seq = 8")
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [410]

    asyncio.run(waits())


def test_one_caller_has_some_places_and_leaves_the_others(web: Web, sql: Sql) -> None:
    async def crowd() -> None:
        own = reader()
        waiting = [wait(web, "", own) for _ in range(WAITING_OF_CALLER)]
        await when_waiting(web, WAITING_OF_CALLER)
        excess = await wait(web, "", own)
        assert (seen(excess), excess.headers["retry-after"]) == (([], 0), "5")
        waiting.append(wait(web, ""))
        await when_waiting(web, WAITING_OF_CALLER + 1)
        await insert(sql, "payment.paid")
        assert {seen(each)[1] for each in await asyncio.gather(*waiting)} == {1}

    asyncio.run(crowd())


def test_head_waits_too_and_what_follows_on_the_connection(web: Web, sql: Sql) -> None:
    async def pipelined() -> None:
        reader_, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(head(f"{PATH}?wait=1", reader(), "HEAD") + head(f"{PATH}?wait=30", reader(), "HEAD"))
        writer.write(head("/livez", {}))
        first = await read(reader_, "HEAD")
        assert (first.status, first.headers["content-length"]) == (200, str(len('{"data":[],"last_seq":0}')))
        await when_waiting(web, 1)
        await insert(sql, "payment.paid")
        second, third = await read(reader_, "HEAD"), await read(reader_)
        assert (second.status, int(second.headers["content-length"]) > 200) == (200, True)
        assert (third.status, third.body) == (200, b'{"status":"alive"}')
        writer.close()

    asyncio.run(pipelined())


def test_who_hung_up_keeps_a_place_until_the_deadline_alone(web: Web, sql: Sql) -> None:
    async def hang_up() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(head(f"{PATH}?wait=6", reader()))
        await when_waiting(web, 1)
        writer.close()
        await when_waiting(web, 0)

    asyncio.run(hang_up())
    assert web.get("/livez", {}).status_code == 200


def test_all_who_wait_are_answered_when_the_process_ends(servers: Servers, tmp_path: Path, sql: Sql) -> None:
    insert_event(sql)
    with started(servers, tmp_path) as web:

        async def crowd() -> list[Answer]:
            began = monotonic()
            waiting = [wait(web, "after=1") for _ in range(20)]
            await when_waiting(web, len(waiting))
            web.end(signal.SIGTERM)
            answers = await asyncio.gather(*waiting)
            assert monotonic() - began < 25
            return answers

        answers = asyncio.run(crowd())

    assert {answer.headers.get("connection") for answer in answers} == {"close"}
    assert {str(seen(answer)) for answer in answers} == {"([], 1)"}


def test_one_statement_looks_for_all_who_wait(customer: Customer, sql: Sql, statements: Statements) -> None:
    insert_event(sql, "payment.paid")
    insert_event(sql, "stock.low")
    paid, low, won = (frozenset({name}) for name in ("payment.paid", "stock.low", "dispute.won"))
    places = {(None, 1), (None, 2), (paid, 0), (paid, 1), (low, 1), (low | won, 1), (won, 0), (won, 3), (None, 3)}
    customer.get("/api/payments")  # connects
    with customer.client.application.app_context(), statements() as made:
        passed = passed_by(places)
        assert events_page(0, types=["dispute.won"], limit=1).last_seq == 2
    assert len(made) == 2
    assert passed == {(None, 1), (paid, 0), (low, 1), (low | won, 1), (won, 3), (None, 3)}


@pytest.mark.parametrize(("language", "suffix"), [("python", "py"), ("javascript", "mjs")])
def test_the_programs_of_the_page_read_on_where_they_ended(
    web: Web, sql: Sql, tmp_path: Path, language: str, suffix: str
) -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    source = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)[0]
    program = tmp_path / f"reads.{suffix}"
    program.write_text(source, encoding="utf-8")
    runner = {"py": sys.executable, "mjs": shutil.which("node")}[suffix]
    if runner is None:
        pytest.skip("there is no node here")
    known = reader()["Authorization"].removeprefix("Bearer ")
    environ = os.environ | {
        "SHOP_URL": f"http://127.0.0.1:{web.port}",
        "API_KEY": known,
        "PLACE_FILE": str(place := tmp_path / "seq"),
    }

    def read_on(*numbers: int) -> None:
        with subprocess.Popen([runner, program], env=environ, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in numbers]
                eventually(lambda: place.exists() and place.read_text() == str(numbers[-1]))
            finally:
                process.kill()
        assert [int(line.split()[0]) for line in lines] == list(numbers)

    insert_event(sql)
    insert_event(sql)
    read_on(1, 2)
    insert_event(sql)
    read_on(3)
