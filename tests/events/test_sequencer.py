"""Numbers of events: without a gap, in each lane as they were written, and no reader misses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, text

from checkout_service.cache import cache
from checkout_service.events.queries import events_page
from checkout_service.publishing import events_wake_up
from checkout_service.publishing.publisher import QueueUnavailableError, TaskQueue
from checkout_service.tasks import TaskName
from tests.conftest import Sql
from tests.crowd import at_once
from tests.events.numbered import sequence
from tests.money import attempt, bring_to, capture, fold
from tests.ordering import paid_order
from tests.refunding import open_payment
from tests.webhook_bodies import insert_webhook, webhook
from tests.worker.conftest import MakeWorker, make_worker, worker
from tests.worker.orders import buying
from worker.events import sequencer
from worker.events.sequencer import sequence_events
from worker.payments.sweeping import sweep
from worker.webhooks.task import process

__all__ = ["make_worker", "worker"]  # fixtures


@pytest.fixture
def other(superuser: Engine) -> Iterator[Connection]:
    """A connection in a transaction of its own."""
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        yield connection


def write(sql: Sql, *lanes: UUID, type: str = "listing.test") -> None:  # noqa: A002 (the column's name)
    """Events of these lanes, in one row of the queue; each tells how many were written before it in its version."""
    before = sql("SELECT count(*) FROM events")[0].count
    sql(
        """SELECT events_write(array_fill(CAST(:type AS text), ARRAY[:many]),
            array_fill(CAST('listing' AS text), ARRAY[:many]),
            CAST(:lanes AS uuid[]), CAST(:versions AS integer[]), CAST(:lanes AS uuid[]),
            array_fill(CAST('{}' AS text), ARRAY[:many]))""",
        type=type,
        many=len(lanes),
        lanes=list(map(str, lanes)),
        versions=[before + place for place in range(len(lanes))],
    )


def numbered(sql: Sql) -> list[Any]:
    """Events in the order of their numbers, which have no gap."""
    rows = sql(
        """SELECT numbers.seq, numbers.type, numbers.lane, numbers.order_number, event.version
        FROM event_numbers AS numbers JOIN events AS event ON event.id = numbers.event_id ORDER BY numbers.seq"""
    )
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    (series,) = sql("SELECT coalesce(max(last_seq), 0) AS last FROM event_series")
    assert series.last == len(rows)
    return rows


def test_events_are_numbered_as_they_were_written(sql: Sql) -> None:
    lanes = [uuid4() for _ in range(3)]
    for lane in (*lanes, *reversed(lanes)):
        write(sql, lane, lane)

    assert sequence(sql, most=3) == (0, 4)
    while sequence(sql, most=3) != (0, 0):
        pass
    assert [row.version for row in numbered(sql)] == list(range(12))
    assert sql("SELECT FROM unsequenced_events") == []
    assert [tuple(row) for row in sql("SELECT type, last_seq FROM event_types")] == [("listing.test", 12)]
    assert [tuple(row) for row in sql("SELECT first_seq, day = (now() AT TIME ZONE 'UTC')::date FROM event_days")] == [
        (1, True)
    ]


def test_a_day_begins_with_its_first_number_and_never_goes_back(sql: Sql) -> None:
    write(sql, uuid4())
    sequence(sql)
    sql("UPDATE event_series SET day = day + 1")
    write(sql, uuid4())
    sequence(sql)

    assert sql("SELECT day - (now() AT TIME ZONE 'UTC')::date AS ahead FROM event_numbers WHERE seq = 2")[0].ahead == 1


def test_an_order_has_its_number_when_its_event_has_one(sql: Sql, app: Flask) -> None:
    bought = buying.session(sql, buying.cart(sql, {}), {buying.listing(sql): 1}, held=False)
    bring_to(sql, bought.payment, "paid")
    sequence(sql, prefix="B-")

    assert {row.order_number for row in numbered(sql) if row.type in {"payment.paid", "order.placed"}} == {"B-1"}
    with app.app_context():
        (placed,) = events_page(0, types=["order.placed"], limit=10).events
    assert '"number":"B-1"' in placed.body


def test_a_reader_misses_no_event_that_was_committed_late(sql: Sql, app: Flask, other: Connection) -> None:
    """The first transaction writes its event, and commits it after the second one's was numbered and read."""
    first, second = (open_payment(sql)[0] for _ in range(2))
    for payment in (first, second):
        attempt(sql, payment, "started", presumed="100.00")
    other.execute(text("SELECT payments_fold(ARRAY[CAST(:id AS uuid)])"), {"id": first})
    fold(sql, second)
    sequence(sql)
    with app.app_context():
        seen = events_page(0, limit=100).events
        assert {event.lane for event in seen} == {second}
        other.commit()
        assert events_page(seen[-1].seq, limit=100).events == [], "it has no number yet"
        sequence(sql)
        assert {event.lane for event in events_page(seen[-1].seq, limit=100).events} == {first}
    numbered(sql)


