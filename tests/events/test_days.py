"""Days of the log: made before they come, dropped once they were kept for long enough.

Endpoints that have not taken what goes hear of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from checkout_service.doctor.days import check_days
from checkout_service.doctor.findings import Level
from checkout_service.events import queries
from tests.conftest import Sql
from tests.events.written import WrittenEvent, written
from tests.worker.conftest import MakeWorker, make_worker, worker
from worker.events import days
from worker.events.days import turn_days

__all__ = ["make_worker", "worker"]  # fixtures

TABLES = ("events", "event_numbers", "event_attempts")


def day(ago: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=ago)


def partitions(sql: Sql, table: str) -> list[str]:
    rows = sql(
        """SELECT part.relname AS name FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
        WHERE inhparent = CAST(:table AS regclass) AND part.relname ~ '[0-9]$' ORDER BY 1""",
        table=table,
    )
    return [row.name for row in rows]


def named(table: str, *ago: int) -> list[str]:
    return sorted(f"{table}_{day(each):%Y%m%d}" for each in ago)


@pytest.fixture
def made(sql: Sql) -> Iterator[None]:
    """Leaves the days that a migration leaves."""
    yield
    _leave_the_days_of_a_migration(sql)


@pytest.fixture(scope="module", autouse=True)
def of_this_day(one_day: None, sql: Sql) -> None:
    """The migration may have been on the day before."""
    _leave_the_days_of_a_migration(sql)


def _leave_the_days_of_a_migration(sql: Sql) -> None:
    sql("DELETE FROM events")
    sql("DELETE FROM event_numbers")
    sql("DELETE FROM event_attempts")
    for table in TABLES:
        for name in {*partitions(sql, table)} - {*named(table, *range(-7, 1))}:
            sql(f"DROP TABLE {name}")
    sql("SELECT events_make_days(7)")


def make_day(sql: Sql, ago: int) -> None:
    """Partitions of a day that is over."""
    for table in TABLES:
        key = (
            (f"'{day(ago)}'", f"'{day(ago - 1)}'")
            if table == "event_numbers"
            else (f"uuid_of_day('{day(ago)}')", f"uuid_of_day('{day(ago - 1)}')")
        )
        sql(
            f"""DO $$ BEGIN EXECUTE format('CREATE TABLE {table}_{day(ago):%Y%m%d} PARTITION OF {table}
            FOR VALUES FROM (%L) TO (%L)', {key[0]}, {key[1]}); END $$"""
        )
        sql(f"ALTER TABLE {table}_{day(ago):%Y%m%d} OWNER TO checkout_owner")


def enter(sql: Sql, ago: int, seq: int, type: str = "payment.paid") -> UUID:  # noqa: A002 (the column's name)
    """An event of noon of a day, with its number."""
    (row,) = sql(
        """WITH entered AS (
            INSERT INTO events (id, type, object_type, object_id, version, lane, body)
            VALUES (uuidv7(CAST(:day AS date) + interval '12 hours' - now() AT TIME ZONE 'UTC'), :type, 'payment',
                uuidv7(), 1, uuidv7(), '{}')
            RETURNING *
        ), numbered AS (
            INSERT INTO event_numbers (seq, day, event_id, type, object_id, lane)
            SELECT :seq, :day, id, type, object_id, lane FROM entered
        ), days AS (
            INSERT INTO event_days (day, first_seq) VALUES (:day, :seq) ON CONFLICT DO NOTHING
        ), types AS (
            INSERT INTO event_types (type, last_seq) VALUES (:type, :seq)
            ON CONFLICT (type) DO UPDATE SET last_seq = excluded.last_seq
        ), series AS (
            INSERT INTO event_series (last_seq, day, last_event_id) SELECT :seq, :day, id FROM entered
            ON CONFLICT ((true)) DO UPDATE SET last_seq = excluded.last_seq, day = excluded.day,
                last_event_id = excluded.last_event_id
        )
        SELECT id FROM entered""",
        day=day(ago),
        seq=seq,
        type=type,
    )
    entered: UUID = row.id
    return entered


