"""Who is slow holds nobody else: lanes behind a slow answer, replays, endpoints that share a process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from aiohttp import web

from checkout_service.endpoints.signing import make_signer
from checkout_service.endpoints.states import EndpointState, Signing
from tests.conftest import Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import (
    Answer,
    MakeShop,
    Receiver,
    Send,
    endpoint_row,
    event_ids,
    make_due,
    refuse,
)
from tests.worker.events.test_order import versions_of
from tests.worker.events.test_replays import ask_for, replay_row
from worker.events import reading, sender
from worker.events.claims import Claimed
from worker.events.endpoint import Endpoint
from worker.events.health import FIRST_SHARE, SHARE, SLOW, SLOW_SHARE
from worker.events.lanes import Item
from worker.events.reading import OpenReplay, read_replayed
from worker.events.slots import MOST_IN_FLIGHT, SHARED, SLOW_ONES, Slots

PATIENCE = 13.0
"""Seconds for which a receiver holds an answer back: less than an attempt has, far more than anything else takes."""


def hold_until(
    comes: Callable[[Any], bool], holds: Callable[[Any, web.BaseRequest], bool], *, status: int = 200
) -> tuple[Answer, list[bool]]:
    """Answer what is to be held only once something else has come; and whether it came in time, for each held."""
    there: list[asyncio.Event] = []
    in_time: list[bool] = []

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        there[:] = there or [asyncio.Event()]
        data = orjson.loads(body)["data"]
        if comes(data):
            there[0].set()
        elif holds(data, request):
            try:
                await asyncio.wait_for(there[0].wait(), PATIENCE)
                in_time.append(True)
            except TimeoutError:
                in_time.append(False)
            return web.Response(status=status)
        return web.Response()

    return answer, in_time


@pytest.mark.parametrize("status", [200, 500])
def test_a_lane_that_is_longer_than_what_is_read_holds_no_other_lane_behind_a_slow_answer(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(sender, "READ", 16)
    shop, long, other = make_shop(), uuid4(), uuid4()
    for version in range(1, 21):
        insert_event(sql, object_id=long, version=version)
    insert_event(sql, object_id=other)
    receiver.answer, in_time = hold_until(
        lambda data: data["id"] == str(other), lambda data, _: data["version"] == 1, status=status
    )

    send()
    if status == 500:
        (head,) = sql("SELECT attempts, seq FROM pending_deliveries WHERE next_attempt_at IS NOT NULL")
        assert (head.attempts, head.seq) == (1, 1), "it was tried once, and is tried again as after any failure"
        receiver.answer, _ = hold_until(lambda _: True, lambda *_: False)
        make_due(sql, shop)
        send()

    assert in_time == [True]
    assert versions_of(receiver, long) == [*[1] * (status == 500), *range(1, 21)], "in order, and none twice"
    assert sql("SELECT FROM pending_deliveries") == []
    assert endpoint_row(sql, shop).place == 21


def test_a_replay_behind_a_slow_answer_holds_no_event_that_is_new(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "READ", 16)
    shop, fresh = make_shop(), uuid4()
    for _ in range(20):
        insert_event(sql)
    send()
    receiver.received.clear()
    replay = ask_for(sql, shop)
    first = str(sql("SELECT object_id FROM event_numbers WHERE seq = 1")[0].object_id)
    answer, in_time = hold_until(lambda data: data["id"] == str(fresh), lambda data, _: data["id"] == first)

    async def write_then_answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        if orjson.loads(body)["data"]["id"] == first:
            await asyncio.to_thread(insert_event, sql, object_id=fresh)
        return await answer(request, body)

    receiver.answer = write_then_answer
    assert send() == 21
    assert in_time == [True]
    assert replay_row(sql, replay).state == "done"


def test_one_look_at_a_replay_of_a_rare_type_is_bounded(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop()
    for _ in range(30):
        insert_event(sql)
    insert_event(sql, "refund.failed")
    send()
    receiver.received.clear()
    monkeypatch.setattr(reading, "SCANNED", 4)
    replay = ask_for(sql, shop, types=["refund.failed"])
    opened = OpenReplay(replay, shop.id, 0, 31, only_failed=False, sent=0, failed=0, stopped=False)

    assert read_replayed(opened, most=10) == ([], 4), "it says how far it looked, and all else has its turn"

    assert send() == 1
    assert receiver.events() == [event_ids(sql)[30]]
    row = replay_row(sql, replay)
    assert (row.state, row.sent, row.place) == ("done", 1, 31)


def test_what_waits_goes_first_once_an_endpoint_asks_for_order(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop, lane = make_shop(in_order=False), uuid4()
    receiver.answer = refuse(503)
    for version in (1, 2):
        insert_event(sql, object_id=lane, version=version)
    assert send() == 2
    receiver.received.clear()

    sql("UPDATE webhook_endpoints SET in_order = true WHERE id = :id", id=shop.id)
    receiver.answer, _ = hold_until(lambda _: True, lambda *_: False)
    insert_event(sql, object_id=lane, version=3)
    assert send() == 0, "it is behind them"
    make_due(sql, shop)
    assert send() == 3

    assert versions_of(receiver, lane) == [1, 2, 3]


def claimed(**values: Any) -> Claimed:
    now = monotonic()
    columns: dict[str, Any] = {
        "id": uuid4(),
        "url": "https://shop.example",
        "thin": False,
        "in_order": True,
        "api_version": "1",
        "state": EndpointState.ENABLED,
        "version": 1,
        "place": 0,
        "pace": None,
        "failures": 0,
        "probes": 0,
        "taken_at": now,
        "failing_since": None,
        "state_since": now,
        "leased_until": now + 30,
        "secrets": (),
        "delivered": frozenset(),
    }
    return Claimed(**columns | values)


def busy_endpoint(endpoint_id: UUID | None = None, *, answered_in: float | None = None) -> Endpoint:
    """An endpoint with as many lanes as it may be sent at once, and more."""
    endpoint = Endpoint(claimed(id=endpoint_id or uuid4()), [make_signer(Signing.V1, b"k" * 32, None)])
    for seq in range(2 * SHARE):
        endpoint._lanes.put(Item(seq, uuid4(), "payment.paid", uuid4(), None, event=None))
    if answered_in is not None:
        endpoint._health.answered(answered_in)
    return endpoint


def fill(slots: Slots, endpoints: list[Endpoint]) -> None:
    """Begin all that may begin, one of each endpoint in turn."""
    waiting = slots.share_out(endpoints)
    while waiting:
        waiting = [endpoint for endpoint in waiting if slots.take(endpoint)]


def test_slow_endpoints_together_leave_half_of_the_slots_to_the_others() -> None:
    slots = Slots()
    slow = [busy_endpoint(answered_in=2 * SLOW) for _ in range(100)]
    fill(slots, slow)
    assert slots.in_flight == SLOW_ONES
    assert all(endpoint.in_flight for endpoint in slow), "each has one at least"

    quick = busy_endpoint(answered_in=0.01)
    fill(slots, [*slow, quick])
    assert quick.in_flight == SHARED // 101
    assert slots.in_flight < MOST_IN_FLIGHT


def test_endpoints_that_begin_to_hang_leave_room_for_who_comes_next() -> None:
    slots = Slots()
    hanging = [busy_endpoint(answered_in=0.01) for _ in range(60)]
    fill(slots, hanging)
    assert slots.in_flight <= SHARED
    late = busy_endpoint(answered_in=0.01)
    fill(slots, [*hanging, late])
    assert late.in_flight >= 1


def test_an_endpoint_that_was_slow_begins_with_one_and_one_that_nobody_knows_with_some() -> None:
    endpoint_id = uuid4()
    for answered_in, share in ((None, FIRST_SHARE), (2 * SLOW, SLOW_SHARE), (0.01, SHARE)):
        endpoint = busy_endpoint(endpoint_id, answered_in=answered_in)
        fill(Slots(), [endpoint])
        assert endpoint.in_flight == share
    busy_endpoint(endpoint_id, answered_in=2 * SLOW)

    again = busy_endpoint(endpoint_id)
    fill(Slots(), [again])
    assert (again.is_slow, again.in_flight) == (True, 1)