def test_a_lane_whose_order_somebody_holds_waits_and_no_other(sql: Sql, make_listing: Any, other: Connection) -> None:
    held, payment = paid_order(sql, (make_listing(), 1))
    other.execute(text("SELECT FROM orders WHERE id = :id FOR NO KEY UPDATE"), {"id": held})
    alone = uuid4()
    # In one row with another lane's, and in one of its own.
    write(sql, payment, alone)
    write(sql, payment)
    place = sql("SELECT max(place) FROM unsequenced_events")[0].max
    orders, events = sequence(sql)
    assert orders == 0
    assert {row.lane for row in numbered(sql)} == {alone}
    assert events == 1
    assert sequence(sql) == (0, 0), "nothing is numbered twice"
    write(sql, payment)
    kept = sql("SELECT place, cardinality(events) AS many FROM unsequenced_events ORDER BY place")
    assert [row.place for row in kept][-2] == place, "rows keep their places"
    other.rollback()

    assert sequence(sql)[0] == 1
    rows = [row for row in numbered(sql) if row.lane == payment]
    assert [row.type for row in rows[-3:]] == ["listing.test"] * 3
    assert [row.version for row in rows[-3:]] == sorted(row.version for row in rows[-3:])
    assert {row.order_number for row in rows if row.type.startswith(("payment.", "order."))} == {"S-1"}
    assert sql("SELECT FROM unsequenced_events") == []


def test_events_behind_more_waiting_ones_than_a_step_takes_get_their_numbers(
    sql: Sql, make_listing: Any, other: Connection
) -> None:
    held, payment = paid_order(sql, (make_listing(), 1))
    other.execute(text("SELECT FROM orders WHERE id = :id FOR NO KEY UPDATE"), {"id": held})
    for _ in range(4):
        write(sql, payment)
    write(sql, uuid4())

    assert sequence(sql, most=2) == (0, 1)


def test_a_sequencer_that_is_killed_before_its_commit_leaves_all_to_the_next(sql: Sql, other: Connection) -> None:
    write(sql, uuid4(), uuid4())
    assert other.execute(text("SELECT events FROM events_sequence('', 1000)")).scalar_one() == 2
    other.rollback()

    assert numbered(sql) == []
    assert sequence(sql) == (0, 2)
    numbered(sql)