def endpoint(sql: Sql, place: int, types: str = "NULL", **columns: str) -> UUID:
    """An endpoint that has taken all up to a number; other columns as SQL literals."""
    names = "".join(f", {name}" for name in columns)
    values = "".join(f", {value}" for value in columns.values())
    return sql(
        f"""INSERT INTO webhook_endpoints (url, types, place{names})
        VALUES ('https://shop.example/hook', {types}, :place{values}) RETURNING id""",
        place=place,
    )[0].id


def endpoint_row(sql: Sql, endpoint_id: UUID) -> Any:
    return sql("SELECT * FROM webhook_endpoints WHERE id = :id", id=endpoint_id)[0]


def about(sql: Sql, endpoint_id: UUID) -> list[tuple[str, int, int]]:
    events = [event for event in written(sql, "webhook_endpoint") if event.object_id == endpoint_id]
    return [(event.type.removeprefix("webhook_endpoint."), event.body["from"], event.body["to"]) for event in events]


def test_a_migration_makes_today_and_seven_days(sql: Sql) -> None:
    for table in TABLES:
        assert partitions(sql, table) == named(table, *range(-7, 1))
    (row,) = sql(
        "INSERT INTO events (type, object_type, object_id, version, lane, body) "
        "VALUES ('payment.paid', 'payment', uuidv7(), 1, uuidv7(), '{}') RETURNING tableoid::regclass::text AS place"
    )
    assert row.place == named("events", 0)[0]


@pytest.mark.usefixtures("worker", "made")
def test_what_stands_in_no_day_moves_to_its_own(sql: Sql) -> None:
    for table in TABLES:
        for ago in (0, -7):
            sql(f"DROP TABLE {named(table, ago)[0]}")
    today, ahead = enter(sql, 0, 1), enter(sql, -7, 2)
    assert sql("SELECT count(*) FROM events_of_no_day")[0].count == 2

    turn_days()

    for table in TABLES:
        assert partitions(sql, table) == named(table, *range(-7, 1))
    places = {row.id: row.place for row in sql("SELECT id, tableoid::regclass::text AS place FROM events")}
    assert places == {today: named("events", 0)[0], ahead: named("events", -7)[0]}
    assert [row.seq for row in sql("SELECT seq FROM event_numbers_of_no_day")] == []
    assert [row.seq for row in sql("SELECT seq FROM event_numbers ORDER BY seq")] == [1, 2]


@pytest.mark.usefixtures("worker", "made")
def test_a_day_that_somebody_has_is_left_out_and_money_goes_on(sql: Sql, superuser: Engine) -> None:
    """A transaction that wrote into the default partition, and one that reads what is to be dropped."""
    sql(f"DROP TABLE {named('events', 0)[0]}")
    make_day(sql, 40)
    old = enter(sql, 40, 1)
    write = (
        "INSERT INTO events (type, object_type, object_id, version, lane, body) VALUES "
        "('payment.paid', 'payment', uuidv7(), 1, uuidv7(), '{}')"
    )
    with superuser.execution_options(isolation_level="READ COMMITTED").connect() as other:
        other.execute(text(write))
        assert turn_days() == f"made 0 days, dropped {named('event_attempts', 40)[0]}, {named('event_numbers', 40)[0]}"
        assert named("events", 0)[0] not in partitions(sql, "events")
        assert named("events", 40)[0] in partitions(sql, "events"), "somebody writes there"
        sql(write)
        other.commit()
    turn_days()

    assert partitions(sql, "events") == named("events", *range(-7, 1))
    assert sql("SELECT count(*) FROM events")[0].count == 2
    assert sql("SELECT FROM events WHERE id = :id", id=old) == []


