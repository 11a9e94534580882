"""What becomes of events that are not taken, and of endpoints that take nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
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
from worker.events.health import SHARE, Health
from worker.events.schedule import DELAYS, next_attempt, next_probe


def waiting(sql: Sql, shop: Shop) -> list[Any]:
    return sql(
        """SELECT *, extract(epoch FROM next_attempt_at - updated_at)::float8 AS due_in FROM pending_deliveries
        WHERE endpoint_id = :id ORDER BY seq""",
        id=shop.id,
    )


def events_about(sql: Sql, shop: Shop) -> list[Any]:
    return sql(
        """SELECT type, CAST(body AS json) AS body FROM events
        WHERE object_id = :id AND type <> 'webhook_endpoint.test' ORDER BY id""",
        id=shop.id,
    )


def make_older(sql: Sql, shop: Shop, **moments: str) -> None:
    """Move times of the endpoint's row into the past: ``failing_since="61 minutes"``."""
    for column, age in moments.items():
        sql(
            f"UPDATE webhook_endpoints SET {column} = now() - CAST(:age AS interval) WHERE id = :id",
            id=shop.id,
            age=age,
        )


@pytest.mark.parametrize(
    ("retry_after", "least", "most"), [("120", 119, 121), ("1", 4, 6), ("99999999", 86_300, 86_401)]
)
def test_an_answer_may_ask_for_a_longer_pause_and_for_no_shorter_one(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, retry_after: str, least: int, most: int
) -> None:
    shop = make_shop()
    insert_event(sql)
    receiver.answer = refuse(429, Retry_After=retry_after)
    send()
    assert least <= waiting(sql, shop)[0].due_in <= most
    assert sql("SELECT status, succeeded, answer, attempt FROM event_attempts")[0] == (429, False, b"", 1)