def test_many_sequencers_and_writers_at_once_leave_no_gap_and_keep_each_lane(sql: Sql, make_worker: MakeWorker) -> None:
    lanes = [uuid4() for _ in range(4)]

    def writing(lane: UUID) -> Callable[[], int]:
        def job() -> int:
            for version in range(10):
                sql(
                    """SELECT events_write(ARRAY['listing.test'], ARRAY['listing'], ARRAY[CAST(:lane AS uuid)],
                        ARRAY[CAST(:version AS integer)], ARRAY[CAST(:lane AS uuid)], ARRAY[CAST('{}' AS text)])""",
                    lane=lane,
                    version=version,
                )
            return 0

        return job

    def sequencing(app: Flask) -> Callable[[], int]:
        def job() -> int:
            with app.app_context():
                return sum(sequence_events().events for _ in range(20))

        return job

    given = sum(at_once([*map(writing, lanes), *[sequencing(make_worker()) for _ in range(3)]]))
    assert given + sequence(sql)[1] == 40
    rows = numbered(sql)
    for lane in lanes:
        assert [row.version for row in rows if row.lane == lane] == list(range(10))


def test_who_numbers_nothing_commits_nothing(sql: Sql) -> None:
    write(sql, uuid4())
    sequence(sql)
    before = sql("SELECT pg_current_xact_id()::text AS id")[0].id
    for _ in range(5):
        assert sequence(sql) == (0, 0)

    assert int(sql("SELECT pg_current_xact_id()::text AS id")[0].id) - int(before) == 1


@pytest.mark.usefixtures("worker")
def test_a_processed_webhook_has_its_events_numbered(sql: Sql) -> None:
    bought = buying.session(sql, buying.cart(sql, {}), {buying.listing(sql): 1}, held=False)
    process(str(insert_webhook(sql, webhook(bought.reference, amount="40.00", currency="USD"))))

    assert {"payment.paid", "order.placed"} <= {row.type for row in numbered(sql)}
    assert sql("SELECT FROM unsequenced_events") == []


@pytest.mark.usefixtures("worker")
def test_the_sweep_numbers_what_was_left(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    bought = buying.session(sql, buying.cart(sql, {}), {buying.listing(sql): 1}, held=False)

    def fail(*_: Any) -> Any:
        raise RuntimeError("anything")

    with monkeypatch.context() as patch:
        patch.setattr(sequencer, "execute", fail)
        process(str(insert_webhook(sql, webhook(bought.reference, amount="40.00", currency="USD"))))
        assert buying.order(sql, bought) == "placed", "the money is there"
    assert numbered(sql) == []
    sweep()

    assert "payment.paid" in {row.type for row in numbered(sql)}


@pytest.mark.usefixtures("worker")
def test_the_sender_is_woken_once_for_events_with_numbers(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(TaskQueue, "enqueue", lambda _queue, task, *_rest, **_named: sent.append(task))
    sequence_events()
    assert sent == []
    for _ in range(2):
        write(sql, uuid4())
        sequence_events()
    assert sent == [TaskName.SEND_EVENTS], "one message is on its way"

    cache().release(events_wake_up.WAKE_UP)

    def away(*_: Any, **_named: Any) -> None:
        raise QueueUnavailableError("away")

    monkeypatch.setattr(TaskQueue, "enqueue", away)
    write(sql, uuid4())
    assert sequence_events().events == 1
    assert cache().claim(events_wake_up.WAKE_UP, milliseconds=1), "the next one tries again"


def test_an_order_that_moved_before_it_was_numbered_has_its_number_in_both_lanes(sql: Sql) -> None:
    listing = buying.listing(sql)
    cart = buying.cart(sql, {listing: 1})
    first, second = (buying.session(sql, cart, {listing: 1}, held=place == 0) for place in range(2))
    bring_to(sql, first.payment, "paid")
    bring_to(sql, second.payment, "paid")
    assert sql("SELECT done FROM order_take_over(:id)", id=second.payment)[0].done
    sequence(sql)

    (placed,) = [row for row in numbered(sql) if row.type == "order.placed"]
    assert (placed.lane, placed.order_number) == (first.payment, "S-1")


def test_a_payment_without_a_session_is_numbered_too(sql: Sql) -> None:
    payment, _ = open_payment(sql)
    capture(sql, payment, "ca", "100.00")
    fold(sql, payment)
    sequence(sql)

    assert [row.order_number for row in numbered(sql) if row.type == "payment.paid"] == [None]