WRITE = """INSERT INTO events (type, object_type, object_id, version, lane, body)
    VALUES ('payment.paid', 'payment', uuidv7(), 1, uuidv7(), '{}')"""


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("ago", "is_patient", "longest"), [(40, False, "10ms"), (31, True, "10ms"), (40, True, "1s")])
def test_no_event_queues_up_behind_a_day_that_waits_for_its_moment(
    sql: Sql, superuser: Engine, *, ago: int, is_patient: bool, longest: str
) -> None:
    """Somebody has the table all the time. Only a day that is late is waited for, for 20 ms."""
    make_day(sql, ago)
    for table in ("event_attempts", "event_numbers"):
        sql(f"DROP TABLE {named(table, ago)[0]}")
    over = Event()
    answers = set[str | None]()

    def housekeep() -> None:
        while not over.is_set():
            answers.add(sql("SELECT events_detach_day(29, :patient)", patient=is_patient)[0][0])

    thread = Thread(target=housekeep)
    shared = superuser.execution_options(isolation_level="READ COMMITTED")
    with shared.connect() as holder, shared.connect() as writer:
        holder.execute(text(WRITE))
        thread.start()
        try:
            until = monotonic() + 0.7
            while monotonic() < until or not answers:
                writer.execute(text(f"SET LOCAL lock_timeout = '{longest}'"))
                writer.execute(text(WRITE))
                writer.commit()
        finally:
            over.set()
            thread.join()
        assert answers == {"locked"}
    assert sql("SELECT events_detach_day(29, false)")[0][0] == named("events", ago)[0]


@pytest.mark.usefixtures("worker", "made")
def test_the_doctor_says_how_far_days_are_made_and_which_are_missing(sql: Sql) -> None:
    def result() -> tuple[Level, str]:
        (finding,) = check_days()
        return finding.level, finding.result

    make_day(sql, 5)
    assert result() == (Level.OK, "made 7 days ahead; the oldest is 5 days old")
    for ago in range(-7, -2):
        sql(f"DROP TABLE {named('event_numbers', ago)[0]}")
    assert result() == (Level.ADVICE, "event_numbers has none beyond 2 days")
    sql(f"DROP TABLE {named('events', 0)[0]}")
    assert result() == (Level.WRONG, "events has none of today")


@pytest.mark.usefixtures("made")
def test_days_past_their_retention_are_dropped_and_the_series_says_so(sql: Sql, make_worker: MakeWorker) -> None:
    for ago in (4, 3, 2, 1):
        make_day(sql, ago)
    ids = [enter(sql, ago, seq) for seq, ago in enumerate((4, 4, 3, 2, 1, 0), start=1)]
    late = sql(
        "INSERT INTO events_of_no_day SELECT uuidv7(interval '-9 days') AS id, type, object_type, object_id, version, "
        "lane, body FROM events LIMIT 1 RETURNING id"
    )[0].id
    with make_worker(event_log_retention=timedelta(days=2)).app_context():
        turn_days()
        turn_days()

    assert partitions(sql, "event_numbers") == named("event_numbers", *range(-7, 3))
    assert partitions(sql, "events") == named("events", *range(-7, 4)), "an event outlives its number by a day"
    assert partitions(sql, "event_attempts") == named("event_attempts", *range(-7, 3))
    assert [row.seq for row in sql("SELECT seq FROM event_numbers ORDER BY seq")] == [4, 5, 6]
    assert sorted(row.id for row in sql("SELECT id FROM events")) == sorted(ids[2:])
    assert late not in ids
    (series,) = sql("SELECT last_seq, dropped_seq FROM event_series")
    assert (series.last_seq, series.dropped_seq) == (6, 3)
    assert [row.first_seq for row in sql("SELECT first_seq FROM event_days ORDER BY day")] == [4, 5, 6]


@pytest.mark.usefixtures("made")
def test_a_page_of_the_log_looks_into_the_days_of_its_numbers_alone(sql: Sql, superuser: Engine) -> None:
    """However many days are kept. What is executed of a plan names the tables that were opened."""
    for ago, seq in ((3, 1), (2, 20_001), (1, 40_001), (0, 60_001)):
        if ago:
            make_day(sql, ago)
        enter(sql, ago, seq)
    statement = f"EXPLAIN (ANALYZE, COSTS off) {queries._page_looked_through.sql}"
    with superuser.connect() as connection:
        plan = connection.exec_driver_sql(statement, {"after": 20_000, "types": None, "limit": 20}).scalars().all()

    executed = "\n".join(line for line in plan if "never executed" not in line)
    assert {name for name in partitions(sql, "event_numbers") if name in executed} == {*named("event_numbers", 2)}