def test_the_schedule_is_the_documented_one_with_up_to_a_fifth_more() -> None:
    hours = [2, 5, 10, 14, 20, 24]
    for attempts, seconds in enumerate([5, 300, 1800, *(hour * 3600 for hour in hours)], start=1):
        pause = next_attempt(attempts, None)
        assert pause is not None
        assert seconds <= pause.total_seconds() <= seconds * 1.2
    assert next_attempt(len(DELAYS) + 1, None) is None
    assert [round(next_probe(probes).total_seconds() // 60) for probes in (0, 1, 2)] == [1, 2, 4]
    assert 15 * 60 <= next_probe(99).total_seconds() <= 18 * 60


def test_twenty_failures_and_nothing_taken_suspend_an_endpoint_and_one_that_took_something_is_not(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop, other = make_shop("/bad"), make_shop("/other")
    make_older(sql, other, last_success_at="4 minutes")
    for _ in range(25):
        insert_event(sql)
    receiver.answer = refuse(500)
    send()

    row = endpoint_row(sql, shop)
    assert (row.state, row.state_reason, row.lease_token, row.version) == ("suspended", "failing", None, 2)
    assert 60 <= (row.next_due_at - row.state_since).total_seconds() <= 90, "a probe after a minute"
    assert endpoint_row(sql, other).state == "enabled"
    (event,) = events_about(sql, shop)
    assert (event.type, event.body["id"], event.body["state"]) == (
        "webhook_endpoint.suspended",
        str(shop.id),
        "suspended",
    )

    before = len(receiver.events("/bad"))
    insert_event(sql)
    send()
    assert len(receiver.events("/bad")) == before, "nothing is sent but probes"


def test_an_hour_without_a_success_suspends_an_endpoint_however_few_failures_it_had(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop()
    insert_event(sql)
    receiver.answer = refuse(500)
    send()
    assert endpoint_row(sql, shop).state == "enabled"
    make_older(sql, shop, failing_since="61 minutes")
    assert send() == 0
    assert endpoint_row(sql, shop).state == "suspended"


def suspend(sql: Sql, receiver: Receiver, shop: Shop, send: Send) -> None:
    receiver.answer = refuse(500)
    sql("UPDATE webhook_endpoints SET failures = 19 WHERE id = :id", id=shop.id)
    send()
    assert endpoint_row(sql, shop).state == "suspended"
    receiver.received.clear()


def test_a_suspended_endpoint_is_probed_with_one_event_and_no_clock_runs(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop(types=["payment.paid"])
    for _ in range(3):
        insert_event(sql)
    suspend(sql, receiver, shop, send)
    before = [(row.event_id, row.attempts) for row in waiting(sql, shop)]

    for probes in (1, 2):
        make_due(sql, shop)
        assert send() == 1
        row = endpoint_row(sql, shop)
        assert (row.state, row.probes) == ("suspended", probes)
        assert (
            sql("SELECT extract(epoch FROM :due - now())::int AS pause", due=row.next_due_at)[0].pause >= 50 * 2**probes
        )
    assert [(row.event_id, row.attempts) for row in waiting(sql, shop)] == before

    receiver.answer = accept
    make_due(sql, shop)
    assert send() == 3, "the first success, and then all that waits at once"
    assert endpoint_row(sql, shop).state == "enabled"
    assert waiting(sql, shop) == []
    assert set(event_ids(sql)[:3]) <= set(receiver.events())


def test_one_event_that_is_never_taken_does_not_hold_a_suspended_endpoint_back(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop, poison = make_shop(types=["payment.paid"]), uuid4()
    insert_event(sql, object_id=poison)
    suspend(sql, receiver, shop, send)
    insert_event(sql)
    fresh = event_ids(sql)[-1]

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=500 if orjson.loads(body)["data"]["id"] == str(poison) else 200)

    receiver.answer = answer
    for _ in range(2):
        make_due(sql, shop)
        send()
    assert endpoint_row(sql, shop).state == "enabled"
    assert fresh in receiver.events()


def test_after_three_days_a_suspended_endpoint_is_disabled_and_is_sent_nothing(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send
) -> None:
    shop = make_shop(types=["payment.paid"])
    insert_event(sql)
    suspend(sql, receiver, shop, send)
    make_older(sql, shop, state_since="3 days 1 minute")
    make_due(sql, shop)
    assert send() == 1
    row = endpoint_row(sql, shop)
    assert (row.state, row.state_reason) == ("disabled", "stale")
    assert [event.type for event in events_about(sql, shop)] == [
        "webhook_endpoint.suspended",
        "webhook_endpoint.disabled",
    ]
    make_due(sql, shop)
    insert_event(sql)
    assert send() == 0

    receiver.answer = accept
    sql("UPDATE webhook_endpoints SET state = 'enabled', state_reason = 'requested' WHERE id = :id", id=shop.id)
    assert send() == 2, "enabled by staff, all is due at once"


def test_410_disables_an_endpoint_at_once(sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send) -> None:
    shop, lane = make_shop(types=["payment.paid"]), uuid4()
    for version in (1, 2):
        insert_event(sql, object_id=lane, version=version)
    receiver.answer = refuse(410)
    assert send() == 1
    row = endpoint_row(sql, shop)
    assert (row.state, row.state_reason) == ("disabled", "gone")
    assert [event.type for event in events_about(sql, shop)] == ["webhook_endpoint.disabled"]


@pytest.mark.parametrize("took_others", [True, False])
def test_after_its_last_attempt_an_event_is_given_up_only_if_others_were_taken_meanwhile(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, took_others: bool
) -> None:
    shop, lane = make_shop(types=["payment.paid"]), uuid4()
    for version in (1, 2):
        insert_event(sql, object_id=lane, version=version)
    receiver.answer = refuse_first_of(lane)
    send()
    sql("UPDATE pending_deliveries SET attempts = 9, first_attempt_at = now() - interval '2 days' WHERE attempts > 0")
    make_older(sql, shop, last_success_at="1 day" if took_others else "3 days")
    make_due(sql, shop)
    send()
    first, *rest = waiting(sql, shop)
    if took_others:
        assert (first.state, first.attempts, first.next_attempt_at, rest) == ("failed", 10, None, [])
        assert receiver.events()[-1] == event_ids(sql)[1], "the lane goes on"
        assert endpoint_row(sql, shop).state == "enabled"
    else:
        assert (first.state, len(rest)) == ("waiting", 1)
        assert endpoint_row(sql, shop).state == "suspended"


def refuse_first_of(lane: UUID) -> Any:
    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        return web.Response(status=500 if orjson.loads(body)["data"] == {"id": str(lane), "version": 1} else 200)

    return answer


def test_an_endpoint_that_comes_back_is_sent_twice_as_much_with_each_round() -> None:
    health = Health(
        SimpleNamespace(id=uuid4(), failures=0, probes=3, pace=None, taken_at=None, failing_since=None, state_since=0.0)  # type: ignore[arg-type]
    )
    health.answered(0.01)
    health.moved(enabled=True)
    rounds = []
    while health.pace is not None:
        rounds.append(health.share)
        for _ in range(health.share):
            health.succeeded()
    assert rounds == [1, 2, 4, 8, 16]
    assert health.share == SHARE
    health.moved(enabled=True)
    for _ in range(7):
        health.succeeded()
    health.failed()
    assert health.share == 4, "a failure halves it"


@pytest.mark.parametrize("struck_out", [True, False])
def test_an_answer_is_not_kept_where_a_person_was_struck_out_of_the_event_while_it_was_in_flight(
    sql: Sql, receiver: Receiver, make_shop: MakeShop, send: Send, struck_out: bool
) -> None:
    make_shop()
    insert_event(sql, body={"id": "a", "buyer": {"name": "Ann Onymous"}})

    async def answer(request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        if struck_out:
            await asyncio.to_thread(sql, """UPDATE events SET body = '{"id": "a", "buyer": null}'""")
        return web.Response(status=422, text=f"no such customer: {body.decode()}")

    receiver.answer = answer
    assert send() == 1

    (attempt,) = sql("SELECT status, answer FROM event_attempts")
    assert attempt.status == 422
    assert (attempt.answer is None) == struck_out
    if not struck_out:
        assert b"Ann Onymous" in bytes(attempt.answer)
