"""What is sent, in which order, and how far an endpoint is afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
from aiohttp import web

from checkout_service.api.responses import show_time
from tests.conftest import Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import (
    Answer,
    MakeShop,
    Receiver,
    Send,
    accept,
    endpoint_row,
    event_ids,
    make_due,
    refuse,
)


def test_all_that_an_endpoint_is_for_comes_once_and_its_place_is_the_last_number(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop(types=["payment.paid"])
    for _ in range(30):
        insert_event(sql, "payment.paid")
        last = insert_event(sql, "order.placed")
    paid = [row.event_id for row in sql("SELECT event_id FROM event_numbers WHERE type = 'payment.paid' ORDER BY seq")]

    assert send() == 30

    assert sorted(receiver.events()) == sorted(paid)
    row = endpoint_row(sql, shop)
    assert (row.place, row.lease_token, row.next_due_at, row.failures) == (last, None, None, 0)
    assert sql("SELECT FROM pending_deliveries") == []
    attempts = sql("SELECT DISTINCT succeeded, status, answer FROM event_attempts")
    assert [tuple(each) for each in attempts] == [(True, 200, None)]
    assert send() == 0, "nothing comes twice"


def test_a_lane_is_in_order_and_lanes_are_parallel(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    make_shop()
    lanes = [uuid4() for _ in range(8)]
    for version in range(1, 6):
        for lane in lanes:
            insert_event(sql, object_id=lane, version=version)
    receiver.answer = once_so_many_are_there(8)

    assert send() == 40

    assert receiver.most_in_flight == 8, "one of each lane, and no second one of any"
    for lane in lanes:
        assert versions_of(receiver, lane) == [1, 2, 3, 4, 5]


def test_a_failure_holds_its_lane_alone_and_what_came_meanwhile_stays_behind_it(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    bad, good = uuid4(), uuid4()
    for version in range(1, 4):
        insert_event(sql, object_id=bad, version=version)
        insert_event(sql, object_id=good, version=version)
    receiver.answer = refuse_some(lambda data: data["id"] == str(bad), 500)

    assert send() == 4
    last = insert_event(sql, object_id=bad, version=4)
    assert send() == 0, "it waits behind the first"

    assert versions_of(receiver, good) == [1, 2, 3]
    assert versions_of(receiver, bad) == [1]
    assert endpoint_row(sql, shop).place == last
    waiting = sql("""SELECT attempts, next_attempt_at IS NULL AS behind, first_attempt_at IS NULL AS untried,
        extract(epoch FROM next_attempt_at - updated_at)::float8 AS due_in FROM pending_deliveries ORDER BY seq""")
    assert [(row.attempts, row.behind, row.untried) for row in waiting] == [(1, False, False), *[(0, True, True)] * 3]
    assert 3 < waiting[0].due_in <= 6, "five seconds, and up to a fifth"

    receiver.answer = accept
    make_due(sql, shop)
    assert send() == 4
    insert_event(sql, object_id=bad, version=5)
    assert send() == 1

    assert versions_of(receiver, bad) == [1, 1, 2, 3, 4, 5]
    assert sql("SELECT FROM pending_deliveries") == []


def test_an_endpoint_without_order_is_sent_all_of_a_lane_at_once(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop(in_order=False)
    lane = uuid4()
    for version in range(1, 9):
        insert_event(sql, object_id=lane, version=version)
    receiver.answer = once_so_many_are_there(8)
    assert send() == 8

    receiver.answer = refuse(503)
    insert_event(sql, object_id=lane, version=9)
    assert send() == 1
    receiver.answer = accept
    insert_event(sql, object_id=lane, version=10)
    assert send() == 1, "nothing waits behind the one that failed"
    make_due(sql, shop)
    assert send() == 1
    assert sorted(receiver.events()) == sorted([*event_ids(sql), event_ids(sql)[8]])


def test_an_endpoint_that_asks_for_no_order_any_more_is_sent_what_came_behind_a_failure(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    lane = uuid4()
    insert_event(sql, object_id=lane, version=1)
    receiver.answer = refuse(503)
    assert send() == 1
    receiver.answer = accept
    sql("UPDATE webhook_endpoints SET in_order = false WHERE id = :id", id=shop.id)
    insert_event(sql, object_id=lane, version=2)
    insert_event(sql, object_id=lane, version=3)

    send()

    assert set(versions_of(receiver, lane)) == {1, 2, 3}, "though the first waits still"


def test_the_order_of_two_endpoints_is_no_matter_to_each_other_and_each_has_its_own_failures(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shops = [make_shop("/a"), make_shop("/b", payload="thin")]
    lane = uuid4()
    for version in range(1, 4):
        insert_event(sql, "order.placed", object_type="order", object_id=lane, version=version)

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=500 if request.path == "/a" else 200)

    receiver.answer = answer
    assert send() == 4
    assert receiver.events("/b") == event_ids(sql)
    assert receiver.events("/a") == event_ids(sql)[:1]
    assert [endpoint_row(sql, shop).failures for shop in shops] == [1, 0]
    (full,) = [each.data for each in receiver.received if each.path == "/a"]
    thin = next(each.data for each in receiver.received if each.path == "/b")
    row = sql("SELECT *, body::text AS body FROM events ORDER BY id LIMIT 1")[0]
    assert full == {
        "type": "order.placed",
        "id": str(row.id),
        "timestamp": show_time(row.created_at),
        "data": {"id": str(lane), "version": 1},
    }
    assert thin == {**full, "data": {"type": "order", "id": str(lane), "version": 1}}


def test_the_number_of_an_order_stands_in_its_body(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    make_shop()
    insert_event(sql, "order.placed", object_type="order", body={"id": "x", "number": None, "note": None})
    sql("UPDATE event_numbers SET order_number = 'S-1001'")
    send()
    assert receiver.received[0].data["data"] == {"id": "x", "number": "S-1001", "note": None}


def versions_of(receiver: Receiver, lane: UUID) -> list[int]:
    """The versions of this object, as they came."""
    return [each.data["data"]["version"] for each in receiver.received if each.data["data"]["id"] == str(lane)]


def refuse_some(choose: Callable[[Any], bool], status: int) -> Answer:
    """Answer those whose data is chosen with this status."""

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=status if choose(orjson.loads(body)["data"]) else 200)

    return answer


def once_so_many_are_there(count: int) -> Answer:
    """Answer the first ones only once so many are there: never, if one waits for another."""
    there = 0
    all_there: list[asyncio.Event] = []

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        nonlocal there
        there += 1
        all_there[:] = all_there or [asyncio.Event()]
        if there >= count:
            all_there[0].set()
        await asyncio.wait_for(all_there[0].wait(), 10)
        return web.Response()

    return answer