@pytest.mark.usefixtures("made")
def test_an_event_that_waits_for_its_number_is_not_dropped(sql: Sql, make_worker: MakeWorker) -> None:
    make_day(sql, 9)
    waiting = enter(sql, 9, 1)
    sql("UPDATE event_series SET last_seq = 0, day = '-infinity'")
    for table in ("event_numbers", "event_days", "event_types"):
        sql(f"DELETE FROM {table}")
    sql("""INSERT INTO unsequenced_events (events, types, objects, lanes, created_at)
        SELECT ARRAY[id], ARRAY[type], ARRAY[object_id], ARRAY[lane], now() - interval '9 days' FROM events""")

    with make_worker(event_log_retention=timedelta(days=2)).app_context():
        turn_days()

    assert [row.id for row in sql("SELECT id FROM events")] == [waiting]


@pytest.mark.usefixtures("made")
def test_what_endpoints_lose_is_written_later_while_somebody_has_one_of_them(
    sql: Sql, superuser: Engine, make_worker: MakeWorker
) -> None:
    """A sender locks endpoints in an order of its own: who waited for it for long could be who it waits for."""
    make_day(sql, 3)
    enter(sql, 3, 1)
    slow, held = endpoint(sql, 0), endpoint(sql, 0)
    with (
        make_worker(event_log_retention=timedelta(days=2)).app_context(),
        superuser.execution_options(isolation_level="READ COMMITTED").connect() as sender,
    ):
        sender.execute(text("SELECT FROM webhook_endpoints WHERE id = :id FOR NO KEY UPDATE"), {"id": held})

        assert turn_days().startswith("made"), "all else was done"

        assert [endpoint_row(sql, each).place for each in (slow, held)] == [0, 0]
        assert about(sql, slow) == []
        assert named("event_numbers", 3)[0] in partitions(sql, "event_numbers"), "nothing goes unheard of"
        sender.rollback()
        turn_days()
    assert about(sql, slow)[:1] == about(sql, held)[:1] == [("lost", 1, 1)]


@pytest.mark.usefixtures("made")
def test_no_event_goes_before_endpoints_heard_that_they_lose_it(
    sql: Sql, superuser: Engine, make_worker: MakeWorker
) -> None:
    """A sender passes over an event that is gone, and the endpoint's place with it: nobody would know."""
    make_day(sql, 5)
    enter(sql, 5, 1)
    enter(sql, 0, 2)
    stray = sql(
        "INSERT INTO events_of_no_day SELECT uuidv7(interval '-9 days') AS id, type, object_type, object_id, version, "
        "lane, body FROM events LIMIT 1 RETURNING id"
    )[0].id
    slow = endpoint(sql, 0)
    with (
        make_worker(event_log_retention=timedelta(days=2)).app_context(),
        superuser.execution_options(isolation_level="READ COMMITTED").connect() as sender,
    ):
        sender.execute(text("SELECT FROM webhook_endpoints FOR NO KEY UPDATE"))
        turn_days()

        for table in ("events", "event_numbers"):
            assert named(table, 5)[0] in partitions(sql, table)
        assert named("event_attempts", 5)[0] not in partitions(sql, "event_attempts")
        assert len(sql("SELECT FROM events WHERE id = :id", id=stray)) == 1
        sender.rollback()
        turn_days()
    assert about(sql, slow)[:1] == [("lost", 1, 1)]
    assert named("events", 5)[0] not in partitions(sql, "events")
    assert sql("SELECT FROM events WHERE id = :id", id=stray) == []


