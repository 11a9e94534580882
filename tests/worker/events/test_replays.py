"""What staff ask for: events once more, and a test event."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from aiohttp import web

from tests.conftest import Sql
from tests.events.rows import insert_event
from tests.worker.events.conftest import (
    MakeShop,
    Receiver,
    Send,
    Shop,
    accept,
    endpoint_row,
    event_ids,
    make_due,
    refuse,
)


def ask_for(sql: Sql, shop: Shop, **columns: Any) -> UUID:
    """Ask for a replay, of the last day unless it says something else; its id."""
    values: dict[str, Any] = {"endpoint_id": shop.id, "requested_by": "ops", **columns}
    if "event_id" not in values:
        values["since"] = sql("SELECT now() - interval '1 day' AS then")[0].then
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    id: UUID = sql(f"INSERT INTO event_replays ({names}) VALUES ({marks}) RETURNING id", **values)[0].id  # noqa: A001
    return id


def replay_row(sql: Sql, replay_id: UUID) -> Any:
    return sql("SELECT * FROM event_replays WHERE id = :id", id=replay_id)[0]


def test_a_replay_sends_the_same_ids_in_order_one_after_the_other_and_only_its_types(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    for _ in range(150):
        insert_event(sql, "payment.paid")
    insert_event(sql, "order.placed")
    send()
    receiver.received.clear()
    receiver.most_in_flight = 0

    replay = ask_for(sql, shop, types=["payment.paid"])
    assert send() == 150

    assert receiver.events() == event_ids(sql)[:150]
    assert receiver.most_in_flight == 1
    row = replay_row(sql, replay)
    assert (row.state, row.sent, row.failed, row.place) == ("done", 150, 0, 151)
    assert sql("SELECT count(*) AS count FROM event_attempts WHERE replay_id = :id", id=replay)[0].count == 150
    assert send() == 0


def test_a_replay_waits_for_the_one_that_was_not_taken_and_live_events_do_not_wait_for_it(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop, bad = make_shop(), uuid4()
    for place in range(6):
        insert_event(sql, object_id=bad if place == 2 else uuid4())
    send()
    receiver.received.clear()
    log = event_ids(sql)

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=503 if orjson.loads(body)["data"]["id"] == str(bad) else 200)

    receiver.answer = answer
    replay = ask_for(sql, shop)
    assert send() == 3
    insert_event(sql)
    assert send() == 1
    assert receiver.events() == [*log[:3], event_ids(sql)[-1]]
    assert replay_row(sql, replay).state == "running"

    receiver.answer = accept
    make_due(sql, shop)
    assert send() == 4
    assert receiver.events()[4:] == log[2:]
    row = replay_row(sql, replay)
    assert (row.state, row.sent, row.failed) == ("done", 6, 0)
    assert sql("SELECT FROM pending_deliveries") == []


def test_a_replay_of_what_failed_sends_that_alone_and_it_has_not_failed_any_more(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    for _ in range(5):
        insert_event(sql)
    send()
    receiver.received.clear()
    sql(
        """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, state, attempts)
        SELECT :id, event_id, seq, type, lane, 'failed', 10 FROM event_numbers WHERE seq IN (2, 4)""",
        id=shop.id,
    )
    replay = ask_for(sql, shop, only_failed=True)
    assert send() == 2
    assert receiver.events() == [event_ids(sql)[1], event_ids(sql)[3]]
    assert sql("SELECT FROM pending_deliveries") == []
    assert replay_row(sql, replay).state == "done"


def test_one_event_is_replayed(sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send) -> None:
    shop = make_shop()
    for _ in range(3):
        insert_event(sql)
    send()
    replay = ask_for(sql, shop, event_id=event_ids(sql)[1])
    assert send() == 1
    assert receiver.events()[3:] == [event_ids(sql)[1]]
    assert replay_row(sql, replay).state == "done"


def test_a_replay_that_is_stopped_sends_nothing_more(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    for _ in range(5):
        insert_event(sql)
    send()
    receiver.answer = refuse(500)
    replay = ask_for(sql, shop)
    assert send() == 1
    sql("UPDATE event_replays SET stop_requested_at = now()")
    receiver.answer = accept
    make_due(sql, shop)
    before = len(receiver.received)
    send()
    assert replay_row(sql, replay).state == "stopped"
    assert sql("SELECT FROM pending_deliveries") == []
    assert len(receiver.received) <= before + 1, "one may have been begun"


def test_a_test_event_comes_at_once_has_no_number_and_one_attempt(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop, other = make_shop("/a", types=["payment.paid"]), make_shop("/b")
    sent = sql("SELECT endpoint_send_test(:id) AS id", id=shop.id)[0].id
    assert send() == 1
    assert receiver.events("/a") == [sent]
    assert receiver.received[0].data["type"] == "webhook_endpoint.test"
    assert receiver.events("/b") == []
    assert sql("SELECT FROM pending_deliveries") == []

    receiver.answer = refuse(500)
    sql("SELECT endpoint_send_test(:id)", id=other.id)
    assert send() == 1
    assert sql("SELECT state, attempts FROM pending_deliveries") == [("failed", 1)]
    assert endpoint_row(sql, other).failures == 0, "a test counts for nothing"
    assert send() == 0


def test_a_test_event_is_a_probe_of_a_suspended_endpoint(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop(types=["payment.paid"], state="suspended", state_reason="failing")
    insert_event(sql)
    assert send() == 0
    sql("SELECT endpoint_send_test(:id)", id=shop.id)
    assert send() == 2
    assert endpoint_row(sql, shop).state == "enabled"


@pytest.mark.parametrize("state", ["suspended", "disabled"])
def test_a_replay_of_an_endpoint_that_is_sent_nothing_ends_at_once_when_it_is_stopped(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, state: str
) -> None:
    shop = make_shop()
    insert_event(sql)
    send()
    receiver.answer = refuse(500)
    replay, other = ask_for(sql, shop), ask_for(sql, shop)
    send()
    sql("UPDATE webhook_endpoints SET state = CAST(:state AS endpoint_state) WHERE id = :id", id=shop.id, state=state)

    sql("UPDATE event_replays SET stop_requested_at = now() WHERE id = :id", id=replay)

    assert replay_row(sql, replay).state == "stopped"
    assert [row.replay_id for row in sql("SELECT replay_id FROM pending_deliveries")] == [other], "only what is of it"


def test_replays_of_a_deleted_endpoint_end(sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send) -> None:
    shop = make_shop()
    insert_event(sql)
    send()
    replay = ask_for(sql, shop)
    sql("UPDATE webhook_endpoints SET deleted_at = now() WHERE id = :id", id=shop.id)
    row = replay_row(sql, replay)
    assert (row.state, row.stop_requested_at is None) == ("stopped", False)
    assert send() == 0


def test_a_replay_whose_event_waits_for_hours_stops_when_staff_say_so(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    insert_event(sql)
    send()
    receiver.answer = refuse(500, Retry_After="7200")
    replay = ask_for(sql, shop)
    assert send() == 1
    sql("UPDATE event_replays SET stop_requested_at = now() WHERE id = :id", id=replay)

    assert send() == 0, "it was due, and nothing was sent"

    assert replay_row(sql, replay).state == "stopped"
    assert sql("SELECT FROM pending_deliveries") == []


def test_what_was_in_flight_of_a_replay_that_was_stopped_meanwhile_is_not_tried_again(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    insert_event(sql)
    send()
    replay = ask_for(sql, shop)

    def stop() -> None:
        sql("UPDATE webhook_endpoints SET state = 'disabled' WHERE id = :id", id=shop.id)
        sql("UPDATE event_replays SET stop_requested_at = now() WHERE id = :id", id=replay)

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        await asyncio.to_thread(stop)
        return web.Response(status=500)

    receiver.answer = answer
    assert send() == 1
    assert replay_row(sql, replay).state == "stopped"
    assert sql("SELECT FROM pending_deliveries") == []