@pytest.mark.usefixtures("worker", "made")
def test_what_deleted_endpoints_left_goes_in_bounded_steps(sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, kept = endpoint(sql, 0), endpoint(sql, 0)
    for each in (gone, kept):
        sql("INSERT INTO endpoint_secrets (endpoint_id, ciphertext) VALUES (:id, 'x')", id=each)
        sql(
            """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane)
            SELECT :id, uuidv7(), seq, 'payment.paid', uuidv7() FROM generate_series(1, 7) AS each (seq)""",
            id=each,
        )
    sql("UPDATE webhook_endpoints SET deleted_at = now() WHERE id = :id", id=gone)
    assert sql("SELECT endpoints_sweep_deleted(3) AS gone")[0].gone == 4, "three deliveries and the secret"
    monkeypatch.setattr(days, "STRAYS", 2)
    monkeypatch.setattr(days, "SWEPT", 2)

    turn_days()
    assert sql("SELECT FROM pending_deliveries WHERE endpoint_id = :id", id=gone) == []

    assert sql("SELECT count(*) AS count FROM pending_deliveries")[0].count == 7
    assert [row.endpoint_id for row in sql("SELECT endpoint_id FROM endpoint_secrets")] == [kept]


@pytest.mark.usefixtures("made")
def test_an_endpoint_hears_a_day_before_and_then_what_it_lost(sql: Sql, make_worker: MakeWorker) -> None:
    for ago in (3, 2, 1):
        make_day(sql, ago)
    enter(sql, 3, 1, "payment.failed")
    lanes = [enter(sql, 2, seq) for seq in (2, 3)]
    enter(sql, 1, 4, "payment.failed")
    enter(sql, 0, 5)
    slow = endpoint(sql, 0)
    choosy = endpoint(sql, 1, "ARRAY['payment.paid']")
    other = endpoint(sql, 0, "ARRAY['refund.failed']")
    done = endpoint(sql, 5)
    waits = endpoint(sql, 5)
    gone = endpoint(sql, 0, deleted_at="now()", state="'disabled'")
    lane = uuid4()
    for seq in (3, 5):
        sql(
            """INSERT INTO pending_deliveries (endpoint_id, event_id, seq, type, lane, attempts, next_attempt_at)
            SELECT :endpoint, event_id, seq, type, :lane, 1, CASE seq WHEN 3 THEN now() + interval '1 hour' END
            FROM event_numbers WHERE seq = :seq""",
            endpoint=waits,
            lane=lane,
            seq=seq,
        )
    with make_worker(event_log_retention=timedelta(days=2)).app_context():
        turn_days()
        turn_days()
        assert about(sql, slow) == [("lost", 1, 1), ("lagging_out", 2, 3)]
        assert about(sql, choosy) == [("lagging_out", 2, 3)]
        assert about(sql, waits) == [("lagging_out", 3, 3)]
        assert [endpoint_row(sql, each).place for each in (slow, choosy, other, done)] == [1, 1, 1, 5]
        assert endpoint_row(sql, slow).lagging_since
    with make_worker(event_log_retention=timedelta(days=1)).app_context():
        sql("UPDATE webhook_endpoints SET place = 3 WHERE id = :id", id=choosy)
        turn_days()
        turn_days()

    assert about(sql, slow)[2:] == [("lost", 2, 3), ("lagging_out", 4, 4)]
    assert about(sql, choosy)[1:] == []
    assert about(sql, waits)[1:] == [("lost", 3, 3)]
    assert about(sql, other) == about(sql, done) == about(sql, gone) == []
    assert endpoint_row(sql, choosy).lagging_since is None
    (left,) = sql("SELECT * FROM pending_deliveries")
    assert (left.seq, left.next_attempt_at <= datetime.now(UTC)) == (5, True), "it is the first of its lane now"
    event: WrittenEvent = next(each for each in written(sql, "webhook_endpoint") if each.object_id == slow)
    shown = sql("SELECT webhook_endpoint_body(:id) AS body", id=slow)[0].body
    assert event.body.keys() == shown.keys() | {"from", "to"}
    assert (event.lane, event.version, event.body["url"]) == (slow, shown["version"], shown["url"])
    assert lanes
